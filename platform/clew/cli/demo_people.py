"""Whose the accounts of a demonstration are: employees of one site, each with the post their own records give them, and
two where a process needs two."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from clew.api.exchange import Caller
from clew.identity import accounts
from clew.kernel.text import Locale
from clew.metadata.processes import ApprovalMode, Step, Workflow
from clew.metadata.project import Assignments
from clew.records.query import plan as p

if TYPE_CHECKING:
    from clew.runtime import Runtime

MANY = 500


@dataclass(frozen=True, slots=True)
class Employee:
    """A person of the records. `facts`: department and site, as an account of theirs has them."""

    id: UUID
    facts: dict[str, Any]
    roles: frozenset[str]
    """What their records give them."""


def roles_for_two(workflows: Iterable[Workflow]) -> frozenset[str]:
    """Roles that need two people, because the same is asked at a step and at one that must be somebody else's."""
    found: set[str] = set()
    for workflow in workflows:
        steps = {step.path: step for _, step in workflow.walk()}
        starters = frozenset(role for start in workflow.starts for role in start.roles)
        for step in steps.values():
            for other in step.apart:
                found |= _only(step, starters if other == "starter" else _asked(steps[other]))
    return frozenset(found)


def _only(step: Step, others: frozenset[str]) -> frozenset[str]:
    """The roles of a step that nobody could do any more when the one person of `others` has done the other step."""
    asked = _asked(step)
    if step.approval is not None and step.approval.mode is not ApprovalMode.ANY_SIGN:
        return asked & others
    return asked if asked <= others else frozenset()


def _asked(step: Step) -> frozenset[str]:
    if step.approval is not None:
        return frozenset(step.approval.posts)
    return frozenset(step.who.roles) if step.who is not None else frozenset()


async def posted(runtime: Runtime, locale: Locale, wanted: Mapping[str, str]) -> dict[str, Employee]:
    """Login → whose account it becomes, for logins and their roles: first those who hold the role by the records, then
    whoever is left, people of the first one's site before the others. Nobody where `identity:` names no people."""
    free, found = await _free(runtime, locale), {}
    for by_records in (True, False):
        for login, role in wanted.items():
            suits = (each for each in free if login not in found and (role in each.roles or not by_records))
            if (each := next(suits, None)) is not None:
                found[login] = each
                free.remove(each)
    return found


async def _free(runtime: Runtime, locale: Locale) -> list[Employee]:
    """Everybody the records name who has no account."""
    identity = runtime.blueprint.project.identity
    if identity is None:
        return []
    people, paths = identity.people, {"department": identity.people.department, "site": identity.people.site}
    held = await _held(runtime, locale, identity.assignments) if identity.assignments is not None else {}
    items = (p.Leaf("id", "id"), *(item for key, path in paths.items() if path for item in _at(key, f"{path}.id")))
    found = [
        Employee(
            UUID(each["id"]),
            {key: each[key] for key, path in paths.items() if path},
            frozenset(held.get(each["id"], ())),
        )
        for each in await _all(runtime, locale, people.entity, items)
    ]
    async with runtime.desk.database.read() as connection:
        taken = {each.employee for each in await accounts.every(connection)}
    home = found[0].facts.get("site") if found else None
    return sorted((each for each in found if each.id not in taken), key=lambda each: each.facts.get("site") != home)


async def _held(runtime: Runtime, locale: Locale, given: Assignments) -> dict[str, set[str]]:
    """Person → the roles that the records give."""
    items = (*_at("person", f"{given.person}.id"), *_at("role", given.role), p.Leaf("state", "state"))
    held: dict[str, set[str]] = {}
    for each in await _all(runtime, locale, given.entity, items):
        if each["state"].lower() in given.active:
            held.setdefault(each["person"], set()).add(each["role"])
    return held


def _at(key: str, path: str) -> tuple[p.Item, ...]:
    """What stands at the end of a path, under a key of its own."""
    first, _, rest = path.partition(".")
    return (p.One(key, first, _at(key, rest)),) if rest else (p.Leaf(key, first),)


async def _all(runtime: Runtime, locale: Locale, entity: str, items: tuple[p.Item, ...]) -> list[dict[str, Any]]:
    """Records in the order of their key, each with what stands at the paths."""
    known, call = runtime.blueprint.entities[entity], runtime.operator_call(locale)
    order = tuple(p.Order((name,)) for name in known.key[:1])
    listing = p.Listing(entity, (p.Nodes("n", items),), p.Page(p.Const(MANY)), order=order)
    text = await runtime.read(p.Plan((p.ListRoot("found", listing),)), Caller(call.context, call.decision), {})
    return [{key: _end(value) for key, value in each.items()} for each in json.loads(text)["found"]["n"]]


def _end(value: Any) -> Any:
    while isinstance(value, dict):
        (value,) = value.values()
    return value
