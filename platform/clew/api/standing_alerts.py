"""Feature: standing alerts: what was raised about records the caller may read, and saying that it was seen."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLArgument, GraphQLField, GraphQLList, GraphQLObjectType

from clew.api import scalars
from clew.api.build import Build, Factory, required
from clew.api.decisions import chosen
from clew.api.operations import Call
from clew.api.process_answers import first_of
from clew.api.process_sight import reads
from clew.kernel.errors import NotFound
from clew.metadata import naming
from clew.process.alerts import EVENT, WHAT, Alerts, NotTold, raised, was_told
from clew.records.commands import Call as CommandCall
from clew.records.feed import Feed
from clew.records.spoken import spoken
from clew.storage.engine import Connection

_MOST = 200


class StandingAlerts:
    """`standingAlerts`, `standingAlertsChanged` and `acknowledgeAlert`, where the project has alerts about what the
    caller may read."""

    def __init__(self, alerts: Alerts, feed: Feed | None = None) -> None:
        """Without a feed there is no subscription."""
        self._alerts, self._feed = alerts, feed

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        if not any(build.sees_entity(each.entity) for each in build.blueprint.alerts.values()):
            return
        build.names.types.claim("StandingAlert", "alerts")
        build.names.queries.claim("standingAlerts", "alerts")
        build.names.mutations.claim("acknowledgeAlert", "alerts")
        yield "StandingAlert", lambda: GraphQLObjectType("StandingAlert", lambda: _alert(build))
        build.extend("Query", lambda: self._queries(build))
        build.extend("Mutation", lambda: self._mutations(build))
        if self._feed is not None:
            build.extend("Subscription", lambda: self._live(build))

    def _live(self, build: Build) -> dict[str, GraphQLField]:
        assert self._feed is not None
        first = {"first": GraphQLArgument(scalars.INT.type, default_value=50)}
        said = build.say("现有预警:现状与其后的变化", "Alerts that stand, now and as they change")
        many = required(GraphQLList(required(build.type("StandingAlert"))))
        return {"standingAlertsChanged": build.field(many, LiveSpec(self._alerts, self._feed), said, first)}

    def _queries(self, build: Build) -> dict[str, GraphQLField]:
        args = {
            "first": GraphQLArgument(scalars.INT.type, default_value=50),
            "standing": GraphQLArgument(scalars.BOOLEAN.type, default_value=False),
        }
        said = build.say("已触发的预警,最新在前", "Alerts that were raised, the newest first")
        many = required(GraphQLList(required(build.type("StandingAlert"))))
        return {"standingAlerts": build.field(many, ListSpec(self._alerts), said, args)}

    def _mutations(self, build: Build) -> dict[str, GraphQLField]:
        args = {
            "id": GraphQLArgument(required(scalars.ID.type)),
            "comment": GraphQLArgument(scalars.TEXT.type),
        }
        said = build.say("确认预警已知悉", "Say that an alert was seen; for whoever was told of it")
        return {"acknowledgeAlert": build.field(build.type("StandingAlert"), SeenSpec(self._alerts), said, args)}


@dataclass(frozen=True, slots=True)
class ListSpec:
    alerts: Alerts

    async def answer(self, call: Call, connection: Connection) -> str:
        return await _listed(self.alerts, call, connection, standing=bool(call.arguments.get("standing")))


@dataclass(frozen=True, slots=True)
class LiveSpec:
    """The subscription: what `standingAlerts(standing: true)` answers, at once and whenever that has changed."""

    alerts: Alerts
    feed: Feed

    async def events(self, call: Call) -> AsyncIterator[str]:
        last = ""
        async with self.feed.listen(EVENT) as listener:
            while True:
                async with self.alerts.engine.database.read() as connection:
                    text = await _listed(self.alerts, call, connection, standing=True)
                if text != last:
                    last = text
                    yield text
                await listener.next()


async def _listed(alerts: Alerts, call: Call, connection: Connection, *, standing: bool) -> str:
    first = first_of(call.arguments, _MOST)
    rows = await raised(connection, _MOST, standing=standing)
    found = [each for each in rows if await _seen(alerts, call, connection, each)]
    return json.dumps(chosen(call, call.selected, [_shown(call, each) for each in found[:first]]), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class SeenSpec:
    alerts: Alerts

    async def run(self, call: Call) -> str:
        number = call.arguments["id"]
        async with self.alerts.engine.database.read() as connection:
            rows = await raised(connection, 1, standing=False, number=number)
            if not rows or not await _seen(self.alerts, call, connection, rows[0]):
                raise NotFound(what=WHAT)
            if not await was_told(connection, number, call.caller.context.person.id):
                raise NotTold
        command = CommandCall(call.caller.context, call.caller.decision)
        await self.alerts.acknowledge(command, number, spoken(call.arguments.get("comment"), "comment"))
        async with self.alerts.engine.database.read() as connection:
            [row] = await raised(connection, 1, standing=False, number=number)
        return json.dumps(chosen(call, call.selected, _shown(call, row)), ensure_ascii=False)


async def _seen(alerts: Alerts, call: Call, connection: Connection, row: Mapping[str, Any]) -> bool:
    """Whether the caller may read the record an alert is about."""
    if row["entity"] not in alerts.engine.blueprint.entities:
        return False
    return await reads(alerts.engine, call.caller, connection, call.caller.decision, row["entity"], row["record_id"])


def _shown(call: Call, row: Mapping[str, Any]) -> dict[str, Any]:
    blueprint, locale = call.planner.build.blueprint, call.caller.context.locale
    known = blueprint.alerts.get(row["alert"])
    return {
        "id": row["id"],
        "alert": row["alert"],
        "label": known.label.to(locale) if known is not None else row["alert"],
        "help": (known.help.to(locale) or None) if known is not None else None,
        "severity": row["severity"],
        "entity": naming.type_name(row["entity"]),
        "recordId": row["record_id"],
        "at": row["at"],
        "ceasedAt": row["ceased_at"],
        "acknowledgedAt": row["acknowledged_at"],
        "acknowledgedBy": row["acknowledged_by"],
        "comment": row["comment"] or None,
        "told": row["told"],
    }


def _alert(build: Build) -> dict[str, GraphQLField]:
    text, identity, moment = required(scalars.TEXT.type), required(scalars.ID.type), scalars.DATE_TIME.type
    members: dict[str, tuple[Any, str, str]] = {
        "id": (identity, "编号", "Its id"),
        "alert": (text, "预警规则", "The rule"),
        "label": (text, "显示名称", "What people call it"),
        "help": (scalars.TEXT.type, "处置说明", "What to do"),
        "severity": (text, "严重程度", "How grave"),
        "entity": (text, "实体", "The kind of record"),
        "recordId": (identity, "记录", "The record"),
        "at": (required(moment), "触发时间", "When it was raised"),
        "ceasedAt": (moment, "不再成立的时间", "Since when it does not hold"),
        "acknowledgedAt": (moment, "确认时间", "When somebody saw it"),
        "acknowledgedBy": (scalars.ID.type, "确认人", "Who saw it"),
        "comment": (scalars.TEXT.type, "说明", "What they said"),
        "told": (
            scalars.TEXT.type,
            "通知到谁:addressees(应通知的人)、steward(数据负责角色)、administrators(账号管理员)或 nobody(无人)",
            "Whom it has reached: addressees, the steward or the administrators instead, or nobody",
        ),
    }
    return {name: build.field(type_, None, build.say(zh, en)) for name, (type_, zh, en) in members.items()}
