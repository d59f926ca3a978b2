"""Sessions and tokens: a secret is good as long as it should be, and not a moment longer."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.integration.identity_case import BY_ADMIN, PASSWORD, Case, identity

from clew.identity import accounts, sessions, tokens
from clew.identity.errors import BadPeriod, SessionEnded
from clew.storage import identity_tables
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


async def alive(case: Case, secret: str) -> bool:
    try:
        await case.desk.resume(secret)
    except SessionEnded:
        return False
    return True


async def test_a_session_has_an_idle_and_an_absolute_limit(database: TestDatabase) -> None:
    case = await identity(database)
    await case.account("li.wei")
    secret = await case.signed_in("li.wei")
    case.later(minutes=9)
    bearing = await case.desk.resume(secret)
    await case.desk.touch(bearing.session)
    case.later(minutes=9)
    assert await alive(case, secret)
    case.later(minutes=1)
    assert not await alive(case, secret)
    secret = await case.signed_in("li.wei")
    for _ in range(12 * 60 // 8 + 1):
        case.later(minutes=8)
        if not await alive(case, secret):
            break
        await case.desk.touch((await case.desk.resume(secret)).session)
    else:
        raise AssertionError("it never ended")


async def test_signing_in_again_ends_the_session_one_came_with(database: TestDatabase) -> None:
    """Session fixation: a secret somebody planted is worth nothing afterwards."""
    case = await identity(database)
    await case.account("li.wei")
    first = await case.signed_in("li.wei")
    proof = await case.desk.credentials.sign_in("li.wei", PASSWORD, "")
    second = await case.desk.begin(proof, BY_ADMIN, replaces=first)
    assert second != first
    assert not await alive(case, first)
    assert await alive(case, second)
    async with case.desk.database.read() as connection:
        stored = repr(await connection.fetch(sa.select(identity_tables.session)))
    assert first not in stored
    assert second not in stored


async def test_a_change_of_rights_is_seen_at_the_next_look(database: TestDatabase) -> None:
    case = await identity(database)
    li = await case.account("li.wei")
    secret = await case.signed_in("li.wei")
    before = await case.desk.resume(secret)
    await case.assign(li, "buyer")
    after = await case.desk.resume(secret)
    assert (before.facts.person.roles, after.facts.person.roles) == ((), ("buyer",))
    assert after.session.epoch > before.session.epoch
    async with case.desk.database.read() as connection:
        now = case.clock.now()
        held = sa.select(sessions.holds(before.session.id, before.session.epoch, now))
        assert not await connection.fetch_value(held)
        held = sa.select(sessions.holds(after.session.id, after.session.epoch, now))
        assert await connection.fetch_value(held)
        assert await sessions.holding(connection, [after.session.id, "x"], now) == {
            after.session.id: after.session.epoch
        }
    await case.desk.within(lambda connection, at: accounts.disable(connection, case.witness, BY_ADMIN, li, at, "x"))
    assert not await alive(case, secret)
    await case.desk.within(lambda connection, at: accounts.enable(connection, case.witness, BY_ADMIN, li, "back"))
    assert not await alive(case, secret)


async def test_tokens_are_shown_once_narrowed_and_revoked(database: TestDatabase) -> None:
    case = await identity(database)
    erp = await case.account("erp.connector", "service", password="")
    await case.assign(erp, "connector")

    async def make(connection: Connection, at: datetime, **more: Any) -> Any:
        more = {"expires_at": at + timedelta(days=30), **more}
        return await tokens.create(connection, case.witness, BY_ADMIN, erp, name="nightly", at=at, **more)

    secret, made = await case.desk.within(make)
    assert secret.startswith("clew_")
    assert secret not in repr(made) + repr(case.witness.events)
    assert (await case.desk.resume(secret)).facts.person.roles == ("connector",)
    narrow, _ = await case.desk.within(lambda connection, at: make(connection, at, scopes=["other"]))
    assert (await case.desk.resume(narrow)).facts.person.roles == ()
    for days in (0, -1, 400):
        with pytest.raises(BadPeriod):
            await case.desk.within(
                lambda connection, at, days=days: make(connection, at, expires_at=at + timedelta(days=days))
            )
    case.later(days=3)
    assert await alive(case, secret)
    await case.desk.within(lambda connection, at: tokens.revoke(connection, case.witness, BY_ADMIN, made.id, at))
    assert not await alive(case, secret)
    with pytest.raises(tokens.NoToken):
        await case.desk.within(lambda connection, at: tokens.revoke(connection, case.witness, BY_ADMIN, made.id, at))
    case.later(days=28)
    assert not await alive(case, narrow)
    async with case.desk.database.read() as connection:
        assert len(await tokens.listed(connection, erp.id)) == 2
        assert secret not in repr(await connection.fetch(sa.select(identity_tables.token)))


async def test_sessions_long_over_are_taken_away(database: TestDatabase) -> None:
    case = await identity(database)
    await case.account("li.wei")
    await case.signed_in("li.wei")
    case.later(days=29)
    recent = await case.signed_in("li.wei")

    async def sweep(connection: Connection, at: datetime) -> int:
        return await sessions.sweep(connection, at)

    assert await case.desk.within(sweep) == 0
    case.later(days=2)
    assert await case.desk.within(sweep) == 1
    assert not await alive(case, recent)
    assert await case.desk.within(sweep) == 0
