"""Grants nobody used, separations that present assignments break, roles nobody holds."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from clew.access.review.matrix import action_words
from clew.access.review.processes import asked_of, process_of
from clew.access.separations import broken
from clew.audit.leaf import told
from clew.kernel.text import Bilingual
from clew.metadata.policies import DO
from clew.records.review.desk import ReviewDesk
from clew.records.review.people import Known
from clew.storage import system
from clew.storage.engine import Connection

UNTOLD = frozenset({"read", "audit", "oversee"})
"""Actions that leave no trace in the trail: nobody can say that they were not used."""
_PROCESS = "clew.process"
_OPERATED = frozenset({"Cancel", "Suspend", "Resume", "retry"})
"""Acts on a process that its grant to cancel is for."""
_LEAVES = {"create": "create", "update": "update", "void": "void", "correct": "correct", "export": "export"}
_MOVE = "transition:"


@dataclass(frozen=True, slots=True)
class Unused:
    """A role's grant that none of its holders used in the time. `holders` are their logins."""

    role: str
    entity: str
    action: str
    label: Bilingual
    holders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Breach:
    """A static separation that one account breaks now. `stands_in_for` names those whose roles count through a
    delegation."""

    login: str
    name: str
    separation: str
    label: Bilingual
    roles: tuple[str, ...]
    stands_in_for: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Orphan:
    """A role that nobody can use: held by nobody, or by disabled accounts only."""

    role: str
    label: Bilingual
    disabled_holders: tuple[str, ...]


async def unused(
    desk: ReviewDesk, connection: Connection, people: Sequence[Known], at: datetime, days: int
) -> list[Unused]:
    """Grants of roles that are held, never used in these days by anybody who holds them. Reading leaves no trace and
    is not judged; a role that was given within that time is too young to be judged."""
    since = at - timedelta(days=days)
    done = await _done(connection, since)
    held = _holders(people, since)
    found: list[Unused] = []
    for role, holders in sorted(held.items()):
        used = {act for known in holders for act in done.get(known.account.id, ())}
        for name, entity in desk.engine.blueprint.entities.items():
            for action in asked_of(desk.engine.blueprint, entity):
                process = process_of(action)
                untold = (process[1] if process else action) in UNTOLD
                if untold or not desk.judgement.verdict(role, name, action).allows:
                    continue
                if (process or (name, _as_told(action))) not in used:
                    logins = tuple(known.account.login for known in holders)
                    label = action_words(desk.engine.blueprint, entity, action)
                    found.append(Unused(role, name, action, label, logins))
    return found


def breaches(desk: ReviewDesk, people: Sequence[Known], today: date) -> list[Breach]:
    """Static separations broken by what people hold now, delegations and those they stand in for included."""
    by_id = {each.account.id: each for each in people}
    found = []
    for known in people:
        if not known.account.active:
            continue
        givers = {each.delegator for each in known.holdings if each.kind == "delegation" and each.force == "in force"}
        stands = [by_id[each] for each in givers if each in by_id]
        roles = tuple(dict.fromkeys((*known.roles, *(role for each in stands for role in each.roles))))
        for name in broken(desk.policies, roles, today):
            label = desk.policies.separations[name].label
            mine = tuple(role for role in roles if _concerns(desk, name, role))
            logins = tuple(sorted(each.account.login for each in stands))
            found.append(Breach(known.account.login, known.account.name, name, label, mine, logins))
    return found


def orphans(desk: ReviewDesk, people: Sequence[Known]) -> list[Orphan]:
    """Roles nobody can use now. A role that others inherit from is used through them."""
    held = {role for known in people for role in known.roles}
    reached = {each for role in held for each in desk.policies.roles[role].lineage}
    found = []
    for name, role in sorted(desk.policies.roles.items()):
        if name in reached:
            continue
        disabled = tuple(
            known.account.login
            for known in people
            if any(each.role == name and each.force == "account disabled" for each in known.holdings)
        )
        found.append(Orphan(name, role.label, disabled))
    return found


def _concerns(desk: ReviewDesk, separation: str, role: str) -> bool:
    lineage = set(desk.policies.roles[role].lineage) if role in desk.policies.roles else {role}
    return any(group & lineage for group in desk.policies.separations[separation].groups)


def _holders(people: Sequence[Known], since: datetime) -> Mapping[str, list[Known]]:
    """Who has held each role for the whole time and holds it now."""
    held: dict[str, list[Known]] = defaultdict(list)
    for known in people:
        for role in known.roles:
            if any(each.role == role and each.valid_from <= since for each in known.holdings):
                held[role].append(known)
    return held


def _as_told(action: str) -> str:
    return _MOVE + action.removeprefix(DO) if action.startswith(DO) else _LEAVES[action]


async def _done(connection: Connection, since: datetime) -> Mapping[UUID, set[tuple[str, str]]]:
    """Who did what since then, from the trail: entity and action, or process and what was done to it."""
    leaf = system.leaf.c
    chosen = (
        sa.select(leaf.actor, leaf.entity, leaf.action)
        .where(leaf.at >= sa.bindparam("since", type_=leaf.at.type), leaf.actor.is_not(None))
        .distinct()
    )
    found: dict[UUID, set[tuple[str, str]]] = defaultdict(set)
    for actor, entity, action in await connection.fetch(chosen, {"since": since}):
        found[actor].add((entity, action))
    acts = sa.select(leaf.actor, leaf.action, leaf.fields).where(
        leaf.at >= sa.bindparam("since", type_=leaf.at.type),
        leaf.entity == _PROCESS,
        sa.or_(
            leaf.action == "process:start",
            sa.and_(leaf.action == "process:act", sa.or_(*(leaf.fields.contains(each) for each in sorted(_OPERATED)))),
        ),
    )
    for actor, action, fields in await connection.fetch(acts, {"since": since}):
        said = told(fields)
        if action == "process:start":
            found[actor].add((str(said.get("workflow")), "start"))
        elif said.get("asked") and json.loads(said["asked"])[2] in _OPERATED:
            found[actor].add((str(said.get("workflow")), "cancel"))
    return found
