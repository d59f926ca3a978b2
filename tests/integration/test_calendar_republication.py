"""A calendar published anew: open clocks go on by it, once for each release; what was used up stays used up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from tests.integration.process_world import Works, at_work, small_works
from tests.integration.test_process_time import time_passes
from tests.unit.process.play import PROJECT

from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_sources
from clew.process import jobs, words
from clew.process.calendar import midnight
from clew.storage import process_tables, releases, system
from clew.storage.change import apply, plan
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

PEOPLE = {"clerk": ("ann",), "boss": ("hal",)}
YEARS = dict.fromkeys(range(2025, 2031), "{}")
CALENDAR = """\
calendar: all_hours
zone: UTC
default: true
days: [monday, tuesday, wednesday, thursday, friday, saturday, sunday]
hours: 00:00-24:00
years: {{{years}}}
"""


def load(texts: Mapping[str, str]) -> Blueprint:
    found = load_sources(texts)
    assert found.blueprint is not None, [f"{each.place} {each.message('en')}" for each in found.diagnostics]
    return found.blueprint


async def published(made: Works, steps: str, years: Mapping[int, str]) -> tuple[Works, datetime]:
    """A release with this calendar, and the plant as a server of it; when it went live."""
    text = CALENDAR.format(years=", ".join(f"{year}: {said}" for year, said in years.items()))
    flow = f"workflow: handling\nfor: case\nowner: boss\nsteps:\n{steps}"
    sources = {**PROJECT, "calendars/c.yaml": text, "workflows/w.yaml": flow}
    opened = made.plant.database
    release = await apply(opened, await plan(opened, load(sources), load=load), load=load)
    async with opened.read() as connection:
        now = await releases.current_in(connection)
    assert now is not None
    assert now.number == release.number
    assert now.live_at is not None
    return serving(made, load(sources), release.number), now.live_at


def serving(made: Works, blueprint: Blueprint, number: int) -> Works:
    """Another server of a release."""
    node = at_work(made.plant, blueprint, ())
    node.processes.release = str(number)
    node.people, node.staff.roles = made.people, made.staff.roles
    return node


async def clocks(made: Works) -> dict[tuple[UUID, int], dict[str, Any]]:
    return {(each["process"], each["number"]): each for each in await made.plant.rows(process_tables.process_timer)}


async def test_what_was_used_up_stays_and_the_rest_goes_by_the_new_calendar(database: TestDatabase) -> None:
    steps = """\
  both:
    parallel:
      work: {fill: {who: clerk, within: 48 wh, when_late: rescue}, rescue: {who: boss}}
      law: {report: {who: boss, within: 3 cd, when_late: told}, told: {who: boss}}
"""
    made = await small_works(await database.open(), steps, people=PEOPLE)
    process = await made.a_case("ann")
    ended = await made.a_case("ann")
    await made.give("hal", ended, lambda actor, at: words.Cancel(actor, at, "not needed"), ["c"])
    stopped = await made.a_case("ann")
    await time_passes(made, 10)
    await made.give("hal", stopped, lambda actor, at: words.Suspend(actor, at, "audit"), ["s"])
    before = await clocks(made)
    assert {key[0] for key in before} == {process, stopped}, "what has ended has no clocks"

    today = datetime.now(UTC).date()
    off = [today, today + timedelta(days=1)]
    years = dict(YEARS)
    for year in {each.year for each in off}:
        free = ", ".join(f"'{each}': a holiday" for each in off if each.year == year)
        years[year] = f"{{free: {{{free}}}}}"
    second, live_at = await published(made, steps, years)
    nodes = [second, *(serving(made, second.processes.blueprint, 2) for _ in range(2))]
    await asyncio.gather(*(jobs.drain(each.processes) for each in nodes))

    after = await clocks(made)
    assert {key: row for key, row in after.items() if key[0] == stopped} == {
        key: row for key, row in before.items() if key[0] == stopped
    }, "what stands still goes on by the new calendar when it goes on"
    hour = timedelta(hours=1) // timedelta(microseconds=1)
    for key, row in after.items():
        if key[0] != process:
            continue
        if not row["working"]:
            assert row == before[key], "calendar time knows no holiday"
            continue
        used = timedelta(microseconds=row["used"])
        assert used == live_at - before[key]["since"], "counted by the calendar of then, though today is off now"
        assert row["used"] >= 10 * hour
        rest = timedelta(hours=48) * row["share"] / 100 - used
        assert row["due_at"] == midnight(today + timedelta(days=2), ZoneInfo("UTC")) + rest
    (mine,) = [each for each in await second.tasks("ann") if each["process"] == process]
    whole = {
        row["due_at"] for key, row in after.items() if key[0] == process and row["working"] and row["share"] == 100
    }
    assert {mine["due_at"]} == whole
    told = [each for each in await made.plant.rows(process_tables.process_log) if each["what"] == "recounted"]
    assert [(each["process"], each["step"]) for each in told] == [(process, "both/work/fill")]

    # Once for the release; and were it done again, nothing would change.
    recounts = [each for each in await made.plant.rows(system.job) if each["kind"] == jobs.RECOUNT]
    assert [each["state"] for each in recounts] == ["done"]

    async def forget(connection: Connection) -> None:
        await connection.execute(sa.delete(process_tables.calendar_publication))

    await made.plant.database.run_write(forget)
    await jobs.drain(serving(made, second.processes.blueprint, 2).processes)
    assert await clocks(made) == after
    assert len([each for each in await made.plant.rows(system.job) if each["kind"] == jobs.RECOUNT]) == 2


@pytest.mark.parametrize("limit", ["80000 wh", "2000 wd"])
async def test_a_year_that_is_published_arms_what_waited_for_it(database: TestDatabase, limit: str) -> None:
    """In working hours the amount was known; in working days not even that."""
    steps = f"  fill: {{who: clerk, within: {limit}, when_late: rescue}}\n  rescue: {{who: boss}}\n"
    made = await small_works(await database.open(), steps, people=PEOPLE)
    process = await made.a_case("ann")
    assert {each["trouble"] for each in (await clocks(made)).values()} == {"CALENDAR_MISSING"}
    assert [each["due_at"] for each in await made.tasks()] == [None]
    await made.give("hal", process, lambda actor, at: words.Suspend(actor, at, "audit"), ["s"])
    await made.give("hal", process, lambda actor, at: words.Resume(actor, at), ["r"])
    assert {each["trouble"] for each in (await clocks(made)).values()} == {"CALENDAR_MISSING"}, "not due at once"
    second, _ = await published(made, steps, {**YEARS, **dict.fromkeys(range(2031, 2046), "{}")})
    await jobs.drain(second.processes)
    armed = await clocks(made)
    assert {each["trouble"] for each in armed.values()} == {""}
    assert all(each["due_at"] > datetime(2029, 1, 1, tzinfo=UTC) for each in armed.values())
    assert {each["step"] for each in await second.tasks()} == {"fill"}, "nothing has fired"
