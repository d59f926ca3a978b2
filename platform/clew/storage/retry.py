"""Running a unit of work again when the database says two of them got in each other's way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeVar

from clew.storage.engine import Connection
from clew.storage.errors import DatabaseBusy

T = TypeVar("T")
_ATTEMPTS = 40
_LONGEST_PAUSE = 0.2


async def retry_write(
    write: Callable[[], AbstractAsyncContextManager[Connection]], work: Callable[[Connection], Awaitable[T]]
) -> T:
    """Open a unit, run `work`, commit; start over on a serialization failure, deadlock or busy database."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            async with write() as connection:
                return await work(connection)
        except DatabaseBusy:
            if attempt == _ATTEMPTS:
                raise
            await asyncio.sleep(random.uniform(0, min(0.001 * 2**attempt, _LONGEST_PAUSE)))
    raise AssertionError("unreachable")


async def uninterrupted(step: Awaitable[T]) -> T:
    """Await to the end even when the caller is cancelled meanwhile: a COMMIT or ROLLBACK is never left half-way."""
    task = asyncio.ensure_future(step)
    loop = task.get_loop()
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
