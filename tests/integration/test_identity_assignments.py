"""Roles given for a time: asked for by one, granted by another; separations, delegations, emergencies, leaving."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.integration.identity_case import ADMIN, BY_ADMIN, Case, as_, identity

from clew.identity import accounts, emergency, leaving, people, tokens
from clew.identity.accounts import Account
from clew.identity.assignments import Asked, Assignment
from clew.identity.errors import (
    BadPeriod,
    NoAssignment,
    NotHeld,
    NotYourself,
    ScopeClash,
    SeparationConflict,
    SessionEnded,
    UnknownRole,
    WrongKind,
)
from clew.kernel.context import Context, Person, Scope
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier

pytestmark = pytest.mark.anyio
SHANGHAI, SUZHOU = uuid4(), uuid4()


async def person(case: Case, account: Account) -> Person:
    async with case.desk.database.read() as connection:
        return await people.person_of(connection, account.id, case.clock.now())


async def do(case: Case, work: Callable[[Connection, datetime], Awaitable[Any]]) -> Any:
    return await case.desk.within(work)


async def delegated(case: Case, giver: Account, taker: Account, role: str, **more: Any) -> Assignment:
    now = case.clock.now()
    span = {"valid_from": now, "valid_to": now + timedelta(days=5), **more}
    asked = Asked(taker.id, role, delegator=giver.id, **span)
    made: Assignment = await do(
        case, lambda connection, at: case.desk.assignments.delegate(connection, as_(giver), asked, at)
    )
    return made


async def test_a_role_is_asked_for_by_one_and_granted_by_another(database: TestDatabase) -> None:
    case = await identity(database)
    li, wang = await case.account("li.wei"), await case.account("wang.fang")
    book = case.desk.assignments
    asked = Asked(li.id, "buyer", case.clock.now(), sites=(SHANGHAI,), reason="new in purchasing")
    wanted = await do(case, lambda connection, at: book.request(connection, as_(li), asked, at))
    assert (await person(case, li)).roles == ()
    with pytest.raises(NotYourself):
        await do(case, lambda connection, at: book.approve(connection, as_(li), wanted.id, at, "new"))
    with pytest.raises(NotYourself):
        await do(case, lambda connection, at: book.assign(connection, as_(li), asked, at))
    await do(case, lambda connection, at: book.approve(connection, as_(wang), wanted.id, at, "new"))
    found = await person(case, li)
    assert (found.roles, found.sites) == (("buyer",), (SHANGHAI,))
    assert found.scopes["buyer"] == Scope((SHANGHAI,), None)
    with pytest.raises(NoAssignment):
        await do(case, lambda connection, at: book.approve(connection, as_(wang), wanted.id, at, "new"))
    for bad, error in (
        (replace(asked, role="nonsense"), UnknownRole),
        (replace(asked, role="connector"), WrongKind),
        (replace(asked, valid_to=case.clock.now()), BadPeriod),
        (replace(asked, valid_to=case.clock.now() - timedelta(days=1)), BadPeriod),
    ):
        with pytest.raises(error):
            await case.assign(li, bad.role, valid_from=bad.valid_from, valid_to=bad.valid_to)
    assert case.witness.actions()[-2:] == ["assignment.request", "assignment.grant"]


async def test_a_role_counts_in_its_time_only(database: TestDatabase) -> None:
    case = await identity(database)
    li = await case.account("li.wei")
    start = case.clock.now() + timedelta(days=1)
    await case.assign(li, "buyer", valid_from=start, valid_to=start + timedelta(days=2))
    async with case.desk.database.read() as connection:
        facts = await people.facts_of(connection, li.id, case.clock.now())
    assert (facts.person.roles, facts.until) == ((), start)
    case.later(days=1)
    assert (await person(case, li)).roles == ("buyer",)
    case.later(days=2)
    assert (await person(case, li)).roles == ()


async def test_static_separations_are_refused(database: TestDatabase) -> None:
    """Over everything held in an overlapping time; not over what is over by then."""
    case = await identity(database)
    li = await case.account("li.wei")
    now = case.clock.now()
    first = await case.assign(li, "buyer", valid_to=now + timedelta(days=10))
    with pytest.raises(SeparationConflict) as refused:
        await case.assign(li, "qa_manager")
    assert "buyer_is_not_approver" in refused.value.message("zh")
    await case.assign(li, "qa_manager", valid_from=now + timedelta(days=10))
    with pytest.raises(SeparationConflict):
        await case.assign(li, "buyer", valid_from=now + timedelta(days=11))
    await do(case, lambda connection, at: case.desk.assignments.end(connection, BY_ADMIN, first.id, at, "moved"))
    await case.assign(li, "sqe")


async def test_a_delegate_inherits_the_separations_of_the_delegator(database: TestDatabase) -> None:
    case = await identity(database)
    li, wang, zhao = [await case.account(login) for login in ("li.wei", "wang.fang", "zhao.min")]
    await case.assign(li, "planner")
    await case.assign(li, "buyer")
    await case.assign(wang, "sqe")
    with pytest.raises(SeparationConflict):  # the planner's deputy would stand in for a buyer
        await delegated(case, li, wang, "planner")
    with pytest.raises(NotHeld):
        await delegated(case, li, zhao, "qa_manager")
    with pytest.raises(NotYourself):
        await delegated(case, li, li, "buyer")
    with pytest.raises(BadPeriod):
        await delegated(case, li, zhao, "buyer", valid_to=None)
    with pytest.raises(BadPeriod):
        await delegated(case, li, zhao, "buyer", valid_to=case.clock.now() + timedelta(days=365))
    made = await delegated(case, li, zhao, "buyer")
    assert (await person(case, zhao)).roles == ("buyer",)
    with pytest.raises(NotHeld):  # what was only lent is not passed on
        await delegated(case, zhao, wang, "buyer")
    with pytest.raises(SeparationConflict):
        await case.assign(zhao, "qa_manager")
    with pytest.raises(SeparationConflict):  # the delegator gets more, and the deputy would carry it too
        await case.assign(zhao, "sqe")
    for each in await do(case, lambda connection, at: case.desk.assignments.of(connection, li.id)):
        if each.role == "buyer":
            await do(
                case,
                lambda connection, at, gone=each.id: case.desk.assignments.end(connection, BY_ADMIN, gone, at, "moved"),
            )
    assert (await person(case, zhao)).roles == ()
    with pytest.raises(NoAssignment):
        await do(case, lambda connection, at: case.desk.assignments.end(connection, BY_ADMIN, made.id, at, "again"))


async def test_a_role_that_groups_gave_takes_its_deputies_along_when_it_goes(database: TestDatabase) -> None:
    """The provider's group is gone, and with it the claim: nobody stands in with a role its giver does not hold."""
    case = await identity(database)
    li, zhao = await case.account("li.wei"), await case.account("zhao.min")
    claim = Asked(li.id, "buyer", case.clock.now(), kind="claim", reason="single sign-on")
    held: Assignment = await do(
        case, lambda connection, at: case.desk.assignments.assign(connection, BY_ADMIN, claim, at)
    )
    await delegated(case, li, zhao, "buyer")
    assert (await person(case, zhao)).roles == ("buyer",)
    await do(case, lambda connection, at: case.desk.assignments.end(connection, BY_ADMIN, held.id, at, "group gone"))
    assert (await person(case, zhao)).roles == ()


