"""The types of access review and what their values are made from.

A value that decided a condition is left out where the caller does not see its field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphql import GraphQLField, GraphQLInputObjectType, GraphQLList, GraphQLObjectType

from clew.access.review.explain import Link
from clew.access.review.matrix import Cell
from clew.api import scalars
from clew.api.build import Build, Factory, required
from clew.api.operations import Call
from clew.api.planner import Planner, Selected
from clew.kernel.canonical import wire
from clew.kernel.scalars import to_wire
from clew.kernel.text import Locale
from clew.metadata.blueprint import Entity
from clew.records.review.answer import Standing
from clew.records.review.desk import Question
from clew.records.review.difference import Change
from clew.records.review.progress import Progress
from clew.records.signing.proven import PERSONAL

_TEXT, _ID, _WHEN = scalars.TEXT.type, scalars.ID.type, scalars.DATE_TIME.type
_FLAG, _COUNT, _JSON = scalars.BOOLEAN.type, scalars.INT.type, scalars.JSON.type
_TEXTS = GraphQLList(required(_TEXT))

TYPES: Mapping[str, Mapping[str, Any]] = {
    "AccessCell": {
        "role": required(_TEXT), "entity": required(_TEXT), "action": required(_TEXT), "field": _TEXT,
        "label": required(_TEXT), "effect": required(_TEXT), "when": required(_TEXT), "policy": required(_TEXTS),
        "through": required(_TEXTS),
    },
    "AccessCondition": {
        "words": required(_TEXT), "text": required(_TEXT), "policy": required(_TEXT), "holds": _FLAG, "values": _JSON,
    },
    "AccessChain": {
        "assignment": required(_ID), "way": required(_TEXTS), "kind": required(_TEXT), "force": required(_TEXT),
        "policy": required(_TEXT), "holds": required(_FLAG), "conditions": "AccessCondition",
    },
    "AccessReason": {"code": required(_TEXT), "text": required(_TEXT)},
    "AccessStanding": {
        "login": required(_TEXT), "name": required(_TEXT), "allowed": required(_FLAG), "chains": "AccessChain",
        "forbiddenBy": "AccessChain", "reasons": "AccessReason", "rolesThatCould": required(_TEXTS),
    },
    "AccessChange": {
        "login": required(_TEXT), "name": required(_TEXT), "entity": required(_TEXT), "action": required(_TEXT),
        "field": _TEXT, "label": required(_TEXT), "effect": required(_TEXT), "recordsGained": _COUNT,
        "recordsLost": _COUNT, "before": required(_TEXT), "after": required(_TEXT),
    },
    "AccessUnused": {
        "role": required(_TEXT), "entity": required(_TEXT), "action": required(_TEXT), "label": required(_TEXT),
        "holders": required(_TEXTS),
    },
    "AccessConflict": {
        "login": required(_TEXT), "name": required(_TEXT), "separation": required(_TEXT), "label": required(_TEXT),
        "roles": required(_TEXTS),
    },
    "AccessOrphan": {"role": required(_TEXT), "label": required(_TEXT), "disabledHolders": required(_TEXTS)},
    "AccessReviewItem": {
        "assignment": required(_ID), "login": required(_TEXT), "name": required(_TEXT), "role": required(_TEXT),
        "owner": required(_TEXT), "state": required(_TEXT), "decidedAt": _WHEN, "comment": _TEXT, "signature": _ID,
    },
    "AccessReview": {
        "id": required(_ID), "name": required(_TEXT), "roles": required(_TEXTS), "startedAt": required(_WHEN),
        "dueAt": required(_WHEN), "closedAt": _WHEN, "overdue": required(_FLAG), "decided": required(_COUNT),
        "total": required(_COUNT), "items": "AccessReviewItem",
    },
    "AccessReviewFile": {
        "name": required(_TEXT), "mediaType": required(_TEXT), "base64": required(_TEXT), "sha256": required(_TEXT),
    },
}  # fmt: skip


def shaped(planner: Planner, selected: Selected, value: Any) -> Any:
    """What was selected of a value, in wire form."""
    found: dict[str, Any] = {}
    for each in planner.children(selected):
        if each.name == "__typename":
            found[each.key] = selected.type.name
            continue
        inner = value[each.name]
        if isinstance(inner, list | tuple):
            found[each.key] = [
                shaped(planner, each, item) if isinstance(item, Mapping) else to_wire(item) for item in inner
            ]
        else:
            found[each.key] = wire(inner)
    return found


def cell(each: Cell, locale: Locale) -> dict[str, Any]:
    return {
        "role": each.role, "entity": each.entity, "action": each.action, "field": each.field or None,
        "label": each.label.to(locale), "effect": each.effect, "when": each.when.to(locale),
        "policy": [str(place) for place in each.places], "through": each.through,
    }  # fmt: skip


def change(each: Change, locale: Locale) -> dict[str, Any]:
    return {
        "login": each.login, "name": each.name, "entity": each.entity, "action": each.action,
        "field": each.field or None, "label": each.label.to(locale), "effect": each.effect,
        "recordsGained": each.gained, "recordsLost": each.lost, "before": each.before.to(locale),
        "after": each.after.to(locale),
    }  # fmt: skip


def standing(each: Standing, call: Call) -> dict[str, Any]:
    locale, account = call.caller.context.locale, each.known.account
    entity = each.question.entity if isinstance(each.question, Question) else None
    return {
        "login": account.login,
        "name": account.name,
        "allowed": each.allowed,
        "chains": [_chain(link, entity, call) for link in each.links],
        "forbiddenBy": [_chain(link, entity, call) for link in each.forbids],
        "reasons": [{"code": reason.code, "text": reason.text.to(locale)} for reason in each.reasons],
        "rolesThatCould": each.could,
    }


def _chain(link: Link, entity: Entity | None, call: Call) -> dict[str, Any]:
    holding, locale = link.holding, call.caller.context.locale
    return {
        "assignment": holding.assignment,
        "way": link.way,
        "kind": holding.kind,
        "force": holding.force,
        "policy": str(link.line.place),
        "holds": link.holds,
        "conditions": [
            {
                "words": each.test.words.to(locale),
                "text": each.test.text,
                "policy": str(each.test.place),
                "holds": each.holds,
                "values": _seen({**each.values, **each.names}, entity, call),
            }
            for each in link.tried
        ],
    }


def _seen(values: Mapping[str, Any], entity: Entity | None, call: Call) -> dict[str, Any]:
    """The values whose fields the caller sees on every record; facts of people are theirs to review."""
    found = {}
    for path, value in values.items():
        if path.startswith("user.") or _shows(path.split("."), entity, call):
            try:
                found[path] = wire(value)
            except TypeError:
                found[path] = str(value)
    return found


def _shows(path: list[str], at: Entity | None, call: Call) -> bool:
    for name in path:
        if at is None:
            return False
        access = call.caller.decision.on(at.name)
        known = access.fields.get(name)
        if not access.read.allowed or known is None or not known.read.always:
            return False
        field = at.fields.get(name)
        target = field.targets[0] if field is not None and field.targets else ""
        at = call.planner.build.blueprint.entities.get(target)
    return True


def review(whole: Progress, which: Callable[[Any], bool]) -> dict[str, Any]:
    campaign = whole.campaign
    return {
        "id": campaign.id, "name": campaign.name, "roles": campaign.roles, "startedAt": campaign.started_at,
        "dueAt": campaign.due_at, "closedAt": campaign.closed_at, "overdue": whole.overdue, "decided": whole.decided,
        "total": len(whole.rows), "items": items(whole, which),
    }  # fmt: skip


def items(whole: Progress, which: Callable[[Any], bool]) -> list[dict[str, Any]]:
    return [
        {
            "assignment": row.item.assignment, "login": row.item.shown["login"], "name": row.item.shown["name"],
            "role": row.item.shown["role"], "owner": row.owner, "state": row.state,
            "decidedAt": row.item.decided_at, "comment": row.item.comment or None, "signature": row.item.signature,
        }
        for row in whole.rows
        if which(row)
    ]  # fmt: skip


def object_type(build: Build, name: str, members: Mapping[str, Any]) -> Factory:
    def fields() -> dict[str, GraphQLField]:
        return {
            key: build.field(required(GraphQLList(required(build.type(each)))) if isinstance(each, str) else each, None)
            for key, each in members.items()
        }

    return lambda: GraphQLObjectType(name, fields)


def signature_type(build: Build) -> GraphQLInputObjectType:
    names = ("login", *PERSONAL)
    return GraphQLInputObjectType("ReviewSignature", {name: build.input(_TEXT) for name in names})
