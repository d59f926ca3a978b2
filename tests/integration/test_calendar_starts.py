"""What the calendar starts: once for each period and record, by any number of workers, after an outage, across DST."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from tests.integration.process_world import small_works
from tests.unit.process.play import PROJECT

from clew.metadata.load import load_folder
from clew.metadata.processes import Schedule, TimeLimit
from clew.process.calendar import WorkingTime, midnight
from clew.process.calendar_starts import CalendarStarts, begins, days
from clew.storage import process_tables
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).resolve().parents[2]

HEAD = """\
starts:
  - {calendar: {every: week, by: '5', ahead: 1 cd, create: {title: "'weekly'"}}}
  - {calendar: {every: month, each: part, where: "code != 'X'", create: {parts: each}}}
"""
STEPS = "  look: {who: clerk, output: [title]}\n"


async def test_each_period_starts_once_however_many_look_and_however_late(database: TestDatabase) -> None:
    made = await small_works(await database.open(), STEPS, HEAD, {"clerk": ["ann"]})
    for code in ("A", "B", "X"):
        await made.plant.commands.create(made.call("ann"), "part", {"code": code})
    starts, other = CalendarStarts(made.processes), CalendarStarts(made.processes)
    monday = datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert await starts.look(monday) == 0, "what was before it was first seen is not made up for"
    assert await starts.look(monday + timedelta(days=2)) == 0
    found = await asyncio.gather(*(each.look(monday + timedelta(days=3)) for each in (starts, other, starts)))
    assert sum(found) == 1, "on Thursday, a day before Friday"
    assert await starts.look(monday + timedelta(days=4)) == 0
    # Nobody looked for weeks: every Thursday, and the end of the month for two parts.
    assert await other.look(datetime(2026, 4, 1, 9, tzinfo=UTC)) == 3 + 2
    assert await starts.look(datetime(2026, 4, 1, 10, tzinfo=UTC)) == 0
    instances = await made.instances()
    assert len(instances) == 6
    assert len({each["record_id"] for each in instances}) == 6
    rows = await made.plant.rows(process_tables.calendar_start)
    assert sorted(each["day"] for each in rows if each["start"] == 1) == ["", "2026-03-31", "2026-03-31", "looked"]


def test_the_days_of_a_schedule() -> None:
    def all_of(schedule: Schedule) -> list[str]:
        return [each.isoformat() for each in days(schedule, date(2026, 1, 15), date(2026, 12, 31))]

    assert all_of(Schedule("year", 3, 31))[0] == "2026-03-31"
    assert all_of(Schedule("quarter"))[:4] == ["2026-03-31", "2026-06-30", "2026-09-30", "2026-12-31"]
    assert all_of(Schedule("month", 0, 31))[:3] == ["2026-01-31", "2026-02-28", "2026-03-31"]
    assert all_of(Schedule("week", 0, 1))[:2] == ["2026-01-19", "2026-01-26"]
    assert all_of(Schedule("day"))[:3] == ["2026-01-15", "2026-01-16", "2026-01-17"], "which of them is worked is asked"


def test_it_begins_so_many_working_days_ahead_whatever_the_clocks_do() -> None:
    loaded = load_folder(ROOT)
    assert loaded.blueprint is not None
    working = WorkingTime(next(each for each in loaded.blueprint.calendars.values() if each.default))
    ten = Schedule("year", 10, 15, TimeLimit(10, "wd"))
    begun = begins(ten, date(2026, 10, 15), working)
    assert begun == midnight(date(2026, 9, 24), ZoneInfo("Asia/Shanghai")), "the holidays of October do not count"
    berlin = ZoneInfo("Europe/Berlin")
    assert midnight(date(2026, 3, 29), berlin).hour == 23
    assert midnight(date(2026, 3, 30), berlin).hour == 22


async def test_what_is_new_is_not_made_up_for_and_what_fails_stops_no_other(database: TestDatabase) -> None:
    """A part of June is asked about from June on, however long the schedule is looked at; a record that cannot be
    begun for is told and tried again, while the others begin."""
    head = 'starts:\n  - {calendar: {every: month, each: part, create: {parts: each, title: "code"}}}\n'
    models = PROJECT["models/a.yaml"].replace("title: {type: text}", "title: {type: text, max_length: 3}")
    made = await small_works(await database.open(), STEPS, head, {"clerk": ["ann"]}, {"models/a.yaml": models})
    create = made.plant.commands.create
    starts = CalendarStarts(made.processes)
    long = await create(made.call("ann"), "part", {"code": "A-too-long"})
    await create(made.call("ann"), "part", {"code": "B"})

    async def look(month: int) -> int:
        return await starts.look(datetime(2026, month, 2, 9, tzinfo=UTC))

    assert [await look(1), await look(2), await look(3)] == [0, 1, 1]
    await made.plant.commands.update(made.call("ann"), "part", long.id, None, {"code": "A"})
    assert await look(4) == 2 + 2, "what could not begin before begins, in January's and February's stead as well"
    assert await look(5) == 2
    await create(made.call("ann"), "part", {"code": "C"})
    assert await look(6) == 3
    assert await look(6) == 0
    rows = await made.plant.rows(process_tables.calendar_start)
    assert Counter(each["day"] for each in rows)["2026-05-31"] == 3
