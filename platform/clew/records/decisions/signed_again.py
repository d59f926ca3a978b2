"""Signatures asked again: whether the one that was given is stored and holds, and whether this person may give one.

What was typed to prove an identity is kept nowhere, so a signature that was refused for that is taken over as it was
answered; one that was refused because this person may not sign is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from clew.audit import signatures
from clew.audit.signatures import Signature
from clew.identity import accounts
from clew.kernel.text import Bilingual
from clew.metadata.policies import DO, Policies, Role
from clew.records.decisions.duties_again import Holds
from clew.records.engine import Engine
from clew.records.signing.accounts import ACCOUNTS, MAY_SIGN
from clew.records.signing.signatories import STEP, Signatory
from clew.records.signing.verify import Inspection
from clew.storage.engine import Connection
from clew.storage.types import Id, Instant

Record = Mapping[str, Any]

if TYPE_CHECKING:
    from clew.records.decisions.evaluate import Case


@dataclass(frozen=True, slots=True)
class Signed:
    """What was found. `again` is False when it cannot be asked again; then `held` is only whether a role has the
    meaning."""

    held: bool
    why: Bilingual
    again: bool = True


@dataclass(frozen=True, slots=True)
class SignedAgain:
    """Asks under one release."""

    engine: Engine
    connection: Connection
    inspection: Inspection
    holds: Holds

    async def ask(self, case: Case, move: str, meaning: str) -> Signed:
        obstacle = await self._obstacle(case, move, meaning)
        if case.outcome == "allowed":
            return await self._given(case, move, meaning, obstacle)
        if obstacle is not None:
            return Signed(False, obstacle)
        if case.outcome == "":
            return Signed(True, Bilingual("此人可以签署", "this person may sign"))
        return Signed(True, _TYPED, again=False)

    async def _given(self, case: Case, move: str, meaning: str, obstacle: Bilingual | None) -> Signed:
        """The signature that was given for the act: by this person, in the same transaction, and it must hold."""
        assert case.before is not None
        found = [
            each
            for each in await signatures.of_record(self.connection, case.entity.known_as, case.before["id"])
            if each.signed_at == case.at
            and (each.account, each.meaning) == (case.person.id, meaning)
            and (each.action == f"transition:{move}" or each.action.startswith(STEP))
        ]
        if not found:
            return Signed(False, Bilingual("没有保存的电子签名", "no electronic signature is stored"))
        wrong = await self.inspection.problems(found[0])
        if wrong:
            return Signed(False, Bilingual(*[f"{_named(found[0])}: {'; '.join(wrong)}"] * 2))
        if obstacle is not None:
            return Signed(False, obstacle)
        name = _named(found[0])
        return Signed(True, Bilingual(f"{name},核实有效", f"{name}, verified"))

    async def _obstacle(self, case: Case, move: str, meaning: str) -> Bilingual | None:
        """Why the person could not sign at the moment; None when nothing stood in the way. That an account was not
        disabled then is seen from its having a session."""
        policies = self.engine.blueprint.policies
        account = await accounts.find(self.connection, case.person.id)
        if account is None or policies is None:
            return Bilingual("没有对应的个人账号", "there is no account of a person behind this")
        held = [policies.roles[name] for name in case.person.roles if name in policies.roles]
        signatory = Signatory(
            account.id,
            account.kind,
            account.active or case.outcome != "",
            case.person.employee,
            account.name,
            await self._may_sign(case),
            await self._role(case, policies, held, move, meaning),
            any(ACCOUNTS in each.administer for each in held),
        )
        return signatory.obstacle()

    async def _may_sign(self, case: Case) -> bool:
        """Identity verified, statement on file, in service, by the person's record as it was at the moment."""
        declared, employee = self.engine.blueprint.project.identity, case.person.employee
        if declared is None or employee is None:
            return False
        entity = self.engine.blueprint.entities[declared.people.entity]
        known = entity.fields.get(MAY_SIGN)
        record = await self._person(entity.name, case)
        if known is None or record is None or record.get("voided_at") is not None:
            return False
        if known.computed is None:
            return record[MAY_SIGN] is True
        return await self.holds(replace(case, entity=entity, before=record, after=None), (known.computed,), record)

    async def _person(self, entity: str, case: Case) -> Record | None:
        statements = self.engine.statements.of(entity)
        past = case.as_of is not None
        table = statements.history if past else statements.current
        chosen = sa.select(*(table.c[key] for key in statements.shape.keys)).where(
            table.c.id == sa.bindparam("of_person", type_=Id())
        )
        args: dict[str, Any] = {"of_person": case.person.employee}
        if past:
            at = sa.bindparam("as_of", type_=Instant())
            chosen, args["as_of"] = chosen.where(table.c.tx_from <= at, table.c.tx_to > at), case.as_of
        row = await self.connection.fetch_one(chosen, args)
        return statements.shape.record(row) if row is not None else None

    async def _role(self, case: Case, policies: Policies, held: Sequence[Role], move: str, meaning: str) -> str | None:
        """The role the signature is given under: it holds the meaning and reaches the record; one that may do the act
        itself comes first."""

        def may_do(role: Role) -> bool:
            grants = (each.may.get(case.entity.name) for each in policies.lineage(role.name))
            return any(each is not None and DO + move in each.actions for each in grants)

        for role in sorted((each for each in held if meaning in each.signs), key=lambda each: not may_do(each)):
            if await self._reaches(case, policies, role):
                return role.name
        return None

    async def _reaches(self, case: Case, policies: Policies, role: Role) -> bool:
        assert case.before is not None
        reach, scope = policies.reach.get(case.entity.name), case.person.scope(role.name)
        if reach is None:
            return True
        person = replace(case.person, sites=scope.sites or (), families=scope.families or ())
        asked = []
        if role.own_sites and scope.sites is not None and reach.site is not None:
            asked.append(reach.site)
        if role.own_families and scope.families is not None and reach.family is not None:
            asked.append(reach.family)
        narrowed = replace(case, person=person)
        return all([await self.holds(narrowed, (each,), case.before) for each in asked])


def _named(signature: Signature) -> str:
    return f"{signature.printed_name} ({signature.meaning}, {signature.signature_id})"


_TYPED = Bilingual(
    "当时输入的身份要素不保存,沿用原结果", "what was typed to prove the identity is not kept; as answered then"
)
