"""Clocks of processes on both databases: each moment comes once, whoever looks and however late."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.integration.process_world import Works, small_works
from tests.integration.test_process_in_use import FILES
from tests.unit.process.play import PROJECT

from clew.process import jobs, words
from clew.process.calendar import WorkingTime
from clew.process.writes import _CALL_OFF
from clew.storage import process_tables, system
from clew.storage.dialects import compile_statement
from clew.storage.engine import Connection, Database
from clew.storage.provision import ensure_system
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier

pytestmark = pytest.mark.anyio

STEPS = """\
  fill: {who: clerk, within: 4 wh, when_late: rescue, owner: boss}
  rescue: {who: boss}
"""
PEOPLE = {"clerk": ("ann", "bob"), "boss": ("hal",)}
AWAY = """\
calendar: away
zone: UTC
sites: [SUZ]
days: [monday, tuesday, wednesday, thursday, friday, saturday, sunday]
hours: {hours}
years: {{2025: {{}}, 2026: {{}}, 2027: {{}}, 2028: {{}}, 2029: {{}}, 2030: {{}}}}
"""


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


FAR = """\
  fill: {who: clerk, within: 4 wh, within_minutes: minutes, then: late}
  late: {wait: {until: until}, legal: {from: since, until: until, alert: {late: owner}}, owner: boss, then: done}
  done: {end: done}
"""


async def test_a_limit_no_clock_can_hold_is_told_and_stops_nobody(database: TestDatabase) -> None:
    """A year that is a slip of the pen, minutes by the billion: no worker falls over them, and no clock is silently not
    there: whoever answers for the process is told."""
    more = "  minutes: {type: decimal, scale: 0}\n  since: {type: date}\n  until: {type: date}\n"
    model = PROJECT["models/a.yaml"].replace("  title: {type: text}\n", "  title: {type: text}\n" + more)
    made = await small_works(await database.open(), FAR, people=PEOPLE, files={"models/a.yaml": model})

    async def begun(**values: Any) -> UUID:
        case = await made.plant.commands.create(made.call("ann"), "case", values)
        return (await made.processes.start(made.call("ann"), "handling", case.id)).process

    long = await begun(minutes="100000000000000000", since="2026-01-01", until="2026-01-02")
    told = [each for each in await made.plant.rows(process_tables.notice) if each["about"] == "incident"]
    assert [each["person"] for each in told] == [made.people["hal"].id], "once, whatever number of clocks"
    clocks = await made.plant.rows(process_tables.process_timer)
    assert {(each["process"], each["trouble"]) for each in clocks} == {(long, "BEYOND_TIME")}
    for since, until in (("2026-01-01", "9999-12-31"), ("0001-01-01", "2027-06-01"), ("9999-12-31", "9999-12-31")):
        process = await begun(since=since, until=until)
        (task,) = [each for each in await made.tasks() if each["process"] == process]
        await made.processes.decide(made.call("ann"), task["id"], "done")
        await jobs.drain(made.processes)
        clocks = [each for each in await made.plant.rows(process_tables.process_timer) if each["process"] == process]
        assert "BEYOND_TIME" in {each["trouble"] for each in clocks}, (since, until)
    # Put right, the clock of the law runs by what the record says then.
    row = next(each for each in await made.instances() if each["id"] == process)
    version = (await made.plant.current("case"))[row["record_id"]]["row_version"]
    right = {"since": "2026-01-01", "until": "2026-01-02"}
    await made.plant.commands.update(made.call("ann"), "case", row["record_id"], version, right)
    await jobs.drain(made.processes)
    said = [each["what"] for each in await made.plant.rows(process_tables.process_log) if each["process"] == process]
    assert "legal" in said


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
    await made.give("hal", process, lambda actor, at: words.RetryIncident(incident["id"], actor, at, "mended"), ["i"])
    assert sorted(each["code"] for each in (await made.plant.current("part")).values()) == ["x", "y"]
    assert len(await made.tasks("ann")) == 1


async def test_an_automatic_step_of_a_suspended_process_waits(database: TestDatabase) -> None:
    """Whoever suspends a process because of what it is about to do by itself is not overtaken by its next attempt."""
    steps = "  make: {do: [{create: part, with: {code: \"'x'\"}}], retries: 5}\n  fill: {who: clerk}\n"
    made = await small_works(await database.open(), steps, people=PEOPLE)
    call = made.call("ann")
    taken = await made.plant.commands.create(call, "part", {"code": "x"})
    process = await made.a_case("ann")
    await made.give("hal", process, lambda actor, at: words.Suspend(actor, at, "audit"), ["s"])
    await made.plant.commands.update(call, "part", taken.id, taken.row_version, {"code": "y"})
    for _ in range(2):
        await time_passes(made, 24)
        await jobs.drain(made.processes)
        assert [each["code"] for each in (await made.plant.current("part")).values()] == ["y"]
    await made.give("hal", process, lambda actor, at: words.Resume(actor, at), ["r"])
    assert sorted(each["code"] for each in (await made.plant.current("part")).values()) == ["x", "y"], "right after"
    assert len(await made.tasks("ann")) == 1
    await time_passes(made, 24)
    assert await jobs.drain(made.processes) == 0, "asked once"


async def test_what_a_suspended_process_waits_for_is_kept_for_it(database: TestDatabase) -> None:
    """An event that comes meanwhile changes nothing before somebody has let it go on; then at once, and once."""
    steps = """\
  heard: {wait: {event: case.check}, effects: {done: [{create: part, with: {code: "'x'"}}]}}
  fill: {who: clerk}
