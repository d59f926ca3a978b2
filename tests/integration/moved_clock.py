"""A database whose time is what the test says, on either engine: set forward, set back, days later."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast

from clew.storage.engine import Connection, Database
from clew.storage.retry import retry_write


class MovedConnection:
    """A connection that is told the time; one moment per unit, as the real ones have."""

    def __init__(self, inner: Connection, at: datetime) -> None:
        self._inner, self._at = inner, at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def now(self) -> datetime:
        return self._at


class MovedDatabase:
    """`at` is the time of every unit that begins."""

    def __init__(self, inner: Database, at: datetime) -> None:
        self._inner, self.at = inner, at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def move(self, hours: float) -> None:
        self.at += timedelta(hours=hours)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        async with self._inner.read() as connection:
            yield cast(Connection, MovedConnection(connection, self._tick()))

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Connection]:
        async with self._inner.write() as connection:
            yield cast(Connection, MovedConnection(connection, self._tick()))

    async def run_write(self, work: Callable[[Connection], Awaitable[Any]]) -> Any:
        return await retry_write(self.write, work)

    def _tick(self) -> datetime:
        self.at += timedelta(microseconds=1)
        return self.at
