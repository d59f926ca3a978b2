"""SQLite underneath: one writer and a few readers in WAL mode, each a raw `sqlite3` connection in its own thread."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

import sqlalchemy as sa
from sqlalchemy.sql import ClauseElement

from clew.kernel.clock import Clock
from clew.storage.dialects import SQLITE, StatementCache, to_driver
from clew.storage.engine import Compiled, Connection, DialectName, Row, for_driver
from clew.storage.errors import (
    DatabaseBusy,
    DatabaseUnreachable,
    FaultKind,
    InsertOnly,
    IntegrityFault,
    StatementTimeout,
    StatementTooLarge,
)
from clew.storage.retry import retry_write, uninterrupted
from clew.storage.sqlite_functions import FUNCTIONS

T = TypeVar("T")
_NO_ARGS: Mapping[str, Any] = MappingProxyType({})
_BUSY_MS = 10_000
_PROGRESS_STEPS = 20_000
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA recursive_triggers=ON",
    "PRAGMA case_sensitive_like=ON",  # as LIKE is everywhere else
    f"PRAGMA busy_timeout={_BUSY_MS}",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-32000",
)
_TOO_LARGE = ("parser stack overflow", "expression tree is too large", "too many ", "tables in a join")
"""What SQLite says of a statement that is beyond its bounds, which has no error code of its own."""
_FAULTS: Mapping[str, FaultKind] = {
    "SQLITE_CONSTRAINT_UNIQUE": "unique",
    "SQLITE_CONSTRAINT_PRIMARYKEY": "unique",
    "SQLITE_CONSTRAINT_ROWID": "unique",
    "SQLITE_CONSTRAINT_FOREIGNKEY": "reference",
    "SQLITE_CONSTRAINT_NOTNULL": "required",
}


class _Thread:
    """One sqlite3 connection and the thread it lives in."""

    def __init__(self, path: str, clock: Clock, timeout: float) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="clew-sqlite")
        self._path, self._clock, self._timeout = path, clock, timeout
        self._deadline = float("inf")
        self._closed = False
        self.raw: sqlite3.Connection

    async def open(self) -> None:
        await self.run(self._connect)

    def _connect(self) -> None:
        self.raw = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, cached_statements=2000)
        for pragma in _PRAGMAS:
            self.raw.execute(pragma)
        for name, arity, function in FUNCTIONS:
            self.raw.create_function(name, arity, function, deterministic=True)
        self.raw.set_progress_handler(lambda: self._clock.monotonic() > self._deadline, _PROGRESS_STEPS)

    async def run(self, work: Callable[[], T], *, limited: bool = True, stops: bool = False) -> T:
        """Do `work` in the thread. Database errors come out in the platform's words. `stops`: when the caller is
        cancelled."""

        def bounded() -> T:
            self._deadline = self._clock.monotonic() + self._timeout if limited and self._timeout else float("inf")
            return work()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, bounded)
        except sqlite3.Error as error:
            _raise(error)
        except asyncio.CancelledError:
            if stops:
                self.raw.interrupt()  # nobody waits for it, and the next one must not
            raise

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self.run(lambda: self.raw.close())
            self._executor.shutdown(wait=False)

    def dispose(self) -> None:
        if not self._closed:
            self._closed = True
            self._executor.submit(self.raw.close).result()
            self._executor.shutdown(wait=True)


class SqliteConnection:
    """A connection as `storage.engine.Connection` describes it."""

    dialect: DialectName = "sqlite"

    def __init__(self, thread: _Thread, cache: StatementCache, clock: Clock, *, in_unit: bool, limited: bool) -> None:
        self._thread, self._cache, self._clock = thread, cache, clock
        self._in_unit, self._limited = in_unit, limited
        self._now: datetime | None = None

    async def fetch(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = _NO_ARGS) -> list[Row]:
        compiled = self._cache.get(statement)
        return compiled.convert(await self.fetch_text(compiled, args))

    async def fetch_text(self, compiled: Compiled, args: Mapping[str, Any] = _NO_ARGS) -> list[Row]:
        values = compiled.bind(args)
        return await self._run(lambda raw: raw.execute(compiled.sql, values).fetchall())

    async def fetch_last(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = _NO_ARGS) -> list[Row]:
        return await self.fetch(statement, args)

    async def fetch_one(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = _NO_ARGS) -> Row | None:
        rows = await self.fetch(statement, args)
        return rows[0] if rows else None

    async def fetch_value(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = _NO_ARGS) -> Any:
        rows = await self.fetch(statement, args)
        return rows[0][0] if rows else None

    async def execute(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = _NO_ARGS) -> int:
        compiled = self._cache.get(statement)
        values = compiled.bind(args)
        return await self._run(lambda raw: raw.execute(compiled.sql, values).rowcount)

    async def execute_many(self, statement: ClauseElement | Compiled, rows: Sequence[Mapping[str, Any]]) -> None:
        compiled = self._cache.get(statement)
        values = [compiled.bind(row) for row in rows]
        await self._run(lambda raw: raw.executemany(compiled.sql, values))

    async def copy_in(self, table: sa.Table, keys: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        columns = [table.c[key] for key in keys]
        names = ", ".join(SQLITE.identifier_preparer.quote(column.name) for column in columns)
        sql = (
            f"INSERT INTO {SQLITE.identifier_preparer.format_table(table)} ({names})"
            f" VALUES ({', '.join('?' * len(columns))})"
        )
        converts = [to_driver(column.type, self.dialect) for column in columns]

        def load(raw: sqlite3.Connection) -> int:
            return raw.executemany(sql, (for_driver(row, converts) for row in rows)).rowcount

        return await self._run(load)

    async def run_sql(self, sql: str) -> None:
        await self._run(lambda raw: raw.execute(sql))

    async def now(self) -> datetime:
        if self._in_unit:
            self._now = self._now or self._clock.now()
            return self._now
        return self._clock.now()

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._thread.run(lambda: work(self._thread.raw), limited=self._limited, stops=not self._in_unit)


class SqliteDatabase:
    """The embedded database: a file, or a temporary one for `sqlite://`."""

    dialect: DialectName = "sqlite"

    def __init__(
        self, path: str, url: str, clock: Clock, *, readers: int, timeout: float, statements: StatementCache | None
    ) -> None:
        self.url, self._clock = url, clock
        self._temporary = tempfile.TemporaryDirectory(prefix="clew-", ignore_cleanup_errors=True) if not path else None
        self.path = path or str(Path(self._temporary.name) / "clew.db") if self._temporary else path
        self._cache = statements if statements is not None else StatementCache("sqlite")
        self._writer = _Thread(self.path, clock, timeout)
        self._writing = asyncio.Lock()
        self._all_readers = [_Thread(self.path, clock, timeout) for _ in range(readers)]
        self._readers: asyncio.LifoQueue[_Thread] = asyncio.LifoQueue()

    async def open(self) -> SqliteDatabase:
        if not Path(self.path).parent.is_dir():
            raise DatabaseUnreachable(reason=f"there is no folder {Path(self.path).parent}")
        await self._writer.open()
        for reader in self._all_readers:
            await reader.open()
            self._readers.put_nowait(reader)
        return self

    def _connection(self, thread: _Thread, *, in_unit: bool = True, limited: bool = True) -> SqliteConnection:
        return SqliteConnection(thread, self._cache, self._clock, in_unit=in_unit, limited=limited)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        reader = await self._readers.get()
        try:
            yield self._connection(reader, in_unit=False)
        finally:
            self._readers.put_nowait(reader)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        async with self.read() as connection:
            try:
                await uninterrupted(connection.run_sql("BEGIN"))
                yield connection
            finally:
                await uninterrupted(connection.run_sql("ROLLBACK"))

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Connection]:
        async with self._writing, self._unit(self._connection(self._writer)) as connection:
            yield connection

    @asynccontextmanager
    async def migrate(self, *, rows_only: bool = False) -> AsyncIterator[Connection]:
        connection = self._connection(self._writer, limited=False)
        if rows_only:
            async with self._writing, self._unit(connection):
                yield connection
            return
        # Foreign keys can only be switched outside a transaction, and a rebuilt table must not look dropped to them.
        async with self._writing:
            await connection.run_sql("PRAGMA foreign_keys=OFF")
            try:
                async with self._unit(connection):
                    yield connection
                    await self._check_references(connection)
            finally:
                await uninterrupted(connection.run_sql("PRAGMA foreign_keys=ON"))

    @asynccontextmanager
    async def _unit(self, connection: SqliteConnection) -> AsyncIterator[SqliteConnection]:
        try:
            await uninterrupted(connection.run_sql("BEGIN IMMEDIATE"))
            yield connection
            await uninterrupted(connection.run_sql("COMMIT"))
        except BaseException:
            if self._writer.raw.in_transaction:
                await uninterrupted(connection.run_sql("ROLLBACK"))
            raise

    async def _check_references(self, connection: Connection) -> None:
        broken = await connection.fetch(sa.text("PRAGMA foreign_key_check"))
        if broken:
            raise IntegrityFault("reference", table=str(broken[0][0]), columns=(f"row {broken[0][1]}",))

    async def run_write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        return await retry_write(self.write, work)

    async def close(self) -> None:
        for thread in (*self._all_readers, self._writer):
            await thread.close()
        if self._temporary:
            self._temporary.cleanup()

    def dispose(self) -> None:
        """Close without an event loop."""
        for thread in (*self._all_readers, self._writer):
            thread.dispose()
        if self._temporary:
            self._temporary.cleanup()


def _raise(error: sqlite3.Error) -> NoReturn:
    name = getattr(error, "sqlite_errorname", "") or ""
    text = str(error)
    if name == "SQLITE_CONSTRAINT_TRIGGER":
        raise InsertOnly(what=text) from error
    if name.startswith("SQLITE_CONSTRAINT"):
        listed = text.partition("failed: ")[2]
        if listed.startswith("index "):
            raise IntegrityFault(_FAULTS.get(name, "check"), constraint=listed[6:].strip("'")) from error
        columns = tuple(part.strip().partition(".")[2] for part in listed.split(",") if "." in part)
        table = listed.partition(".")[0] if columns else ""
        raise IntegrityFault(_FAULTS.get(name, "check"), table=table, constraint=listed, columns=columns) from error
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        raise DatabaseBusy(what=text) from error
    if name == "SQLITE_INTERRUPT":
        raise StatementTimeout() from error
    if name in ("SQLITE_CANTOPEN", "SQLITE_NOTADB", "SQLITE_READONLY", "SQLITE_CORRUPT", "SQLITE_FULL", "SQLITE_IOERR"):
        raise DatabaseUnreachable(reason=text) from error
    if name == "SQLITE_TOOBIG" or any(each in text.lower() for each in _TOO_LARGE):
        raise StatementTooLarge(what=text) from error
    raise error
