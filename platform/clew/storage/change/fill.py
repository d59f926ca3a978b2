"""Giving values to columns that lack them: defaults, converted values, sort keys, search grams. Batch by batch.

Every record touched by a default or a conversion gets a new version in its history, under the same `row_version`:
nobody changed the record, the project did, and a read as of before must still say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.expressions.interpret import compile_memory
from clew.expressions.problems import Undecidable
from clew.kernel.scalars import FAR_FUTURE
from clew.metadata.blueprint import Blueprint
from clew.storage.change.convert import convert
from clew.storage.dialects import any_of
from clew.storage.engine import Connection
from clew.storage.errors import TextFormsMissing
from clew.storage.layout import TX_FROM, TX_TO, column_type
from clew.storage.types import Id, Instant, Text

BATCH = 2000


@dataclass(frozen=True, slots=True)
class TextForms:
    """What is stored beside a text: its sort key and its search grams (`records.search` has both)."""

    sort_key: Callable[[str], str]
    grams: Callable[[str], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`done`; or to be continued from `progress`; or `waiting` for the nodes or columns named in `waits_for`."""

    done: bool = True
    progress: Mapping[str, Any] | None = None
    waiting: bool = False
    waits_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filler:
    """Fills for one release."""

    blueprint: Blueprint
    texts: TextForms | None = None
    size: int = BATCH

    async def batch(
        self, connection: Connection, work: Mapping[str, Any], progress: Mapping[str, Any] | None
    ) -> Outcome:
        """One batch of a fill, after the record that `progress` names."""
        return await _Fill(connection, work, self).batch(progress)

    async def all(self, connection: Connection, work: Mapping[str, Any]) -> None:
        """All batches in the present transaction."""
        outcome = await self.batch(connection, work, None)
        while not outcome.done:
            outcome = await self.batch(connection, work, outcome.progress)


