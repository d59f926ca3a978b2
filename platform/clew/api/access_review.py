"""Feature: access review, for those who look after reviews: the matrix, who can and why, differences, campaigns.

What a caller may not see of a record is not told here either: a record they cannot read does not exist for them, and a
value that decided a condition is left out where they do not see its field.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args
from uuid import UUID

from graphql import GraphQLArgument, GraphQLField, GraphQLList

from clew.access.review.matrix import matrix
from clew.api import scalars
from clew.api.access_shapes import TYPES, cell, change, items, object_type, review, shaped, signature_type, standing
from clew.api.build import Build, Factory, required
from clew.api.operations import Call
from clew.api.signing import refuse_written_secrets
from clew.identity.desk import Desk
from clew.kernel.errors import NotFound
from clew.kernel.text import Bilingual
from clew.records.review import campaign as campaigns
from clew.records.review.campaign import Deciding, Verdict
from clew.records.review.desk import ConnectorQuestion, Question, ReviewDesk, unknown
from clew.records.review.difference import Comparison, Side
from clew.records.review.progress import Progress, progress
from clew.records.review.standing import Standings
from clew.records.review.usage import breaches, orphans, unused
from clew.records.rows import Record
from clew.records.signing.proven import COMPONENTS
from clew.records.spoken import spoken
from clew.storage.engine import Connection
from clew.storage.releases import numbered, stored_blueprint

REVIEWS = "reviews"
_TEXT, _ID = scalars.TEXT.type, scalars.ID.type
_FLAG, _COUNT = scalars.BOOLEAN.type, scalars.INT.type
_TEXTS = GraphQLList(required(_TEXT))
_TARGET = {"action": required(_TEXT), "entity": required(_TEXT), "record": _TEXT}


class AccessReview:
    """There for roles with `administer: [reviews]`; owners of items see and decide on their own without it."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        owner = "access review"
        for name, members in TYPES.items():
            build.names.types.claim(name, owner)
            yield name, object_type(build, name, members)
        build.names.types.claim("ReviewSignature", owner)
        yield "ReviewSignature", lambda: signature_type(build)
        for name in (*_ASKED, *_OWN):
            build.names.queries.claim(name, owner)
        build.names.mutations.claim("decideAccessReview", owner)
        build.extend("Query", lambda: self._queries(build))
        build.extend("Mutation", lambda: self._mutations(build))

    def _queries(self, build: Build) -> dict[str, GraphQLField]:
        asked = {**_OWN, **(_ASKED if REVIEWS in build.decision.administers else {})}
        found = {}
        for name, query in asked.items():
            type_ = required(GraphQLList(required(build.type(query.type))))
            args = {key: GraphQLArgument(each) for key, each in query.args.items()}
            found[name] = build.field(type_, AskSpec(self._room, query.find), build.text(query.says), args)
        return found

    def _mutations(self, build: Build) -> dict[str, GraphQLField]:
        if "review" not in build.decision.signs:
            return {}
        args = {
            "review": GraphQLArgument(required(_ID)),
            "assignment": GraphQLArgument(required(_ID)),
            "verdict": GraphQLArgument(required(_TEXT)),
            "comment": GraphQLArgument(_TEXT),
            "signature": GraphQLArgument(required(build.type("ReviewSignature"))),
        }
        says = build.say("签名确认(attest)或撤销(revoke)一项授权", "Attest or revoke one assignment, signed")
        return {"decideAccessReview": build.field(build.type("AccessReviewItem"), DecideSpec(self._room), says, args)}


@dataclass(frozen=True, slots=True)
class Room:
    """What the answers are made with."""

    desk: ReviewDesk
    identity: Desk


Find = Callable[[Room, Connection, Call], Awaitable[list[Any]]]


