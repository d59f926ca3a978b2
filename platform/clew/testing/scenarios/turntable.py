"""One runtime for all scenarios, on the database of the one being played: what it has worked out of roles and documents
serves the next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from clew.storage.engine import Connection, Database, DialectName

T = TypeVar("T")


class Turntable:
    """A `Database` that is another one after each turn."""

    dialect: DialectName = "sqlite"

    def __init__(self) -> None:
        self.url = ""
        self._front: Database | None = None

    def turn(self, to: Database) -> None:
        self._front, self.url = to, to.url

    @property
    def _shown(self) -> Database:
        assert self._front is not None, "no scenario is being played"
        return self._front

    def read(self) -> AbstractAsyncContextManager[Connection]:
        return self._shown.read()

    def snapshot(self) -> AbstractAsyncContextManager[Connection]:
        return self._shown.snapshot()

    def write(self) -> AbstractAsyncContextManager[Connection]:
        return self._shown.write()

    def migrate(self, *, rows_only: bool = False) -> AbstractAsyncContextManager[Connection]:
        return self._shown.migrate(rows_only=rows_only)

    async def run_write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        return await self._shown.run_write(work)

    async def close(self) -> None:
        await self._shown.close()
