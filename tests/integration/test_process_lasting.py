"""What a process is told and what it leaves to itself goes where it belongs, whatever else happens meanwhile."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.integration.process_world import Works, small_works
from tests.integration.test_process_time import AWARE, LAW, time_passes
from tests.unit.process.play import PROJECT

from clew.process import jobs, words
from clew.storage import process_tables
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

PEOPLE = {"clerk": ("ann", "bob"), "boss": ("hal",)}


async def a_case_of_two(made: Works) -> None:
    """A case of two parts, and the process about it."""
    create, call = made.plant.commands.create, made.call("ann")
    parts = [(await create(call, "part", {"code": each})).id for each in "AB"]
    case = (await create(call, "case", {"parts": parts})).id
    await made.processes.start(call, "handling", case)


async def at(made: Works) -> list[str]:
    return sorted(token["step"] for each in await made.instances() for token in each["state"]["tokens"])


ORDER = {"models/o.yaml": "entity: order\nfields:\n  about: {type: ref, of: case}\n  note: {type: text}\n"}


async def test_an_event_ends_the_wait_it_came_for(database: TestDatabase) -> None:
    """Two events for one wait: the second ends no other. One that comes for the next wait is not lost by the first."""
    steps = """\
  first: {wait: {event: order.create, same: about}}
  second: {wait: {event: order.update, same: about}}
  last: {who: boss}
"""
    made = await small_works(await database.open(), steps, people=PEOPLE, files=ORDER)
    process = await made.a_case("ann")
    (case,) = (await made.plant.current("case")).values()
    await made.give("hal", process, lambda actor, at: words.Suspend(actor, at, "audit"), ["s"])
    for _ in range(2):
        order = await made.plant.commands.create(made.call("ann"), "order", {"about": case["id"]})
    await made.give("hal", process, lambda actor, at: words.Resume(actor, at), ["r"])
    await jobs.drain(made.processes)
    assert await at(made) == ["second"]
    await made.plant.commands.update(made.call("ann"), "order", order.id, None, {"note": "c"})
    await jobs.drain(made.processes)
    assert await at(made) == ["last"]


async def test_each_element_has_its_own_due_time(database: TestDatabase) -> None:
    steps = """\
  all: {for_each: parts, steps: {make: {who: clerk}, check: {who: boss, within: 4 wh}}}
"""
    made = await small_works(await database.open(), steps, people=PEOPLE)
    await a_case_of_two(made)
    one, two = await made.tasks("ann")
    await made.processes.decide(made.call("ann"), one["id"], "done")
    (first,) = await made.tasks("hal")
    await time_passes(made, 2)
    await made.processes.decide(made.call("ann"), two["id"], "done")
    tasks = {each["id"]: each for each in await made.tasks("hal")}
    assert tasks[first["id"]]["due_at"] == first["due_at"]


async def test_nobody_waits_for_what_was_called_off(database: TestDatabase) -> None:
    steps = """\
  both: {parallel: {a: {hear: {wait: {event: case.update}}}, b: {do_it: {who: clerk}}}, wait_for: any}
  then_hear: {wait: {event: case.update}}
"""
    made = await small_works(await database.open(), steps, people=PEOPLE)
    process = await made.a_case("ann")
    (task,) = await made.tasks("ann")
    await made.processes.decide(made.call("ann"), task["id"], "done")
    assert len(await made.plant.rows(process_tables.process_wait)) == 1
    await made.give("hal", process, lambda actor, at: words.Cancel(actor, at, "over"), ["c"])
    assert await made.plant.rows(process_tables.process_wait) == []


async def test_whoever_did_it_for_this_record(database: TestDatabase) -> None:
    steps = """\
  all: {for_each: parts, steps: {make: {who: clerk}, look: {who: boss}, fix: {who: {actor_of: make}}}}
"""
    made = await small_works(await database.open(), steps, people=PEOPLE)
    await a_case_of_two(made)
    one, two = await made.tasks("ann")
    await made.processes.decide(made.call("ann"), one["id"], "done")
    await made.processes.decide(made.call("bob"), two["id"], "done")
    for each in await made.tasks("hal"):
        await made.processes.decide(made.call("hal"), each["id"], "done")
    rows = {each["record_id"]: each["assignee"] for each in await made.tasks() if each["step"] == "all/each/fix"}
    assert rows == {one["record_id"]: made.people["ann"].id, two["record_id"]: made.people["bob"].id}


async def test_a_way_out_that_fails_stops_nobody(database: TestDatabase) -> None:
    """Where a failed automatic step leads to cannot begin either: what was decided stands, and others go on."""
    steps = """\
  fill: {who: clerk}
  make: {do: [{create: part, with: {code: "'x'"}}], retries: 0, on_error: rescue, then: over}
  over: {end: over}
  rescue: {who: boss, state: {started: closed}, sign: approval}
