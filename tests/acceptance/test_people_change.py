"""Roles come and go while tasks are open: who is asked follows them, the clock goes on, nobody left is an incident."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from tests.acceptance.at_work import Firm, opened
from tests.acceptance.test_nonconformance import found, to_the_board
from tests.acceptance.test_supply import requested

from clew.process import jobs
from clew.storage import identity_tables, process_tables
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

CLAIM = "mutation($t: ID!) { claimTask(task: $t) { replayed } }"
STEP, HEAD = "nonconformance_handling.execute", "purchasing_supply.approve_head"


async def loses(firm: Firm, login: str, role: str) -> None:
    """Somebody's assignment to a role ends."""
    runtime, by = firm.runtime, firm.runtime.operator_call("zh").context
    (mine,) = [
        each
        for each in await firm.rows(identity_tables.assignment)
        if (each["account"], each["role"], each["state"]) == (firm.people[login], role, "active")
    ]

    async def work(connection: Connection) -> None:
        at = await connection.now()
        await runtime.desk.assignments.end(connection, by, mine["id"], at, "moved")

    await runtime.database.run_write(work)


async def test_a_lost_role_takes_its_tasks_along(database: TestDatabase) -> None:
    firm = await opened(database)
    await firm.hire(("bob", ("warehouse", "stock_counter")))
    await found(firm)
    await to_the_board(firm)
    rework = {"rework_instruction": firm.ids["label"], "rework_effect": "无影响"}
    await firm.does("rd_engineer", "board", "rework", **rework)
    await firm.does("qa_manager", "board", "rework")
    await firm.does("ra_manager", "board", "rework")
    assert (await firm.waiting())[STEP] == ["bob", "production_supervisor", "warehouse"]
    task = await firm.task("bob", "execute")
    await firm.ask("bob", CLAIM, t=task["id"])
    due = {each["number"]: each["due_at"] for each in await firm.rows(process_tables.process_timer)}

    await loses(firm, "bob", "warehouse")
    decide = 'mutation($t: ID!) { decideTask(task: $t, outcome: "done") { replayed } }'
    assert await firm.refusal(firm.ask("bob", decide, t=task["id"])) == "NOT_YOUR_TASK", "at once"
    await jobs.drain(firm.runtime.processes)
    assert (await firm.waiting())[STEP] == ["production_supervisor", "warehouse"], "back to those who remain"
    assert await firm.tasks("bob") == []
    kept = {each["number"]: each["due_at"] for each in await firm.rows(process_tables.process_timer)}
    assert kept == due, "the time that was used stays used"

    await loses(firm, "production_supervisor", "production_supervisor")
    await loses(firm, "warehouse", "warehouse")
    await jobs.drain(firm.runtime.processes)
    assert (await firm.waiting())[STEP] == []
    look = '{ overseenProcesses(workflow: "nonconformance_handling") { incidents { kind detail } } }'
    assert (await firm.ask("qa_manager", look))["overseenProcesses"] == [
        {"incidents": [{"kind": "left", "detail": "execute"}]}
    ]
    told = [each for each in await firm.rows(process_tables.notice) if each["about"] == "incident"]
    assert {each["person"] for each in told} == {firm.people["qa_manager"]}

    await firm.hire(("ida", ("warehouse",)))
    await jobs.drain(firm.runtime.processes)
    assert (await firm.waiting())[STEP] == ["ida"], "whoever comes is asked, and the incident is over"
    await firm.does("ida", "execute")
    assert list(await firm.waiting()) == ["nonconformance_handling.verify"]


async def test_an_assignment_that_ends_by_itself_takes_its_tasks_along(database: TestDatabase) -> None:
    firm = await opened(database)
    await firm.hire(("bob", ("qc_inspector", "stock_counter")))
    await found(firm)
    assert (await firm.waiting())["nonconformance_handling.contain"] == ["bob", "qc_inspector"]

    async def shorten(connection: Connection) -> None:
        """As if it had been given for a time that is over, with its job due."""
        a = identity_tables.assignment
        mine = sa.and_(a.c.account == firm.people["bob"], a.c.role == "qc_inspector")
        over = await connection.now() - timedelta(seconds=1)
        await connection.execute(sa.update(a).where(mine).values(valid_to=over))
        await jobs.ask_people(connection, firm.people["bob"], over)

    await firm.runtime.database.run_write(shorten)
    assert await firm.refusal(firm.does("bob", "contain", containment="x")) == "NOT_YOUR_TASK"
    await jobs.drain(firm.runtime.processes)
    assert (await firm.waiting())["nonconformance_handling.contain"] == ["qc_inspector"]


async def test_an_alert_reaches_the_manager_and_the_head_of_the_department(database: TestDatabase) -> None:
    """Eighty per cent tells the manager of whoever has the task, time up the head of their department."""
    firm = await opened(database)
    boss = firm.employees["rd_head"]

    async def appoint(connection: Connection) -> None:
        table = firm.runtime.tables.current("department")
        await connection.execute(sa.update(table).where(table.c.id == firm.ids["department"]).values(manager=boss))

    await firm.runtime.database.run_write(appoint)
    await found(firm)
    await firm.time_passes(24 * 30)
    names = {account: login for login, account in firm.people.items()}
    told = [(each["share"], names[each["person"]]) for each in await firm.rows(process_tables.notice) if each["share"]]
    above = {(80, "rd_head"), (100, "rd_head"), (150, "qa_manager")}
    assert set(told) == {(share, "qc_inspector") for share in (50, 80, 100, 150)} | above


async def test_a_new_head_is_asked_by_what_is_open_already(database: TestDatabase) -> None:
    """Whose department it is says who approves a requisition, also when that changes while it waits."""
    firm = await opened(database)
    department = firm.ids["department"]
    await requested(firm, 1000)
    assert (await firm.waiting())[HEAD] == ["department_head"]
    await firm.updates("data_steward", "department", department, "handover", manager=firm.employees["rd_head"])
    await jobs.drain(firm.runtime.processes)
    assert (await firm.waiting())[HEAD] == ["rd_head"]
    assert await firm.refusal(firm.does("department_head", "approve_head", "approve")) == "NO_TASK"
    await firm.does("rd_head", "approve_head", "approve")
    assert HEAD not in await firm.waiting()
