"""What happens to a process happens to those that are part of it, in the same transaction: no worker is waited for."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from tests.integration.process_world import Works, small_works

from clew.kernel.errors import ClewError
from clew.process import jobs, words
from clew.process.engine import Processes
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

STEPS = "  ask: {call: {workflow: middle}, then: {any: over}}\n  over: {end: over}\n"
HEAD = "for: case\nowner: boss\nsteps:\n"
PARTS = {
    "workflows/m.yaml": f"workflow: middle\n{HEAD}  inner: {{call: {{workflow: inner}}, then: {{any: done}}}}\n"
    "  done: {end: well}\n",
    "workflows/i.yaml": f"workflow: inner\n{HEAD}  mark: {{do: [{{set: {{serious: 'true'}}}}], "
    "compensate: [{set: {serious: 'false'}}]}\n  check: {who: clerk, within: 4 cd, then: done}\n  done: {end: well}\n",
}
PEOPLE = {"clerk": ("ann", "bob"), "boss": ("hal",)}


async def three_deep(database: TestDatabase) -> tuple[Works, UUID]:
    """A process within a process within a process; the one on top."""
    made = await small_works(await database.open(), STEPS, people=PEOPLE, files=PARTS)
    return made, await made.a_case("ann")


def nobody_runs_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the server dies right after the commit."""

    async def nothing(_engine: Processes, _left: object) -> None:
        return None

    monkeypatch.setattr(jobs, "right_after", nothing)


async def test_what_is_called_off_is_called_off_with_its_parts(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, top = await three_deep(database)
    (task,) = await made.tasks("ann")
    nobody_runs_jobs(monkeypatch)
    await made.give("hal", top, lambda actor, at: words.Cancel(actor, at, "in error"), ["c"])
    with pytest.raises(ClewError) as refused:
        await made.processes.decide(made.call("ann"), task["id"], "done")
    assert refused.value.code == "PROCESS_ENDED"
    assert {each["workflow"]: each["status"] for each in await made.instances()} == dict.fromkeys(
        ("handling", "middle", "inner"), "cancelled"
    )
    assert await made.tasks() == []
    (case,) = await made.plant.rows(made.plant.tables.current("case"))
    assert case["serious"] is False, "what the part did is undone too"


async def test_what_is_part_of_a_suspended_process_stands_still(database: TestDatabase) -> None:
    made, top = await three_deep(database)
    ids = {each["workflow"]: each["id"] for each in await made.instances()}
    (task,) = await made.tasks("ann")

    async def code(login: str, process: UUID, command: type[words.Suspend] | type[words.Resume]) -> str:
        reason = ["because"] if command is words.Suspend else []
        try:
            await made.give(login, process, lambda actor, at: command(actor, at, *reason), [str(process)])
        except ClewError as error:
            return error.code
        return "done"

    async def decide() -> str:
        try:
            await made.processes.decide(made.call("ann"), task["id"], "done")
        except ClewError as error:
            return error.code
        return "done"

    assert await code("hal", top, words.Suspend) == "done"
    assert await decide() == "PROCESS_SUSPENDED"
    assert await code("hal", ids["inner"], words.Resume) == "SUSPENDED_ABOVE"
    assert await code("hal", ids["inner"], words.Suspend) == "done", "for a reason of its own"
    assert await code("hal", ids["inner"], words.Resume) == "done"
    assert await decide() == "PROCESS_SUSPENDED", "the one above still is"
    assert await code("hal", ids["middle"], words.Suspend) == "done"
    assert await code("hal", top, words.Resume) == "done"
    assert await decide() == "PROCESS_SUSPENDED", "what was suspended by itself is resumed by itself"
    assert await code("hal", ids["middle"], words.Resume) == "done"
    assert await code("hal", ids["middle"], words.Resume) == "PROCESS_NOT_SUSPENDED"
    assert await decide() == "done"
    assert {each["outcome"] for each in await made.instances()} == {"over", "well"}


async def test_a_part_that_was_called_off_by_itself_is_no_outcome(database: TestDatabase) -> None:
    made, _ = await three_deep(database)
    ids = {each["workflow"]: each["id"] for each in await made.instances()}
    await made.give("hal", ids["inner"], lambda actor, at: words.Cancel(actor, at, "in error"), ["c"])
    by = {each["workflow"]: each for each in await made.instances()}
    assert (by["middle"]["status"], by["handling"]["status"]) == ("running", "running")
    (incident,) = by["middle"]["state"]["incidents"]
    assert (incident["kind"], incident["detail"]) == ("cancelled", "inner: inner")
    retry = words.RetryIncident
    await made.give("hal", ids["middle"], lambda actor, at: retry(incident["id"], actor, at, "mended"), ["r"])
    await made.decide("ann")
    ended = sorted((each["workflow"], each["status"]) for each in await made.instances())
    assert ended == [("handling", "ended"), ("inner", "cancelled"), ("inner", "ended"), ("middle", "ended")]


async def test_cancelling_and_deciding_below_have_one_winner(database: TestDatabase) -> None:
    """Each of the two comes first now and then; never is something decided in what was cancelled."""
    made = await small_works(await database.open(), STEPS, people=PEOPLE, files=PARTS)
    for turn in range(4):
        top = await made.a_case("ann")
        (task,) = await made.tasks("ann")
        cancel = made.give("hal", top, lambda actor, at: words.Cancel(actor, at, "in error"), ["c", turn])
        decide = made.processes.decide(made.call("ann"), task["id"], "done")
        both = [cancel, decide] if turn % 2 else [decide, cancel]
        outcomes = await asyncio.gather(*both, return_exceptions=True)
        assert all(each is None or not isinstance(each, Exception) or isinstance(each, ClewError) for each in outcomes)
        assert any(not isinstance(each, Exception) for each in outcomes)
        live = [each for each in await made.instances() if each["status"] in ("running", "suspended")]
        assert live == []
        assert await made.tasks() == []
