"""委托: a delegate sees and does the delegator's tasks for a while, and the trail says in whose place."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.integration.guarded_case import INSTALLER, make_account
from tests.integration.test_process_people import Visits, visits

from clew.identity import accounts
from clew.identity.accounts import Account
from clew.identity.assignments import Asked, Assignment
from clew.process.errors import NotYourTask
from clew.storage import process_tables
from clew.storage.engine import Connection
from clew.testing import TestDatabase

pytestmark = pytest.mark.anyio


async def lend(made: Visits, giver: Account, taker: Account, role: str, days: int = 3) -> Assignment:
    desk = made.house.runtime.desk

    async def work(connection: Connection, at: datetime) -> Assignment:
        asked = Asked(taker.id, role, at, at + timedelta(days=days), reason="annual leave", delegator=giver.id)
        given: Assignment = await desk.assignments.delegate(connection, INSTALLER, asked, at)
        return given

    found: Assignment = await desk.within(work)
    return found


async def lent(made: Visits, account: Account) -> list[tuple[UUID, str]]:
    async with made.house.runtime.database.read() as connection:
        found: list[tuple[UUID, str]] = await made.house.runtime.processes.lent_tasks(connection, account.id, 50)
        return found


async def takes_part(made: Visits, account: Account) -> bool:
    (process,) = {row[0] for row in await rows(made, process_tables.task.c.process)}
    async with made.house.runtime.database.read() as connection:
        return bool(await made.house.runtime.processes.takes_part(connection, process, account.id))


async def rows(made: Visits, *columns: Any, **where: Any) -> list[Any]:
    query = sa.select(*columns)
    for name, value in where.items():
        query = query.where(columns[0].table.c[name] == value)
    async with made.house.runtime.database.read() as connection:
        return list(await connection.fetch(query))


async def test_a_delegate_does_it_in_the_delegators_place(database: TestDatabase, tmp_path: Path) -> None:
    async with visits(database.url, tmp_path, "{role: buyer}") as made:
        desk = made.house.runtime.desk
        li = await make_account(desk, "li", "buyer")
        zhao, sun, wu = [await make_account(desk, each, "reader") for each in ("zhao", "sun", "wu")]
        await make_account(desk, "qian", "reader")
        await made.house.create("visit")
        ((task,),) = await rows(made, process_tables.task.c.id)
        decide = made.house.runtime.processes.decide
        assert (await lent(made, zhao), await takes_part(made, zhao)) == ([], False)
        with pytest.raises(NotYourTask):
            await decide(made.house.call(zhao), task, "done")
        await lend(made, li, zhao, "buyer")
        given = await lend(made, li, wu, "buyer")
        assert await lent(made, zhao) == [(task, str(li.id))], "opened before the delegation began"
        assert await takes_part(made, zhao)
        assert (await lent(made, sun), await takes_part(made, sun)) == ([], False)

        async def end(connection: Connection, at: datetime) -> None:
            await desk.assignments.end(connection, INSTALLER, given.id, at, "back early")

        await desk.within(end)
        assert (await lent(made, wu), await takes_part(made, wu)) == ([], False), "over, whatever was open"
        with pytest.raises(NotYourTask):
            await decide(made.house.call(wu), task, "done")
        await decide(made.house.call(zhao), task, "done")
        log = process_tables.process_log
        assert await rows(made, log.c.actor, log.c.behalf, what="decide") == [(zhao.id, li.id)]


async def test_a_task_of_their_own_is_done_for_nobody_else(database: TestDatabase, tmp_path: Path) -> None:
    async with visits(database.url, tmp_path, "{role: [buyer, reader]}") as made:
        desk = made.house.runtime.desk
        li, zhao = await make_account(desk, "li", "buyer"), await make_account(desk, "zhao", "reader")
        await lend(made, li, zhao, "buyer")
        await made.house.create("visit")
        ((task,),) = await rows(made, process_tables.task.c.id)
        assert await lent(made, zhao) == []
        await made.house.runtime.processes.decide(made.house.call(zhao), task, "done")
        log = process_tables.process_log
        assert await rows(made, log.c.actor, log.c.behalf, what="decide") == [(zhao.id, None)]


async def test_who_stands_in_is_trained_themselves(database: TestDatabase, tmp_path: Path) -> None:
    """A step asks for training: whoever was lent the role of somebody trained does not do it without their own."""
    async with visits(database.url, tmp_path, "{role: buyer, qualified_for: course}") as made:
        create, decide = made.house.create, made.house.runtime.processes.decide
        course = await create("course", code="C1")
        records = {"li": await made.person("li", "buyer"), "zhao": await made.person("zhao", "reader")}

        async def train(login: str) -> None:
            training = await create("training", employee=records[login], course=course)
            await made.house.move("training", training, "pass")

        await train("li")
        async with made.house.runtime.database.read() as connection:
            li, zhao = [await accounts.by_login(connection, login) for login in records]
        await create("visit", course=course)
        ((task,),) = await rows(made, process_tables.task.c.id)
        await lend(made, li, zhao, "buyer")
        with pytest.raises(NotYourTask):
            await decide(made.house.call(zhao), task, "done")
        await train("zhao")
        await decide(made.house.call(zhao), task, "done")
