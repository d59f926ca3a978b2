"""Running a unit of work again when the database says two of them got in each other's way, and letting fewer run at
once while they do.

Serializable transactions fail each other over index pages that both have read and written, not only over rows: many at
once on records of the same age can fail each other again and again. As many as are in nobody's way run together; each
clash lets fewer begin, each success a little more.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

from clew.storage.engine import Connection
from clew.storage.errors import DatabaseBusy

T = TypeVar("T")
_ATTEMPTS = 40
_LONGEST_PAUSE = 0.2


class Turns:
    """How many units of work of one process run at once on a database: at most `most`, at least one."""

    def __init__(self, most: int) -> None:
        self._most, self.limit = most, float(most)
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """A turn, in the order of asking. Whoever has one already needs no second: waiting for it could be for ever."""
        if _INSIDE.get():
            yield
            return
        await self._take()
        token = _INSIDE.set(True)
        try:
            yield
        finally:
            _INSIDE.reset(token)
            self._give()

    def went_well(self) -> None:
        self.limit = min(self._most, self.limit + _MORE / self.limit)

    def clashed(self) -> None:
        self.limit = max(1.0, self.limit * _FEWER)

    async def _take(self) -> None:
        if self._running < int(self.limit) and not self._waiting:
            self._running += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._give()  # it came at the same moment
            raise

    def _give(self) -> None:
        self._running -= 1
        while self._waiting and self._running < int(self.limit):
            turn = self._waiting.popleft()
            if not turn.done():
                self._running += 1
                turn.set_result(None)


_INSIDE: ContextVar[bool] = ContextVar("inside a unit of work", default=False)
_MORE, _FEWER = 0.5, 0.7
"""What a success adds to the limit of one, and what a clash leaves of any: about one unit in twenty begins again."""


async def retry_write(
    write: Callable[[], AbstractAsyncContextManager[Connection]],
    work: Callable[[Connection], Awaitable[T]],
    turns: Turns | None = None,
) -> T:
    """Open a unit, run `work`, commit; start over on a serialization failure, deadlock or busy database."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            async with write() as connection:
                done = await work(connection)
        except DatabaseBusy:
            if turns is not None:
                turns.clashed()
            if attempt == _ATTEMPTS:
                raise
            await asyncio.sleep(random.uniform(0, min(0.001 * 2**attempt, _LONGEST_PAUSE)))
        else:
            if turns is not None:
                turns.went_well()
            return done
    raise AssertionError("unreachable")


async def uninterrupted(step: Coroutine[Any, Any, T]) -> T:
    """Await to the end even when the caller is cancelled meanwhile: a COMMIT or ROLLBACK is never left half-way."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(step)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        # Not asyncio.shield, which takes three callbacks for this: every write comes by here.
        ended = loop.create_future()
        task.add_done_callback(partial(_tell, ended))
        try:
            await ended
        except asyncio.CancelledError as error:
            cancelled = error  # also when the step has just ended: whoever stops us must not wait for ever
    if cancelled:
        if not task.cancelled():
            task.exception()
        raise cancelled
    return task.result()


def _tell(ended: asyncio.Future[None], _task: asyncio.Future[Any]) -> None:
    if not ended.done():
        ended.set_result(None)
