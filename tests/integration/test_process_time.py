"""Clocks of processes on both databases: each moment comes once, whoever looks and however late."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa
from tests.integration.process_world import Works, small_works

from clew.process import jobs, words
from clew.process.calendar import WorkingTime
from clew.storage import process_tables, system
from clew.storage.engine import Connection, Database
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier

pytestmark = pytest.mark.anyio

STEPS = """\
  fill: {who: clerk, within: 4 wh, when_late: rescue, owner: boss}
  rescue: {who: boss}
"""
PEOPLE = {"clerk": ("ann", "bob"), "boss": ("hal",)}


async def time_passes(made: Works, hours: float) -> None:
    """As if everything had begun so much earlier."""
    await move_back(made.plant.database, hours)


async def move_back(database: Database, hours: float) -> None:
    """Clocks and jobs are moved back, not the time."""
    by = timedelta(hours=hours)
    timer, job = process_tables.process_timer, system.job

    async def back(connection: Connection) -> None:
        for table, key, columns in (
            (timer, (timer.c.process, timer.c.number), (timer.c.since, timer.c.due_at)),
            (job, (job.c.id,), (job.c.run_at,)),
        ):
            for row in await connection.fetch(sa.select(*key, *columns)):
                moved = {
                    column.key: None if value is None else value - by
                    for column, value in zip(columns, row[len(key) :], strict=True)
                }
                mine = sa.and_(*(column == value for column, value in zip(key, row, strict=False)))
                await connection.execute(sa.update(table).where(mine).values(**moved))

    await database.run_write(back)


async def alerts(made: Works) -> list[int]:
    rows = await made.plant.rows(process_tables.process_log)
    return sorted(int(each["outcome"].rstrip("%")) for each in rows if each["what"] == "alert")


async def test_a_limit_the_record_says(database: TestDatabase) -> None:
    """An hour for what is serious; where the record says nothing, the step's own four."""
    steps = STEPS.replace("within: 4 wh,", 'within: 4 wh, within_minutes: "serious ? 60.0 : 0.0",')
    made = await small_works(await database.open(), steps, people=PEOPLE)
    for serious in (True, False):
        case = await made.plant.commands.create(made.call("ann"), "case", {"serious": serious})
        await made.processes.start(made.call("ann"), "handling", case.id)
    await time_passes(made, 1.5)
    await jobs.drain(made.processes)
    assert sorted(each["step"] for each in await made.tasks()) == ["fill", "rescue"]
    await time_passes(made, 3)
    await jobs.drain(made.processes)
    assert [each["step"] for each in await made.tasks()] == ["rescue", "rescue"]


async def test_timer_once(database: TestDatabase, tier: Tier) -> None:
    """Threat 38: four workers, also after three days in which nobody looked: each moment comes once."""
    made = await small_works(await database.open(), STEPS, people=PEOPLE)
    rounds = tier.count(2, 200)
    for _ in range(rounds):
        await made.a_case("ann")
    await time_passes(made, 2.5)
    await asyncio.gather(*(jobs.drain(made.processes) for _ in range(4)))
    assert await alerts(made) == [50] * rounds
    await time_passes(made, 72)
    await asyncio.gather(*(jobs.drain(made.processes) for _ in range(4)))
    told = Counter(
        (each["process"], each["outcome"])
        for each in await made.plant.rows(process_tables.process_log)
        if each["what"] == "alert"
    )
    assert set(told.values()) == {1}, "no moment of any process came twice"
    assert {each["step"] for each in await made.tasks()} == {"rescue"}, "the way when time is up"
    assert len(await made.tasks()) == rounds
    open_jobs = [each for each in await made.plant.rows(system.job) if each["state"] in ("ready", "leased")]
    assert [each["kind"] for each in open_jobs if each["kind"].startswith("process.")] == [], "nothing is left to fire"
    assert await made.plant.rows(process_tables.process_timer) == []


async def test_a_clock_set_back_fires_nothing_twice(database: TestDatabase) -> None:
    made = await small_works(await database.open(), STEPS, people=PEOPLE)
    await made.a_case("ann")
    await time_passes(made, 2.5)
    await jobs.drain(made.processes)
    await time_passes(made, -2)
    await jobs.drain(made.processes)
    await time_passes(made, 2)
    await jobs.drain(made.processes)
    assert await alerts(made) == [50]


