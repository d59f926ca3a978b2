"""Few connections are in use at once, in the order of asking; whoever takes long holds nobody up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from clew.storage import connections
from clew.storage.connections import Connections
from clew.storage.errors import DatabaseUnreachable

pytestmark = pytest.mark.anyio


class Wire:
    """A connection that can break."""

    def __init__(self) -> None:
        self.broken = False

    def is_closed(self) -> bool:
        return self.broken


class Driver:
    """The driver's pool: at most `most` wires are out, whoever wants another waits."""

    def __init__(self, most: int) -> None:
        self.most, self.free, self.made, self.down = most, asyncio.Semaphore(most), list[Wire](), False

    def get_max_size(self) -> int:
        return self.most

    async def acquire(self) -> Wire:
        await self.free.acquire()
        if self.down:
            self.free.release()
            raise OSError("down")
        self.made.append(Wire())
        return self.made[-1]

    async def release(self, wire: Wire) -> None:
        assert wire in self.made
        self.made.remove(wire)
        self.free.release()


async def asked(uses: Connections) -> asyncio.Task[Any]:
    """Somebody who asks now, and holds what is given."""
    task = asyncio.get_running_loop().create_task(uses.acquire())
    await asyncio.sleep(0)
    return task


async def test_few_at_once_in_order_on_the_connections_of_those_before() -> None:
    driver = Driver(9)
    uses = Connections(driver, 2)
    first, second = await uses.acquire(), await uses.acquire()
    waiting = [await asked(uses) for _ in range(3)]
    await uses.release(first, whole=True)
    assert await waiting[0] is first
    await uses.release(second, whole=True)
    assert await waiting[1] is second
    assert not waiting[2].done()
    await uses.release(second, whole=True)
    assert await waiting[2] is second
    assert len(driver.made) == 2


async def test_whoever_takes_long_loses_the_turn_and_gives_none_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_BRIEF", 0.0)
    driver = Driver(3)
    uses = Connections(driver, 1)
    slow = [await asyncio.wait_for(uses.acquire(), 5) for _ in range(3)]
    assert len(set(map(id, slow))) == 3, "each got a turn while those before still held their connection"
    fourth = await asked(uses)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not fourth.done(), "the driver's bound holds"
    await uses.release(slow[0], whole=True)
    given = await asyncio.wait_for(fourth, 5)
    monkeypatch.setattr(connections, "_BRIEF", 60.0)
    await asyncio.sleep(0.01)
    for each in (slow[1], slow[2], given):
        await uses.release(each, whole=True)
    one = await uses.acquire()
    other = await asked(uses)
    await asyncio.sleep(0)
    assert not other.done(), "one turn, as at first"
    await uses.release(one, whole=True)
    assert await other is one


async def test_a_turn_survives_whoever_stops_waiting_what_broke_and_a_database_that_is_down() -> None:
    driver = Driver(9)
    uses = Connections(driver, 1)
    only = await uses.acquire()
    gone, early, late = await asked(uses), await asked(uses), await asked(uses)
    gone.cancel()
    await uses.release(only, whole=True)
    early.cancel()  # it has just been given the turn
    await asyncio.gather(gone, early, return_exceptions=True)
    assert await late is only

    broken = await asked(uses)
    only.broken = True
    await uses.release(only, whole=True)
    made_anew = await broken
    assert made_anew is not only
    assert driver.made == [made_anew]

    handed = await asked(uses)
    await uses.release(made_anew, whole=True)
    made_anew.broken = True  # between being handed over and being taken
    driver.down = True
    with pytest.raises(DatabaseUnreachable):
        await handed
    driver.down = False
    assert await asyncio.wait_for(uses.acquire(), 5) in driver.made
