"""Records of people, roles given and positions take effect in identity, in the transaction that writes them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.integration.guarded_case import guarded_project, make_account
from tests.integration.http_case import Served, served
from tests.integration.identity_case import CHEAP

from clew.identity import accounts, leaving, people
from clew.identity.accounts import Account
from clew.identity.errors import NotHeld, NotYourself, SeparationConflict, SessionEnded, UnknownRole
from clew.identity.secrets import Hasher
from clew.kernel.context import Context, Person, Scope
from clew.metadata.load import load_folder, load_sources
from clew.records.commands import Call
from clew.storage import system
from clew.testing import TestDatabase

pytestmark = pytest.mark.anyio

MODELS = {
    "department": """
entity: department
scope: site
key: [code]
fields:
  code: {type: text, required: true}
""",
    "employee": """
entity: employee
key: [login_id]
fields:
  login_id: {type: text, required: true, unique: true}
  printed_name: {type: text, required: true}
  department: {type: ref, of: department}
states: [active, suspended, left]
transitions:
  suspend: {from: active, to: suspended}
  reinstate: {from: suspended, to: active}
  leave: {from: [active, suspended], to: left}
""",
    "duty": """
entity: duty
key: [code]
fields:
  code: {type: text, required: true}
""",
    "role_assignment": """
entity: role_assignment
fields:
  employee: {type: ref, of: employee, required: true}
  role: {type: ref, of: duty, required: true}
  scope_site: {type: ref, of: site}
  scope_family: {type: text}
  valid_from: {type: date, required: true}
  valid_to: {type: date}
  delegated_by: {type: ref, of: employee}
states: [requested, active, revoked]
transitions:
  activate: {from: requested, to: active}
  revoke: {from: active, to: revoked}
""",
    "position": """
entity: position
key: [code]
fields:
  code: {type: text, required: true}
  holders:
    type: lines
    fields:
      employee: {type: ref, of: employee, required: true}
      valid_to: {type: date}
""",
}
DECLARED = """
identity:
  people: {entity: employee, department: department, site: department.site, away: [suspended], left: [left]}
  assignments:
    {entity: role_assignment, role: role.code, sites: scope_site, families: scope_family, delegator: delegated_by}
  positions: position
