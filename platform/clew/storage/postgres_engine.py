"""PostgreSQL underneath: a pool of asyncpg connections, prepared statements, SERIALIZABLE units of work."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

import asyncpg
import sqlalchemy as sa
from sqlalchemy.sql import ClauseElement

from clew.storage.connections import DRIVER, Connections, lost, unreachable, while_it_lasts
from clew.storage.dialects import StatementCache, connected, to_driver
from clew.storage.engine import Compiled, Connection, DialectName, Row, for_driver
from clew.storage.errors import (
    DatabaseBusy,
    FaultKind,
    InsertOnly,
    IntegrityFault,
    StatementTimeout,
    StatementTooLarge,
)
from clew.storage.retry import Turns, retry_write, uninterrupted
from clew.storage.server_clock import ServerClock

T = TypeVar("T")
_NO_ARGS: Mapping[str, Any] = MappingProxyType({})
_MIGRATION_LOCK = 0x636C_6577
"""Advisory lock key: one schema change at a time."""
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FAULTS: Mapping[str, FaultKind] = {"23505": "unique", "23503": "reference", "23502": "required"}


class PostgresConnection:
    """A connection as `storage.engine.Connection` describes it. `begin` opens a transaction when the first statement
    comes; a unit that is one statement needs none."""

    dialect: DialectName = "postgresql"

    def __init__(
        self, raw: Any, cache: StatementCache, clock: ServerClock | None = None, begin: str | None = None
    ) -> None:
        self._raw, self._cache, self._clock, self._begin = raw, cache, clock, begin
        self._now: datetime | None = None
        self._begun = self._finished = False

    async def _ready(self) -> None:
        if self._begin is not None:
            begin, self._begin, self._begun = self._begin, None, True
            try:
                await self._raw.execute(begin)
            except asyncio.CancelledError:
                self._raw.terminate()  # whether it has begun is unknown: with the connection it ends
                raise
        assert not self._finished, "a statement after the last one"

    async def fetch(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = _NO_ARGS) -> list[Row]:
        compiled = self._cache.get(statement)
        return compiled.convert(await self.fetch_text(compiled, args))

    async def fetch_text(self, compiled: Compiled, args: Mapping[str, Any] = _NO_ARGS) -> list[Row]:
        try:
            await self._ready()
            rows: list[Row] = await self._raw.fetch(compiled.sql, *compiled.bind(args))
        except DRIVER as error:
            _raise(error, self._raw)
        return rows

    async def fetch_last(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = _NO_ARGS) -> list[Row]:
        if self._begin is None:
            rows = await self.fetch(statement, args)
            self._finished = True
            return rows
        # Nothing was said yet: the statement is a transaction of its own, as isolated as any unit of this pool.
        compiled = self._cache.get(statement)
        values = compiled.bind(args)
        self._begin, self._finished = None, True
        try:
            found: list[Row] = await uninterrupted(self._raw.fetch(compiled.sql, *values))
        except DRIVER as error:
            _raise(error, self._raw)
        return compiled.convert(found)

    async def fetch_one(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = _NO_ARGS) -> Row | None:
        rows = await self.fetch(statement, args)
        return rows[0] if rows else None

    async def fetch_value(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = _NO_ARGS) -> Any:
        rows = await self.fetch(statement, args)
        return rows[0][0] if rows else None

    async def execute(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = _NO_ARGS) -> int:
        compiled = self._cache.get(statement)
        try:
            await self._ready()
            status: str = await self._raw.execute(compiled.sql, *compiled.bind(args))
        except DRIVER as error:
            _raise(error, self._raw)
        touched = status.rpartition(" ")[2]
        return int(touched) if touched.isdigit() else -1

    async def execute_many(self, statement: ClauseElement | Compiled, rows: Sequence[Mapping[str, Any]]) -> None:
        compiled = self._cache.get(statement)
        try:
            await self._ready()
            await while_it_lasts(self._raw, self._raw.executemany(compiled.sql, [compiled.bind(row) for row in rows]))
        except DRIVER as error:
            _raise(error, self._raw)

    async def copy_in(self, table: sa.Table, keys: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        columns = [table.c[key] for key in keys]
        converts = [to_driver(column.type, self.dialect) for column in columns]
        records = (for_driver(row, converts) for row in rows)
        try:
            await self._ready()
            names = [column.name for column in columns]
            loading = self._raw.copy_records_to_table(table.name, records=records, columns=names)
            status: str = await while_it_lasts(self._raw, loading)
        except DRIVER as error:
            _raise(error, self._raw)
        return int(status.rpartition(" ")[2])

    async def run_sql(self, sql: str) -> None:
        try:
            await self._ready()
            await self._raw.execute(sql)
        except DRIVER as error:
            _raise(error, self._raw)

    async def now(self) -> datetime:
        if self._clock is None:
            return await self._asked()
        if self._now is None:
            # The moment of the first question, not of BEGIN: a unit that waited for a lock is later than its rival.
            self._now = self._clock.now()
        if self._now is None:
            self._now = await self._asked()
            self._clock.note(self._now)
        return self._now

    async def _asked(self) -> datetime:
        try:
            told: datetime = await self._raw.fetchval("SELECT clock_timestamp()")
        except DRIVER as error:
            _raise(error, self._raw)
        return told

    async def finish(self) -> None:
        """Commit what was begun."""
        if self._begun:
            self._finished = True
            said = await uninterrupted(self._raw.execute("COMMIT"))
            if said != "COMMIT":
                # A statement failed and the work went on as if it had not: PostgreSQL has undone it all.
                raise RuntimeError(f"a unit of work went on after a statement that failed: COMMIT said {said}")


class _Reading:
    """A connection for reading: each statement sees its own snapshot."""

    __slots__ = ("_cache", "_pool", "_raw")

    def __init__(self, pool: Connections, cache: StatementCache) -> None:
        self._pool, self._cache = pool, cache
        self._raw: Any = None

    async def __aenter__(self) -> PostgresConnection:
        self._raw = await self._pool.acquire()
        return PostgresConnection(self._raw, self._cache)

    async def __aexit__(self, kind: object, _error: object, _trace: object) -> None:
        await self._pool.release(self._raw, whole=kind is None)


class _Snapshot(_Reading):
    """A connection for reading: all statements see one snapshot."""

    __slots__ = ()

    async def __aenter__(self) -> PostgresConnection:
        connection = await super().__aenter__()
        try:
            await uninterrupted(self._raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        except BaseException as error:
            await self._pool.release(self._raw, whole=False)
            if isinstance(error, DRIVER):
                _raise(error, self._raw)
            raise
        return connection

    async def __aexit__(self, kind: object, _error: object, _trace: object) -> None:
        whole = False
        try:
            whole = await _roll_back(self._raw) and kind is None
        finally:
            await self._pool.release(self._raw, whole=whole)


class _Writing:
    """A unit of work: committed when its block ends well, rolled back when it does not."""

    __slots__ = ("_begin", "_cache", "_clock", "_connection", "_pool", "_raw")

    def __init__(self, pool: Connections, cache: StatementCache, clock: ServerClock, begin: str) -> None:
        self._pool, self._cache, self._clock, self._begin = pool, cache, clock, begin
        self._raw: Any = None
        self._connection: PostgresConnection | None = None

    async def __aenter__(self) -> PostgresConnection:
        self._raw = await self._pool.acquire()
        connection = PostgresConnection(self._raw, self._cache, self._clock, self._begin)
        self._connection = connection
        return connection

    async def __aexit__(self, kind: object, _error: object, _trace: object) -> None:
        whole = False
        try:
            if kind is None:
                await self._commit()
                whole = True
            else:
                await _roll_back(self._raw)
        finally:
            await self._pool.release(self._raw, whole=whole)

    async def _commit(self) -> None:
        assert self._connection is not None
        try:
            await self._connection.finish()
        except BaseException as error:
            await _roll_back(self._raw)
            if isinstance(error, DRIVER):
                _raise(error, self._raw)
            raise


async def _roll_back(raw: Any) -> bool:
    """Undo what is open; whether the connection can go on. One that is gone has undone it by itself."""
    try:
        if not lost(raw) and raw.is_in_transaction():
            await uninterrupted(raw.execute("ROLLBACK"))
    except DRIVER:
        if not lost(raw):
            raw.terminate()
        return False
    return True


class PostgresDatabase:
    """The production database. Readers and units of work have pools of their own: they differ in isolation."""

    dialect: DialectName = "postgresql"

    def __init__(self, url: str, readers: Any, writers: Any, most: int, patience: float | None) -> None:
        self.url = url
        self._readers = Connections(readers, min(most, _turns()), patience)
        self._writers = Connections(writers, most, patience)
        self._readers.other, self._writers.other = self._writers, self._readers
        self._turns = Turns(most)
        self._cache, self._clock = StatementCache("postgresql"), ServerClock()

    def read(self) -> AbstractAsyncContextManager[Connection]:
        return _Reading(self._readers, self._cache)

    def snapshot(self) -> AbstractAsyncContextManager[Connection]:
        return _Snapshot(self._readers, self._cache)

    def write(self) -> AbstractAsyncContextManager[Connection]:
        return _Writing(self._writers, self._cache, self._clock, "BEGIN")

    @asynccontextmanager
    async def migrate(self, *, rows_only: bool = False) -> AsyncIterator[Connection]:
        begin = "BEGIN ISOLATION LEVEL READ COMMITTED"
        async with _Writing(self._readers, self._cache, ServerClock(), begin) as connection:
            await connection.run_sql("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'")
            await connection.run_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            yield connection

    async def run_write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._turns.one():
            return await retry_write(self.write, work, self._turns)

    async def close(self) -> None:
        await self._readers.close()
        await self._writers.close()

    def dispose(self) -> None:
        """Drop the connections without an event loop (the one they lived in is gone)."""
        with contextlib.suppress(RuntimeError, asyncpg.InterfaceError):
            self._readers.terminate()
            self._writers.terminate()


async def open_postgres(url: str, *, size: int, limit: float) -> PostgresDatabase:
    """Connect. `size` bounds the pool; `limit` (seconds, 0 = none) bounds every statement, and the wait for a
    connection where the server gives no more."""
    settings = {
        "application_name": "clew",
        "TimeZone": "UTC",
        "jit": "off",
        "statement_timeout": str(int(limit * 1000)),
        "search_path": "public",
    }
    readers = await _pool(url, size, settings)
    writers = await _pool(url, size, {**settings, "default_transaction_isolation": "serializable"})
    database = PostgresDatabase(url, readers, writers, size, limit or None)
    try:
        async with database.read():
            return database
    except BaseException:
        database.dispose()
        raise


def _turns() -> int:
    """How many reads run at once: measured, more than three for each processor cost each of them up to a tenth more.
    The database's own processors are not known here; it has seldom fewer than its clients."""
    return max(4, 3 * (os.cpu_count() or 1))