"""
    made = await small_works(await database.open(), steps, people=PEOPLE)
    await made.plant.commands.create(made.call("ann"), "part", {"code": "x"})
    process = await made.a_case("ann")
    await made.decide("ann")
    await made.a_case("bob")
    assert await at(made) == ["fill", "make"], "what was decided stands"
    instance = next(each for each in await made.instances() if each["id"] == process)
    (incident,) = instance["state"]["incidents"]
    assert incident["kind"] == "failed"
    assert "Rescue is possible from" in incident["detail"], "why it failed, and why nothing follows"
    (part,) = await made.plant.rows(made.plant.tables.current("part"))
    await made.plant.commands.update(made.call("ann"), "part", part["id"], None, {"code": "y"})
    await made.give("hal", process, lambda actor, at: words.RetryIncident(incident["id"], actor, at, "mended"), ["i"])
    assert sorted(each["code"] for each in (await made.plant.current("part")).values()) == ["x", "y"]


async def test_what_the_record_says_later_moves_its_clocks(database: TestDatabase) -> None:
    """An awareness that was written down too early has rung all its alerts: put right, they ring once more, once."""
    models = PROJECT["models/a.yaml"].replace("fields:\n", AWARE, 1)
    made = await small_works(await database.open(), LAW, "", PEOPLE, {"models/a.yaml": models})
    async with made.plant.database.read() as connection:
        now = await connection.now()

    async def told() -> list[int]:
        rows = await made.plant.rows(process_tables.notice)
        return sorted(each["share"] for each in rows if each["about"] == "legal")

    async def put_right(**values: object) -> None:
        await made.plant.commands.update(made.call("ann"), "case", case, None, values)
        await jobs.drain(made.processes)

    hour = timedelta(hours=1)
    given = {"aware_at": now - 9 * hour, "due_at": now - hour}
    case = (await made.plant.commands.create(made.call("ann"), "case", given)).id
    await made.processes.start(made.call("ann"), "handling", case)
    await jobs.drain(made.processes)
    before = await told()
    assert 100 in before
    await put_right(aware_at=now - hour, due_at=now + 3 * hour)
    (task,) = await made.tasks("ann")
    assert (await told(), task["due_at"]) == (before, now + 3 * hour), "both are yet to come"
    await put_right(title="again")
    assert len(await made.plant.rows(process_tables.process_timer)) == 2
    await put_right(due_at=now)
    assert await told() == sorted([*before, *before])
    await put_right(title="and again")
    assert await told() == sorted([*before, *before])
    assert await made.plant.rows(process_tables.process_timer) == []

    await made.plant.commands.update(made.call("ann"), "case", case, None, {"due_at": None})
    await made.decide("ann", given={"title": "reported"})
    assert await at(made) == ["rest"], "nobody knows yet until when"
    await put_right(due_at=now + 5 * hour)
    (clock,) = await made.plant.rows(process_tables.process_timer)
    assert clock["due_at"] == now + 5 * hour
    await put_right(due_at=now)
    assert await at(made) == ["last"]


async def test_what_cannot_happen_by_itself_is_told(database: TestDatabase) -> None:
    """The way when time is up cannot begin: it is tried again, and whoever answers for it is told once."""
    steps = """\
  fill: {who: clerk, within: 4 h, when_late: rescue, owner: boss, then: over}
  over: {end: over}
  rescue: {who: boss, state: {started: closed}, sign: approval}
"""
    made = await small_works(await database.open(), steps, people=PEOPLE)
    await made.a_case("ann")
    await time_passes(made, 5)
    for _ in range(7):
        await jobs.drain(made.processes)
        await time_passes(made, 1)
    told = [each for each in await made.plant.rows(process_tables.notice) if each["about"] == "incident"]
    assert [each["person"] for each in told] == [made.people["hal"].id]
    assert ("held_up", "fill", "WRONG_STATE") in await made.log()
    (case,) = (await made.plant.current("case")).values()
    await made.plant.commands.transition(made.call("ann"), "case", case["id"], "check", None)
    await jobs.drain(made.processes)
    assert await at(made) == ["rescue"]
