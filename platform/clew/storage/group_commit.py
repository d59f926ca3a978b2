"""Short units of work that come while others are under way share a transaction: they run in it one after the other and
are committed together, as a database does with the records of its log.

Each sees what those before it wrote, as if these had been committed; nobody is told of success before the commit. When
one of them fails or takes long, or the database lets a rival win, all is rolled back and each runs again by itself: an
error that somebody is told of never rests on what was undone, and nobody waits for another's lock. Many at once cost
less so than each in a transaction of its own: they wait for one another instead of failing each other
(`storage.retry`), and begin and commit once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, Self, TypeVar

from clew.storage.engine import Connection
from clew.storage.errors import DatabaseBusy

T = TypeVar("T")
Work = Callable[[Connection], Awaitable[Any]]
_MOST = 8
"""Units of one transaction: the more, the longer the first of them waits for the last."""
_TRIES = 2
"""How often a whole group is begun before each runs by itself."""
_BRIEF = 0.25
"""Seconds a unit may take in a group; one that takes longer runs by itself, beside others."""


class Shared(Connection, Protocol):
    """A connection that units take turns on."""

    async def begin(self) -> None:
        """Begin the transaction now: no statement of a unit may be one by itself."""
        ...

    def another(self) -> Self:
        """The same connection and transaction, for the next unit."""
        ...


@dataclass(slots=True)
class _Member:
    work: Work
    context: Context = field(default_factory=copy_context)
    done: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    async def run(self, run: Callable[[Work], Awaitable[Any]], most: float | None = None) -> Any:
        """In the context of whoever asked, as it was then. Raises TimeoutError when it takes longer than `most`."""
        task = asyncio.get_running_loop().create_task(_run(run, self.work), context=self.context.copy())
        # Not asyncio.timeout: it could cancel the commit that comes after.
        try:
            await asyncio.wait((task,), timeout=most)
        finally:
            task.cancel()  # does nothing to what is done
        await asyncio.wait((task,))
        if task.cancelled():
            raise TimeoutError
        return task.result()

    async def answer(self, run: Callable[[Work], Awaitable[Any]]) -> None:
        """Run it and tell whoever asked, if anybody still waits."""
        try:
            found = await self.run(run)
        except Exception as error:
            self.fail(error)
        else:
            self.tell(found)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)

    def tell(self, found: Any) -> None:
        if not self.done.done():
            self.done.set_result(found)


class GroupCommit:
    """The short units of one process. `open` begins a transaction; `alone` runs a unit by itself with all its retries;
    `inside` runs one within a transaction that is open."""

    def __init__(
        self,
        open: Callable[[], AbstractAsyncContextManager[Shared]],
        alone: Callable[[Work], Awaitable[Any]],
        inside: Callable[..., Awaitable[Any]],
    ) -> None:
        self._open, self._alone, self._inside = open, alone, inside
        self._waiting: deque[_Member] = deque()
        self._turn: asyncio.TimerHandle | None = None
        """Of the unit or group under way; what takes long loses it, and the next begin beside."""
        self._groups: set[asyncio.Task[None]] = set()

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run a unit of work. Raises what it raises, and what `alone` does."""
        if self._turn is not None:
            member = _Member(work)
            self._waiting.append(member)
            told: T = await member.done
            return told
        turn = self._take(_BRIEF)
        try:
            found: T = await self._alone(work)
        finally:
            self._pass_on(turn)
        return found

    def _take(self, most: float) -> asyncio.TimerHandle:
        self._turn = asyncio.get_running_loop().call_later(most, self._lose)
        return self._turn

    def _lose(self) -> None:
        self._turn = None
        self._next()

    def _pass_on(self, turn: asyncio.TimerHandle) -> None:
        if self._turn is turn:
            turn.cancel()
            self._lose()

    def _next(self) -> None:
        members: list[_Member] = []
        while self._waiting and len(members) < _MOST:
            member = self._waiting.popleft()
            if not member.done.done():
                members.append(member)
        if members:
            turn = self._take(_BRIEF * (len(members) + 1))
            group = asyncio.get_running_loop().create_task(self._group(members, turn))
            self._groups.add(group)
            group.add_done_callback(self._groups.discard)

    async def _group(self, members: list[_Member], turn: asyncio.TimerHandle) -> None:
        try:
            if len(members) < 2 or not await self._together(members):
                left = [each for each in members if not each.done.done()]
                await asyncio.gather(*(each.answer(self._alone) for each in left))
        finally:
            self._pass_on(turn)
            for member in members:
                member.done.cancel()  # does nothing to what is told already

    async def _together(self, members: list[_Member]) -> bool:
        """Whether they were committed, or it was told that this is not known."""
        for _ in range(_TRIES):
            members = [each for each in members if not each.done.done()]  # whoever asked may have gone away
            found: list[Any] = []
            try:
                async with self._open() as first:
                    await first.begin()
                    for member in members:
                        connection = first if not found else first.another()
                        found.append(await member.run(partial(self._inside, on=connection), _BRIEF))
            except DatabaseBusy:
                continue
            except Exception as error:
                if len(found) < len(members):
                    return False
                # The commit was not answered: it may have happened, and must not be done a second time.
                for member in members:
                    member.fail(error)
            for member, each in zip(members, found, strict=True):
                member.tell(each)
            return True
        return False


async def _run(run: Callable[[Work], Awaitable[Any]], work: Work) -> Any:
    return await run(work)
