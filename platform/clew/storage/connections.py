"""Driver connections, kept between uses: the driver's own pool makes a task and a proxy for each handing over, which
costs as much as a small statement. It still makes them, replaces what broke and takes back what did not end well."""

from __future__ import annotations

from typing import Any

import asyncpg

from clew.storage.errors import DatabaseUnreachable


class Connections:
    """A bounded number of connections of one kind."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._idle: list[Any] = []
        self._awaited = 0
        """How many wait for the driver's pool: what comes back goes there, or they would wait for ever."""
        self._closing = False

    async def acquire(self) -> Any:
        """A connection that nobody else has. Raises DatabaseUnreachable."""
        while self._idle:
            raw = self._idle.pop()
            if not raw.is_closed():
                return raw
            await self._pool.release(raw)
        self._awaited += 1
        try:
            return await self._pool.acquire()
        except (OSError, asyncpg.PostgresError) as error:
            raise DatabaseUnreachable(reason=str(error)) from error
        finally:
            self._awaited -= 1

    async def release(self, raw: Any, *, whole: bool) -> None:
        """Give it back. What failed or was cancelled half-way is not `whole`: the driver's pool ends that first."""
        if whole and not self._awaited and not self._closing and not raw.is_closed():
            self._idle.append(raw)
        else:
            await self._pool.release(raw)

    async def close(self) -> None:
        """Close them all; waits for those in use."""
        self._closing = True
        while self._idle:
            await self._pool.release(self._idle.pop())
        await self._pool.close()

    def terminate(self) -> None:
        """Drop them all as they are."""
        self._closing = True
        self._idle.clear()
        self._pool.terminate()
