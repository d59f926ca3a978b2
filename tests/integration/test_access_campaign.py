"""Review campaigns: owners attest or revoke, signed; revoking holds at once; nobody decides on their own role."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.integration.identity_case import BY_ADMIN, PASSWORD
from tests.integration.review_world import World, project, world
from tests.integration.write_journey import MINI

from clew.audit import signatures
from clew.audit.leaf import entries_of
from clew.identity import accounts
from clew.identity.credentials import Proof
from clew.identity.people import person_of
from clew.kernel.context import Context
from clew.metadata.blueprint import Blueprint
from clew.process import reading
from clew.records.review import campaign as campaigns
from clew.records.review.campaign import (
    Campaign,
    Decided,
    Deciding,
    Item,
    NoOwner,
    NotYours,
    Undecided,
    Verdict,
    Wanted,
)
from clew.records.review.reminders import Reminders, left
from clew.records.signing.errors import ComponentsMissing, NotASigner
from clew.records.signing.verify import Verifier
from clew.storage import identity_tables, system
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


class Case:
    """A world with a campaign over two roles, owned by two people."""

    def __init__(self, made: World) -> None:
        self.made = made

    @classmethod
    async def begun(cls, database: TestDatabase, blueprint: Blueprint | None = None) -> Case:
        made = await world(await database.open(), blueprint)
        await made.account("cora", "compliance")
        await made.account("carl", "compliance")
        await made.account("ina", "qc_inspector", sites=["SHA"])
        await made.account("rob", "releaser", sites=["SHA"])
        for login in ("cora", "carl", "rob"):
            await made.password(login)
        await made.lot("lot", by="ina")
        return cls(made)

    async def start(self, *roles: str, **owners: str) -> Campaign:
        made = self.made
        named = {role: made.accounts[login].id for role, login in owners.items()}

        async def work(connection: Connection, at: Any) -> Campaign:
            people = await made.review.everybody(connection, at)
            wanted = Wanted("2026 Q4", at + timedelta(days=30), roles, named)
            context = await self.context(connection, "cora")
            return await campaigns.begin(connection, context, "1", people, wanted)

        return await made.identity.within(work)

    async def items(self, campaign: Campaign) -> dict[str, Item]:
        async with self.made.database.read() as connection:
            return {each.shown["login"]: each for each in await campaigns.items_of(connection, campaign.id)}

    async def context(self, connection: Connection, login: str) -> Context:
        person = await person_of(connection, self.made.accounts[login].id, await connection.now())
        return Context(person, "req", channel="test")

    async def decide(
        self, campaign: Campaign, login: str, assignment: UUID, verdict: Verdict, components: Any = None
    ) -> Item:
        made, account = self.made, self.made.accounts[login]
        components = components or {"login": login, "password": PASSWORD}
        proof: Proof = await made.identity.credentials.prove(account.id, components, "signature")

        async def work(connection: Connection, at: Any) -> Item:
            decision = made.review.decision(await made.review.one(connection, login, at))
            context = await self.context(connection, login)
            deciding = Deciding(made.review, connection, context, decision, proof)
            return await deciding.decide(campaign.id, assignment, verdict, "looked at")

        return await made.identity.within(work)

    async def close(self, campaign: Campaign, *, lapse: bool = False) -> Campaign:
        async def work(connection: Connection, at: Any) -> Campaign:
            context = await self.context(connection, "cora")
            return await campaigns.close(self.made.review, connection, context, campaign.id, lapse=lapse)

        return await self.made.identity.within(work)

    async def roles(self, login: str) -> tuple[str, ...]:
        async with self.made.database.read() as connection:
            return (await self.made.known(connection, login)).person.roles


async def test_attesting_keeps_and_revoking_takes_away_at_once(database: TestDatabase) -> None:
    case = await Case.begun(database)
    campaign = await case.start("qc_inspector", "releaser", qc_inspector="carl", releaser="cora")
    items = await case.items(campaign)
    assert {login: (each.owner, each.verdict) for login, each in items.items()} == {
        "ina": (case.made.accounts["carl"].id, None),
        "rob": (case.made.accounts["cora"].id, None),
    }
    kept = await case.decide(campaign, "carl", items["ina"].assignment, "attest")
    gone = await case.decide(campaign, "cora", items["rob"].assignment, "revoke")
    assert (kept.verdict, gone.verdict) == ("attest", "revoke")
    assert await case.roles("ina") == ("qc_inspector",)
    assert await case.roles("rob") == ()

    # The signature says what was shown and stands by itself.
    async with case.made.database.read() as connection:
        assert gone.signature is not None
        signed = await signatures.one(connection, gone.signature)
        assert signed is not None
        assert signed.meaning == "review"
        assert signed.printed_name == "Cora"
        assert signed.signed()["content"]["assignment"]["login"] == "rob"
        assert await signatures.disagreements(connection, signed) == ()
        leaf = system.leaf.c
        told = await connection.fetch(sa.select(leaf.action, leaf.fields).where(leaf.entity == "clew.review"))
    assert sorted(row[0] for row in told) == [
        "review.attest", "review.begin", "review.revoke", "sign:review", "sign:review"
    ]  # fmt: skip
    decided = [row for row in told if row[0] in ("review.attest", "review.revoke")]
    assert {row[0]: entries_of(row[1])["verdict"].new for row in decided} == {
        "review.attest": "attest",
        "review.revoke": "revoke",
    }
    broken = [each async for each in Verifier(case.made.plant.commands.engine).broken(case.made.database)]
    assert broken == []
    assert (await case.close(campaign)).closed_at is not None


async def test_nobody_decides_on_their_own_role_nor_for_another(database: TestDatabase) -> None:
    case = await Case.begun(database)
    campaign = await case.start("compliance", compliance="cora", **{"*": "carl"})
    items = await case.items(campaign)
    # Cora is named for the role, but not for herself.
    assert items["cora"].owner == case.made.accounts["carl"].id
    assert items["carl"].owner == case.made.accounts["cora"].id
    with pytest.raises(NotYours):
        await case.decide(campaign, "cora", items["cora"].assignment, "attest")
    await case.decide(campaign, "carl", items["cora"].assignment, "attest")
    with pytest.raises(Decided):
        await case.decide(campaign, "carl", items["cora"].assignment, "revoke")


async def test_signing_takes_both_components_and_the_meaning(database: TestDatabase) -> None:
    case = await Case.begun(database)
    campaign = await case.start("qc_inspector", qc_inspector="rob")
    item = (await case.items(campaign))["ina"]
    with pytest.raises(NotASigner):
        await case.decide(campaign, "rob", item.assignment, "attest")
    other = await case.start("qc_inspector", qc_inspector="carl")
    with pytest.raises(ComponentsMissing):
        await case.decide(other, "carl", item.assignment, "attest", {"password": PASSWORD})
    assert (await case.items(other))["ina"].verdict is None


async def test_what_is_left_at_the_end_lapses_only_when_told(database: TestDatabase) -> None:
    case = await Case.begun(database)
    campaign = await case.start("qc_inspector", "releaser", **{"*": "carl"})
    with pytest.raises(Undecided):
        await case.close(campaign)
    assert await case.roles("ina") == ("qc_inspector",)
    await case.close(campaign, lapse=True)
    assert await case.roles("ina") == ()
    assert await case.roles("rob") == ()
    assert {each.verdict for each in (await case.items(campaign)).values()} == {"revoke"}
    with pytest.raises(Decided):
        await case.close(campaign)


async def test_somebody_must_answer_for_every_assignment(database: TestDatabase) -> None:
    case = await Case.begun(database)
    made = case.made

    async def work(connection: Connection, at: Any) -> None:
        people = await made.review.everybody(connection, at)
        mine = [each for each in people if each.account.login == "cora"]
        wanted = Wanted("x", at + timedelta(days=1))
        await campaigns.begin(connection, await case.context(connection, "cora"), "1", mine, wanted)

    with pytest.raises(NoOwner):
        await made.identity.within(work)


PEOPLE = """
entity: employee
label: {zh: 员工, en: Employee}
class: master
key: [emp_no]
fields:
  emp_no:       {type: text, required: true}
  login_id:     {type: text}
  printed_name: {type: text, required: true}
  may_sign:     {type: boolean, default: false}
