"""Driver connections, kept between uses: the driver's own pool makes a task and a proxy for each handing over, which
costs as much as a small statement. It still makes them, replaces what broke and takes back what did not end well.

A database computes on as many connections as it has processors. More at once only push each other out of its caches,
and nobody is answered sooner: so few have a turn, the others wait in order, and whoever takes long (a report, a lock, a
disk) loses the turn, not the connection, and holds nobody up.

PostgreSQL may give fewer connections than we would take (too many clients). Then those there are go from hand to hand,
and it is asked for another from time to time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from random import random
from typing import Any, TypeVar

import asyncpg

from clew.storage.errors import DatabaseUnreachable

T = TypeVar("T")
DRIVER = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the driver raises when PostgreSQL cannot be reached, or no longer; the last where it says goodbye as we ask."""
_BRIEF = 0.05
"""Seconds a use may keep its turn."""
_AGAIN = 0.5
"""Seconds after which PostgreSQL, which had no connection to give, is asked again, more or less: two who ask at
the same moment are both refused, because each counts the other."""
_LEAVES = 5.0
"""Seconds that PostgreSQL may still count a connection that was ended: its process has to go first."""


def lost(raw: Any) -> bool:
    """Whether the connection is gone. One that PostgreSQL has ended goes back to the driver's pool by itself; what we
    hold of it then answers nothing, not even this."""
    try:
        return bool(raw.is_closed())
    except asyncpg.InterfaceError:
        return True


def unreachable(error: BaseException) -> DatabaseUnreachable:
    """In the platform's words. Some errors of the network say nothing, those of the driver's inside nothing of use."""
    if isinstance(error, asyncpg.InternalClientError):
        return DatabaseUnreachable(reason="the connection was closed")
    return DatabaseUnreachable(reason=str(error) or type(error).__name__)


async def while_it_lasts(raw: Any, sending: Coroutine[Any, Any, T]) -> T:
    """Await what may send more than the network takes at once: the driver would wait for ever to send the rest over a
    connection that is gone."""
    task = asyncio.get_running_loop().create_task(sending)

    def stop(_raw: Any) -> None:
        task.cancel()

    raw.add_termination_listener(stop)
    try:
        return await task
    except asyncio.CancelledError as error:
        caller = asyncio.current_task()
        if caller is not None and caller.cancelling():
            raise
        raise asyncpg.ConnectionDoesNotExistError("the connection was closed") from error
    finally:
        if not lost(raw):
            raw.remove_termination_listener(stop)


