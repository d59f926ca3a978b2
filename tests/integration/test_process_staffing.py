"""Open tasks follow what records say of people: training, positions, managers, whom the record names; and time."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.integration.guarded_case import INSTALLER, make_account
from tests.integration.process_world import small_works
from tests.integration.test_process_people import NOBODY, TODAY, Visits, change, visits
from tests.integration.test_process_time import move_back

from clew.identity import accounts
from clew.identity.accounts import Account
from clew.identity.assignments import Asked
from clew.kernel.scalars import instant_text
from clew.process import jobs, staffing, store, words
from clew.process.effects import Effects
from clew.process.errors import NotYourTask
from clew.process.words import Actor
from clew.storage import process_tables, system
from clew.storage.engine import Connection
from clew.testing import TestDatabase

pytestmark = pytest.mark.anyio
DAY = timedelta(days=1)
TRAINED, PLACED, MANAGED = "{role: buyer, qualified_for: course}", "{position: PUR-01}", "{manager_of: guest}"


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are done when a test says so, not by the server beside it."""

    async def nothing(*_: Any) -> int:
        return 0

    monkeypatch.setattr("clew.runtime.host.drain", nothing)
    monkeypatch.setattr("clew.runtime.host.staffing.walk", nothing)


class Cases:
    """Visits whose tasks are looked at as they stand."""

    def __init__(self, made: Visits) -> None:
        self.house, self.person = made.house, made.person
        self.processes = made.house.runtime.processes

    async def open(self, **visit: Any) -> UUID:
        """The process of a new visit."""
        return await self.of(await self.house.create("visit", **visit), "alone")

    async def of(self, visit: UUID, workflow: str) -> UUID:
        async with self.house.runtime.database.read() as connection:
            found = await store.live_on(connection, visit, workflow)
        assert found is not None
        return found

    async def asked(self, process: UUID) -> tuple[set[str], list[str]]:
        """Who is asked, and the incidents, once everything is done that is due."""
        await jobs.drain(self.processes)
        return await self.now_asked(process)

    async def now_asked(self, process: UUID) -> tuple[set[str], list[str]]:
        async with self.house.runtime.database.read() as connection:
            instance = await store.load(connection, process)
            logins = {str(each.id): each.login for each in await accounts.every(connection)}
        assert instance is not None
        people = {logins[person] for task in instance.state.tasks.values() for person in task.candidates}
        return people, [each.kind for each in instance.state.incidents.values()]

    async def decide(self, process: UUID, login: str) -> str:
        async with self.house.runtime.database.read() as connection:
            mine = process_tables.task.c.process == process
            task = await connection.fetch_value(sa.select(process_tables.task.c.id).where(mine))
            person = await accounts.by_login(connection, login)
        return str((await self.processes.decide(self.house.call(person), task, "done")).status)

    async def waiting(self, kind: str) -> int:
        """How many jobs of a kind are yet to be done."""
        mine = system.job.c.kind == kind, system.job.c.state == "ready"
        async with self.house.runtime.database.read() as connection:
            query = sa.select(sa.func.count()).select_from(system.job).where(*mine)
            return int(await connection.fetch_value(query))

    async def train(self, employee: UUID, course: UUID, to: Any = None) -> UUID:
        record = await self.house.create("training", employee=employee, course=course, expires_on=to)
        await self.house.move("training", record, "pass")
        return record

    async def turn(self, since: datetime | None) -> int:
        """Walk time from a moment on; how many instances it asks to look again."""
        before, said = await self.waiting(jobs.OFFER), {"since": since and instant_text(since)}
        work = partial(staffing.turn, self.processes, said)
        await self.processes.commands.run(jobs.system_call(self.processes), work, elevated=True)
        return await self.waiting(jobs.OFFER) - before

    async def assign(self, account: Account, role: str, site: UUID | None = None) -> None:
        sites, desk = (site,) if site is not None else None, self.house.runtime.desk

        async def work(connection: Connection, at: datetime) -> None:
            await desk.assignments.assign(connection, INSTALLER, Asked(account.id, role, at, sites=sites), at)

        await desk.within(work)

    async def lines(self, table: sa.Table) -> list[dict[str, Any]]:
        """The rows of a table, in the order in which they were made."""
        async with self.house.runtime.database.read() as connection:
            rows = await connection.fetch(sa.select(table).order_by(*table.primary_key))
        return [dict(zip(table.c.keys(), row, strict=True)) for row in rows]

    async def write(self, statement: Any) -> None:
        async def work(connection: Connection) -> None:
            await connection.execute(statement)

        await self.house.runtime.database.run_write(work)


