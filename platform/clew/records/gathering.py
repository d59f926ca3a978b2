"""What a unit of several commands writes waits until something asks the database, and is then written together.

A completed task writes a record three times, moves another, creates a third, goes on with its instance, and tells the
trail: one by one each is a question and an answer. Here rows of records, instances and trail gather. Whatever asks the
database writes them first, so nobody sees less than has been done; what cannot depend on them asks beside them
(`beside`). A row that is written again before that is written once. Only on PostgreSQL: SQLite is asked in process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Table
from sqlalchemy.sql import ClauseElement

from clew.metadata.blueprint import Entity, Field
from clew.records.rows import Record
from clew.records.statements import Statements
from clew.records.values import Path
from clew.storage.batch import Batch, Part
from clew.storage.engine import Compiled, Connection, DialectName, Row
from clew.storage.errors import IntegrityFault

_NO_ARGS: Mapping[str, Any] = {}
_MOST = 4
"""Rows of one entity that wait: every number of them is a statement of its own to make and to plan."""


@dataclass(slots=True)
class Pending:
    """A row of a record that is still to be written."""

    entity: Entity
    columns: dict[str, Any]
    path: Path
    number: Field | None = None
    """The number that was made for it."""
    new: bool = False
    version: bool = False
    """Whether it is the next version; else the one this unit has written already is changed."""
    was_at: datetime | None = None
    """Since when the version before is the present one."""
    grams: tuple[Mapping[str, Any], ...] = ()


class Gathering:
    """A connection on which writes wait for the next question. `refused` puts what the database refuses in words."""

    dialect: DialectName

    def __init__(
        self,
        inner: Connection,
        statements: Statements,
        at: datetime,
        refused: Callable[[IntegrityFault, Pending | None], Exception],
    ) -> None:
        self.inner, self.dialect, self.at = inner, inner.dialect, at
        self.batch = Batch(statements.batches)
        self._statements, self._refused = statements, refused
        self._rows: dict[tuple[str, UUID], Pending] = {}
        self._keys: set[Hashable] = set()
        self._before: dict[int, Callable[[], Awaitable[Any]]] = {}
        self._writing = False
        self._failed: BaseException | None = None

    # ── what waits ────────────────────────────────────────────────────────────────────────────────────────────────

    async def insert(
        self, entity: Entity, record: Record, path: Path, number: Field | None, grams: Iterable[Any]
    ) -> None:
        """A new record with its first version."""
        await self._one_more(entity)
        columns = self._statements.of(entity.name).shape.columns(record)
        row = Pending(entity, columns, path, number, new=True, grams=tuple(grams))
        self._rows[entity.name, record["id"]] = row

    async def update(self, entity: Entity, record: Record, path: Path, was_at: datetime | None) -> None:
        """A record as it is now. `was_at`: since when the version before was the present one; None where this unit has
        written the present one."""
        columns = self._statements.of(entity.name).shape.columns(record)
        known = self._rows.get((entity.name, record["id"]))
        if known is not None:
            known.columns, known.path = columns, path
            return
        await self._one_more(entity)
        row = Pending(entity, columns, path, version=was_at is not None, was_at=was_at)
        self._rows[entity.name, record["id"]] = row

    async def _one_more(self, entity: Entity) -> None:
        # What waits is written as a whole: a row may refer to any that waits, whichever came first.
        if sum(name == entity.name for name, _ in self._rows) >= _MOST:
            await self._send()

    async def room_for(self, key: Hashable) -> Batch:
        """The batch for changes of one thing, which it does not hold yet: no row is touched twice by one statement."""
        if key in self._keys:
            await self._send()
        self._keys.add(key)
        return self.batch

    def before(self, owner: object, work: Callable[[], Awaitable[Any]]) -> None:
        """Something its owner will want written first, once, when the database is asked."""
        self._before[id(owner)] = work

    def no_more(self, owner: object) -> None:
        self._before.pop(id(owner), None)

    # ── writing it ────────────────────────────────────────────────────────────────────────────────────────────────

    async def settle(self) -> None:
        """Write what waits. What was refused once is refused again: the transaction is lost."""
        if self._failed is not None:
            raise self._failed
        if self._writing:
            return
        self._writing = True
        try:
            while self._before:
                _, work = self._before.popitem()
                await work()
            await self._send()
        except BaseException as error:
            self._failed = error
            raise
        finally:
            self._writing = False

    async def _send(self) -> None:
        if self._failed is not None:
            raise self._failed
        rows, self._rows = self._rows, {}
        self._keys.clear()
        if not rows and not self.batch:
            return
        try:
            self._together(rows)
            met = await self.batch.write(self.inner)
        except IntegrityFault as fault:
            self._failed = self._refused(fault, self._blamed(rows.values(), fault))
            raise self._failed from fault
        except BaseException as error:
            self._failed = error
            raise
        counted: dict[Part, list[Pending]] = {}
        for row in rows.values():
            if not row.new:
                parts = self._statements.of(row.entity.name).parts
                counted.setdefault(parts.update if row.version else parts.amend, []).append(row)
        for (part, number), count in met.items():
            if count < 1 and part in counted:
                # A version that was not written by a command (a change of the model) began at another time.
                row = counted[part][number]
                made = row.was_at if count < 0 else None
                await self._statements.of(row.entity.name).close_late(self.inner, row.columns["id"], self.at, made=made)

    def _together(self, rows: Mapping[tuple[str, UUID], Pending]) -> None:
        add = self.batch.add
        for row in rows.values():
            parts, columns = self._statements.of(row.entity.name).parts, {**row.columns, "tx_from": self.at}
            if row.new:
                add(parts.insert, columns)
                if parts.grams is not None:
                    for gram in row.grams:
                        add(parts.grams, gram)
            elif row.version:
                columns["was_from"] = row.was_at
                add(parts.update, columns)
            else:
                add(parts.amend, columns)

    def _blamed(self, rows: Iterable[Pending], fault: IntegrityFault) -> Pending | None:
        """The row that was refused, as far as its table says it: the last of its entity."""
        mine = [row for row in rows if self._statements.of(row.entity.name).current.name == fault.table]
        return mine[-1] if mine else None

    # ── asking ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def fetch(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = _NO_ARGS) -> list[Row]:
        await self.settle()
        return await self.inner.fetch(statement, args)

    async def fetch_one(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = _NO_ARGS) -> Row | None:
        await self.settle()
        return await self.inner.fetch_one(statement, args)

    async def fetch_value(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = _NO_ARGS) -> Any:
        await self.settle()
        return await self.inner.fetch_value(statement, args)

    async def fetch_text(self, compiled: Compiled, args: Mapping[str, Any] = _NO_ARGS) -> list[Row]:
        await self.settle()
        return await self.inner.fetch_text(compiled, args)

    async def fetch_last(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = _NO_ARGS) -> list[Row]:
        await self.settle()
        return await self.inner.fetch_last(statement, args)

    async def execute(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = _NO_ARGS) -> int:
        await self.settle()
        return await self.inner.execute(statement, args)

    async def execute_many(self, statement: ClauseElement | Compiled, rows: Sequence[Mapping[str, Any]]) -> None:
        await self.settle()
        await self.inner.execute_many(statement, rows)

    async def copy_in(self, table: Table, keys: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        await self.settle()
        return await self.inner.copy_in(table, keys, rows)

    async def run_sql(self, sql: str) -> None:
        await self.settle()
        await self.inner.run_sql(sql)

    async def now(self) -> datetime:
        return await self.inner.now()


def beside(connection: Connection) -> Connection:
    """For questions whose answer cannot depend on what the unit writes: they do not make it write first."""
    return connection.inner if isinstance(connection, Gathering) else connection