class Connections:
    """A bounded number of connections of one kind, of which at most `turns` are in brief use at once. When PostgreSQL
    has none to give, whoever asks waits for one that comes back, `patience` seconds at most (None: for ever)."""

    def __init__(self, pool: Any, turns: int, patience: float | None = None) -> None:
        self._pool, self._turns, self._patience = pool, turns, patience
        self.other: Connections | None = None
        """Those of the other kind: they give one up when there is none of this kind and PostgreSQL gives none."""
        self._waiting: deque[asyncio.Future[Any]] = deque()
        """Those who wait for a turn."""
        self._wanted: deque[asyncio.Future[Any]] = deque()
        """Those who have a turn and wait for a connection. None says: look again."""
        self._brief: dict[Any, asyncio.TimerHandle] = {}
        """The uses that have a turn, and what takes it from them."""
        self._idle: list[Any] = []
        self._out = self._making = 0
        """How many the driver's pool has handed over, in use and idle; how many it is asked for now."""
        self._full, self._refusal = False, Exception()
        """Whether PostgreSQL is not asked for another just now, and what it said last."""
        self._ending, self._ended_at = 0, -_LEAVES
        """How many are being ended, and when the last was."""
        self._owed = False
        """The next that comes back is ended, so that the other kind can have one."""
        self._closing = False

    async def acquire(self) -> Any:
        """A connection that nobody else has. Raises DatabaseUnreachable."""
        raw = await self._turn()
        if raw is None or lost(raw):
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
        serves = whole and not (self._closing or self._owed or lost(raw))
        if timer is not None:
            self._pass_on(raw if serves else None)
        elif serves:
            self._keep(raw)
        if not serves:
            await self._end(raw)

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
        """A turn is free, and the connection that comes with it, if one does."""
        if raw is not None and _hand(self._wanted, raw):
            raw = None
        if not _hand(self._waiting, raw):
            self._turns += 1
            if raw is not None:
                self._idle.append(raw)

    def _keep(self, raw: Any) -> None:
        """A connection is free; None: there may be one."""
        if not _hand(self._wanted, raw) and raw is not None:
            self._idle.append(raw)

    def _took_long(self, raw: Any) -> None:
        del self._brief[raw]
        self._pass_on(None)

    async def _another(self, raw: Any = None) -> Any:
        """One for whoever has a turn, and got none with it or one that is lost: idle, new, or the next that is free."""
        until: float | None = None
        waited = False
        while True:
            if raw is not None:
                if not lost(raw):
                    return raw
                await self._end(raw)
            if self._idle:
                raw = self._idle.pop()
            elif self._out < self._pool.get_max_size() and (not self._full or self._pool.get_idle_size()):
                raw = await self._one_more()
            else:
                if self._full and until is None and self._patience:
                    until = asyncio.get_running_loop().time() + self._patience
                raw, waited = await self._next(until, first=waited), True

    async def _next(self, until: float | None, *, first: bool) -> Any:
        """The next that is free, in the order of asking; None when it is time to look again."""
        given = asyncio.get_running_loop().create_future()
        (self._wanted.appendleft if first else self._wanted.append)(given)
        try:
            async with asyncio.timeout_at(until):
                return await given
        except (asyncio.CancelledError, TimeoutError) as error:
            if not given.cancelled():
                self._keep(given.result())  # it came at the same moment
            if isinstance(error, TimeoutError):
                raise unreachable(self._refusal) from error
            raise

    async def _one_more(self) -> Any:
        """One of the driver's pool. None when PostgreSQL has none to give, and one of ours will do."""
        self._out += 1
        self._making += 1
        try:
            raw = await self._pool.acquire()
        except BaseException as error:
            self._out -= 1
            self._making -= 1
            if isinstance(error, asyncpg.TooManyConnectionsError) and await self._refused(error):
                return None
            self._keep(None)
            if isinstance(error, DRIVER):
                raise unreachable(error) from error
            raise
        self._making -= 1
        self._keep(None)  # where there was one, there may be two
        return raw

    async def _refused(self, error: Exception) -> bool:
        """PostgreSQL has none to give: whether there are any to wait for."""
        if not self._full:
            self._full, self._refusal = True, error
            asyncio.get_running_loop().call_later(_AGAIN * (0.5 + random()), self._look_again)
        if self._some() or (self.other is not None and await self.other.spare()):
            return True
        if self._leaves() or (self.other is not None and self.other._leaves()):
            return True
        self._full = False
        return False

    def _some(self) -> bool:
        return bool(self._making or self._pool.get_size())

    def _leaves(self) -> bool:
        """Whether PostgreSQL may still count one that was ended."""
        return bool(self._ending) or asyncio.get_running_loop().time() < self._ended_at + _LEAVES

    def _look_again(self) -> None:
        self._full = False
        self._keep(None)

    async def spare(self) -> bool:
        """End one, so that the other kind can have one: at once if one is idle, else the next that comes back. False
        when there is none here either."""
        held = self._owed = self._some()
        if held and (self._idle or self._pool.get_idle_size()):
            await self._end(await self._another())
        return held

    async def _end(self, raw: Any) -> None:
        """Back to the driver's pool, which ends what is lost or did not end well. That it could not do so in order is
        nobody's answer."""
        owed, self._owed = self._owed, False
        self._ending += 1
        try:
            with suppress(*DRIVER):
                await (raw.close() if owed else self._pool.release(raw))
        finally:
            self._out -= 1
            self._ending -= 1
            self._ended_at = asyncio.get_running_loop().time()
            self._keep(None)
            if owed and self.other is not None:
                self.other._look_again()

    async def close(self) -> None:
        """Close them all; waits for those in use."""
        self._closing = True
        while self._idle:
            await self._end(self._idle.pop())
        with suppress(*DRIVER):
            await self._pool.close()

    def terminate(self) -> None:
        """Drop them all as they are."""
        self._closing = True
        self._idle.clear()
        self._pool.terminate()


def _hand(line: deque[asyncio.Future[Any]], raw: Any) -> bool:
    """Give it to the first of those who still wait; whether there was one."""
    while line:
        waiting = line.popleft()
        if not waiting.done():
            waiting.set_result(raw)
            return True
    return False
