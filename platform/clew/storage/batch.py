"""Changes of several tables, written together: one round trip on PostgreSQL.

New rows of a table are one JSON argument there, whatever their number; a row that is changed or goes is found by its
key, each by itself, because a join might read the whole table and set every concurrent unit of work against this one.
All parts see the tables as they were before, so a batch must not touch one row twice. SQLite, where a statement costs
no round trip, runs the parts one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from clew.storage.engine import Connection
from clew.storage.types import Converter, Json


class _Rows(Json):
    """Rows as JSON. The platform's own tables hold no number that JSON would round."""

    def to_driver(self, dialect: str) -> Converter | None:
        return lambda rows: msgspec.json.encode(rows).decode()


class Part:
    """One kind of change of one table. Parts are made once; `rank` is their order and tells them apart."""

    def __init__(self, rank: int, table: sa.Table, columns: Sequence[str]) -> None:
        self.rank, self.table, self.columns = rank, table, tuple(columns)
        self.plain = self.one("")
        """The change of one row."""

    def one(self, suffix: str) -> Any:
        """The change of one row whose values are bound under the columns' names and this."""
        return self._one({name: self._bind(name, suffix) for name in self.columns})

    def bound(self, row: Mapping[str, Any], suffix: str = "") -> dict[str, Any]:
        return {f"b_{name}{suffix}": row[name] for name in self.columns}

    def _bind(self, name: str, suffix: str) -> Any:
        return sa.bindparam(f"b_{name}{suffix}", type_=self.table.c[name].type)

    def _one(self, values: Mapping[str, Any]) -> Any:
        raise NotImplementedError


class Insert(Part):
    """New rows. `instead`: the unique index on which a row may be there already, its condition, and the columns that
    are taken over then."""

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

    def _one(self, values: Mapping[str, Any]) -> Any:
        return self._or(sqlite.insert(self.table).values({self.table.c[name]: each for name, each in values.items()}))

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
        taken = {name: insert.excluded[name] for name in takes}
        return insert.on_conflict_do_update(index_elements=list(unique), index_where=where, set_=taken)


class Update(Part):
    """A row with these keys takes the other columns' values."""

    def __init__(self, rank: int, table: sa.Table, keys: Sequence[str], changed: Sequence[str]) -> None:
        self._keys, self._changed = tuple(keys), tuple(changed)
        super().__init__(rank, table, (*keys, *changed))

    def _one(self, values: Mapping[str, Any]) -> Any:
        same = [self.table.c[name] == values[name] for name in self._keys]
        return sa.update(self.table).where(*same).values({self.table.c[name]: values[name] for name in self._changed})


class Delete(Part):
    """The rows with these keys go."""

    def _one(self, values: Mapping[str, Any]) -> Any:
        return sa.delete(self.table).where(*(self.table.c[name] == values[name] for name in self.columns))


Row = Mapping[str, Any]
_MOST = 12
"""Rows that are changed within one statement; more go by themselves."""
_LONGEST = 500
"""New rows of one table within one statement."""
_WHOLE: dict[tuple[tuple[Part, int], ...], Any] = {}
"""Statements by their parts and how often each occurs; bounded by `_MOST`."""


class Batch:
    """What is still to be written."""

    def __init__(self) -> None:
        self._rows: dict[Part, list[Row]] = {}

    def add(self, part: Part, row: Row) -> None:
        """A row, with a value for each of the part's columns."""
        self._rows.setdefault(part, []).append(row)

    async def write(self, connection: Connection) -> None:
        """Write it all; afterwards it is empty."""
        rows, self._rows = self._rows, {}
        parts = sorted(rows, key=lambda each: each.rank)
        if connection.dialect == "postgresql":
            await self._together(connection, {part: rows[part] for part in parts})
            return
        for part in parts:
            await connection.execute_many(part.plain, [part.bound(each) for each in rows[part]])

    async def _together(self, connection: Connection, rows: Mapping[Part, list[Row]]) -> None:
        shape: list[tuple[Part, int]] = []
        args: dict[str, Any] = {}
        for part, given in rows.items():
            if isinstance(part, Insert):
                while len(given) > _LONGEST:
                    slice_, given = given[:_LONGEST], given[_LONGEST:]
                    await connection.fetch(_statement([(part, 0)]), {f"rows_{part.rank}": slice_})
                shape.append((part, 0))
                args[f"rows_{part.rank}"] = given
            elif len(given) <= _MOST:
                shape.append((part, len(given)))
                for at, each in enumerate(given):
                    args |= part.bound(each, f"_{part.rank}_{at}")
            else:
                await connection.execute_many(part.plain, [part.bound(each) for each in given])
        if shape:
            await connection.fetch(_statement(shape), args)


def _statement(shape: Sequence[tuple[Part, int]]) -> Any:
    """The statement of these parts, made once."""
    known = _WHOLE.get(tuple(shape))
    if known is not None:
        return known
    named = []
    for part, count in shape:
        if isinstance(part, Insert):
            named.append(part.all(f"rows_{part.rank}").cte(f"part_{part.rank}"))
        for at in range(count):
            named.append(part.one(f"_{part.rank}_{at}").cte(f"part_{part.rank}_{at}"))
    made: Any = sa.select(sa.literal_column("1")).add_cte(*named)
    _WHOLE[tuple(shape)] = made
    return made