async def test_a_delegation_stays_within_what_is_held(database: TestDatabase) -> None:
    case = await identity(database)
    li, zhao = await case.account("li.wei"), await case.account("zhao.min")
    await case.assign(li, "buyer", sites=(SHANGHAI,), valid_to=case.clock.now() + timedelta(days=30))
    with pytest.raises(NotHeld):
        await delegated(case, li, zhao, "buyer")  # everywhere
    with pytest.raises(NotHeld):
        await delegated(case, li, zhao, "buyer", sites=(SUZHOU,))
    with pytest.raises(NotHeld):
        await delegated(case, li, zhao, "buyer", sites=(SHANGHAI,), valid_to=case.clock.now() + timedelta(days=31))
    await delegated(case, li, zhao, "buyer", sites=(SHANGHAI,))
    assert (await person(case, zhao)).scopes == {"buyer": Scope((SHANGHAI,), None)}


async def test_two_scopes_of_one_role_never_add_up_to_more(database: TestDatabase) -> None:
    case = await identity(database)
    li = await case.account("li.wei")
    await case.assign(li, "buyer", sites=(SHANGHAI,), families=("stent",))
    with pytest.raises(ScopeClash):
        await case.assign(li, "buyer", sites=(SUZHOU,), families=("valve",))
    await case.assign(li, "buyer", sites=(SUZHOU,), families=("stent",))
    assert (await person(case, li)).scopes["buyer"] == Scope((SHANGHAI, SUZHOU), ("stent",))


async def test_break_glass_takes_two_and_is_reviewed(database: TestDatabase) -> None:
    case = await identity(database)
    li, wang, zhao = [await case.account(login) for login in ("li.wei", "wang.fang", "zhao.min")]
    book = case.desk.assignments

    async def ask(hours: float, reason: str = "sterilizer alarm, nobody else on site") -> Any:
        asked = Asked(li.id, "qa_manager", case.clock.now(), reason=reason)
        return await do(case, lambda connection, at: emergency.ask(book, connection, as_(li), asked, at, hours))

    for hours, reason in ((25, "a good reason"), (0, "a good reason"), (2, "")):
        with pytest.raises(BadPeriod):
            await ask(hours, reason)
    made = (await ask(24)).assignment
    assert (await person(case, li)).roles == ()
    with pytest.raises(NotYourself):
        await do(case, lambda connection, at: emergency.approve(book, connection, as_(li), made.id, at, "alarm"))
    await do(case, lambda connection, at: emergency.approve(book, connection, as_(wang), made.id, at, "alarm"))
    assert (await person(case, li)).roles == ("qa_manager",)
    case.later(hours=24)
    assert (await person(case, li)).roles == ()
    [due] = await do(case, lambda connection, at: emergency.pending(book, connection))
    assert due.assignment.id == made.id
    for who in (li, wang):
        with pytest.raises(NotYourself):
            await do(
                case,
                lambda connection, at, who=who: emergency.review(
                    book, connection, as_(who), made.id, at, "justified", ""
                ),
            )
    await do(
        case,
        lambda connection, at: emergency.review(book, connection, as_(zhao), made.id, at, "not_justified", "too long"),
    )
    assert await do(case, lambda connection, at: emergency.pending(book, connection)) == []


