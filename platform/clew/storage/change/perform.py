"""Doing one step, inside the transaction that also writes its line of the journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.scalars import FAR_FUTURE
from clew.storage.change.convert import convert
from clew.storage.change.rebuild import rebuild
from clew.storage.change.steps import Step
from clew.storage.ddl import Ddl
from clew.storage.dialects import any_of
from clew.storage.engine import Connection
from clew.storage.layout import TX_FROM, TX_TO, column_type
from clew.storage.nodes import behind
from clew.storage.types import Id, Instant

BATCH = 2000


@dataclass(frozen=True, slots=True)
class Outcome:
    """`done`; or to be continued from `progress`; or `waiting` for the nodes or people named in `waits_for`."""

    done: bool = True
    progress: Mapping[str, Any] | None = None
    waiting: bool = False
    waits_for: tuple[str, ...] = ()


async def perform(
    connection: Connection, step: Step, progress: Mapping[str, Any] | None, release: int, batch: int = BATCH
) -> Outcome:
    """Do the step, or one batch of it."""
    if step.phase == "contract" or step.work.get("alone"):
        late = await behind(connection, release)
        if late:
            return Outcome(done=False, waiting=True, waits_for=late)
    if step.kind == "rebuild":
        await rebuild(
            connection, step.work["table"], required=step.work["required"], optional=step.work["optional"]
        )
        return Outcome()
    if step.kind == "fill":
        return await _Fill(connection, step.work).batch(progress, batch)
    if step.kind == "require":
        return await _require(connection, step.work, batch)
    for statement in step.work.get("sql", ()):
        await connection.run_sql(statement)
    return Outcome()


async def _require(connection: Connection, work: Mapping[str, Any], batch: int) -> Outcome:
    """Fill what nodes of the earlier release left empty, then make NOT NULL the columns that have no empty row."""
    for fill in work["fills"]:
        progress: Mapping[str, Any] | None = None
        while True:
            outcome = await _Fill(connection, fill).batch(progress, batch)
            if outcome.done:
                break
            progress = outcome.progress
    table = work["table"]
    full: list[str] = []
    lacking: list[str] = []
    for name in work["columns"]:
        column: sa.ColumnClause[Any] = sa.column(name)
        query = sa.select(sa.literal(1)).select_from(sa.table(table, column)).where(column.is_(None)).limit(1)
        (lacking if await connection.fetch_one(query) else full).append(name)
    if full and connection.dialect == "sqlite":
        await rebuild(connection, table, required=full)
    elif full:
        for name in full:
            await connection.run_sql(Ddl("postgresql").set_required(table, name, required=True))
    if lacking:
        return Outcome(False, waiting=True, waits_for=tuple(f"{table}.{name}" for name in lacking))
    return Outcome()


class _Fill:
    """Gives a value to a column where it is missing. Every touched record gets a new version in its history, under the
    same `row_version`: nobody changed the record, the project did, and a read as of before must still say so."""

    def __init__(self, connection: Connection, work: Mapping[str, Any]) -> None:
        self._connection, self._work = connection, work
        self._target: sa.ColumnClause[Any] = sa.column(work["target"], column_type(work["form"]))
        self._id: sa.ColumnClause[Any] = sa.column(work["id"], Id())
        source = work.get("source")
        self._source = sa.column(source, column_type(work["source_form"])) if source else None
        columns = [each for each in (self._id, self._target, self._source) if each is not None]
        self._table = sa.table(work["table"], *columns)

    async def batch(self, progress: Mapping[str, Any] | None, size: int) -> Outcome:
        last = progress["last"] if progress else None
        rows = await self._rows(last, size)
        if not rows:
            return Outcome()
        values = {row[0]: value for row in rows if (value := self._value(row)) is not None}
        if values:
            await self._write(values)
        return Outcome(done=False, progress={"last": str(rows[-1][0])})

    async def _rows(self, last: str | None, size: int) -> Sequence[Sequence[Any]]:
        picked = [self._id] if self._source is None else [self._id, self._source]
        query = sa.select(*picked).select_from(self._table).where(self._target.is_(None))
        if self._source is not None:
            query = query.where(self._source.is_not(None))
        if last:
            query = query.where(self._id > sa.bindparam("last", type_=Id()))
        query = query.order_by(self._id).limit(size)
        if self._connection.dialect == "postgresql":
            query = query.with_for_update()
        return await self._connection.fetch(query, {"last": UUID(last)} if last else {})

    def _value(self, row: Sequence[Any]) -> Any:
        if self._work["mode"] == "constant":
            return convert(self._work["value"], self._work["form"])
        try:
            return convert(row[1], self._work["form"])
        except ValueError:
            return None

    async def _write(self, values: Mapping[Any, Any]) -> None:
        connection, ids = self._connection, list(values)
        at = await self._moment(ids)
        if self._work["mode"] == "constant":
            change = sa.update(self._table).where(any_of(self._id, "ids"), self._target.is_(None))
            value = next(iter(values.values()))
            await connection.execute(change.values({self._target.name: value}), {"ids": ids})
        else:
            change = sa.update(self._table).where(self._id == sa.bindparam("row"))
            new = sa.bindparam("new", type_=self._target.type)
            await connection.execute_many(
                change.values({self._target.name: new}), [{"row": row, "new": new} for row, new in values.items()]
            )
        await self._new_versions(ids, at)

    async def _moment(self, ids: list[Any]) -> datetime:
        """Database time, later than every version that is closed now."""
        history, start, _ = self._history()
        latest = await self._connection.fetch_value(
            sa.select(sa.func.max(start, type_=Instant())).select_from(history).where(any_of(self._id, "ids")),
            {"ids": ids},
        )
        now = await self._connection.now()
        return now if latest is None or now > latest else latest + timedelta(microseconds=1)

    def _history(self) -> tuple[sa.TableClause, sa.ColumnClause[Any], sa.ColumnClause[Any]]:
        start, end = sa.column(TX_FROM, Instant()), sa.column(TX_TO, Instant())
        return sa.table(self._work["history"], self._id, start, end), start, end

    async def _new_versions(self, ids: list[Any], at: datetime) -> None:
        history, _, end = self._history()
        close = sa.update(history).where(any_of(self._id, "ids"), end == sa.bindparam("open", type_=Instant()))
        await self._connection.execute(
            close.values({TX_TO: sa.bindparam("at", type_=Instant())}), {"ids": ids, "open": FAR_FUTURE, "at": at}
        )
        names = await self._shared_columns()
        moments = sa.select(
            sa.bindparam("at", type_=Instant()), sa.bindparam("open", type_=Instant())
        )
        rows: sa.Select[Any] = sa.select(*(sa.column(name) for name in names), *moments.selected_columns)
        rows = rows.select_from(sa.table(self._work["table"], *(sa.column(name) for name in names)))
        target = sa.table(self._work["history"], *(sa.column(name) for name in [*names, TX_FROM, TX_TO]))
        insert = sa.insert(target).from_select([*names, TX_FROM, TX_TO], rows.where(any_of(self._id, "ids")))
        await self._connection.execute(insert, {"ids": ids, "at": at, "open": FAR_FUTURE})

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
