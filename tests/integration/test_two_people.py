"""What takes two people takes two: another, independent person, and a holder who was seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from tests.integration.identity_case import BY_ADMIN, Case, as_, identity

from clew.identity import accounts, people, sessions, token_requests, tokens
from clew.identity.accounts import Account
from clew.identity.assignments import Asked
from clew.identity.errors import (
    EmployeeTaken,
    IdentityDue,
    LockedOut,
    NothingToConfirm,
    NotYourself,
    SessionEnded,
    SignInFailed,
    WrongConfirmation,
    WrongKind,
)
from clew.identity.tokens import NoToken
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


async def ask(case: Case, by: Account, account: Account, role: str = "buyer") -> Any:
    asked = Asked(account.id, role, case.clock.now(), reason="new")
    return await case.desk.within(lambda connection, at: case.desk.assignments.request(connection, as_(by), asked, at))


async def grant(case: Case, by: Account, wanted: Any) -> Any:
    return await case.desk.within(
        lambda connection, at: case.desk.assignments.approve(connection, as_(by), wanted.id, at, "new")
    )


async def test_who_decides_about_access_is_another_independent_person(database: TestDatabase) -> None:
    """Not who asked, not who is to hold it, no program, and nobody who stood in for either since it was asked for."""
    case = await identity(database)
    li, root, second, third = [await case.account(each) for each in ("li.wei", "root", "second", "third")]
    robot = await case.account("robot", kind="service", password="")
    await case.assign(root, "sys_admin")
    wanted = await ask(case, root, li)
    for by in (root, li, robot):
        with pytest.raises(NotYourself):
            await grant(case, by, wanted)
    # A deputy is the same hand: during the delegation, and when it has ended since.
    now = case.clock.now()
    lent = Asked(second.id, "sys_admin", now, now + timedelta(days=5), delegator=root.id)
    given = await case.desk.within(
        lambda connection, at: case.desk.assignments.delegate(connection, as_(root), lent, at)
    )
    with pytest.raises(NotYourself):
        await grant(case, second, wanted)
    case.later(hours=1)
    await case.desk.within(
        lambda connection, at: case.desk.assignments.end(connection, as_(root), given.id, at, "back")
    )
    with pytest.raises(NotYourself):
        await grant(case, second, wanted)
    case.later(hours=1)
    later = await ask(case, root, li, "planner")
    assert (await grant(case, second, later)).state == "active"
    assert (await grant(case, third, wanted)).state == "active"


async def test_one_person_has_one_account(database: TestDatabase) -> None:
    case, employee = await identity(database), uuid4()

    async def make(login: str) -> Account:
        return await case.desk.within(
            lambda connection, at: accounts.create(
                connection, case.witness, BY_ADMIN, login=login, name=login, at=at, employee=employee
            )
        )

    await make("li.wei")
    with pytest.raises(EmployeeTaken):
        await make("li.wei2")
    puppet = await case.account("puppet")
    with pytest.raises(EmployeeTaken):
        await case.desk.within(
            lambda connection, at: accounts.change(connection, case.witness, BY_ADMIN, puppet, employee=employee)
        )


async def test_what_another_has_set_opens_nothing_until_its_holder_was_seen(database: TestDatabase) -> None:
    """A reset password and a removed generator sleep; every setting makes another code, whose tries are counted."""
    case = await identity(database)
    li, root, second = [await case.account(each) for each in ("li.wei", "root", "second")]
    desk, prove = case.desk, case.desk.credentials
    with pytest.raises(NothingToConfirm):
        await desk.confirm(li, "0000-0000", as_(second))
    await prove.set_password(li, "a one time password", as_(root), must_change=True)
    code = await desk.code(li)
    proof = await prove.sign_in("li.wei", "a one time password", "")
    assert (proof.must_change, proof.unconfirmed) == (True, True)
    assert (await desk.resume(await desk.begin(proof, as_(li)))).unconfirmed
    await prove.set_password(li, "my own long sentence", as_(li))
    for path in ("signature", "pin", "command line"):
        with pytest.raises(IdentityDue):
            await prove.prove(li.id, {"password": "my own long sentence"}, path)
    for by in (root, li):
        with pytest.raises(NotYourself):
            await desk.confirm(li, code, as_(by))
    await prove.remove_totp(li, as_(root), "lost")
    assert await desk.code(li) != code
    with pytest.raises(WrongConfirmation):
        await desk.confirm(li, code, as_(second))
    secret = await desk.begin(await prove.sign_in("li.wei", "my own long sentence", ""), as_(li))
    await desk.confirm(li, await desk.code(li), as_(second))
    assert not (await desk.resume(secret)).unconfirmed
    assert await prove.prove(li.id, {"password": "my own long sentence"}, "signature")
    told = [each.action for each in case.witness.events]
    assert ("identity.refuse" in told, "identity.confirm" in told) == (True, True)

    # Whoever guesses is stopped; a password nobody came for lapses.
    await prove.set_password(li, "another one time word", as_(root), must_change=True)
    for _ in range(5):
        with pytest.raises(WrongConfirmation):
            await desk.confirm(li, "0000-0000", as_(second))
    with pytest.raises(LockedOut):
        await desk.confirm(li, await desk.code(li), as_(second))
    case.later(hours=73)
    with pytest.raises(SignInFailed):
        await prove.sign_in("li.wei", "another one time word", "")


async def test_a_services_token_takes_two_and_is_taken_once(database: TestDatabase) -> None:
    case = await identity(database)
    li, root, second = [await case.account(each) for each in ("li.wei", "root", "second")]
    robot = await case.account("robot", kind="service", password="")
    until = case.clock.now() + timedelta(days=30)

    async def within(act: Any, by: Account, *more: Any, **named: Any) -> Any:
        return await case.desk.within(
            lambda connection, at: act(connection, case.witness, as_(by), *more, at=at, **named)
        )

    agree = partial(token_requests.approve, why="nightly orders")
    with pytest.raises(WrongKind):
        await within(token_requests.request, root, li, name="x", expires_at=until)
    wanted = await within(token_requests.request, root, robot, name="x", expires_at=until)
    for by, act, problem in (
        (root, token_requests.collect, NoToken),
        (root, agree, NotYourself),
        (robot, agree, NotYourself),
    ):
        with pytest.raises(problem):
            await within(act, by, wanted.id)
    await within(agree, second, wanted.id)
    with pytest.raises(NotYourself):
        await within(token_requests.collect, second, wanted.id)
    secret, _ = await within(token_requests.collect, root, wanted.id)
    assert (await case.desk.resume(secret)).facts.person.login == "robot"
    with pytest.raises(NoToken):
        await within(token_requests.collect, root, wanted.id)
    late = await within(token_requests.request, root, robot, name="y", expires_at=until)
    await within(agree, second, late.id)
    case.later(days=8)
    with pytest.raises(NoToken):
        await within(token_requests.collect, root, late.id)


async def test_a_token_gives_no_role_that_was_lost(database: TestDatabase) -> None:
    """Narrowed to a role that is not held any more it gives nothing, never more; the next request knows."""
    case = await identity(database)
    li = await case.account("li.wei")
    held = await case.assign(li, "buyer")
    await case.assign(li, "planner")
    until = case.clock.now() + timedelta(days=30)
    secret, _ = await case.desk.within(
        lambda connection, at: tokens.create(
            connection, case.witness, as_(li), li, name="x", at=at, expires_at=until, scopes=["buyer"]
        )
    )
    before = await case.desk.resume(secret)
    assert before.facts.person.roles == ("buyer",)
    await case.desk.within(lambda connection, at: case.desk.assignments.end(connection, BY_ADMIN, held.id, at, "moved"))
    old = replace(as_(li), session=before.session.id, epoch=before.session.epoch)
    with pytest.raises(SessionEnded):
        await case.desk.within(lambda connection, at: sessions.require(connection, old, at))
    assert (await case.desk.resume(secret)).facts.person.roles == ()
    async with case.desk.database.read() as connection:
        assert (await people.person_of(connection, li.id, case.clock.now())).roles == ("planner",)
