"""Feature: review campaigns are begun, closed and written out by those who look after reviews."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from graphql import GraphQLArgument, GraphQLField, GraphQLInputObjectType, GraphQLList

from clew.api import scalars
from clew.api.access_review import REVIEWS, Room
from clew.api.access_shapes import review, shaped
from clew.api.build import Build, Factory, required
from clew.api.operations import Call
from clew.identity import accounts
from clew.kernel.text import Bilingual
from clew.records.review import campaign as campaigns
from clew.records.review.progress import progress
from clew.records.review.workbook import MEDIA_TYPE, campaign_workbook
from clew.storage.engine import Connection

_TEXT, _ID, _WHEN, _FLAG = scalars.TEXT.type, scalars.ID.type, scalars.DATE_TIME.type, scalars.BOOLEAN.type
_OWNER = "ReviewOwner"


class AccessCampaigns:
    """There for roles with `administer: [reviews]`."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        owner = "access campaigns"
        build.names.types.claim(_OWNER, owner)
        yield _OWNER, lambda: _owner_type(build)
        for name in _ACTS:
            build.names.mutations.claim(name, owner)
        build.extend("Mutation", lambda: self._mutations(build))

    def _mutations(self, build: Build) -> dict[str, GraphQLField]:
        if REVIEWS not in build.decision.administers:
            return {}
        found = {}
        for name, act in _ACTS.items():
            args = {key: GraphQLArgument(each(build)) for key, each in act.args.items()}
            spec = ActSpec(self._room, act.do)
            found[name] = build.field(required(build.type(act.type)), spec, build.text(act.says), args)
        return found


Do = Callable[[Room, Connection, datetime, Call], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Act:
    type: str
    says: Bilingual
    do: Do
    args: Mapping[str, Callable[[Build], Any]]


@dataclass(frozen=True, slots=True)
class ActSpec:
    """One transaction, in which what is done is told to the trail."""

    room: Room
    do: Do

    async def run(self, call: Call) -> str:
        async def work(connection: Connection, at: datetime) -> Mapping[str, Any]:
            return await self.do(self.room, connection, at, call)

        value = await self.room.identity.within(work)
        return json.dumps(shaped(call.planner, call.selected, value), ensure_ascii=False)


async def _start(room: Room, connection: Connection, at: datetime, call: Call) -> Mapping[str, Any]:
    desk, args = room.desk, call.arguments
    roles = tuple(desk.role(each) for each in args.get("roles") or ())
    owners = {}
    for each in args.get("owners") or ():
        role = each["role"] if each["role"] == campaigns.OTHERS else desk.role(each["role"])
        owners[role] = (await accounts.by_login(connection, each["login"])).id
    people = await desk.everybody(connection, at)
    wanted = campaigns.Wanted(args["name"], args["due"], roles, owners)
    made = await campaigns.begin(connection, call.caller.context, desk.engine.release, people, wanted)
    return review(await progress(desk, connection, made.id, at), lambda row: True)


async def _close(room: Room, connection: Connection, at: datetime, call: Call) -> Mapping[str, Any]:
    chosen, lapse = UUID(str(call.arguments["review"])), bool(call.arguments.get("lapse"))
    await campaigns.close(room.desk, connection, call.caller.context, chosen, lapse=lapse)
    return review(await progress(room.desk, connection, chosen, at), lambda row: True)


async def _export(room: Room, connection: Connection, at: datetime, call: Call) -> Mapping[str, Any]:
    context = call.caller.context
    whole = await progress(room.desk, connection, UUID(str(call.arguments["review"])), at)
    people = {each.id: each.login for each in await accounts.every(connection)}
    await campaigns.tell_export(connection, context, room.desk.engine.release, whole.campaign, len(whole.rows))
    content = campaign_workbook(whole, people, at, context.locale)
    return {
        "name": f"{whole.campaign.name}.xlsx",
        "mediaType": MEDIA_TYPE,
        "base64": base64.b64encode(content).decode(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _owner_type(build: Build) -> GraphQLInputObjectType:
    role = build.say("角色,或 * 表示其余", "A role, or * for all others")
    members = {"role": build.input(required(_TEXT), description=role), "login": build.input(required(_TEXT))}
    return GraphQLInputObjectType(_OWNER, members)


def _is(type_: Any) -> Callable[[Build], Any]:
    return lambda _build: type_


_ACTS: Mapping[str, Act] = {
    "startAccessReview": Act(
        "AccessReview",
        Bilingual("发起授权复核", "Begin a review of assignments"),
        _start,
        {
            "name": _is(required(_TEXT)),
            "due": _is(required(_WHEN)),
            "roles": _is(GraphQLList(required(_TEXT))),
            "owners": lambda build: GraphQLList(required(build.type(_OWNER))),
        },
    ),
    "closeAccessReview": Act(
        "AccessReview",
        Bilingual("结束授权复核;lapse 撤销尚未处理的授权", "End a review; lapse revokes what is undecided"),
        _close,
        {"review": _is(required(_ID)), "lapse": _is(_FLAG)},
    ),
    "exportAccessReview": Act(
        "AccessReviewFile",
        Bilingual("将一次复核导出为 Excel,记入审计轨迹", "A review as an Excel workbook; the trail tells of it"),
        _export,
        {"review": _is(required(_ID))},
    ),
}