"""


async def test_where_persons_say_who_may_sign_the_signer_is_one_of_them(database: TestDatabase) -> None:
    """Identity verified and statement on file (21 CFR 11.100), and the printed name of the person's record."""
    group = (MINI / "clew.yaml").read_text(encoding="utf-8") + "\nidentity:\n  people: {entity: employee}\n"
    case = await Case.begun(database, project(**{"models/employee.yaml": PEOPLE, "clew.yaml": group}))
    made = case.made
    campaign = await case.start("qc_inspector", qc_inspector="carl")
    item = (await case.items(campaign))["ina"]
    with pytest.raises(NotASigner, match="statement"):
        await case.decide(campaign, "carl", item.assignment, "attest")
    person = {"emp_no": "1", "printed_name": "Carl Xu", "may_sign": False}
    staff = await made.plant.commands.create(made.plant.call, "employee", person)

    async def bind(connection: Connection, at: Any) -> None:
        known = await made.review.one(connection, "carl", at)
        await accounts.change(connection, made.identity.witness, BY_ADMIN, known.account, employee=staff.id)

    await made.identity.within(bind)
    with pytest.raises(NotASigner, match="statement"):
        await case.decide(campaign, "carl", item.assignment, "attest")
    await made.plant.commands.update(made.plant.call, "employee", staff.id, 1, {"may_sign": True})
    done = await case.decide(campaign, "carl", item.assignment, "attest")
    async with made.database.read() as connection:
        assert done.signature is not None
        signed = await signatures.one(connection, done.signature)
    assert signed is not None
    assert (signed.printed_name, signed.employee) == ("Carl Xu", staff.id)


