"""Every command of a process is told by one event, in its own transaction; what is undone is told by none."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.process_world import Works, small_works

from clew.api import process_waiting
from clew.kernel.errors import ClewError
from clew.process import words
from clew.process.comments import Said
from clew.records.outbox import Event
from clew.storage import system
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

STEPS = """\
  look: {who: clerk, output: [title], exit: {when: "title != null"}}
  mark:
    do: [{set: {serious: "true"}}]
    compensate: [{set: {serious: "false", title: "'undone'"}}]
  last: {who: boss}
"""
PEOPLE = {"clerk": ("ann", "bob"), "boss": ("hal",)}


async def events(made: Works) -> list[dict[str, Any]]:
    """What was told of processes, in its order."""
    rows = [Event(*row.values()) for row in await made.plant.rows(system.outbox)]
    told = sorted((each for each in rows if each.entity == "process"), key=lambda each: each.event_id)
    return [{"verb": each.type.rpartition(".")[2], "version": each.row_version, **each.data["data"]} for each in told]


async def test_each_command_is_told_once_with_whom_it_concerns(database: TestDatabase) -> None:
    made = await small_works(await database.open(), STEPS, people=PEOPLE)
    ann, bob, hal = [str(made.people[each].id) for each in ("ann", "bob", "hal")]
    process = await made.a_case("ann")
    (begun,) = await events(made)
    assert (begun["verb"], begun["workflow"], begun["at"], begun["status"]) == (
        "started", "handling", ["look"], "running",
    )  # fmt: skip
    assert begun["people"] == sorted([ann, bob])
    assert begun["tasks"] == [{"number": 2, "step": "look", "kind": "task", "status": "open"}]
    (task,) = await made.tasks("ann")
    with pytest.raises(ClewError):
        await made.processes.decide(made.call("ann"), task["id"], "done")
    assert len(await events(made)) == 1, "what was refused has not happened"
    await made.processes.comment(made.call("bob"), process, Said("see this", (), ((made.people["hal"].id, "hal"),)))
    await made.give("hal", process, lambda actor, at: words.Suspend(actor, at, "audit"), ["s"])
    await made.give("hal", process, lambda actor, at: words.Resume(actor, at), ["r"])
    await made.processes.decide(made.call("ann"), task["id"], "done", {"title": "seen"})
    await made.decide("hal")
    told = await events(made)
    assert [each["verb"] for each in told] == [
        "started", "commented", "suspended", "resumed", "changed", "changed", "ended",
    ]  # fmt: skip
    assert told[1]["people"] == [hal]
    assert [each["at"] for each in told[4:]] == [["mark"], ["last"], []]
    assert told[5]["people"] == [hal]
    versions = [each["version"] for each in told if each["verb"] != "commented"]
    assert versions == sorted(set(versions)), "in order, each another version"


async def test_what_an_automatic_step_did_is_undone_when_the_process_is_cancelled(database: TestDatabase) -> None:
    made = await small_works(await database.open(), STEPS, people=PEOPLE)
    process = await made.a_case("ann")
    await made.processes.decide(made.call("ann"), (await made.tasks("ann"))[0]["id"], "done", {"title": "seen"})
    (case,) = await made.plant.rows(made.plant.tables.current("case"))
    assert (case["serious"], case["title"]) == (True, "seen")
    await made.give("hal", process, lambda actor, at: words.Cancel(actor, at, "in error"), ["c"])
    (case,) = await made.plant.rows(made.plant.tables.current("case"))
    assert (case["serious"], case["title"]) == (False, "undone")
    assert (await events(made))[-1]["verb"] == "cancelled"


async def test_only_what_concerns_somebody_wakes_them() -> None:
    told = [["bob"], [], ["ann", "bob"], ["ann"]]

    class Listener:
        async def next(self) -> Any:
            class Told:
                data = {"data": {"people": told.pop(0)}}

            return Told()

    await process_waiting._until_told(Listener(), frozenset({"ann"}))  # type: ignore[arg-type]
    assert told == [["ann"]]
