"""A small group with policies, people and records, for everything that reviews access."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tests.integration.identity_case import ADMIN, BY_ADMIN, CHEAP, PASSWORD
from tests.integration.write_journey import MINI, Plant, a_lot, plant

from clew.access.judgement import Judgement
from clew.audit.trail import Trail
from clew.identity import accounts
from clew.identity.accounts import Account, Kind
from clew.identity.assignments import Asked, Assignment
from clew.identity.book import book_of
from clew.identity.desk import Desk, desk
from clew.identity.people import person_of
from clew.identity.secrets import Hasher, Vault
from clew.kernel.clock import SystemClock
from clew.kernel.context import Context
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_folder, load_sources
from clew.records.commands import Call
from clew.records.participants import Participant
from clew.records.review.desk import ReviewDesk
from clew.records.review.people import Known
from clew.storage.engine import Connection, Database

ROLES = """
role: employee
label: {zh: 员工, en: Employee}
may:
  item: {read: always}
  site: {read: always}
---
role: qc_inspector
label: {zh: 检验员, en: QC inspector}
inherits: [employee]
sites: own
may:
  lot: {read: always, create: always, update: "state == 'quarantine'"}
  supplier: {read: always, hide: [note]}
---
role: releaser
label: {zh: 放行人, en: Releaser}
inherits: [employee]
sites: own
signs: [release]
may:
  lot:
    read: always
    do: {release: "created_by != user.id"}
---
role: trainee
label: {zh: 见习, en: Trainee}
never:
  lot: {do: [release]}
---
role: buyer
label: {zh: 采购员, en: Buyer}
inherits: [employee]
may:
  supplier: {read: always, create: always, update: always}
---
role: sqe
label: {zh: 供应商质量, en: Supplier quality}
may:
  supplier: {read: always, do: always}
---
role: compliance
label: {zh: 合规专员, en: Compliance officer}
signs: [review]
administer: [reviews]
may:
  "*": {read: always, audit: always}
---
role: forgotten
label: {zh: 无人持有, en: Forgotten}
may:
  item: {read: always}
"""
SEPARATIONS = """
separation: buyer_is_not_sqe
label: {zh: 采购与供方批准分离, en: Buying apart from approving suppliers}
roles: [[buyer], [sqe]]
source: "ISO 13485 7.4.1"
"""


def project(roles: str = ROLES, separations: str = SEPARATIONS, **more: str) -> Blueprint:
    """The mini project with policies."""
    loaded = load_folder(MINI)
    assert loaded.blueprint is not None
    sources = {**loaded.blueprint.sources, "permissions/roles.yaml": roles}
    if separations:
        sources["permissions/separations.yaml"] = separations
    found = load_sources({**sources, **more})
    assert found.blueprint is not None, [f"{each.place} {each.message('en')}" for each in found.diagnostics]
    return found.blueprint


@dataclass
class World:
    """The installed group. People are known by their logins, lots by what they stand for."""

    plant: Plant
    identity: Desk
    review: ReviewDesk
    accounts: dict[str, Account] = field(default_factory=dict)
    lots: dict[str, UUID] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        return self.plant.database

    async def account(self, login: str, *roles: str, kind: Kind = "person", sites: Any = None, **more: Any) -> Account:
        async def work(connection: Connection, at: datetime) -> Account:
            return await accounts.create(
                connection, self.identity.witness, BY_ADMIN, login=login, name=login.title(), at=at, kind=kind
            )

        made = self.accounts[login] = await self.identity.within(work)
        for role in roles:
            await self.assign(login, role, sites=sites, **more)
        return made

    async def assign(
        self, login: str, role: str, *, sites: Any = None, by: str | None = None, **more: Any
    ) -> Assignment:
        context = BY_ADMIN if by is None else replace(BY_ADMIN, person=replace(ADMIN, id=self.accounts[by].id))

        async def work(connection: Connection, at: datetime) -> Assignment:
            chosen = tuple(self.plant.ids[each] for each in sites) if sites is not None else None
            since = more.pop("valid_from", at - timedelta(seconds=1))
            asked = Asked(self.accounts[login].id, role, since, sites=chosen, **more)
            return await self.identity.assignments.assign(connection, context, asked, at)

        return await self.identity.within(work)

    async def password(self, login: str) -> None:
        await self.identity.credentials.set_password(self.accounts[login], PASSWORD, BY_ADMIN, settled=True)

    async def call(self, login: str) -> Call:
        """A command by this person, under what they may."""
        async with self.database.read() as connection:
            person = await person_of(connection, self.accounts[login].id, await connection.now())
            known = await self.known(connection, login)
        return Call(Context(person, "req", channel="test"), self.review.decision(known))

    async def lot(self, name: str, site: str = "SHA", by: str | None = None) -> UUID:
        call = self.plant.call if by is None else await self.call(by)
        made = await self.plant.commands.create(call, "lot", a_lot(self.plant, site=self.plant.ids[site]))
        self.lots[name] = made.id
        return made.id

    async def known(self, connection: Connection, login: str) -> Known:
        return await self.review.one(connection, login, await connection.now())


async def world(
    database: Database,
    blueprint: Blueprint | None = None,
    hasher: Hasher | None = None,
    participants: Sequence[Participant] = (),
) -> World:
    blueprint = blueprint or project()
    planted = await plant(database, blueprint=blueprint, participants=participants)
    identity = desk(
        database,
        SystemClock(),
        Trail(),
        Vault("key for tests"),
        hasher=hasher or Hasher(CHEAP),
        roles=book_of(blueprint.policies),
    )
    return World(planted, identity, reviewing(planted, identity, blueprint))


def reviewing(planted: Plant, identity: Desk, blueprint: Blueprint) -> ReviewDesk:
    return ReviewDesk(planted.database, planted.commands.engine, Judgement(blueprint), identity.assignments)


__all__ = ["ROLES", "SEPARATIONS", "World", "project", "reviewing", "world"]