async def _pool(url: str, most: int, settings: Mapping[str, str]) -> Any:
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=most,
        init=_prepare,
        reset=_keep,
        statement_cache_size=2000,
        max_cached_statement_lifetime=0,
        max_cacheable_statement_size=0,
        max_inactive_connection_lifetime=0,
        server_settings=settings,
    )


async def _prepare(raw: Any) -> None:
    """Tell the compiler of the server, and set the driver's codecs.

    The driver's own codec makes the largest and smallest instants infinite, and reads those back without a zone.
    """
    connected(raw.get_server_version().major)
    await raw.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        format="tuple",
        encoder=lambda instant: ((instant - _EPOCH) // _MICROSECOND,),
        decoder=lambda ticks: _EPOCH + timedelta(microseconds=ticks[0]),
    )
    # 9999-12-31 is how people write "no expiry": as infinity PostgreSQL could not compute with it.
    await raw.set_type_codec(
        "date",
        schema="pg_catalog",
        format="tuple",
        encoder=lambda day: (day.toordinal() - _EPOCH.toordinal(),),
        decoder=lambda days: date.fromordinal(days[0] + _EPOCH.toordinal()),
    )


async def _keep(_connection: Any) -> None:
    """Nothing to reset between uses: units end by themselves and no session state is ever set. Saves a round trip."""


def _raise(error: Exception, raw: Any) -> NoReturn:
    state = getattr(error, "sqlstate", None) or ""
    if state == "23001":
        raise InsertOnly(what=str(error)) from error
    if state.startswith("23"):
        column = getattr(error, "column_name", None)
        raise IntegrityFault(
            _FAULTS.get(state, "check"),
            table=getattr(error, "table_name", None) or "",
            constraint=getattr(error, "constraint_name", None) or "",
            columns=(column,) if column else (),
        ) from error
    if state in ("40001", "40P01", "55P03") or isinstance(error, asyncpg.InvalidCachedStatementError):
        raise DatabaseBusy(what=str(error)) from error
    if state == "57014":
        raise StatementTimeout() from error
    if state.startswith("54"):
        raise StatementTooLarge(what=str(error)) from error
    if state.startswith(("08", "57P", "53")) or lost(raw) or isinstance(error, asyncpg.InternalClientError):
        raise unreachable(error) from error
    raise error