@dataclass(frozen=True, slots=True)
class Query:
    type: str
    says: Bilingual
    find: Find
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AskSpec:
    room: Room
    find: Find

    async def answer(self, call: Call, connection: Connection) -> str:
        found = await self.find(self.room, connection, call)
        return json.dumps([shaped(call.planner, call.selected, each) for each in found], ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class DecideSpec:
    """`decideAccessReview`: proving is slow and comes before the transaction."""

    room: Room

    async def run(self, call: Call) -> str:
        refuse_written_secrets(call.selected)
        room, args, context = self.room, call.arguments, call.caller.context
        verdict: Verdict = args["verdict"]
        if verdict not in get_args(Verdict):
            raise unknown(Bilingual("结论", "verdict"), str(verdict), dict.fromkeys(get_args(Verdict)))
        components = {name: args["signature"][name] for name in COMPONENTS if args["signature"].get(name)}
        account = context.person.id
        proof = await room.identity.credentials.prove(account, components, "signature", context)

        async def work(connection: Connection, at: Any) -> Any:
            deciding = Deciding(room.desk, connection, context, call.caller.decision, proof)
            chosen = (UUID(str(args["review"])), UUID(str(args["assignment"])))
            await deciding.decide(*chosen, verdict, spoken(args.get("comment"), "comment"))
            return await progress(room.desk, connection, chosen[0], at)

        whole: Progress = await room.identity.within(work)
        rows = items(whole, lambda row: row.item.assignment == UUID(str(args["assignment"])))
        return json.dumps(shaped(call.planner, call.selected, rows[0]), ensure_ascii=False)


# ── finding ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _matrix(room: Room, connection: Connection, call: Call) -> list[Any]:
    desk, args = room.desk, call.arguments
    roles = [desk.role(each) for each in args.get("roles") or ()] or sorted(desk.policies.roles)
    entities = [desk.subject(each) for each in args["entities"]]
    cells = matrix(desk.judgement, roles, entities, fields=bool(args.get("fields")))
    return [cell(each, call.caller.context.locale) for each in cells]


async def _who_can(room: Room, connection: Connection, call: Call) -> list[Any]:
    question, record = await _target(room, connection, call)
    at = await connection.now()
    people = await room.desk.everybody(connection, at)
    found = await Standings(room.desk, connection, at).who_can(people, question, record)
    return [standing(each, call) for each in found]


async def _can(room: Room, connection: Connection, call: Call) -> list[Any]:
    question, record = await _target(room, connection, call)
    at = await connection.now()
    known = await room.desk.one(connection, call.arguments["login"], at)
    return [standing(await Standings(room.desk, connection, at).can(known, question, record), call)]


async def _target(room: Room, connection: Connection, call: Call) -> tuple[Question | ConnectorQuestion, Record | None]:
    """What is asked, and the record, which the caller must see."""
    args, desk = call.arguments, room.desk
    question = desk.asked(args["action"], args["entity"])
    record = await desk.asked_about(connection, question, args.get("record"))
    if record is None or isinstance(question, ConnectorQuestion):
        return question, None
    at = await connection.now()
    me = await desk.one(connection, call.caller.context.person.login, at)
    read = call.caller.decision.on(question.entity.name).read
    if not await desk.judge(connection, me, at).granted(read, question.entity, record):
        raise NotFound(what=question.entity.label)
    return question, record


async def _difference(room: Room, connection: Connection, call: Call) -> list[Any]:
    desk, args = room.desk, call.arguments
    sides = []
    for name in ("before", "after"):
        number = args.get(name)
        blueprint = desk.engine.blueprint
        if number is not None:
            blueprint = stored_blueprint((await numbered(desk.database, number)).sources)
        sides.append(Side(blueprint))
    at = await connection.now()
    people = await desk.everybody(connection, at)
    found = await Comparison(desk.engine, connection, at, *sides).difference(people)
    return [change(each, call.caller.context.locale) for each in found.changes]


async def _unused(room: Room, connection: Connection, call: Call) -> list[Any]:
    at, locale = await connection.now(), call.caller.context.locale
    people = await room.desk.everybody(connection, at)
    found = await unused(room.desk, connection, people, at, call.arguments.get("days") or 90)
    return [
        {"role": each.role, "entity": each.entity, "action": each.action, "label": each.label.to(locale),
         "holders": each.holders}
        for each in found
    ]  # fmt: skip


async def _conflicts(room: Room, connection: Connection, call: Call) -> list[Any]:
    at = await connection.now()
    people = await room.desk.everybody(connection, at)
    locale = call.caller.context.locale
    return [
        {"login": each.login, "name": each.name, "separation": each.separation, "label": each.label.to(locale),
         "roles": each.roles}
        for each in breaches(room.desk, people, at.date())
    ]  # fmt: skip


async def _orphans(room: Room, connection: Connection, call: Call) -> list[Any]:
    people = await room.desk.everybody(connection, await connection.now())
    locale = call.caller.context.locale
    return [
        {"role": each.role, "label": each.label.to(locale), "disabledHolders": each.disabled_holders}
        for each in orphans(room.desk, people)
    ]


async def _reviews(room: Room, connection: Connection, call: Call) -> list[Any]:
    return [review(each, lambda row: True) for each in await _progress(room, connection)]


async def _mine(room: Room, connection: Connection, call: Call) -> list[Any]:
    """Open campaigns with the items the caller answers for."""
    me = call.caller.context.person.id
    every = [each for each in await _progress(room, connection) if each.campaign.closed_at is None]
    found = [review(each, lambda row: row.item.owner == me) for each in every]
    return [each for each in found if each["items"]]


async def _progress(room: Room, connection: Connection) -> list[Progress]:
    at = await connection.now()
    return [await progress(room.desk, connection, each.id, at) for each in await campaigns.campaigns(connection)]


_OWN: Mapping[str, Query] = {
    "myAccessReviews": Query(
        "AccessReview", Bilingual("待本人处理的授权复核", "Reviews with assignments for me to decide on"), _mine, {}
    ),
}
_ASKED: Mapping[str, Query] = {
    "accessMatrix": Query(
        "AccessCell",
        Bilingual("权限矩阵", "Roles, entities, actions, fields: allowed, under a condition, denied"),
        _matrix,
        {"roles": _TEXTS, "entities": required(_TEXTS), "fields": _FLAG},
    ),
    "accessWhoCan": Query("AccessStanding", Bilingual("现在谁可以", "Who can do this now"), _who_can, _TARGET),
    "accessCan": Query(
        "AccessStanding",
        Bilingual("此人为何可以或不可以", "Why one person can or cannot"),
        _can,
        {"login": required(_TEXT), **_TARGET},
    ),
    "accessDifference": Query(
        "AccessChange",
        Bilingual("两个发布间谁得到、失去什么", "Who gains and loses what between two releases (none: the live one)"),
        _difference,
        {"before": _COUNT, "after": _COUNT},
    ),
    "accessUnused": Query(
        "AccessUnused", Bilingual("从未使用的授权", "Grants nobody used in these days"), _unused, {"days": _COUNT}
    ),
    "accessConflicts": Query(
        "AccessConflict", Bilingual("现存冲突", "Separations that people break now"), _conflicts, {}
    ),
    "accessOrphans": Query("AccessOrphan", Bilingual("无人可用的角色", "Roles nobody can use"), _orphans, {}),
    "accessReviews": Query("AccessReview", Bilingual("授权复核", "Review campaigns and their progress"), _reviews, {}),
}
