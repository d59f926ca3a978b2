"""The clock of a server is set back or forward: nothing lasts longer than it should, comes twice, or is forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.integration.guarded_case import make_token
from tests.integration.identity_case import BY_ADMIN, Case, identity
from tests.integration.moved_clock import MovedDatabase
from tests.integration.outcomes import outcome
from tests.integration.process_world import Works, at_work, small_works
from tests.integration.signing_world import office
from tests.unit.process.play import PROJECT

from clew.identity import sessions, sign_ons
from clew.identity.assignments import Asked
from clew.identity.errors import SessionEnded
from clew.jobs import leases
from clew.jobs.upkeep import Chore, Upkeep
from clew.process import behalf, jobs, people
from clew.process.calendar_starts import CalendarStarts
from clew.storage import process_tables, system
from clew.storage.engine import Connection, Database
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

PEOPLE = {"clerk": ("ann", "bob"), "boss": ("hal",)}
BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)


async def moved(made: Works, begin: datetime = BEGIN) -> tuple[Works, MovedDatabase]:
    """The same plant by a clock that the test sets."""
    time = MovedDatabase(made.plant.database, begin)
    there = at_work(replace(made.plant, database=cast(Database, time)), made.processes.blueprint, ())
    there.people, there.staff.roles = made.people, made.staff.roles
    return there, time


# ── who one is ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_session_does_not_outlive_a_clock_that_is_set_back(database: TestDatabase) -> None:
    """Ten minutes without a request end it; where nobody knows how many have passed, it has ended."""
    case = await identity(database)
    await case.account("li.wei")
    secret = await case.signed_in("li.wei")
    bearing = await case.desk.resume(secret)
    begun = case.clock.now()
    case.clock.turn(begun - timedelta(seconds=30))
    assert (await case.desk.resume(secret)).session.id == bearing.session.id, "two servers are never quite together"
    case.clock.turn(begun - timedelta(hours=2))
    assert not bearing.holds(case.clock.now()), "nor does what a server remembers"
    with pytest.raises(SessionEnded):
        await case.desk.resume(secret)
    async with case.desk.database.read() as connection:
        assert await sessions.holding(connection, [bearing.session.id], case.clock.now()) == {}
        assert await sessions.holding(connection, [bearing.session.id], begun) != {}
    case.clock.turn(begun + timedelta(hours=2))
    with pytest.raises(SessionEnded):
        await case.desk.resume(secret)
    # A token does not idle: no clock that is put right locks another system out.
    erp = await case.account("erp", "service")
    token, _ = await make_token(case.desk, erp)
    case.clock.turn(begun)
    assert (await case.desk.resume(token)).session.kind == "token"


async def test_a_fresh_sign_on_does_not_outlive_a_clock_that_is_set_back(database: TestDatabase) -> None:
    case = await identity(database)
    li = await case.account("li.wei")
    at = case.clock.now()

    async def given(connection: Connection) -> None:
        await sign_ons.keep(connection, "s1", li.id, at)

    await case.desk.database.run_write(given)
    async with case.desk.database.read() as connection:
        for step, there in ((timedelta(), True), (timedelta(hours=-2), False), (timedelta(hours=2), False)):
            assert await sign_ons.is_there(connection, "s1", li.id, at + step) is there


async def test_a_signing_session_does_not_go_on_over_a_clock_that_is_set(database: TestDatabase) -> None:
    """A secret alone is enough within ten minutes of the signature before; a clock that jumped shows none."""
    opened = await database.open()
    desk = await office(opened)
    lots = [await desk.lot() for _ in range(4)]
    # Later than all that was written, also when it is set back.
    time = MovedDatabase(opened, datetime.now(UTC) + timedelta(hours=10))
    desk.plant.commands.database = cast(Database, time)

    async def sign(lot: UUID, components: str) -> str:
        return await outcome(desk.release(lot, components=components, at=time.at))

    assert await sign(lots[0], "login password") == "done"
    time.move(0.1)
    assert await sign(lots[1], "password") == "done"
    time.move(-2)
    assert await sign(lots[2], "password") == "SIGNATURE_COMPONENTS"
    time.move(2)
    assert await sign(lots[2], "password") == "done", "the jump is undone: it is the session it was"
    time.move(1)
    assert await sign(lots[3], "password") == "SIGNATURE_COMPONENTS"


async def test_a_delegation_ends_when_it_ends_whatever_the_clock_did(database: TestDatabase) -> None:
    """A clock that was ahead has let it end too early; set right, its end comes again, and nobody has to notice."""
    case = await identity(database)
    li, zhao = await case.account("li.wei"), await case.account("zhao")
    await case.assign(li, "buyer")
    at = case.clock.now()

    async def lend(connection: Connection, now: datetime) -> None:
        asked = Asked(zhao.id, "buyer", now, now + timedelta(hours=8), reason="leave", delegator=li.id)
        await case.desk.assignments.delegate(connection, BY_ADMIN, asked, now)

    await case.desk.within(lend)
    async with case.desk.database.read() as connection:
        for hours, held in ((1, True), (9, False), (-1, False), (7, True), (8, False)):
            stands = await behalf.standing(connection, zhao.id, at + timedelta(hours=hours))
            assert bool(stands.lenders) is held, f"after {hours} h"
    assert await turned(case, at, 1) == 1
    assert await turned(case, at, 1) == 0, "one is open already"
    await done(case)
    assert await turned(case, at, 9) == 0, "it is over"
    assert await turned(case, at, 1) == 1, "the clock was ahead: the end is still to come"


async def turned(case: Case, at: datetime, hours: int) -> int:
    """How many ends and beginnings are asked for by a clock that says so."""
    before = await _open(case)
    time = MovedDatabase(case.desk.database, at + timedelta(hours=hours))
    await people.foresee(cast(Any, _Engine(cast(Database, time))))
    return await _open(case) - before


class _Engine:
    def __init__(self, database: Database) -> None:
        self.database = database


async def _open(case: Case) -> int:
    mine = sa.select(sa.func.count()).where(system.job.c.kind == jobs.PEOPLE, system.job.c.state == "ready")
    async with case.desk.database.read() as connection:
        return int(await connection.fetch_value(mine))


async def done(case: Case) -> None:
    async def finish(connection: Connection) -> None:
        await connection.execute(sa.update(system.job).values(state="done"))

    await case.desk.database.run_write(finish)


# ── what a process waits for ──────────────────────────────────────────────────────────────────────────────────────

LAW = """\
  assess: {who: clerk, output: [title], legal: {from: aware_at, until: due_at, alert: {50%: assignee, late: boss}}}
