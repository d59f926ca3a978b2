"""Changes of several tables, written together: one round trip on PostgreSQL.

New rows of a table are one JSON argument there, whatever their number; a row that is changed or goes is found by its
key, each by itself, because a join might read the whole table and set every concurrent unit of work against this one.
All parts see the tables as they were before, so a batch must not touch one row twice. SQLite, where a statement costs
no round trip, runs the parts one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from clew.storage.engine import Connection
from clew.storage.types import Converter, Json

Row = Mapping[str, Any]


class _Rows(Json):
    """Rows as JSON. The platform's own tables hold no number that JSON would round."""

    def to_driver(self, dialect: str) -> Converter | None:
        return lambda rows: msgspec.json.encode(rows).decode()


class Part:
    """One kind of change. Parts are made once; `rank` is their order and tells them apart. `counted`: which of its
    statements answers, as `met`, how many rows it has met (`Batch.write`)."""

    counted: int | None = None

    def __init__(self, rank: int, table: sa.Table, columns: Sequence[str]) -> None:
        self.rank, self.table, self.columns = rank, table, tuple(columns)
        self._plain: Sequence[Any] | None = None

    def one(self, suffix: str = "") -> Sequence[Any]:
        """What is said of one row, whose values are bound under the columns' names and this."""
        return self._one({name: self._bind(name, suffix) for name in self.columns})

    def binds(self, suffix: str = "") -> tuple[str, ...]:
        """The names under which a row's values are bound, in the order of the columns."""
        return tuple(f"b_{name}{suffix}" for name in self.columns)

    async def each(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Row by row."""
        if self._plain is None:
            self._plain = self.one()
        bound = [self.bound(each, self.binds()) for each in rows]
        for statement in self._plain:
            await connection.execute_many(statement, bound)

    def bound(self, row: Row, binds: Sequence[str]) -> dict[str, Any]:
        return dict(zip(binds, [row[name] for name in self.columns], strict=True))

    def _bind(self, name: str, suffix: str) -> Any:
        return sa.bindparam(f"b_{name}{suffix}", type_=self.table.c[name].type)

    def _one(self, values: Mapping[str, Any]) -> Sequence[Any]:
        raise NotImplementedError


class Insert(Part):
    """New rows. `instead`: the unique index on which a row may be there already, its condition, and the columns that
    are taken over then; none: it stays as it is."""

    def __init__(
        self,
        rank: int,
        table: sa.Table,
        columns: Sequence[str] = (),
        *,
        instead: tuple[Sequence[str], Any, Sequence[str]] | None = None,
    ) -> None:
        self._instead = instead
        super().__init__(rank, table, columns or table.c.keys())

    def _one(self, values: Mapping[str, Any]) -> Sequence[Any]:
        return [self._or(sqlite.insert(self.table).values({self.table.c[key]: each for key, each in values.items()}))]

    def all(self, name: str) -> Any:
        """All rows of the JSON list that is bound as `name`, on PostgreSQL."""
        columns = [sa.column(each, self.table.c[each].type) for each in self.columns]
        rows: Any = sa.func.jsonb_to_recordset(sa.bindparam(name, type_=_Rows())).table_valued(*columns)
        rows = rows.render_derived(name=f"of_{name}", with_types=True)
        made = postgresql.insert(self.table)
        return self._or(made.from_select(list(self.columns), sa.select(*rows.c), include_defaults=False))

    def _or(self, insert: Any) -> Any:
        if self._instead is None:
            return insert
        unique, where, takes = self._instead
        if not takes:
            return insert.on_conflict_do_nothing(index_elements=list(unique), index_where=where)
        taken = {name: insert.excluded[name] for name in takes}
        return insert.on_conflict_do_update(index_elements=list(unique), index_where=where, set_=taken)


class Update(Part):
    """A row with these keys takes the other columns' values."""

    def __init__(self, rank: int, table: sa.Table, keys: Sequence[str], changed: Sequence[str]) -> None:
        self._keys, self._changed = tuple(keys), tuple(changed)
        super().__init__(rank, table, (*keys, *changed))

    def _one(self, values: Mapping[str, Any]) -> Sequence[Any]:
        same = [self.table.c[name] == values[name] for name in self._keys]
        return [sa.update(self.table).where(*same).values({self.table.c[name]: values[name] for name in self._changed})]


class Delete(Part):
    """The rows with these keys go."""

    def _one(self, values: Mapping[str, Any]) -> Sequence[Any]:
        return [sa.delete(self.table).where(*(self.table.c[name] == values[name] for name in self.columns))]


_MOST = 12
"""Rows that are changed within one statement; more go by themselves."""
_LONGEST = 500
"""New rows of one table within one statement."""


def met_by(change: sa.CTE) -> Any:
    """How many rows a change has met that answers `met` for each."""
    return sa.select(sa.func.coalesce(sa.func.sum(change.c.met), 0)).scalar_subquery()


@dataclass(frozen=True, slots=True)
class Together:
    """One statement of several parts. `binds`: what the values of each row of a change are bound as, by the place of
    its part and its number."""

    statement: Any
    binds: Mapping[tuple[int, int], tuple[str, ...]]


Known = dict[tuple[tuple[Part, int], ...], Together]
"""Statements by their parts and how often each occurs."""
_WHOLE: Known = {}
_MOST_KNOWN = 2_000
Met = Mapping[tuple[Part, int], int]
"""How many rows each change of a counted part has met, by the part and which of its rows it was."""
_NONE: Met = {}


class Batch:
    """What is still to be written. `known` keeps its statements, where their parts do not live for ever."""

    def __init__(self, known: Known | None = None) -> None:
        self._rows: dict[Part, list[Row]] = {}
        self._known = _WHOLE if known is None else known

    def __bool__(self) -> bool:
        return bool(self._rows)

    def add(self, part: Part, row: Row) -> None:
        """A row, with a value for each of the part's columns. Of a counted part at most twelve."""
        self._rows.setdefault(part, []).append(row)

    def take(self, other: Batch) -> None:
        """What another batch was still to write."""
        rows, other._rows = other._rows, {}
        for part, given in rows.items():
            self._rows.setdefault(part, []).extend(given)

    async def write(self, connection: Connection) -> Met:
        """Write it all; afterwards it is empty."""
        rows, self._rows = self._rows, {}
        parts = sorted(rows, key=lambda each: each.rank)
        if connection.dialect == "postgresql":
            return await self._together(connection, {part: rows[part] for part in parts})
        for part in parts:
            await part.each(connection, rows[part])
        return _NONE

    async def _together(self, connection: Connection, rows: dict[Part, list[Row]]) -> Met:
        shape: list[tuple[Part, int]] = []
        for part, given in rows.items():
            if isinstance(part, Insert):
                while len(given) > _LONGEST:
                    slice_, given = given[:_LONGEST], given[_LONGEST:]
                    await connection.fetch(self._made([(part, 0)]).statement, {"rows_0": slice_})
                rows[part] = given
                shape.append((part, 0))
            elif len(given) <= _MOST:
                shape.append((part, len(given)))
            else:
                assert part.counted is None
                await part.each(connection, given)
        if not shape:
            return _NONE
        made = self._made(shape)
        args: dict[str, Any] = {}
        for at, (part, count) in enumerate(shape):
            if isinstance(part, Insert):
                args[f"rows_{at}"] = rows[part]
            for number in range(count):
                args |= part.bound(rows[part][number], made.binds[at, number])
        row = await connection.fetch_one(made.statement, args)
        assert row is not None
        counted = [(part, number) for part, count in shape if part.counted is not None for number in range(count)]
        return dict(zip(counted, row, strict=False))

    def _made(self, shape: Sequence[tuple[Part, int]]) -> Together:
        """The statement of these parts, made once."""
        known = self._known.get(tuple(shape))
        if known is not None:
            return known
        named: list[Any] = []
        counts: list[Any] = []
        binds: dict[tuple[int, int], tuple[str, ...]] = {}
        for at, (part, count) in enumerate(shape):
            if isinstance(part, Insert):
                named.append(part.all(f"rows_{at}").cte(f"part_{at}"))
            for number in range(count):
                suffix = f"_{at}_{number}"
                binds[at, number] = part.binds(suffix)
                for which, change in enumerate(part.one(suffix)):
                    named.append(change.cte(f"part{suffix}_{which}"))
                    if which == part.counted:
                        counts.append(met_by(named[-1]))
        made = Together(sa.select(*(counts or [sa.literal_column("1")])).add_cte(*named), binds)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[tuple(shape)] = made
        return made
