"""Driver connections, kept between uses: the driver's own pool makes a task and a proxy for each handing over, which
costs as much as a small statement. It still makes them, replaces what broke and takes back what did not end well.

A database computes on as many connections as it has processors. More at once only push each other out of its caches,
and nobody is answered sooner: so few have a turn, the others wait in order, and whoever takes long (a report, a lock, a
disk) loses the turn, not the connection, and holds nobody up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import asyncpg

from clew.storage.errors import DatabaseUnreachable

_BRIEF = 0.05
"""Seconds a use may keep its turn."""


class Connections:
    """A bounded number of connections of one kind, of which at most `turns` are in brief use at once."""

    def __init__(self, pool: Any, turns: int) -> None:
        self._pool, self._turns = pool, turns
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._brief: dict[Any, asyncio.TimerHandle] = {}
        """The uses that have a turn, and what takes it from them."""
        self._idle: list[Any] = []
        self._awaited = 0
        """How many wait for the driver's pool: what comes back goes there, or they would wait for ever."""
        self._closing = False

    async def acquire(self) -> Any:
        """A connection that nobody else has. Raises DatabaseUnreachable."""
        raw = await self._turn()
        if raw is None or raw.is_closed():
            try:
                raw = await self._another(raw)
            except BaseException:
                self._pass_on(None)
                raise
        self._brief[raw] = asyncio.get_running_loop().call_later(_BRIEF, self._took_long, raw)
        return raw

    async def release(self, raw: Any, *, whole: bool) -> None:
        """Give it back. What failed or was cancelled half-way is not `whole`: the driver's pool ends that first."""
        timer = self._brief.pop(raw, None)
        if timer is not None:
            timer.cancel()
        serves = whole and not self._awaited and not self._closing and not raw.is_closed()
        if timer is not None:
            self._pass_on(raw if serves else None)
        elif serves:
            self._idle.append(raw)
        if not serves:
            await self._pool.release(raw)

    async def _turn(self) -> Any:
        """Wait for a turn; with it comes the connection of whoever had it, or None."""
        if self._turns > 0:
            self._turns -= 1
            return None
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._pass_on(turn.result())  # it came at the same moment
            raise

    def _pass_on(self, raw: Any) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(raw)
                return
        self._turns += 1
        if raw is not None:
            self._idle.append(raw)

    def _took_long(self, raw: Any) -> None:
        del self._brief[raw]
        self._pass_on(None)

    async def _another(self, broken: Any) -> Any:
        if broken is not None:
            await self._pool.release(broken)
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