async def test_owners_are_reminded_once_before_and_once_after_the_due_date(database: TestDatabase) -> None:
    case = await Case.begun(database)
    made = case.made
    campaign = await case.start("qc_inspector", "releaser", qc_inspector="cora", releaser="carl")
    items = await case.items(campaign)
    await case.decide(campaign, "cora", items["ina"].assignment, "attest")
    reminders = Reminders(made.database, lambda: made.plant.blueprint.project)

    async def due_in(days: float) -> None:
        async with made.database.write() as connection:
            at = await connection.now() + timedelta(days=days)
            await connection.execute(sa.update(identity_tables.review).values(due_at=at))

    assert await reminders.remind() == 0
    for days, kind in ((6, "due_soon"), (-1, "overdue")):
        await due_in(days)
        assert [await reminders.remind() for _ in range(2)] == [1, 0]
        async with made.database.read() as connection:
            chosen = sa.select(system.outbox.c.type, system.outbox.c.payload).order_by(system.outbox.c.event_id.desc())
            type_, payload = (await connection.fetch(chosen.limit(1)))[0]
        told = json.loads(payload)["data"]
        assert (type_, told["open"], told["name"]) == (f"clew.review.{kind}", 1, "2026 Q4")
        assert told["owner"] == str(made.accounts["carl"].id)
        async with made.database.read() as connection:
            (notice,) = (await reading.notices(connection, made.accounts["carl"].id, unread=True, limit=9))[:1]
        assert (notice["about"], notice["process"]) == (f"review_{kind}", str(campaign.id)), "and in the application"
        assert "2026 Q4" in notice["en"]
        assert "1" in notice["zh"]
    await case.close(campaign, lapse=True)
    async with made.database.read() as connection:
        assert await left(connection) == []