"""
    made = await small_works(await database.open(), steps, people=PEOPLE)
    process = await made.a_case("ann")
    await made.give("hal", process, lambda actor, at: words.Suspend(actor, at, "audit"), ["s"])
    (case,) = (await made.plant.current("case")).values()
    await made.plant.commands.transition(made.call("ann"), "case", case["id"], "check", case["row_version"])
    for _ in range(2):
        await jobs.drain(made.processes)
        assert await made.plant.current("part") == {}
        await time_passes(made, 3)
    await made.give("hal", process, lambda actor, at: words.Resume(actor, at), ["r"])
    await jobs.drain(made.processes)
    assert len(await made.plant.current("part")) == 1
    assert len(await made.tasks("ann")) == 1
    await time_passes(made, 24)
    assert await jobs.drain(made.processes) == 0


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


async def test_a_clock_follows_the_site_of_whoever_has_the_task(database: TestDatabase) -> None:
    """domain F11: working time is that of the assignee's site; what was used up before stays used up."""
    opened = await database.open()
    async with opened.read() as connection:
        hour = (await connection.now()).hour
    # Suzhou works two hours a day, and not for hours to come.
    window = "00:00-02:00" if 5 <= hour < 18 else "12:00-14:00"
    files = {**FILES, "calendars/b.yaml": AWAY.format(hours=window)}
    made = await small_works(opened, STEPS, "", {"clerk": ("ann", "sue"), "boss": ("hal",)}, files)
    for code in ("SHA", "SUZ"):
        made.plant.ids[code] = (await made.plant.commands.create(made.call("ann"), "site", {"code": code})).id
    made.staff.sites = {made.people["ann"].id: made.plant.ids["SHA"], made.people["sue"].id: made.plant.ids["SUZ"]}
    here, there = [WorkingTime(each) for each in made.processes.blueprint.calendars.values()]
    assert (here.calendar.name, there.calendar.name) == ("all_hours", "away")
    case = (await made.plant.commands.create(made.call("ann"), "case", {"site": made.plant.ids["SHA"]})).id
    process = (await made.processes.start(made.call("ann"), "handling", case)).process
    (task,) = await made.tasks("sue")

    async def clock() -> tuple[str, timedelta]:
        """The calendar it runs by, and what is used up; the task is due when that calendar says so."""
        rows = [each for each in await made.plant.rows(process_tables.process_timer) if each["share"] == 100]
        working = {"all_hours": here, "away": there}[rows[0]["calendar"]]
        used = timedelta(microseconds=rows[0]["used"])
        (open_,) = await made.tasks("sue") or await made.tasks("ann")
        assert open_["due_at"] == rows[0]["due_at"] == working.due(rows[0]["since"], timedelta(hours=4) - used)
        return rows[0]["calendar"], used

    async def give(login: str, kind: type, *more: object) -> tuple[str, timedelta]:
        await made.give(login, process, lambda actor, at: kind(task["number"], *more, actor, at), [kind.__name__])
        return await clock()

    assert await clock() == ("all_hours", timedelta()), "nobody has it yet: the case's site"
    await time_passes(made, 1)
    calendar, used = await give("sue", words.Claim)
    assert calendar == "away"
    assert timedelta(hours=1) <= used < timedelta(hours=1, minutes=5)
    calendar, again = await give("sue", words.Transfer, str(made.people["ann"].id))
    assert (calendar, again) == ("all_hours", used), "no time has passed where nobody works"
    assert ("recounted", "fill", "") in await made.log()