async def test_a_suspended_process_stands_still(database: TestDatabase) -> None:
    made = await small_works(await database.open(), STEPS, people=PEOPLE)
    process = await made.a_case("ann")
    await time_passes(made, 1)
    await made.give("hal", process, lambda actor, at: words.Suspend(actor, at, "audit"), ["s"])
    await time_passes(made, 100)
    await jobs.drain(made.processes)
    assert await alerts(made) == []
    await made.give("hal", process, lambda actor, at: words.Resume(actor, at), ["r"])
    clocks = await made.plant.rows(process_tables.process_timer)
    used = {each["used"] for each in clocks}
    assert all(abs(each / 3_600_000_000 - 1) < 0.05 for each in used), "an hour was used before, and stays used"
    await time_passes(made, 0.9)
    await jobs.drain(made.processes)
    assert await alerts(made) == []
    await time_passes(made, 0.2)
    await jobs.drain(made.processes)
    assert await alerts(made) == [50]


async def test_a_finished_step_leaves_no_clock(database: TestDatabase) -> None:
    made = await small_works(await database.open(), STEPS, people=PEOPLE)
    await made.a_case("ann")
    assert len(await made.plant.rows(process_tables.process_timer)) == 5
    assert all(each["due_at"] is not None for each in await made.tasks())
    await made.decide("ann")
    assert await made.plant.rows(process_tables.process_timer) == []
    await time_passes(made, 1000)
    await jobs.drain(made.processes)
    assert await alerts(made) == []


async def test_a_calendar_that_does_not_reach_so_far_stops_nobody(database: TestDatabase) -> None:
    """A missing calendar never delays what has to be done; it is trouble somebody sees to."""
    steps = "  fill: {who: clerk, within: 90000 wh}\n"
    made = await small_works(await database.open(), steps, people=PEOPLE)
    await made.a_case("ann")
    clocks = await made.plant.rows(process_tables.process_timer)
    assert {each["trouble"] for each in clocks} == {"CALENDAR_MISSING"}
    await made.decide("ann")
    assert (await made.instances())[0]["status"] == "ended"


async def test_waits_automatic_steps_and_sub_processes(database: TestDatabase) -> None:
    """Everything a process leaves to itself is done right after the command, or when its time has come."""
    steps = """\
  note: {do: [{set: {title: "'begun'"}}]}
  nap: {wait: {for: 2 h}}
  heard: {wait: {event: case.check}}
  fill: {who: clerk}
"""
    made = await small_works(await database.open(), steps, people=PEOPLE)
    await made.a_case("ann")
    (case,) = (await made.plant.current("case")).values()
    assert case["title"] == "begun", "an automatic step runs right after"
    await jobs.drain(made.processes)
    assert (await made.instances())[0]["state"]["tokens"][0]["step"] == "nap"
    await time_passes(made, 3)
    await jobs.drain(made.processes)
    assert (await made.instances())[0]["state"]["tokens"][0]["step"] == "heard"
    version = case["row_version"]
    await made.plant.commands.transition(made.call("ann"), "case", case["id"], "check", version)
    await jobs.drain(made.processes)
    await made.decide("bob")
    assert (await made.instances())[0]["status"] == "ended"


async def test_an_automatic_step_that_keeps_failing_becomes_an_incident(database: TestDatabase) -> None:
    """It is tried again, later and later; then an operator sees to it, and the rest of the platform goes on."""
    steps = "  make: {do: [{create: part, with: {code: \"'x'\"}}], retries: 1}\n  fill: {who: clerk}\n"
    made = await small_works(await database.open(), steps, people=PEOPLE)
    call = made.call("ann")
    taken = await made.plant.commands.create(call, "part", {"code": "x"})
    process = await made.a_case("ann")
    await time_passes(made, 1)
    await jobs.drain(made.processes)
    (instance,) = await made.instances()
    (incident,) = instance["state"]["incidents"]
    assert incident["kind"] == "failed"
    await made.plant.commands.update(call, "part", taken.id, taken.row_version, {"code": "y"})
    await made.give("hal", process, lambda actor, at: words.RetryIncident(incident["id"], actor, at), ["i"])
    assert sorted(each["code"] for each in (await made.plant.current("part")).values()) == ["x", "y"]
    assert len(await made.tasks("ann")) == 1


def test_the_calendar_of_a_site() -> None:
    from clew.metadata.load import load_sources
    from clew.process.time import calendar_of

    hours = "zone: UTC\nhours: 08:00-16:00\nyears: {2026: {}}\n"
    loaded = load_sources(
        {
            "clew.yaml": "project: small\n",
            "calendars/a.yaml": f"calendar: a\ndefault: true\n{hours}---\ncalendar: b\nsites: [SUZ]\n{hours}",
        }
    )
    assert loaded.blueprint is not None
    assert calendar_of(loaded.blueprint, "SUZ").name == "b"
    assert calendar_of(loaded.blueprint, "SHA").name == "a"
    none = load_sources({"clew.yaml": "project: small\ntime_zone: Asia/Shanghai\n"}).blueprint
    assert none is not None
    assert WorkingTime(calendar_of(none, None)).zone.key == "Asia/Shanghai"