async def test_open_tasks_follow_training(database: TestDatabase, tmp_path: Path) -> None:
    async with visits(database.url, tmp_path, TRAINED) as made:
        cases = Cases(made)
        course, other = [await cases.house.create("course", code=each) for each in ("A", "B")]
        li, zhao = [await cases.person(each, "buyer") for each in ("li", "zhao")]
        qian, sun = await cases.person("qian", "buyer"), await cases.person("sun", "reader")
        first, _, second = [await cases.train(*each) for each in ((li, course), (li, other), (qian, course))]
        process, elsewhere = await cases.open(course=course), await cases.open(course=other)
        assert await cases.asked(process) == ({"li", "qian"}, [])
        assigned = await cases.house.create("training", employee=zhao, course=course)
        assert await cases.waiting(jobs.RECORDS) == 0, "who only is to be trained is no qualified person yet"
        await cases.house.move("training", assigned, "pass")
        await cases.train(sun, course)
        assert await cases.asked(process) == ({"li", "qian", "zhao"}, []), "newly trained; only who has the role"
        assert await cases.now_asked(elsewhere) == ({"li"}, [])
        with pytest.raises(NotYourTask):
            await cases.decide(elsewhere, "zhao")
        await cases.house.move("training", first, "expire")
        assert await cases.now_asked(process) == ({"li", "qian", "zhao"}, []), "nobody has looked yet"
        with pytest.raises(NotYourTask):
            await cases.decide(process, "li")
        assert await cases.asked(process) == ({"qian", "zhao"}, [])
        for each in (assigned, second):
            await cases.house.move("training", each, "expire")
        assert await cases.asked(process) == (set(), ["left"]), "nobody is left, and somebody is told"
        await cases.train(li, course, TODAY + 2 * DAY)
        assert await cases.asked(process) == ({"li"}, []), "until somebody is trained"
        assert await cases.now_asked(elsewhere) == ({"li"}, [])
        assert await cases.decide(process, "li") == "ended"


async def test_training_that_was_corrected_counts_no_more(database: TestDatabase, tmp_path: Path) -> None:
    async with visits(database.url, tmp_path, TRAINED) as made:
        cases = Cases(made)
        course, other = [await cases.house.create("course", code=each) for each in ("A", "B")]
        li, zhao = [await cases.person(each, "buyer") for each in ("li", "zhao")]
        wrong, _ = await cases.train(li, course), await cases.train(zhao, course)
        process = await cases.open(course=course)
        assert await cases.asked(process) == ({"li", "zhao"}, [])
        correct = cases.house.runtime.commands.correct
        await correct(cases.house.call(), "training", wrong, None, {"course": other})
        assert await cases.asked(process) == ({"zhao"}, []), "it was another course"


async def test_whoever_is_not_touched_is_not_looked_at(database: TestDatabase, tmp_path: Path) -> None:
    """A change asks those instances alone that it may concern, and each once."""
    async with visits(database.url, tmp_path, TRAINED) as made:
        cases = Cases(made)
        course, other = [await cases.house.create("course", code=each) for each in ("A", "B")]
        li, zhao = [await cases.person(each, "buyer") for each in ("li", "zhao")]
        await cases.train(li, course)
        await cases.train(li, other)
        sun, processes = await cases.person("sun", "reader"), [await cases.open(course=course) for _ in range(3)]
        await cases.open(course=other)
        await jobs.drain(cases.processes)

        async def offers() -> int:
            """How many instances are asked to look again by what was changed."""
            async with cases.house.runtime.database.read() as connection:
                found = await jobs.leases.upcoming(connection, (jobs.RECORDS,), 10)
            for each in found:
                await jobs.run(cases.processes, each)
            return await cases.waiting(jobs.OFFER)

        await cases.train(sun, course)
        await cases.train(await cases.house.employee("wu"), course)
        assert await offers() == 0, "a reader, and somebody without an account, are never asked"
        passed = await cases.train(zhao, course)
        assert await offers() == 3
        await cases.house.move("training", passed, "expire")
        assert await offers() == 3, "each once, before it is done"
        assert await cases.asked(processes[0]) == ({"li"}, [])