"""
AWARE = "fields:\n  aware_at: {type: datetime}\n  due_at: {type: datetime}\n"


async def test_a_legal_clock_tells_each_moment_once_whatever_the_clock_did(database: TestDatabase) -> None:
    models = PROJECT["models/a.yaml"].replace("fields:\n", AWARE, 1)
    made, time = await moved(await small_works(await database.open(), LAW, "", PEOPLE, {"models/a.yaml": models}))
    given = {"aware_at": BEGIN, "due_at": BEGIN + timedelta(hours=8)}
    case = await made.plant.commands.create(made.call("ann"), "case", given)
    await made.processes.start(made.call("ann"), "handling", case.id)

    async def told(hours: float) -> list[str]:
        time.at = BEGIN + timedelta(hours=hours)
        await jobs.drain(made.processes)
        lines = [each for each in await made.plant.rows(process_tables.process_log) if each["what"] == "legal"]
        assert all(each["at"] >= BEGIN + timedelta(hours=4 if each["outcome"] == "50%" else 8) for each in lines)
        return sorted(each["outcome"] for each in lines)

    assert await told(5) == ["50%"]
    assert await told(-2) == ["50%"], "set back: told is told"
    version = (await made.plant.current("case"))[case.id]["row_version"]
    later = {"due_at": BEGIN + timedelta(hours=8, minutes=30)}
    await made.plant.commands.update(made.call("ann"), "case", case.id, version, later)
    assert await told(3) == ["50%"], "also when the record changes meanwhile"
    assert await told(8.4) == ["50%", "50%"], "half of the time is another moment now, which is yet to come"
    for hours in (9, 1, 100):
        assert await told(hours) == ["100%", "50%", "50%"]


async def test_time_that_was_used_is_neither_lost_nor_counted_twice(database: TestDatabase) -> None:
    """A limit of eight hours: the clock is set back and forward between its beginning, a pause and its going on."""
    from clew.process import words

    steps = "  fill: {who: clerk, within: 8 h, when_late: rescue, owner: boss}\n  rescue: {who: boss}\n"
    made, time = await moved(await small_works(await database.open(), steps, people=PEOPLE))
    process = await made.a_case("ann")

    async def used() -> float:
        rows = [each for each in await made.plant.rows(process_tables.process_timer) if each["share"] == 100]
        return float(rows[0]["used"]) / 3_600_000_000

    async def give(kind: Any, *more: Any) -> float:
        await made.give("hal", process, lambda actor, at: kind(actor, at, *more), [kind.__name__, str(time.at)])
        return round(await used(), 3)

    time.move(3)
    assert await give(words.Suspend, "audit") == 3
    time.move(-5)
    assert await give(words.Resume) == 3
    time.move(1)
    assert await give(words.Suspend, "audit") == 4, "an hour more, by a clock five hours behind"
    time.move(-1)
    assert await give(words.Resume) == 4
    time.move(-2)
    assert await give(words.Suspend, "audit") == 4, "never less than what was used"
    time.move(50)
    assert await give(words.Resume) == 4, "a pause costs nothing, however the clock jumps"
    time.move(3.9)
    await jobs.drain(made.processes)
    assert [each["step"] for each in await made.tasks()] == ["fill"]
    time.move(0.2)
    await jobs.drain(made.processes)
    assert [each["step"] for each in await made.tasks()] == ["rescue"]


async def test_what_the_calendar_starts_is_started_once_by_a_clock_that_was_ahead(database: TestDatabase) -> None:
    """First looked at by a clock four years ahead, a schedule starts its periods all the same, each once."""
    head = "starts:\n  - {calendar: {every: month, create: {title: \"'monthly'\"}}}\n"
    made = await small_works(await database.open(), "  look: {who: clerk}\n", head, PEOPLE)
    starts = CalendarStarts(made.processes)

    async def look(moment: str) -> int:
        return await starts.look(datetime.fromisoformat(f"{moment}T09:00:00+00:00"))

    assert await look("2030-01-15") == 0
    assert await look("2026-01-15") == 0, "set right"
    assert await look("2026-02-01") == 1
    assert await look("2026-01-10") == 0, "set back"
    assert await look("2026-02-02") == 0
    assert await look("2026-03-01") == 1
    assert len(await made.instances()) == 2


async def test_chores_that_were_put_off_by_a_clock_that_was_ahead_are_done(database: TestDatabase) -> None:
    """Otherwise nothing would be sealed, started or reminded of for as long as the clock was ahead."""
    case = await identity(database)
    time = MovedDatabase(case.desk.database, datetime(2026, 3, 2, 9, tzinfo=UTC) + timedelta(days=400))
    did: list[datetime] = []

    async def act() -> None:
        did.append(time.at)

    upkeep = Upkeep(cast(Database, time), "here", [Chore("chore", timedelta(minutes=10), act)])
    await upkeep._begin()
    await upkeep.once()
    assert len(did) == 1
    time.move(-24 * 400)
    await upkeep.once()
    assert len(did) == 2
    await upkeep.once()
    assert len(did) == 2
    time.move(0.2)
    await upkeep.once()
    assert len(did) == 3


async def test_jobs_that_were_put_off_by_a_clock_that_was_ahead_come_back(database: TestDatabase) -> None:
    """Tried again, asked for at once, hurried, kept by a worker that died: none waits for as long as the clock was
    ahead; what waits for its own moment does."""
    time = MovedDatabase((await identity(database)).desk.database, BEGIN)
    there = cast(Database, time)

    async def ask(kind: str, at: datetime | None = None) -> None:
        await there.run_write(lambda connection: leases.put(connection, kind, key=f"{kind}:1", run_at=at))

    async def due() -> list[str]:
        async with there.read() as connection:
            return sorted(each.kind for each in await leases.upcoming(connection, KINDS, 9))

    await ask("hurried", BEGIN + timedelta(days=9_000))
    await ask("again")
    await ask("timer", BEGIN + timedelta(days=300))
    time.move(24 * 400)
    await ask("at_once")
    async with there.read() as connection:
        [failed] = await leases.upcoming(connection, ("again",), 1)
    await leases.postpone(there, failed, "x")
    await there.run_write(lambda connection: leases.hurry(connection, ("hurried",), "hurried:", time.at))
    await ask("kept")
    assert len(await leases.claim(there, "gone", ("kept",))) == 1
    assert await due() == ["at_once", "hurried", "timer"]

    time.at = BEGIN + timedelta(minutes=1)
    assert await due() == ["hurried"]
    assert await leases.call_back(there) == 3
    assert await due() == ["again", "at_once", "hurried"]
    assert len(await leases.claim(there, "here", ("kept",))) == 1
    assert await leases.call_back(there) == 0
    time.at = BEGIN + timedelta(days=300)
    assert "timer" in await due()


KINDS = ("hurried", "again", "timer", "at_once", "kept")