LAW = """\
  assess:
    who: clerk
    output: [title]
    legal: {from: aware_at, until: due_at, alert: {50%: assignee, late: boss}}
    then: rest
  rest: {wait: {until: due_at}}
  last: {who: boss}
"""
AWARE = "fields:\n  aware_at: {type: datetime}\n  due_at: {type: datetime}\n"


async def test_the_law_does_not_wait_for_a_suspended_process(database: TestDatabase) -> None:
    """Domain F11: pauses never apply to legal clocks; they count from awareness, by what the record says now."""
    models = PROJECT["models/a.yaml"].replace("fields:\n", AWARE, 1)
    made = await small_works(await database.open(), LAW, "", PEOPLE, {"models/a.yaml": models})
    async with made.plant.database.read() as connection:
        now = await connection.now()

    async def told() -> list[tuple[str, int]]:
        rows = await made.plant.rows(process_tables.notice)
        names = {each.id: login for login, each in made.people.items()}
        return sorted((names[each["person"]], each["share"]) for each in rows if each["about"] == "legal")

    given = {"aware_at": now - timedelta(hours=5), "due_at": now + timedelta(hours=4)}
    case = (await made.plant.commands.create(made.call("ann"), "case", given)).id
    process = (await made.processes.start(made.call("ann"), "handling", case)).process
    (task,) = await made.tasks("ann")
    assert task["due_at"] == given["due_at"], "without a limit of its own a task is due by the law"
    await made.give("ann", process, lambda actor, at: words.Claim(task["number"], actor, at), ["claim"])
    await made.give("hal", process, lambda actor, at: words.Suspend(actor, at, "audit"), ["s"])
    await jobs.drain(made.processes)
    assert await told() == [("ann", 50)], "more than half of the nine hours had passed as the step began"
    # The event turns out to be graver: less time. A process that stands still is told of it all the same.
    (record,) = await made.plant.rows(made.plant.tables.current("case"))
    shorter = {"due_at": now - timedelta(hours=1)}
    await made.plant.commands.update(made.call("ann"), "case", case, record["row_version"], shorter)
    await jobs.drain(made.processes)
    assert await told() == [("ann", 50), ("ann", 100), ("hal", 100)]
    assert await made.plant.rows(process_tables.process_timer) == []

    await made.give("hal", process, lambda actor, at: words.Resume(actor, at), ["r"])
    await made.decide("ann", given={"title": "reported"})
    await jobs.drain(made.processes)
    assert [each["step"] for each in await made.tasks("hal")] == ["last"], "the moment it waited for has passed"


async def test_what_waits_for_a_moment_waits_for_that_moment_also_after_a_pause(database: TestDatabase) -> None:
    models = PROJECT["models/a.yaml"].replace("fields:\n", AWARE, 1)
    steps = "  rest: {wait: {until: due_at}}\n  last: {who: boss}\n"
    made = await small_works(await database.open(), steps, "", PEOPLE, {"models/a.yaml": models})
    async with made.plant.database.read() as connection:
        due = await connection.now() + timedelta(hours=4)
    case = (await made.plant.commands.create(made.call("ann"), "case", {"due_at": due})).id
    process = (await made.processes.start(made.call("ann"), "handling", case)).process
    await made.give("hal", process, lambda actor, at: words.Suspend(actor, at, "audit"), ["s"])
    await time_passes(made, 3)
    await made.give("hal", process, lambda actor, at: words.Resume(actor, at), ["r"])
    (clock,) = await made.plant.rows(process_tables.process_timer)
    assert clock["due_at"] == due


async def test_a_kept_plan_finds_the_open_job(database: TestDatabase) -> None:
    """What is called off is found by the index of open jobs, also by a plan that knows no values: else PostgreSQL
    plans the whole statement of every completion anew."""
    db = await database.open()
    (said,) = _CALL_OFF.one()
    compiled = compile_statement(said, db.dialect)
    async with db.migrate() as connection:
        await ensure_system(connection)
        if db.dialect == "postgresql":
            await connection.run_sql("SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan")
            await connection.run_sql(f"PREPARE call_off AS {compiled.sql}")
            asked = f"EXPLAIN EXECUTE call_off ({', '.join('NULL' for _ in compiled.slots)})"
        else:
            asked = f"EXPLAIN QUERY PLAN {compiled.sql.replace('?', 'NULL')}"
        plan = [str(row[-1]) for row in await connection.fetch(sa.text(asked))]
    await db.close()
    assert any("ux_clew_job__open_key" in line for line in plan), "\n".join(plan)
