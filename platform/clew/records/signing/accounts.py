"""Signatories and proofs from the accounts of the platform: what `identity` knows, the person's record, the policies.

A role gives a meaning only where the assignment to it reaches: who releases at one site does not release at another by
being somebody else's tester there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.expressions.problems import Undecidable
from clew.identity import accounts
from clew.identity.credentials import Credentials
from clew.kernel.context import Context, Person
from clew.metadata.blueprint import Entity
from clew.metadata.policies import DO, Policies, Role
from clew.records.engine import Engine
from clew.records.judge import Judge
from clew.records.signing.proven import Proof
from clew.records.signing.signatories import Signatory
from clew.records.unit import Unit
from clew.storage.engine import Connection
from clew.storage.types import Id

MAY_SIGN = "may_sign"
"""The field of a person's record that says so: the project's own rule over identity verified and statement on file
(domain F1). An entity of people without it has nobody who signs."""
ACCOUNTS = "accounts"
"""Who administers accounts signs nothing."""
PATH = "signature"


class AccountProver:
    """Proves the caller's own components."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def prove(self, context: Context, components: Mapping[str, str]) -> Proof:
        """Raises what `Credentials.prove` raises; a wrong one is counted with those of every other path."""
        found = await self._credentials.prove(context.person.id, components, PATH, context)
        return Proof(found.account.id, frozenset(found.components_used), found.at)


class AccountSignatories:
    """Finds signers among the accounts of the database."""

    async def signatory(
        self, unit: Unit, entity: Entity, record: Mapping[str, Any], action: str, meaning: str
    ) -> Signatory | None:
        account = await accounts.find(unit.connection, unit.context.person.id)
        if account is None:
            return None
        policies = unit.engine.blueprint.policies
        person = unit.context.person
        printed, may_sign = await signing_person(unit.engine, unit.connection, unit.judge, account.employee)
        return Signatory(
            account.id,
            account.kind,
            account.active,
            account.employee,
            printed or account.name,
            may_sign,
            await _role(unit, policies, entity, record, action, meaning) if policies is not None else None,
            policies is not None and any(ACCOUNTS in each.administer for each in _held(person, policies)),
        )


def knows_signers(engine: Engine) -> bool:
    """Whether the project says who its people are, and so who of them may sign."""
    return engine.blueprint.project.identity is not None


async def signing_person(
    engine: Engine, connection: Connection, judge: Judge, employee: UUID | None
) -> tuple[str, bool]:
    """The printed name and whether this person may sign, read under the transaction's isolation."""
    blueprint = engine.blueprint
    if employee is None or blueprint.project.identity is None:
        return "", False
    people = blueprint.project.identity.people
    entity = blueprint.entities[people.entity]
    if MAY_SIGN not in entity.fields:
        return "", False
    statements = engine.statements.of(entity.name)

    def build() -> Any:
        mine = statements.current.c.id == sa.bindparam("of_person", type_=Id())
        return statements.select.where(mine)

    row = await connection.fetch_one(engine.remember("signing person", build), {"of_person": employee})
    if row is None:
        return "", False
    record = statements.shape.record(row)
    if record.get("voided_at") is not None:
        return "", False
    known = entity.fields[MAY_SIGN]
    try:
        may = record[MAY_SIGN] if known.computed is None else await judge.value(known.computed, entity, record)
    except Undecidable:
        may = False
    return str(record[people.name] or ""), may is True


def _held(person: Person, policies: Policies) -> Iterator[Role]:
    return (policies.roles[name] for name in person.roles if name in policies.roles)


async def _role(
    unit: Unit, policies: Policies, entity: Entity, record: Mapping[str, Any], action: str, meaning: str
) -> str | None:
    """The role the signature is given under: it holds the meaning and reaches the record; one the step asks for, or
    that may do the action itself, comes first."""
    person = unit.context.person
    holding = [each for each in _held(person, policies) if meaning in each.signs]
    holding.sort(key=lambda role: (role.name not in unit.asked_as, not _may_do(policies, role, entity, action)))
    for role in holding:
        if await _reaches(unit, policies, role, entity, record):
            return role.name
    return None


def _may_do(policies: Policies, role: Role, entity: Entity, action: str) -> bool:
    asked = DO + action.removeprefix("transition:")
    grants = (each.may.get(entity.name) for each in policies.lineage(role.name))
    return any(each is not None and asked in each.actions for each in grants)


async def _reaches(unit: Unit, policies: Policies, role: Role, entity: Entity, record: Mapping[str, Any]) -> bool:
    """Whether the assignment to the role covers the record's site and product family."""
    reach, scope = policies.reach.get(entity.name), unit.context.person.scope(role.name)
    if reach is None:
        return True
    narrowed = replace(unit.context.person, sites=scope.sites or (), families=scope.families or ())
    judge = Judge(unit.engine, unit.connection, narrowed, unit.at, unit.today)
    asked = []
    if role.own_sites and scope.sites is not None and reach.site is not None:
        asked.append(reach.site)
    if role.own_families and scope.families is not None and reach.family is not None:
        asked.append(reach.family)
    return all(await judge.conditions(asked, entity, record))
