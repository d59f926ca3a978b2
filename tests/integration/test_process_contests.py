"""Two commands at once on one process, whichever comes first: what is decided is decided before the process is called
off, suspended or moved, before its clock rings and while whoever decides may, or it is not decided at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.integration.guarded_case import INSTALLER, make_account
from tests.integration.outcomes import outcome
from tests.integration.process_world import Works, small_works
from tests.integration.test_calendar_republication import YEARS, published
from tests.integration.test_process_people import Visits, visits
from tests.integration.test_process_time import time_passes

from clew.identity.accounts import Account
from clew.identity.assignments import Asked
from clew.process import jobs, words
from clew.process.migrating import Migration
from clew.storage import identity_tables, process_tables, system
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier

pytestmark = pytest.mark.anyio

STEPS = """\
  fill: {who: clerk, within: 4 wh, when_late: rescue, owner: boss, then: note}
  note: {do: [{set: {title: "'noted'"}}], then: look}
  look: {who: boss}
  rescue: {who: boss}
"""
PEOPLE = {"clerk": ("ann", "bob"), "boss": ("hal", "ida")}


async def both(turn: int, one: Awaitable[object], two: Awaitable[object]) -> tuple[str, str]:
    """What became of either, begun in this order or the other; now and then one after the other."""
    first, second = outcome(one), outcome(two)
    if turn % 4 == 0:
        return await first, await second
    if turn % 4 == 1:
        later = await second
        return await first, later
    if turn % 4 == 2:
        found = await asyncio.gather(first, second)
        return found[0], found[1]
    found = await asyncio.gather(second, first)
    return found[1], found[0]


class Contest:
    """One case after the other, decided while something else is done to it."""

    def __init__(self, made: Works) -> None:
        self.made = made
        self.turn = 0
        self.process, self.task = UUID(int=0), UUID(int=0)
        self.seen: set[tuple[str, str]] = set()

    async def begin(self) -> None:
        self.turn += 1
        self.process = await self.made.a_case("ann")
        mine = [each for each in await self.made.tasks("ann") if each["process"] == self.process]
        (self.task,) = [each["id"] for each in mine]

    def decide(self) -> Awaitable[object]:
        return self.made.processes.decide(self.made.call("ann"), self.task, "done")

    def give(self, login: str, command: Any) -> Awaitable[object]:
        return self.made.give(login, self.process, command, [self.turn, login])

    async def against(self, other: Awaitable[object]) -> tuple[str, str]:
        answers = await both(self.turn, self.decide(), other)
        self.seen.add(answers)
        await jobs.drain(self.made.processes)
        return answers

    async def instance(self) -> dict[str, Any]:
        (found,) = [each for each in await self.made.instances() if each["id"] == self.process]
        return found

    async def steps(self) -> list[str]:
        return sorted(each["step"] for each in await self.made.tasks() if each["process"] == self.process)

    async def lines(self, *what: str) -> list[str]:
        rows = await self.made.plant.rows(process_tables.process_log)
        mine = sorted((each for each in rows if each["process"] == self.process), key=lambda row: row["id"])
        return [each["what"] for each in mine if each["what"] in what]


async def contest(database: TestDatabase) -> Contest:
    return Contest(await small_works(await database.open(), STEPS, people=PEOPLE))


async def test_cancelling_suspending_and_deciding(database: TestDatabase, tier: Tier) -> None:
    made = await contest(database)
    for _ in range(tier.count(6, 300)):
        await made.begin()
        answers = await made.against(made.give("hal", lambda actor, at: words.Cancel(actor, at, "in error")))
        assert answers in {("done", "done"), ("PROCESS_ENDED", "done")}
        assert (await made.instance())["status"] == "cancelled"
        assert await made.steps() == []
        assert await made.lines("decide", "cancel") == (["decide"] if answers[0] == "done" else []) + ["cancel"]
    for _ in range(tier.count(6, 300)):
        await made.begin()
        answers = await made.against(made.give("hal", lambda actor, at: words.Suspend(actor, at, "audit")))
        assert answers in {("done", "done"), ("PROCESS_SUSPENDED", "done")}
        decided = answers[0] == "done"
        assert await made.lines("decide", "suspend") == (["decide"] if decided else []) + ["suspend"]
        assert (await made.instance())["status"] == "suspended"
        await made.give("hal", lambda actor, at: words.Resume(actor, at))
        await jobs.drain(made.made.processes)
        assert await made.steps() == (["look"] if decided else ["fill"])
    assert {answers[0] for answers in made.seen} == {"done", "PROCESS_ENDED", "PROCESS_SUSPENDED"}


async def test_two_who_cancel(database: TestDatabase, tier: Tier) -> None:
    """One of them does: one line, one leaf, one undoing."""
    made = await contest(database)
    rounds = tier.count(4, 300)
    for _ in range(rounds):
        await made.begin()
        answers = await both(
            made.turn,
            made.give("hal", lambda actor, at: words.Cancel(actor, at, "in error")),
            made.give("ida", lambda actor, at: words.Cancel(actor, at, "twice")),
        )
        assert sorted(answers) == ["PROCESS_ENDED", "done"]
        assert await made.lines("cancel") == ["cancel"]
    leaves = [each for each in await made.made.plant.rows(system.leaf) if each["action"] == "process:act"]
    assert len(leaves) == rounds


async def test_a_clock_that_rings_while_its_task_is_decided(database: TestDatabase, tier: Tier) -> None:
    """It goes the way of what was decided, or the way of what is late; never both."""
    made = await contest(database)
    for _ in range(tier.count(6, 300)):
        await made.begin()
        await time_passes(made.made, 5)
        rung = jobs.drain(made.made.processes)
        answers = await made.against(rung)
        assert answers in {("done", "done"), ("TASK_GONE", "done")}
        assert await made.steps() == (["look"] if answers[0] == "done" else ["rescue"])
        assert await made.lines("decide") == (["decide"] if answers[0] == "done" else [])
        assert await made.made.plant.rows(process_tables.process_timer) == []
        await made.give("hal", lambda actor, at: words.Cancel(actor, at, "over"))
    assert len(made.seen) == 2, "either came first now and then"


async def test_moving_to_another_definition_while_it_is_decided(database: TestDatabase, tier: Tier) -> None:
    made = await contest(database)
    rounds = tier.count(4, 300)
    cases: list[tuple[UUID, UUID]] = []
    for _ in range(rounds):
        await made.begin()
        cases.append((made.process, made.task))
    second, _ = await published(made.made, STEPS.replace("look", "review"), YEARS)
    flow = second.processes.blueprint.workflows["handling"]
    moving = Migration(second.processes, flow, {"look": "review"})
    call = replace(second.call("hal"), reason="a better name")
    for made.turn, (made.process, made.task) in enumerate(cases):
        answers = await made.against(moving.move(call, made.process))
        assert answers == ("done", "done")
        row = await made.instance()
        assert (row["definition"], row["state"]["digest"]) == (flow.digest, flow.digest)
        assert await made.steps() == ["review"]
        assert sorted(await made.lines("decide", "migrated")) == ["decide", "migrated"]


# ── who may ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Taking:
    """Whatever somebody holds now is theirs no more, and when that was acknowledged."""

    def __init__(self, made: Visits, account: Account) -> None:
        self.made, self.account = made, account
        self.known: datetime | None = None

    async def take(self) -> None:
        desk, held = self.made.house.runtime.desk, identity_tables.assignment

        async def end(connection: Connection, at: datetime) -> None:
            mine = held.c.account == self.account.id, held.c.state == "active"
            for (each,) in await connection.fetch(sa.select(held.c.id).where(*mine)):
                await desk.assignments.end(connection, INSTALLER, each, at, "moved on")

        await desk.within(end)
        async with self.made.house.runtime.database.read() as connection:
            self.known = await connection.now()


async def given(made: Visits, account: Account, role: str, lender: Account | None = None) -> None:
    desk = made.house.runtime.desk

    async def give(connection: Connection, at: datetime) -> None:
        if lender is None:
            await desk.assignments.assign(connection, INSTALLER, Asked(account.id, role, at), at)
        else:
            lent = Asked(account.id, role, at, at + timedelta(days=3), reason="leave", delegator=lender.id)
            await desk.assignments.delegate(connection, INSTALLER, lent, at)

    await desk.within(give)


@pytest.mark.parametrize("lent", [False, True])
async def test_a_role_that_is_taken_away_while_its_holder_decides(
    database: TestDatabase, tmp_path: Path, tier: Tier, *, lent: bool
) -> None:
    """Whoever decides held the role, their own or lent to them, until then: nothing is decided by what begins after it
    was acknowledged that the role is gone."""
    async with visits(database.url, tmp_path, "{role: buyer}") as made:
        desk, decide = made.house.runtime.desk, made.house.runtime.processes.decide
        li = await make_account(desk, "li", "buyer")
        zhao = await make_account(desk, "zhao")
        task, log = process_tables.task, process_tables.process_log
        seen = set[str]()
        for turn in range(tier.count(6, 300)):
            await given(made, zhao, "buyer", li if lent else None)
            await jobs.drain(made.house.runtime.processes)
            visit = await made.house.create("visit")
            mine = sa.select(task.c.id, task.c.process).where(task.c.record_id == visit)
            async with made.house.runtime.database.read() as connection:
                ((number, process),) = await connection.fetch(mine)
            taking = Taking(made, zhao)
            answers = await both(turn, decide(made.house.call(zhao), number, "done"), taking.take())
            assert answers in {("done", "done"), ("NOT_YOUR_TASK", "done")}
            seen.add(answers[0])
            after = await outcome(decide(made.house.call(zhao), number, "done"))
            assert after == ("PROCESS_ENDED" if answers[0] == "done" else "NOT_YOUR_TASK")
            decided = sa.select(log.c.at).where(log.c.process == process, log.c.what == "decide")
            async with made.house.runtime.database.read() as connection:
                at = await connection.fetch_value(decided)
            assert (at is None) == (answers[0] != "done")
            assert at is None or taking.known is None or at <= taking.known
        assert seen == {"done", "NOT_YOUR_TASK"}
