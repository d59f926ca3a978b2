"""Signing with real accounts through the door: sessions, secrets, one counter, people, roles and their sites."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from tests.integration.guarded_case import INSTALLER, guarded_project, sign_in
from tests.integration.http_case import ADDRESS, Served, served
from tests.integration.identity_case import CHEAP, PASSWORD, as_

from clew.access.decision import permit_all
from clew.audit import signatures
from clew.identity import accounts
from clew.identity.accounts import Account, Kind
from clew.identity.assignments import Asked
from clew.identity.secrets import Hasher
from clew.kernel.context import Context
from clew.records.commands import Call
from clew.records.decisions import stored
from clew.records.decisions.replay import Replay
from clew.records.signing.verify import Verifier
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

PEOPLE = """
entity: employee
label: {zh: 员工, en: Employee}
class: master
key: [login_id]
fields:
  login_id:          {type: text, required: true}
  printed_name:      {type: text, required: true}
  id_verified_at:    {type: datetime}
  esig_statement_at: {type: datetime}
  may_sign:          {type: boolean, is: "id_verified_at != null && esig_statement_at != null"}
"""
POLICIES = """
role: releaser
label: {zh: 放行人, en: Releaser}
sites: own
signs: [release]
may:
  lot: {read: always, create: always, update: always, do: {release: always, reject: always}, audit: always}
  site: {read: always}
  item: {read: always}
---
role: tester
label: {zh: 检验员, en: Tester}
sites: own
signs: [verification]
may:
  lot: {read: always, do: {release: always}, audit: always}
---
role: chief
label: {zh: 总管, en: Chief}
inherits: [releaser]
administer: [accounts]
"""
RELEASE = """mutation($id: ID!, $v: Int!, $s: SignatureInput!) { releaseLot(id: $id, rowVersion: $v, signature: $s) {
  lot { state signatures { nodes { printedName role meaning current verified components } } } } }"""


@dataclass
class House:
    """A served project in which people sign."""

    served: Served
    ids: dict[str, UUID]
    clients: list[httpx2.AsyncClient] = field(default_factory=list)

    def client(self) -> httpx2.AsyncClient:
        """Another browser, with cookies of its own."""
        transport = httpx2.ASGITransport(app=self.served.app, raise_app_exceptions=False)
        self.clients.append(httpx2.AsyncClient(transport=transport, base_url=ADDRESS))
        return self.clients[-1]

    @property
    def desk(self) -> Any:
        return self.served.host.current.desk

    @property
    def installer(self) -> Call:
        """The operator at this machine, who may do everything but sign."""
        runtime = self.served.host.current
        context = Context(runtime.operator, "install", channel="cli")
        return Call(context, permit_all(runtime.blueprint), "set up")

    async def person(
        self, login: str, *roles: str, sites: tuple[str, ...] | None = None, kind: Kind = "person", known: bool = True
    ) -> Account:
        """An account with roles at some sites, and a person's record with identity and statement on file."""
        at = "2026-01-01T00:00:00Z" if known else None
        given = {"login_id": login, "printed_name": f"{login} 先生", "id_verified_at": at, "esig_statement_at": at}
        employee = await self.served.host.current.commands.create(self.installer, "employee", given)
        desk = self.desk

        async def work(connection: Connection, now: datetime) -> Account:
            made = await accounts.create(
                connection, desk.witness, INSTALLER, login=login, name=login, at=now, kind=kind, employee=employee.id
            )
            where = None if sites is None else tuple(self.ids[each] for each in sites)
            for role in roles:
                await desk.assignments.assign(connection, INSTALLER, Asked(made.id, role, now, sites=where), now)
            return made

        made: Account = await desk.within(work)
        await desk.credentials.set_password(made, PASSWORD, INSTALLER, settled=True)
        return made

    async def replays(self) -> list[Replay]:
        """Everything decided, decided again: by the signatures that are stored, and people as they were then."""
        runtime = self.served.host.current
        async with runtime.database.read() as connection:
            kept = await stored.since(connection, datetime(2020, 1, 1, tzinfo=UTC), 1000)
            return [await runtime.replayer.replay(connection, each) for each in kept]

    async def furnish(self) -> None:
        """Two sites and an item."""
        commands = self.served.host.current.commands
        for code in ("SHA", "SUZ"):
            self.ids[code] = (await commands.create(self.installer, "site", {"code": code, "name": code})).id
        given = {"item_no": "RAW-1", "name": "无菌注射器"}
        self.ids["item"] = (await commands.create(self.installer, "item", given)).id

    async def lot(self, site: str = "SHA", qty: str = "5") -> str:
        given = {"site": self.ids[site], "item": self.ids["item"], "qty": qty}
        return str((await self.served.host.current.commands.create(self.installer, "lot", given)).id)