async def test_whom_a_disabled_account_has_lent_a_role_acts_for_it_no_more(database: TestDatabase) -> None:
    case = await identity(database)
    li, zhao, qian = [await case.account(each) for each in ("li.wei", "zhao.min", "qian.yu")]
    await case.assign(li, "buyer")
    await case.assign(qian, "planner")
    await delegated(case, li, zhao, "buyer")
    await delegated(case, qian, li, "planner")
    await do(
        case,
        lambda connection, at: leaving.disable(case.desk.assignments, connection, BY_ADMIN, li, at, "lost badge"),
    )
    assert (await person(case, zhao)).roles == ()
    told = [(each.action, each.subject_id, each.reason) for each in case.witness.events[-2:]]
    assert told == [("assignment.end", zhao.id, "lost badge"), ("account.disable", li.id, "lost badge")]
    await do(case, lambda connection, at: accounts.enable(connection, case.witness, BY_ADMIN, li, "found"))
    assert (await person(case, zhao)).roles == (), "coming back brings nothing back that was lent"
    assert set((await person(case, li)).roles) == {"buyer", "planner"}, "what is theirs, and what was lent to them"


async def test_leaving_ends_everything_and_names_what_is_open(database: TestDatabase) -> None:
    case = await identity(database)
    li, zhao = await case.account("li.wei"), await case.account("zhao.min")
    await case.assign(li, "buyer")
    await case.assign(li, "planner")
    await case.assign(zhao, "planner")
    await delegated(case, li, zhao, "buyer")
    secret = await case.signed_in("li.wei")
    token, _ = await do(
        case,
        lambda connection, at: tokens.create(
            connection, case.witness, BY_ADMIN, li, name="erp", at=at, expires_at=at + timedelta(days=1)
        ),
    )
    opened = await do(
        case,
        lambda connection, at: leaving.leave(
            case.desk.assignments, connection, BY_ADMIN, li, at, "left", ["position:PUR-01"]
        ),
    )
    assert [each.what for each in opened] == ["role:buyer", "position:PUR-01"]
    assert (await person(case, zhao)).roles == ("planner",)
    for gone in (secret, token):
        with pytest.raises(SessionEnded):
            await case.desk.resume(gone)
    with pytest.raises(SessionEnded):
        await person(case, li)
    await do(
        case,
        lambda connection, at: leaving.close_handover(
            case.desk.assignments, connection, BY_ADMIN, opened[0].id, zhao, at
        ),
    )
    [left] = await do(case, lambda connection, at: leaving.open_handovers(connection))
    assert left.what == "position:PUR-01"


async def test_facts_of_a_person(database: TestDatabase) -> None:
    """An external user stands for a record of ours: what `user.party` means in conditions."""
    case = await identity(database)
    supplier = uuid4()

    async def make(connection: Connection, at: datetime) -> Account:
        facts = {"party": supplier, "site": SUZHOU, "department": None}
        return await accounts.create(
            connection, case.witness, BY_ADMIN, login="acme@example.com", name="ACME", at=at, kind="external",
            facts=facts,
        )  # fmt: skip

    acme = await do(case, make)
    await case.assign(acme, "supplier")
    with pytest.raises(WrongKind):
        await case.assign(acme, "buyer")
    found = await person(case, acme)
    assert (found.party, found.site, found.sites, found.department) == (supplier, SUZHOU, (SUZHOU,), None)
    assert isinstance(Context(found, "x").person.party, UUID)
    assert ADMIN.scopes == {}


async def test_two_roles_that_must_be_apart_granted_at_once(database: TestDatabase, tier: Tier) -> None:
    """Two administrators grant the two halves of a toxic pair at the same moment: one of the two, never both."""
    case = await identity(database)
    first, second = await case.account("wang.fang"), await case.account("zhao.min")
    book = case.desk.assignments
    for number in range(tier.count(4, 100)):
        li = await case.account(f"li.wei{number}")

        async def wanted(role: str, li: Account = li) -> UUID:
            asked = Asked(li.id, role, case.clock.now(), reason="new")
            made = await do(case, lambda connection, at: book.request(connection, as_(li), asked, at))
            return UUID(str(made.id))

        async def grant(by: Account, one: UUID) -> Any:
            return await do(case, lambda connection, at: book.approve(connection, as_(by), one, at, "new"))

        buys, approves = await wanted("buyer"), await wanted("sqe")
        outcomes = await asyncio.gather(grant(first, buys), grant(second, approves), return_exceptions=True)
        refused = [each for each in outcomes if isinstance(each, BaseException)]
        assert [type(each) for each in refused] == [SeparationConflict], outcomes
        assert len((await person(case, li)).roles) == 1