class _Fill:
    """One fill. `work`: table, history, id, target, form, mode, sources (fact → [column, form]) and the mode's own."""

    def __init__(self, connection: Connection, work: Mapping[str, Any], filler: Filler) -> None:
        self._connection, self._work, self._filler = connection, work, filler
        self._id: sa.ColumnClause[Any] = sa.column(work["id"], Id())
        self._sources: dict[str, sa.ColumnClause[Any]] = {
            fact: sa.column(name, column_type(form)) for fact, (name, form) in work["sources"].items()
        }
        self._target: sa.ColumnClause[Any] = sa.column(work["target"], column_type(work["form"]))
        grams = work["mode"] == "grams"
        columns = {each.name: each for each in (self._id, *self._sources.values())}
        if not grams:
            columns[self._target.name] = self._target
        self._table = sa.table(work["table"], *columns.values())
        self._value = self._evaluator()

    async def batch(self, progress: Mapping[str, Any] | None) -> Outcome:
        rows = await self._rows(progress["last"] if progress else None)
        if not rows:
            return Outcome()
        at = await self._connection.now()
        values: dict[Any, Any] = {}
        for row in rows:
            facts = dict(zip(self._sources, row[1:], strict=True))
            value = self._value({"id": row[0], **facts}, at)
            if value is not None:
                values[row[0]] = value
        if values and self._work["mode"] == "grams":
            await self._write_grams(values)
        elif values:
            await self._write(values)
        return Outcome(done=False, progress={"last": str(rows[-1][0])})

    def _evaluator(self) -> Callable[[Mapping[str, Any], datetime], Any]:
        work, form = self._work, self._work["form"]
        if work["mode"] == "constant":
            constant = convert(work["value"], form)
            return lambda _facts, _at: constant
        if work["mode"] == "convert":
            return lambda facts, _at: _converted(facts["from"], form)
        if work["mode"] == "expression":
            default = self._filler.blueprint.entities[work["entity"]].fields[work["field"]].default
            assert default is not None
            program = compile_memory(default)
            return lambda facts, at: _decided(lambda: program.run(facts, now=at))
        texts = self._filler.texts
        if texts is None:
            raise TextFormsMissing(object=f"{work['entity']}.{work['field']}")
        if work["mode"] == "sort":
            return lambda facts, _at: texts.sort_key(facts["from"])
        return lambda facts, _at: sorted(texts.grams(facts["from"]))

    async def _rows(self, last: str | None) -> Sequence[Sequence[Any]]:
        query = sa.select(self._id, *self._sources.values()).select_from(self._table)
        if self._work["mode"] != "grams":
            query = query.where(self._target.is_(None))
        if "from" in self._sources:
            query = query.where(self._sources["from"].is_not(None))
        if last:
            query = query.where(self._id > sa.bindparam("last", type_=Id()))
        query = query.order_by(self._id).limit(self._filler.size)
        if self._connection.dialect == "postgresql":
            query = query.with_for_update()
        return await self._connection.fetch(query, {"last": UUID(last)} if last else {})

    async def _write_grams(self, values: Mapping[Any, Sequence[str]]) -> None:
        table = sa.table(
            self._work["target"], sa.column("gram", Text()), sa.column("field", Text()), sa.column("id", Id())
        )
        name = self._work["field"]
        forget = sa.delete(table).where(any_of(table.c.id, "ids"), table.c.field == sa.bindparam("name", type_=Text()))
        await self._connection.execute(forget, {"ids": list(values), "name": name})
        rows = [{"v_gram": gram, "v_field": name, "v_id": record} for record, found in values.items() for gram in found]
        binds = {each.name: sa.bindparam(f"v_{each.name}", type_=each.type) for each in table.c}
        insert = sa.insert(table).values(binds)
        await self._connection.execute_many(insert, rows)

    async def _write(self, values: Mapping[Any, Any]) -> None:
        connection, ids = self._connection, list(values)
        versioned = self._work["mode"] != "sort"
        at = await self._moment(ids) if versioned else None
        if self._work["mode"] == "constant":
            change = sa.update(self._table).where(any_of(self._id, "ids"), self._target.is_(None))
            await connection.execute(change.values({self._target.name: values[ids[0]]}), {"ids": ids})
        else:
            change = sa.update(self._table).where(self._id == sa.bindparam("row", type_=Id()))
            new = sa.bindparam("new", type_=self._target.type)
            rows = [{"row": row, "new": value} for row, value in values.items()]
            await connection.execute_many(change.values({self._target.name: new}), rows)
        if at is not None:
            await self._new_versions(ids, at)

    async def _moment(self, ids: list[Any]) -> datetime:
        """Database time, later than every version that is closed now."""
        history = self._history()
        latest_of = sa.select(sa.func.max(history.c[TX_FROM], type_=Instant()))
        of_these = latest_of.where(any_of(history.c[self._id.name], "ids"))
        latest = await self._connection.fetch_value(of_these, {"ids": ids})
        now = await self._connection.now()
        return now if latest is None or now > latest else latest + timedelta(microseconds=1)

    def _history(self) -> sa.TableClause:
        interval = (sa.column(TX_FROM, Instant()), sa.column(TX_TO, Instant()))
        return sa.table(self._work["history"], sa.column(self._id.name, Id()), *interval)

    async def _new_versions(self, ids: list[Any], at: datetime) -> None:
        history = self._history()
        is_open = history.c[TX_TO] == sa.bindparam("open", type_=Instant())
        close = sa.update(history).where(any_of(history.c[self._id.name], "ids"), is_open)
        moments: list[Any] = [sa.bindparam("at", type_=Instant()), sa.bindparam("open", type_=Instant())]
        args = {"ids": ids, "open": FAR_FUTURE, "at": at}
        await self._connection.execute(close.values({TX_TO: moments[0]}), args)
        names = await self._shared_columns()
        listed: list[Any] = [*(sa.column(name) for name in names), *moments]
        current = sa.table(self._work["table"], *(column for column in listed[: len(names)]))
        rows = sa.select(*listed).select_from(current)
        target = sa.table(self._work["history"], *(sa.column(name) for name in [*names, TX_FROM, TX_TO]))
        mine: sa.ColumnClause[Any] = sa.column(self._id.name, Id())
        insert = sa.insert(target).from_select([*names, TX_FROM, TX_TO], rows.where(any_of(mine, "ids")))
        await self._connection.execute(insert, args)

    async def _shared_columns(self) -> list[str]:
        """Physical columns of the table that its history has too: all of them, also those kept aside."""
        if self._connection.dialect == "sqlite":
            query = "SELECT name FROM pragma_table_info(:t)"
        else:
            query = (
                "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass(quote_ident(:t))"
                " AND attnum > 0 AND NOT attisdropped"
            )
        own = await self._connection.fetch(sa.text(query), {"t": self._work["table"]})
        then = {row[0] for row in await self._connection.fetch(sa.text(query), {"t": self._work["history"]})}
        return [row[0] for row in own if row[0] in then]


def _converted(value: Any, form: str) -> Any:
    try:
        return convert(value, form)
    except ValueError:
        return None


def _decided(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except Undecidable:
        return None