@dataclass
class Signer:
    """A person at a browser, signed in."""

    client: httpx2.AsyncClient

    async def ask(self, query: str, **variables: Any) -> Any:
        headers = {"origin": ADDRESS, "x-clew-csrf": self.client.cookies.get("clew_csrf") or ""}
        answer = await self.client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
        return answer.json()

    async def release(self, lot: str, version: int = 1, **components: str) -> str:
        """Look, then sign; the state that comes out, or the code of the refusal."""
        look = "query($id: ID!) { lot(id: $id) { signable { digest } } }"
        seen = (await self.ask(look, id=lot))["data"]["lot"]["signable"]
        given = {"digest": seen["digest"], "meaning": "release", **components}
        found = await self.ask(RELEASE, id=lot, v=version, s=given)
        if "errors" in found:
            return str(found["errors"][0]["extensions"]["code"])
        return str(found["data"]["releaseLot"]["lot"]["state"])


def signing_project(folder: Path) -> Path:
    """The mini project with policies and people who sign."""
    project = guarded_project(folder)
    (project / "models" / "employee.yaml").write_text(PEOPLE.lstrip(), encoding="utf-8")
    with (project / "clew.yaml").open("a", encoding="utf-8") as file:
        file.write("identity:\n  people: {entity: employee, login: login_id, name: printed_name}\n")
    (project / "permissions" / "signing.yaml").write_text(POLICIES.lstrip(), encoding="utf-8")
    return project


@pytest.fixture
async def house(database: TestDatabase, tmp_path: Path) -> AsyncIterator[House]:
    project = signing_project(tmp_path / "signing")
    async with served(database.url, tmp_path / "blobs", folder=project, project=project) as running:
        running.host.current.desk.credentials.hasher = Hasher(CHEAP)
        made = House(running, {})
        await made.furnish()
        yield made
        for found in await made.replays():
            assert found.faithful, (found.decision.said(), found.then, found.unfaithful)
        for client in made.clients:
            await client.aclose()


async def browser(house: House, login: str) -> Signer:
    client = house.client()
    assert (await sign_in(client, login)).status_code in (200, 204)
    return Signer(client)


async def test_a_person_signs_with_login_and_password(house: House) -> None:
    await house.person("zhang", "releaser", sites=("SHA",))
    signer = await browser(house, "zhang")
    first, second, third = [await house.lot() for _ in range(3)]
    assert await signer.release(first, password=PASSWORD) == "SIGNATURE_COMPONENTS"
    assert await signer.release(first, login="zhang", password=PASSWORD) == "released"
    assert await signer.release(second, password=PASSWORD) == "released"
    other = await browser(house, "zhang")
    assert await other.release(third, password=PASSWORD) == "SIGNATURE_COMPONENTS"
    shown = await signer.ask(
        "query($id: ID!) { lot(id: $id) { signatures { nodes { printedName role components verified } } } }", id=second
    )
    assert shown["data"]["lot"]["signatures"]["nodes"] == [
        {"printedName": "zhang 先生", "role": "releaser", "components": ["password"], "verified": True}
    ]
    decided = await signer.ask('query($id: ID!) { decisionsOf(entity: "lot", id: $id) { outcome code } }', id=third)
    assert decided["data"]["decisionsOf"] == [{"outcome": "refused", "code": "SIGNATURE_COMPONENTS"}]


async def test_wrong_secrets_count_and_lock_for_every_path(house: House) -> None:
    await house.person("zhang", "releaser", sites=("SHA",))
    signer = await browser(house, "zhang")
    lot = await house.lot()
    codes = [await signer.release(lot, login="zhang", password="wrong wrong wrong") for _ in range(5)]
    assert codes[0] == "WRONG_CREDENTIALS"
    assert await signer.release(lot, login="zhang", password=PASSWORD) == "LOCKED_OUT"
    assert (await sign_in(house.client(), "zhang")).status_code == 401


async def test_somebody_elses_login_is_a_wrong_component(house: House) -> None:
    await house.person("zhang", "releaser", sites=("SHA",))
    await house.person("zhao", "releaser", sites=("SHA",))
    signer = await browser(house, "zhang")
    assert await signer.release(await house.lot(), login="zhao", password=PASSWORD) == "WRONG_CREDENTIALS"


async def test_a_signing_pin_serves_who_signs_in_elsewhere(house: House) -> None:
    account = await house.person("sso", "releaser", sites=("SHA",))
    await house.desk.credentials.set_pin(account, "735192", as_(account))
    signer = await browser(house, "sso")
    assert await signer.release(await house.lot(), login="sso", pin="735192") == "released"
    assert await signer.release(await house.lot(), pin="735192") == "released"
    assert await signer.release(await house.lot(), pin="735193") == "WRONG_CREDENTIALS"


async def test_who_signs_is_one_person_known_and_bound_in_a_role_that_reaches_the_record(house: House) -> None:
    await house.person("unknown", "releaser", sites=("SHA",), known=False)
    await house.person("chief", "chief", sites=("SHA",))
    await house.person("tester", "tester", sites=("SHA",))
    lot = await house.lot()
    for login in ("unknown", "chief", "tester"):
        signer = await browser(house, login)
        assert await signer.release(lot, login=login, password=PASSWORD) == "NOT_A_SIGNER", login
    # Releases at Shanghai, tests at Suzhou: there nothing they hold means "release".
    mixed = await house.person("mixed", "releaser", sites=("SHA",))
    desk = house.desk

    async def also_tester(connection: Connection, now: datetime) -> None:
        asked = Asked(mixed.id, "tester", now, sites=(house.ids["SUZ"],))
        await desk.assignments.assign(connection, INSTALLER, asked, now)

    await desk.within(also_tester)
    signer = await browser(house, "mixed")
    there = await house.lot("SUZ")
    assert await signer.release(there, login="mixed", password=PASSWORD) == "NOT_A_SIGNER"
    assert await signer.release(lot, login="mixed", password=PASSWORD) == "released"