"""


def staffed_project(folder: Path) -> Path:
    guarded_project(folder)
    for name, text in MODELS.items():
        (folder / "models" / f"{name}.yaml").write_text(text.lstrip(), encoding="utf-8")
    project = folder / "clew.yaml"
    project.write_text(project.read_text(encoding="utf-8") + DECLARED.lstrip(), encoding="utf-8")
    return folder


@dataclass
class House:
    served: Served
    boss: Account
    clerk: Account

    @property
    def runtime(self) -> Any:
        return self.served.host.current

    def call(self, account: Account | None = None) -> Call:
        who = account or self.boss
        person = Person(id=who.id, login=who.login, name=who.name)
        operator = self.runtime.operator_call("en")
        return Call(Context(person, "test-request"), operator.decision, "because")

    async def create(self, entity: str, by: Account | None = None, **given: Any) -> UUID:
        made = await self.runtime.commands.create(self.call(by), entity, given)
        return UUID(str(made.id))

    async def move(self, entity: str, record: UUID, transition: str, by: Account | None = None) -> None:
        table = self.runtime.tables.current(entity)
        async with self.runtime.database.read() as connection:
            version = await connection.fetch_value(sa.select(table.c.row_version).where(table.c.id == record))
        await self.runtime.commands.transition(self.call(by), entity, record, transition, version)

    async def roles(self, login: str) -> Person:
        async with self.runtime.database.read() as connection:
            found = await accounts.by_login(connection, login)
            return await people.person_of(connection, found.id, self.runtime.clock.now())

    async def employee(self, login: str, **more: Any) -> UUID:
        return await self.create("employee", login_id=login, printed_name=login.title(), **more)

    async def ask(self, employee: UUID, role: UUID, **more: Any) -> UUID:
        today = datetime.now(UTC).date()
        given = {"valid_from": today - timedelta(days=1), "valid_to": today + timedelta(days=30), **more}
        return await self.create("role_assignment", by=self.clerk, employee=employee, role=role, **given)


@asynccontextmanager
async def staffed(url: str, tmp_path: Path) -> AsyncIterator[House]:
    project = staffed_project(tmp_path / "staffed")
    async with served(url, tmp_path / "blobs", folder=project, project=project) as house:
        desk = house.host.current.desk
        desk.credentials.hasher = Hasher(CHEAP)
        yield House(house, await make_account(desk, "boss"), await make_account(desk, "clerk"))


async def test_an_approved_record_is_an_assignment(database: TestDatabase, tmp_path: Path) -> None:
    async with staffed(database.url, tmp_path) as house:
        site = await house.create("site", code="SUZ", name="Suzhou")
        part = await house.create("department", code="PUR", site=site)
        buyer, qa = await house.create("duty", code="buyer"), await house.create("duty", code="qa_manager")
        li = await house.employee("li.wei", department=part)
        given = await house.ask(li, buyer, scope_site=site, scope_family="stent")
        async with house.runtime.database.read() as connection:
            assert not any(each.login == "li.wei" for each in await accounts.every(connection))
        with pytest.raises(NotYourself):  # who asks does not grant, also by way of a record
            await house.move("role_assignment", given, "activate", house.clerk)
        await house.move("role_assignment", given, "activate")
        found = await house.roles("li.wei")
        assert (found.roles, found.employee, found.department, found.site) == (("buyer",), li, part, site)
        assert found.scopes["buyer"] == Scope((site,), ("stent",))

        conflicting = await house.ask(li, qa)
        with pytest.raises(SeparationConflict):
            await house.move("role_assignment", conflicting, "activate")
        table = house.runtime.tables.current("role_assignment")
        async with house.runtime.database.read() as connection:
            state = await connection.fetch_value(sa.select(table.c.state).where(table.c.id == conflicting))
            assert state == "requested"  # all or nothing
            mine = await accounts.by_login(connection, "li.wei")
        own = await house.ask(li, await house.create("duty", code="reader"))
        with pytest.raises(NotYourself):
            await house.move("role_assignment", own, "activate", mine)
        unknown = await house.ask(li, await house.create("duty", code="nonsense"))
        with pytest.raises(UnknownRole):
            await house.move("role_assignment", unknown, "activate")

        await house.move("role_assignment", given, "revoke")
        assert (await house.roles("li.wei")).roles == ()
        await house.move("role_assignment", conflicting, "activate")
        assert (await house.roles("li.wei")).roles == ("qa_manager",)
        async with house.runtime.database.read() as connection:
            told = [row[0] for row in await connection.fetch(sa.select(system.leaf.c.action))]
        assert {"account.create", "assignment.grant", "assignment.end"} <= set(told)


async def test_a_delegation_by_record(database: TestDatabase, tmp_path: Path) -> None:
    async with staffed(database.url, tmp_path) as house:
        buyer = await house.create("duty", code="buyer")
        li, zhao = await house.employee("li.wei"), await house.employee("zhao.min")
        lent = await house.ask(zhao, buyer, delegated_by=li)
        with pytest.raises(NotHeld):
            await house.move("role_assignment", lent, "activate")
        held = await house.ask(li, buyer)
        await house.move("role_assignment", held, "activate")
        await house.move("role_assignment", lent, "activate")
        assert (await house.roles("zhao.min")).roles == ("buyer",)
        await house.move("role_assignment", held, "revoke")
        assert (await house.roles("zhao.min")).roles == ()


async def test_leaving_by_record_ends_everything(database: TestDatabase, tmp_path: Path) -> None:
    async with staffed(database.url, tmp_path) as house:
        desk = house.runtime.desk
        account = await make_account(desk, "li.wei", "buyer")
        li = await house.employee("li.wei")
        await house.create("position", code="PUR-01", holders=[{"employee": li}])
        await house.create("position", code="PUR-02", holders=[{"employee": li, "valid_to": date(2020, 1, 1)}])
        proof = await desk.credentials.sign_in("li.wei", "correct horse battery", "")
        secret = await desk.begin(proof, house.call().context)
        assert (await desk.resume(secret)).facts.person.employee == li
        await house.move("employee", li, "suspend")
        with pytest.raises(SessionEnded):
            await desk.resume(secret)
        await house.move("employee", li, "reinstate")
        proof = await desk.credentials.sign_in("li.wei", "correct horse battery", "")
        assert (await house.roles("li.wei")).roles == ("buyer",)
        given = await house.ask(li, await house.create("duty", code="reader"))
        await house.move("role_assignment", given, "activate")
        assert (await house.roles("li.wei")).roles == ("buyer", "reader")
        await house.move("employee", li, "leave")
        table = house.runtime.tables.current("role_assignment")
        async with house.runtime.database.read() as connection:
            assert await connection.fetch_value(sa.select(table.c.state).where(table.c.id == given)) == "revoked"
        with pytest.raises(SessionEnded):
            await house.roles("li.wei")
        async with house.runtime.database.read() as connection:
            found = await leaving.open_handovers(connection, account.id)
        assert [each.what for each in found] == ["role:reader", "role:buyer", "position:PUR-01"]


def test_what_the_project_declares_is_checked(tmp_path: Path) -> None:
    staffed_project(tmp_path / "p")
    loaded = load_folder(tmp_path / "p")
    assert loaded.blueprint is not None, [(str(each.place), each.message("en")) for each in loaded.diagnostics]
    sources = dict(loaded.blueprint.sources)
    for wrong, right, code in (
        ("entity: employee,", "entity: employe,", "UNKNOWN_ENTITY"),
        ("away: [suspended]", "away: [suspendet]", "UNKNOWN_STATE"),
        ("role: role.code", "role: role.cod", "UNKNOWN_FIELD"),
        ("sites: scope_site", "sites: valid_from", "BAD_FIELD_USE"),
        ("delegator: delegated_by", "delegator: role", "BAD_FIELD_USE"),
        ("site: department.site", "site: department.sit", "UNKNOWN_FIELD"),
        ("positions: position", "positions: duty", "UNKNOWN_FIELD"),
        ("positions: position", "postions: position", "UNKNOWN_KEY"),
    ):
        assert wrong in sources["clew.yaml"]
        found = load_sources({**sources, "clew.yaml": sources["clew.yaml"].replace(wrong, right)})
        assert found.blueprint is None, right
        assert code in {each.code for each in found.diagnostics}, [each.code for each in found.diagnostics]
