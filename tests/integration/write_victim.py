"""A process that dies by SIGKILL right before its n-th statement, or n-th commit, of a chain of commands.

usage: write_victim.py DATABASE_URL N
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from clew.kernel.clock import SystemClock
from clew.storage.engine import Connection
from clew.storage.open import open_database
from clew.storage.retry import retry_write

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))
from write_journey import Plant, a_lot, plant

ASKED = frozenset(
    {"fetch", "fetch_last", "fetch_one", "fetch_value", "fetch_text", "execute", "execute_many", "run_sql", "now"}
)


class Countdown:
    """Kills the process when it reaches zero."""

    def __init__(self, left: int) -> None:
        self.left = left

    def step(self) -> None:
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Mortal:
    """A connection whose every statement counts down."""

    def __init__(self, inner: Connection, countdown: Countdown) -> None:
        self._inner, self._countdown = inner, countdown

    def __getattr__(self, name: str) -> Any:
        if name in ASKED:
            self._countdown.step()
        return getattr(self._inner, name)


class MortalDatabase:
    """A database whose writing connections may be the end of the process."""

    def __init__(self, inner: Any, countdown: Countdown) -> None:
        self._inner, self._countdown = inner, countdown

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Any]:
        async with self._inner.write() as connection:
            yield Mortal(connection, self._countdown)
            self._countdown.step()  # all statements sent, the commit not yet

    async def run_write(self, work: Callable[[Connection], Awaitable[Any]]) -> Any:
        answer = await retry_write(self.write, work)
        self._countdown.step()  # committed, not acknowledged
        return answer


async def chain(made: Plant) -> None:
    """Commands of every kind, in an order that makes each depend on the one before."""
    site, item = made.ids["SHA"], made.ids["RAW-1"]
    why = made.why("chain", idempotency_key="once")
    lot = await made.commands.create(why, "lot", a_lot(made))
    made.call = made.why("chain")
    await made.commands.update(made.call, "lot", lot.id, 1, {"qty": "4", "supplier_lot": "批号7"})
    await made.commands.transition(made.call, "lot", lot.id, "release", 2)
    actions: Sequence[Mapping[str, Any]] = [
        {"what": "sort", "due": "2026-12-24"},
        {"what": "ship", "due": "2026-12-25"},
    ]
    subject = {"entity": "lot", "id": lot.id}
    report = await made.commands.create(
        made.call,
        "nonconformance",
        {
            "site": site,
            "severity": "minor",
            "subject": subject,
            "lots": [lot.id],
            "actions": actions,
        },
    )
    await made.commands.update(made.call, "nonconformance", report.id, 1, {"actions": [actions[0]], "lots": [lot.id]})
    movement = {"site": site, "item": item, "lot": lot.id}
    await made.commands.bulk(made.call, "movement", [{**movement, "qty": "3"}, {**movement, "qty": "-1"}])
    await made.commands.void(made.call, "lot", lot.id, 3)


async def main(url: str, left: int) -> None:
    inner = await open_database(url, clock=SystemClock())
    made = await plant(inner, fresh=False)
    for row in (await made.current("site")).values():
        made.ids[row["code"]] = row["id"]
    for row in (await made.current("item")).values():
        made.ids[row["item_no"]] = row["id"]
    countdown = Countdown(left)
    made.commands.database = MortalDatabase(inner, countdown)  # type: ignore[assignment]
    await chain(made)
    await inner.close()
    print(f"survived with {countdown.left} to spare")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