async def test_training_ends_by_itself(database: TestDatabase, tmp_path: Path) -> None:
    async with visits(database.url, tmp_path, TRAINED) as made:
        cases = Cases(made)
        course = await cases.house.create("course", code="A")
        li, zhao = [await cases.person(each, "buyer") for each in ("li", "zhao")]
        ending, _ = await cases.train(li, course, TODAY + 20 * DAY), await cases.train(zhao, course)
        process = await cases.open(course=course)
        assert await cases.asked(process) == ({"li", "zhao"}, [])
        now = cases.house.runtime.clock.now()
        assert await cases.turn(now - 3 * DAY) == 0, "nothing has ended"
        table = cases.house.runtime.tables.current("training")
        # Time that passes changes no record: as if it had been given so long ago.
        await cases.write(sa.update(table).where(table.c.id == ending).values(expires_on=TODAY - 2 * DAY))
        with pytest.raises(NotYourTask):
            await cases.decide(process, "li")
        assert await cases.turn(now - DAY / 2) == 0, "that was seen to before"
        assert await cases.turn(now - 9 * DAY) == 1, "it is made up for, however long nobody looked"
        assert await cases.asked(process) == ({"zhao"}, [])
        assert await cases.waiting(jobs.TURN) == 1, "one walks time"
        assert await cases.turn(None) == 1, "the first time, everything that asks by records"


