"""How many units of work begin at once: fewer while they fail each other, more while they do not."""

from __future__ import annotations

import asyncio

import pytest

from clew.storage.retry import Turns

pytestmark = pytest.mark.anyio


class Crowd:
    """Units that want a turn, and how many had one at once."""

    def __init__(self, turns: Turns) -> None:
        self.turns, self.most, self.now, self.order = turns, 0, 0, list[int]()

    async def unit(self, number: int) -> None:
        async with self.turns.one():
            self.now += 1
            self.most = max(self.most, self.now)
            self.order.append(number)
            await asyncio.sleep(0)
            self.now -= 1

    async def all(self, count: int) -> int:
        self.most = 0
        await asyncio.gather(*(self.unit(each) for each in range(count)))
        return self.most


async def test_a_clash_lets_fewer_begin_and_success_more_again() -> None:
    turns = Turns(8)
    crowd = Crowd(turns)
    assert await crowd.all(20) == 8
    for _ in range(10):
        turns.clashed()
    assert await crowd.all(20) == 1, "one may always begin"
    for _ in range(10_000):
        turns.went_well()
    assert await crowd.all(20) == 8, "never more than at first"


async def test_turns_come_in_the_order_of_asking_and_inside_one_no_second_is_needed() -> None:
    turns = Turns(1)
    crowd = Crowd(turns)
    await crowd.all(5)
    assert crowd.order == list(range(5))
    async with turns.one():
        await asyncio.wait_for(crowd.unit(9), 5)
    assert crowd.order[-1] == 9


async def test_whoever_stops_waiting_keeps_no_turn() -> None:
    turns = Turns(1)
    crowd = Crowd(turns)
    async with turns.one():
        waiting = [asyncio.get_running_loop().create_task(_apart(crowd, each)) for each in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
    waiting[1].cancel()  # at the moment its turn has come
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert isinstance(answers[1], asyncio.CancelledError)
    assert crowd.order == [2]
    assert await crowd.all(3) == 1


async def _apart(crowd: Crowd, number: int) -> None:
    """In a task of its own, which is in no unit."""
    from clew.storage.retry import _INSIDE

    _INSIDE.set(False)
    await crowd.unit(number)
