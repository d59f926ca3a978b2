"""A step that must not be left half-way ends, and whoever stopped its caller is not ignored."""

from __future__ import annotations

import asyncio

import pytest

from clew.storage.retry import uninterrupted

pytestmark = pytest.mark.anyio


async def awaited(step: asyncio.Future[str]) -> str:
    return await step


async def test_the_step_ends_before_its_caller_is_stopped() -> None:
    step: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    caller = asyncio.create_task(uninterrupted(awaited(step)))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.sleep(0)
    assert not caller.done()
    step.set_result("committed")
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_being_stopped_in_the_moment_the_step_ends_still_stops() -> None:
    step: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    caller = asyncio.create_task(uninterrupted(awaited(step)))
    await asyncio.sleep(0)
    step.set_result("committed")
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_the_failure_of_a_step_is_the_callers() -> None:
    async def fails() -> None:
        raise ValueError("disk full")

    with pytest.raises(ValueError, match="disk full"):
        await uninterrupted(fails())