async def test_replay_asks_for_the_signature_and_for_who_might_give_it(house: House) -> None:
    """Not taken over from what was kept: the stored signature must hold; who may sign is asked of the person's record
    and roles, as they were and as they are."""
    zhang = await house.person("zhang", "releaser", sites=("SHA",))
    await house.person("unknown", "releaser", sites=("SHA",), known=False)
    lot, other = await house.lot(), await house.lot()
    assert await (await browser(house, "unknown")).release(other, login="unknown", password=PASSWORD) == "NOT_A_SIGNER"
    signer = await browser(house, "zhang")
    assert await signer.release(other, login="zhang", password="not this") == "WRONG_CREDENTIALS"
    assert await signer.release(lot, login="zhang", password=PASSWORD) == "released"
    # Later the statement of one is withdrawn, and the other's comes to be on file.
    commands = house.served.host.current.commands
    employees = [zhang.employee, (await signing_of(house, "unknown"))]
    for employee, at in zip(employees, (None, "2026-02-01T00:00:00Z"), strict=True):
        given = {"id_verified_at": at or "2026-01-01T00:00:00Z", "esig_statement_at": at}
        await commands.update(house.installer, "employee", employee, 1, given)
    refused, allowed = [each for each in await house.replays() if each.decision.action == "transition:release"]
    key = ("signature", "release:release", "before")
    for found, then, why, now in (
        (refused, False, "not on file", True),
        (allowed, True, "zhang 先生 (release, ", False),
    ):
        assert found.faithful
        assert found.now is not None
        answer, today = found.then.answer(key), found.now.answer(key)
        assert answer is not None
        assert today is not None
        assert (answer.again, answer.held, today.held) == (True, then, now)
        assert why in answer.why.en
        assert ("check", "signature release:release") in {(each.what, each.name) for each in found.differences}


BROKEN = (
    ("UPDATE clew_signature SET printed_name = 'somebody'", "printed_name is not what was signed"),
    ("UPDATE clew_signature SET action = 'none'", "no electronic signature is stored"),
)


async def test_a_decision_whose_signature_was_altered_is_not_replayed_faithfully(house: House) -> None:
    """Whoever edits a stored signature breaks the decision that rests on it, and the replay says why."""
    await house.person("zhang", "releaser", sites=("SHA",))
    lot = await house.lot()
    assert await (await browser(house, "zhang")).release(lot, login="zhang", password=PASSWORD) == "released"
    mend = "UPDATE clew_signature SET printed_name = 'zhang 先生', action = 'transition:release'"
    for edit, said in BROKEN:
        await alter_signatures(house, edit)
        (found,) = await house.replays()
        assert not found.faithful
        assert found.then.outcome == "refused", "without it nothing was allowed"
        (wrong,) = found.unfaithful
        assert wrong.startswith("signature release:release answers differently: ")
        assert said in wrong
        await alter_signatures(house, mend)
        assert all(each.faithful for each in await house.replays())


async def alter_signatures(house: House, statement: str) -> None:
    """As somebody with all rights on the database would."""
    async with house.served.host.current.database.migrate() as connection:
        if connection.dialect == "postgresql":
            await connection.run_sql("ALTER TABLE clew_signature DISABLE TRIGGER USER")
        else:
            await connection.run_sql("DROP TRIGGER IF EXISTS clew_signature__no_update")
        await connection.run_sql(statement)


async def signing_of(house: House, login: str) -> UUID:
    async with house.served.host.current.database.read() as connection:
        found = (await accounts.by_login(connection, login)).employee
    assert found is not None
    return found


async def test_the_signatures_of_a_served_project_hold(house: House) -> None:
    await house.person("zhang", "releaser", sites=("SHA",))
    signer = await browser(house, "zhang")
    lot = await house.lot()
    assert await signer.release(lot, login="zhang", password=PASSWORD) == "released"
    runtime = house.served.host.current
    verifier = Verifier(runtime.commands.engine, runtime.commands.engine.blobs)
    assert [each.problems async for each in verifier.broken(runtime.database)] == []
    async with runtime.database.read() as connection:
        [signature] = await signatures.of_record(connection, ["lot"], UUID(lot))
    assert signature.address == "127.0.0.1"
    assert signature.session is not None
    replay = 'query($id: ID!) { decisionsOf(entity: "lot", id: $id) { replay { faithful now { outcome } } } }'
    found = await signer.ask(replay, id=lot)
    assert found["data"]["decisionsOf"] == [{"replay": {"faithful": True, "now": {"outcome": "refused"}}}]