async def test_one_walks_time_whatever_the_clock_did(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("clew.runtime.host.drain", _nothing)
    async with visits(database.url, tmp_path, TRAINED) as made:
        cases = Cases(made)
        for _ in range(2):
            await staffing.walk(cases.processes)
        assert await cases.waiting(jobs.TURN) == 1
        await jobs.drain(cases.processes)
        now = cases.house.runtime.clock.now()
        [due] = await _turns(cases)
        assert now < due <= now + DAY, "the next time a day begins"
        await cases.write(sa.update(system.job).where(system.job.c.kind == jobs.TURN).values(run_at=now + 9 * DAY))
        await staffing.walk(cases.processes)
        assert all(each <= cases.house.runtime.clock.now() for each in await _turns(cases)), "a clock was ahead"


async def test_open_tasks_follow_positions(database: TestDatabase, tmp_path: Path) -> None:
    async with visits(database.url, tmp_path, PLACED) as made:
        cases = Cases(made)
        li, zhao, sun, wu = [await cases.person(each) for each in ("li", "zhao", "sun", "wu")]
        holders = [{"employee": li, "valid_from": TODAY - DAY}, {"employee": wu, "valid_from": TODAY + 9 * DAY}]
        position = await cases.house.create("position", code="PUR-01", holders=holders)
        process = await cases.open()
        assert await cases.asked(process) == ({"li"}, [])
        given = [{"employee": each, "valid_from": TODAY - DAY} for each in (zhao, sun)]
        await change(cases.house, "position", position, holders=[*given, holders[1]])
        with pytest.raises(NotYourTask):
            await cases.decide(process, "li")
        assert await cases.asked(process) == ({"zhao", "sun"}, [])
        lines = cases.house.runtime.tables.current("position_holders")
        await cases.write(sa.update(lines).where(lines.c.employee == wu).values(valid_from=TODAY - DAY))
        now = cases.house.runtime.clock.now()
        assert await cases.turn(now - 4 * DAY) == 1, "somebody has begun by themselves"
        assert await cases.asked(process) == ({"zhao", "sun", "wu"}, [])
        await change(cases.house, "position", position, code="PUR-02")
        assert await cases.asked(process) == (set(), ["left"])


async def test_open_tasks_follow_managers(database: TestDatabase, tmp_path: Path) -> None:
    async with visits(database.url, tmp_path, MANAGED) as made:
        cases = Cases(made)
        create, site = cases.house.create, await cases.house.create("site", code="SUZ", name="Suzhou")
        top = await create("department", code="TOP", site=site)
        part, other = [await create("department", code=each, site=site, parent=top) for each in ("PUR", "QA")]
        wang = await cases.person("wang", department=top)
        li, qian, zhao = [await cases.person(each, department=part) for each in ("li", "qian", "zhao")]
        for department, manager in ((top, wang), (part, li), (other, qian)):
            await change(cases.house, "department", department, manager=manager)
        process, lis = await cases.open(guest=zhao), await cases.open(guest=li)
        assert (await cases.asked(process), await cases.asked(lis)) == (({"li"}, []), ({"wang"}, []))
        await change(cases.house, "department", part, manager=qian)
        with pytest.raises(NotYourTask):
            await cases.decide(process, "li")
        assert await cases.asked(process) == ({"qian"}, [])
        assert await cases.now_asked(lis) == ({"qian"}, []), "li is the head no more"
        await change(cases.house, "employee", zhao, department=top)
        assert await cases.asked(process) == ({"wang"}, [])
        (visit,) = await _values(cases, process_tables.process.c.record_id, process_tables.process.c.id == process)
        await change(cases.house, "visit", visit, guest=li)
        assert await cases.asked(process) == ({"qian"}, []), "about somebody else"
        assert await cases.decide(process, "qian") == "ended"
        await cases.house.move("employee", qian, "suspend")
        assert await cases.asked(lis) == (set(), ["left"])
        await cases.house.move("employee", qian, "reinstate")
        assert await cases.asked(lis) == ({"qian"}, []), "whose account works again is asked again"


async def test_open_tasks_follow_whom_the_record_names(database: TestDatabase, tmp_path: Path) -> None:
    async with visits(database.url, tmp_path, "{person: guest}") as made:
        cases = Cases(made)
        li, zhao = [await cases.person(each) for each in ("li", "zhao")]
        process = await cases.open(guest=li)
        assert await cases.asked(process) == ({"li"}, [])
        (visit,) = await _values(cases, process_tables.process.c.record_id, process_tables.process.c.id == process)
        await change(cases.house, "visit", visit, guest=zhao)
        with pytest.raises(NotYourTask):
            await cases.decide(process, "li")
        assert await cases.asked(process) == ({"zhao"}, [])
        await change(cases.house, "visit", visit, guest=await cases.house.employee("late"))
        assert await cases.asked(process) == (set(), ["left"]), "who has no account"
        assert await cases.now_asked(process) == (set(), ["left"])


async def test_a_step_that_found_nobody_asks_once_somebody_is_there(database: TestDatabase, tmp_path: Path) -> None:
    """Each case found nobody; each change finds somebody for one of them, and says why it goes on."""
    steps = {"trained": TRAINED, "placed": PLACED, "managed": MANAGED, "named": "{person: guest}", "held": "reader"}
    async with visits(database.url, tmp_path, steps) as made:
        cases = Cases(made)
        site = await cases.house.create("site", code="SUZ", name="Suzhou")
        part = await cases.house.create("department", code="PUR", site=site)
        course = await cases.house.create("course", code="A")
        guest = await cases.house.employee("guest", department=part)
        visit = await cases.house.create("visit", guest=guest, course=course)
        found = {each: await cases.of(visit, each) for each in steps}
        assert [await cases.asked(each) for each in found.values()] == [NOBODY] * 5
        told = len(await cases.lines(process_tables.notice))
        li = await cases.person("li")
        assert [await cases.asked(each) for each in found.values()] == [NOBODY] * 5, "somebody who is nothing of it"

        async def once(login: str, workflow: str, why: str) -> None:
            assert await cases.asked(found[workflow]) == ({login}, [])
            lines = [each for each in await cases.lines(process_tables.process_log) if each["what"] == "settled"]
            (line,) = [each for each in lines if each["process"] == found[workflow]]
            assert (line["step"], line["outcome"], line["comment"], line["actor"]) == ("look", "nobody", why, None)
            others = [await cases.now_asked(each) for each in list(found.values())[len(lines) :]]
            assert others == [NOBODY] * (5 - len(lines)), "whom it does not concern"

        buyer = await make_account(cases.house.runtime.desk, "zhao", "buyer")
        zhao = await cases.house.employee("zhao")
        assert await cases.asked(found["trained"]) == NOBODY, "not trained"
        await cases.train(zhao, course)
        await once("zhao", "trained", "records")
        holders = [{"employee": li, "valid_from": TODAY - DAY}]
        await cases.house.create("position", code="PUR-01", holders=holders)
        await once("li", "placed", "records")
        await change(cases.house, "department", part, manager=zhao)
        await once("zhao", "managed", "records")
        await make_account(cases.house.runtime.desk, "guest")
        await change(cases.house, "employee", guest, printed_name="Mr Guest")
        await once("guest", "named", "roles")
        await cases.assign(buyer, "reader")
        await once("zhao", "held", "roles")
        about = [each["about"] for each in (await cases.lines(process_tables.notice))[told:]]
        assert about == ["task"] * 5, "whoever is asked is told; nobody a second time of what is over"
        assert await cases.lines(process_tables.process_unasked) == []
        assert await cases.decide(found["held"], "zhao") == "ended"


async def test_what_found_nobody_is_looked_at_as_time_turns_and_as_it_goes_on(
    database: TestDatabase, tmp_path: Path
) -> None:
    """Also what an earlier version has left; what is suspended waits."""
    async with visits(database.url, tmp_path, "reader") as made:
        cases = Cases(made)
        processes, now = [await cases.open() for _ in range(3)], cases.house.runtime.clock.now()
        boss = cases.house.call().context.person
        halt = partial(words.Suspend, Actor(str(boss.id)), instant_text(now), "audit")
        await cases.processes.system(jobs.system_call(cases.processes), processes[2], halt())
        assert await cases.turn(now) == 3
        assert [await cases.asked(each) for each in processes] == [NOBODY] * 3
        assert [each["about"] for each in await cases.lines(process_tables.notice)] == []
        await make_account(cases.house.runtime.desk, "li", "reader")
        # What was done of it is undone: as if nobody had been there to see the role being given.
        ready = sa.and_(system.job.c.state == "ready", system.job.c.kind.in_((jobs.PEOPLE, jobs.OFFER)))
        await cases.write(sa.update(system.job).where(ready).values(state="done"))
        await cases.write(sa.delete(process_tables.process_unasked))
        assert await cases.asked(processes[0]) == NOBODY
        assert await cases.turn(now) == 3
        assert await cases.asked(processes[0]) == ({"li"}, [])
        assert await cases.now_asked(processes[1]) == ({"li"}, [])
        assert await cases.now_asked(processes[2]) == NOBODY
        go_on = words.Resume(Actor(str(boss.id)), instant_text(now))
        await cases.processes.system(jobs.system_call(cases.processes), processes[2], go_on)
        assert await cases.asked(processes[2]) == ({"li"}, [])
        lines = await cases.lines(process_tables.process_log)
        assert [each["comment"] for each in lines if each["what"] == "settled"] == ["time", "time", "resumed"]


async def test_whoever_had_a_part_before_is_asked_once_their_account_works(
    database: TestDatabase, tmp_path: Path
) -> None:
    async with visits(database.url, tmp_path, "{starter: true}") as made:
        cases = Cases(made)
        boss, desk = cases.house.boss, cases.house.runtime.desk
        witness = desk.witness
        await desk.within(lambda connection, at: accounts.disable(connection, witness, INSTALLER, boss, at, "away"))
        process = await cases.open()
        assert await cases.asked(process) == NOBODY
        await desk.within(lambda connection, at: accounts.enable(connection, witness, INSTALLER, boss, "back"))
        assert await cases.asked(process) == ({"boss"}, [])


async def test_a_step_that_cannot_begin_stands_in_the_way_of_no_other(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody is there for both branches; what the one does as it begins fails, which is told like all such."""
    steps = "  both: {parallel: {a: {one: {who: clerk}}, b: {two: {who: clerk}}}, wait_for: all}\n"
    made = await small_works(await database.open(), steps, people={"boss": ("hal",)})
    made.hire("ann", "other")
    process = await made.a_case("ann")
    assert len(await made.plant.rows(process_tables.process_unasked)) == 2
    bob, moment = made.hire("bob", "clerk"), Effects.moment

    async def fails(effects: Effects, at: words.Moment) -> None:
        if at.step.endswith("one"):
            raise NotYourTask
        await moment(effects, at)

    monkeypatch.setattr(Effects, "moment", fails)
    await made.plant.database.run_write(lambda connection: jobs.ask_offer(connection, process, "roles"))
    for _ in range(jobs.TOLD_AFTER):
        await jobs.drain(made.processes)
        await move_back(made.plant.database, 2)
    assert [each["step"] for each in await made.tasks("bob")] == ["both/b/two"]
    assert ("held_up", "both/a/one", "NOT_YOUR_TASK") in await made.log()
    assert [each["step"] for each in await made.plant.rows(process_tables.process_unasked)] == ["both/a/one"]
    monkeypatch.undo()
    await jobs.drain(made.processes)
    assert {each["step"] for each in await made.tasks()} == {"both/a/one", "both/b/two"}
    assert all(each["assignee"] == bob.id for each in await made.tasks())


async def _nothing(*_: Any) -> int:
    return 0


async def _turns(cases: Cases) -> list[datetime]:
    return await _values(cases, system.job.c.run_at, system.job.c.kind == jobs.TURN, system.job.c.state == "ready")


async def _values(cases: Cases, column: Any, *where: Any) -> list[Any]:
    async with cases.house.runtime.database.read() as connection:
        return [row[0] for row in await connection.fetch(sa.select(column).where(*where))]
