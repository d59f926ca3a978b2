"""Who can be asked: holders of a role now, at the site of the case, with an account that is not disabled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.integration.process_world import small_works

from clew.kernel.ids import uuid7
from clew.process.staff import AssignedStaff, Demand
from clew.storage import identity_tables, process_tables
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HERE, THERE = uuid7(), uuid7()


async def add(connection: Connection, table: sa.Table, **values: Any) -> None:
    known = {
        "created_at": NOW, "requested_at": NOW, "valid_from": NOW - timedelta(days=1), "facts": {}, "epoch": 1,
        "kind": "person" if table is identity_tables.account else "permanent", "state": "active", "reason": "",
    }  # fmt: skip
    given = {**{name: value for name, value in known.items() if name in table.c}, **values}
    await connection.execute(sa.insert(table).values(**given))


async def test_holders_of_a_role_at_the_site_of_the_case(database: TestDatabase) -> None:
    made = await small_works(await database.open(), "  fill: {who: clerk}\n", people={"clerk": ("ann",)})
    people = {name: uuid7() for name in ("here", "there", "all", "gone", "past", "later", "asked", "other")}
    employee = uuid7()

    async def hire(connection: Connection) -> None:
        for name, account in people.items():
            state = "disabled" if name == "gone" else "active"
            own = employee if name == "other" else None
            await add(connection, identity_tables.account, id=account, login=name, name=name, state=state, employee=own)
            await add(
                connection, identity_tables.assignment, id=uuid7(), account=account, requested_by=account,
                role="boss" if name == "other" else "clerk",
                sites={"here": [str(HERE)], "there": [str(THERE)]}.get(name),
                state="requested" if name == "asked" else "active",
                **({"valid_to": NOW} if name == "past" else {}),
                **({"valid_from": NOW + timedelta(days=1)} if name == "later" else {}),
            )  # fmt: skip

    await made.plant.database.run_write(hire)
    staff = AssignedStaff()
    async with made.plant.database.read() as connection:

        async def found(demand: Demand) -> set[str]:
            ids = await staff.find(connection, demand, NOW)
            assert len(ids) == len(set(ids))
            return {name for name, account in people.items() if account in ids}

        assert await found(Demand(("clerk",), site=HERE)) == {"here", "all"}
        assert await found(Demand(("clerk",))) == {"here", "there", "all"}, "a case of no site"
        assert await found(Demand(("clerk", "boss"), site=THERE)) == {"there", "all", "other"}
        assert await found(Demand(named=(employee,))) == {"other"}, "an employee by the account"
        assert await found(Demand(named=(people["there"], people["gone"]))) == {"there"}
        assert await found(Demand(("nobody",))) == set()
        assert await found(Demand()) == set()
        assert [await staff.known(connection, people[name]) for name in ("here", "gone")] == [True, False]
        assert not await staff.known(connection, UUID(int=5))


async def test_the_one_with_fewest_open_tasks(database: TestDatabase) -> None:
    made = await small_works(await database.open(), "  fill: {who: clerk}\n", people={"clerk": ("ann", "bob")})
    for _ in range(2):
        await made.a_case("ann")
    busy, idle = made.people["ann"].id, made.people["bob"].id

    async def prepare(connection: Connection) -> None:
        for account in (busy, idle):
            await add(connection, identity_tables.account, id=account, login=str(account), name="x")
            await add(
                connection, identity_tables.assignment, id=uuid7(), account=account, requested_by=account, role="clerk",
                sites=None,
            )  # fmt: skip
        offer = process_tables.task_candidate
        await connection.execute(sa.delete(offer).where(offer.c.person == idle))

    await made.plant.database.run_write(prepare)
    async with made.plant.database.read() as connection:
        assert await AssignedStaff().find(connection, Demand(("clerk",), least_loaded=True), NOW) == (idle,)
        assert set(await AssignedStaff().find(connection, Demand(("clerk",)), NOW)) == {busy, idle}
