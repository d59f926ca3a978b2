"""Who may do something about a record: the roles that are granted it, and of their holders those the caller may see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from clew.access.decision import NOTHING, Decision, EntityAccess
from clew.access.judgement import Judgement
from clew.access.unite import Held, Unite
from clew.api.kept_plans import read_kept
from clew.api.operations import Call
from clew.metadata.blueprint import Blueprint
from clew.process import people
from clew.process.engine import Processes
from clew.records.query import plan as p
from clew.storage.engine import Connection

MOST_PEOPLE = 20


@dataclass(slots=True)
class Doers:
    """The roles of one project. Which roles may is asked of the policies alone: on a given record a condition or a
    separation may still refuse one of their holders."""

    blueprint: Blueprint
    judgement: Judgement | None = field(init=False)
    _unite: Unite | None = field(init=False)
    _kept: dict[str, Decision] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.judgement = Judgement(self.blueprint) if self.blueprint.policies is not None else None
        self._unite = Unite(self.judgement) if self.judgement is not None else None

    def moving(self, entity: str, transition: str, sign: str | None) -> tuple[str, ...]:
        """Roles that may make a transition, and give the signature it takes."""
        return tuple(
            role
            for role in self._roles()
            if (grant := self._on(role, entity).transitions.get(transition)) is not None
            and grant.allowed
            and (sign is None or sign in self._of(role).signs)
        )

    def writing(self, entity: str, name: str) -> tuple[str, ...]:
        """Roles that may write a field of a record that is there."""
        found = []
        for role in self._roles():
            access = self._on(role, entity)
            known = access.fields.get(name)
            if access.update.allowed and known is not None and known.giving("update").allowed:
                found.append(role)
        return tuple(found)

    def creating(self, entity: str) -> tuple[str, ...]:
        owner = self.blueprint.entities[entity].part_of or entity
        return tuple(each for each in self._roles() if self._on(each, owner).create.allowed)

    def operating(self, workflow: str) -> tuple[str, ...]:
        """Roles that may try again what an incident stopped."""
        return tuple(each for each in self._roles() if self._of(each).process(workflow).cancel.allowed)

    def _roles(self) -> Iterable[str]:
        policies = self.blueprint.policies
        return () if policies is None else sorted(policies.roles)

    def _on(self, role: str, entity: str) -> EntityAccess:
        return self._of(role).on(entity) if self._unite is not None else NOTHING

    def _of(self, role: str) -> Decision:
        found = self._kept.get(role)
        if found is None:
            assert self._unite is not None
            found = self._kept[role] = self._unite.decision(frozenset({Held(role)}))
        return found


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody who holds a role."""

    login: str
    name: str


async def holders(
    processes: Processes, call: Call, connection: Connection, roles: Iterable[str], site: UUID | None
) -> dict[str, list[Holder]]:
    """By role who holds it now at a site, of those people whose record the caller sees."""
    names = sorted(set(roles))
    declared = processes.blueprint.project.identity
    if not names or declared is None or not call.caller.decision.on(declared.people.entity).read.allowed:
        return {}
    at = await connection.now()
    held = await people.holding(connection, names, at)
    rows = [each for each in held if each.sites is None or site is None or str(site) in each.sites]
    seen = await _seen(processes, call, connection, declared.people.entity, {each.employee for each in rows})
    found: dict[str, list[Holder]] = {}
    for each in rows:
        known, one = found.setdefault(each.role, []), Holder(each.login, each.name)
        if str(each.employee) in seen and len(known) < MOST_PEOPLE and one not in known:
            known.append(one)
    return found


async def _seen(processes: Processes, call: Call, connection: Connection, entity: str, ids: set[UUID]) -> set[str]:
    if not ids:
        return set()

    def plan() -> p.Plan:
        where = p.Compare("id", "in", p.Slot("ids"))
        items = (p.Nodes("nodes", (p.Leaf("id", "id"),)),)
        return p.Plan((p.ListRoot("people", p.Listing(entity, items, p.Page(p.Slot("most")), where)),))

    engine, now, args = processes.commands.engine, await connection.now(), {"ids": sorted(ids), "most": len(ids)}
    found = await read_kept(engine, call.caller, connection, now, ("people", entity), plan, args)
    return {each["id"] for each in found["people"]["nodes"]}
