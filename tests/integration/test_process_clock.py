"""Clocks of processes where time itself misbehaves: hours that come twice or never, steps of the clock, an outage."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from tests.integration.moved_clock import MovedDatabase
from tests.integration.process_world import Works, at_work, small_works
from tests.unit.process.play import PROJECT

from clew.access.decision import permit_all
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_sources
from clew.process import jobs
from clew.process.engine import Processes
from clew.process.store import Instance
from clew.records.unit import Unit
from clew.storage import process_tables, system
from clew.storage.engine import Database
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier

pytestmark = pytest.mark.anyio

PEOPLE = {"clerk": ("ann", "bob"), "boss": ("hal",)}
LIMITS = ("3 wh", "1 wd", "2 cd", "20 h")
CHANGES = (
    ("Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC)),  # an hour comes twice
    ("Europe/Berlin", datetime(2027, 3, 27, 12, tzinfo=UTC)),  # an hour never comes
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 2, tzinfo=UTC)),  # half an hour
    ("Australia/Lord_Howe", datetime(2027, 4, 3, 2, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 10, 31, 16, tzinfo=UTC)),
    ("America/New_York", datetime(2027, 3, 13, 16, tzinfo=UTC)),
)
SHARES = ("50%", "80%", "100%", "150%")
WORKERS = 4


def in_zone(zone: str) -> Blueprint:
    """Processes of one step, each with another kind of limit; work is in the small hours, in which clocks change."""
    days = "days: [monday, tuesday, wednesday, thursday, friday, saturday, sunday]"
    years = "years: {2026: {}, 2027: {}}"
    calendar = f"calendar: c\nzone: {zone}\ndefault: true\n{days}\nhours: ['00:30-04:30', '22:00-24:00']\n{years}\n"
    flows = [
        f"workflow: w{at}\nfor: case\nowner: boss\nsteps:\n  fill: {{who: clerk, within: {limit}}}\n"
        for at, limit in enumerate(LIMITS)
    ]
    loaded = load_sources({**PROJECT, "calendars/c.yaml": calendar, "workflows/w.yaml": "---\n".join(flows)})
    assert loaded.blueprint is not None, [f"{each.place} {each.message('en')}" for each in loaded.diagnostics]
    return loaded.blueprint


async def test_each_moment_comes_once_whatever_the_clock_does(database: TestDatabase, tier: Tier) -> None:
    """Threat 38: changes of summer time, steps of two hours both ways, three days in which nobody looked, four workers
    at once. Every moment of every process comes once, not before its time, and at the first look after it."""
    made = await small_works(await database.open(), "  fill: {who: clerk}\n", people=PEOPLE)
    chance = random.Random(5)
    for _ in range(tier.count(1, 8)):
        for zone, begin in CHANGES[: tier.count(3, len(CHANGES))]:
            time = MovedDatabase(made.plant.database, begin + timedelta(minutes=chance.randrange(600)))
            await one_change(moved(made, time, in_zone(zone)), time, chance, tier.count(1, 6))


def moved(made: Works, time: MovedDatabase, blueprint: Blueprint) -> Works:
    """The same plant at another time, under another calendar."""
    plant = replace(made.plant, database=cast(Database, time), decision=permit_all(blueprint))
    there = at_work(plant, blueprint, ())
    there.people, there.staff.roles = made.people, made.staff.roles
    return there


async def one_change(made: Works, time: MovedDatabase, chance: random.Random, cases: int) -> None:
    begun: dict[UUID, datetime] = {}
    for at in range(len(LIMITS) * cases):
        begun[await made.a_case("ann", f"w{at % len(LIMITS)}")] = time.at
        time.move(chance.uniform(0, 6))
    due = await moments(made, set(begun))
    steps = [chance.uniform(0, 9) for _ in range(8)] + [-2.0, 2.0, -2.0, 2.0]
    chance.shuffle(steps)
    outage = chance.randrange(len(steps))
    for step in [*steps[:outage], 72.0, *steps[outage:], 24.0 * 9]:
        time.move(step)
        await asyncio.gather(*(jobs.drain(made.processes) for _ in range(WORKERS)))
        fired = await told(made, set(begun))
        for moment, when in due.items():
            assert fired[moment] == [] or fired[moment][0] >= when, f"{moment} came before its time"
            assert len(fired[moment]) == (when <= time.at or bool(fired[moment])), f"{moment} at {time.at}, due {when}"
    assert Counter(share for _, share in fired) == dict.fromkeys(SHARES, len(begun))
    waiting = [each for each in await made.plant.rows(system.job) if each["state"] == "ready"]
    assert [each for each in waiting if each["kind"] == jobs.TIMER and UUID(each["payload"]["process"]) in begun] == []


Moment = tuple[UUID, str]


async def moments(made: Works, processes: set[UUID]) -> dict[Moment, datetime]:
    """When each alert of these instances is due."""
    rows = await made.plant.rows(process_tables.process_timer)
    return {(each["process"], f"{each['share']}%"): each["due_at"] for each in rows if each["process"] in processes}


async def told(made: Works, processes: set[UUID]) -> dict[Moment, list[datetime]]:
    """When each was told, in the time of the database."""
    found: dict[Moment, list[datetime]] = {(each, share): [] for each in processes for share in SHARES}
    for row in await made.plant.rows(process_tables.process_log):
        if row["what"] == "alert" and row["process"] in processes:
            found[row["process"], row["outcome"]].append(row["at"])
    return found


async def test_a_timer_that_cannot_be_fired_stands_in_no_other_ones_way(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timers that are due together are fired in one transaction; one that fails is left for later by itself."""
    made = await small_works(await database.open(), "  fill: {who: clerk}\n", people=PEOPLE)
    time = MovedDatabase(made.plant.database, CHANGES[0][1])
    there = moved(made, time, in_zone(CHANGES[0][0]))
    cases = {await there.a_case("ann", "w0") for _ in range(5)}
    broken, handle = min(cases), Processes.handle

    async def sometimes(engine: Processes, unit: Unit, instance: Instance, *args: Any, **more: Any) -> None:
        if instance.id == broken:
            raise RuntimeError("broken")
        await handle(engine, unit, instance, *args, **more)

    time.move(24.0 * 9)
    monkeypatch.setattr(Processes, "handle", sometimes)
    await jobs.drain(there.processes)
    fired = await told(there, cases)
    assert {process for (process, _), times in fired.items() if times} == cases - {broken}
    monkeypatch.undo()
    time.move(2.0)
    await jobs.drain(there.processes)
    assert all(len(times) == 1 for times in (await told(there, cases)).values())
