"""Feature: decisions on regulated actions and their replay, for who may read the record's trail."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from graphql import GraphQLArgument, GraphQLField, GraphQLInt, GraphQLList, GraphQLObjectType

from clew.access.decision import Decision
from clew.api import scalars
from clew.api.build import Build, Factory, required
from clew.api.operations import READ_ID, Call
from clew.api.planner import Selected
from clew.kernel.canonical import wire
from clew.kernel.errors import NotFound
from clew.records.decisions import stored
from clew.records.decisions.evaluate import Answer, Verdict
from clew.records.decisions.replay import Replay, Replayer
from clew.records.decisions.stored import Stored
from clew.records.query import plan as p
from clew.records.query.scope import NotVisible
from clew.records.values import plain
from clew.storage.engine import Connection

_MOST = 200
_TABLE = "decide("


class Decisions:
    """`decision(id)` and `decisionsOf(entity, id)` with their types."""

    def __init__(self, replayer: Replayer) -> None:
        self._replayer = replayer

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        yield "DecisionRecord", lambda: GraphQLObjectType("DecisionRecord", lambda: _record(build))
        yield "DecisionCheck", lambda: GraphQLObjectType("DecisionCheck", _check(build))
        yield "DecisionReplay", lambda: GraphQLObjectType("DecisionReplay", lambda: _replay(build))
        yield "DecisionVerdict", lambda: GraphQLObjectType("DecisionVerdict", lambda: _verdict(build))
        yield "DecisionDifference", lambda: GraphQLObjectType("DecisionDifference", _difference(build))
        build.extend("Query", lambda: self._queries(build))

    def _queries(self, build: Build) -> dict[str, GraphQLField]:
        if not any(build.access(each.name).audit.allowed for each in build.entities()):
            return {}
        identity = GraphQLArgument(required(scalars.ID.type))
        entity = GraphQLArgument(required(scalars.TEXT.type))
        first = GraphQLArgument(GraphQLInt, default_value=50)
        type_, spec = build.type("DecisionRecord"), DecisionsSpec(self._replayer)
        one = build.say("一项受监管操作的决策", "The decision on a regulated action")
        of = build.say("关于一条记录的决策,最新在前", "Decisions about a record, newest first")
        many = {"entity": entity, "id": identity, "first": first}
        return {
            "decision": build.field(type_, spec, one, {"id": identity}),
            "decisionsOf": build.field(GraphQLList(required(type_)), spec, of, many),
        }


@dataclass(frozen=True, slots=True)
class DecisionsSpec:
    """Reads decisions; a record whose trail the caller may not read has none."""

    replayer: Replayer

    async def answer(self, call: Call, connection: Connection) -> str:
        if call.selected.name == "decision":
            found = await stored.one(connection, call.arguments["id"])
            await _may_read(call, connection, found.entity, found.record_id)
            return json.dumps(await self._shown(call, connection, found), ensure_ascii=False)
        entity, record_id = call.arguments["entity"], call.arguments["id"]
        await _may_read(call, connection, entity, record_id)
        first = max(0, min(call.arguments.get("first") or 50, _MOST))
        several = await stored.of_record(connection, entity, record_id, first)
        return json.dumps([await self._shown(call, connection, each) for each in several], ensure_ascii=False)

    async def _shown(self, call: Call, connection: Connection, found: Stored) -> Any:
        said = found.said()
        seen = _Seen(call.caller.decision, found.entity)
        value: dict[str, Any] = {
            "id": found.decision_id,
            "at": found.at,
            "outcome": found.outcome,
            "code": found.code,
            "action": found.action,
            "entity": found.entity,
            "recordId": found.record_id,
            "rowVersion": found.row_version,
            "account": found.account,
            "roles": said["person"]["roles"],
            "requestId": found.request_id,
            "release": found.release,
            "policy": found.policy,
            "checks": [{**each, "facts": seen.facts(each["facts"]), "again": True} for each in said["checks"]],
        }
        if any(each.name == "replay" for each in call.planner.children(call.selected)):
            value["replay"] = _replayed(await self.replayer.replay(connection, found), seen)
        return chosen(call, call.selected, value)


@dataclass(frozen=True, slots=True)
class _Seen:
    """Which facts the caller may see: those of fields they see on every record."""

    decision: Decision
    entity: str

    def shows(self, name: str) -> bool:
        access = self.decision.on(self.entity).fields.get(name)
        return name in ("given", "refused") or (access is not None and access.read.always)

    def facts(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """What a decision table said is shown to whoever sees everything that was read beside it."""
        whole = all(self.shows(name) for name in found if not name.startswith(_TABLE))
        told = wire(plain(found)).items()
        return {name: value for name, value in told if (whole if name.startswith(_TABLE) else self.shows(name))}


async def _may_read(call: Call, connection: Connection, entity: str, record_id: UUID) -> None:
    """Raises NotFound unless the caller may read the trail of this record: asked by the read path itself."""
    trail = p.Trail("t", (p.VersionItem("id", "id"),), p.Const(1))
    try:
        read = call.read(p.Plan((p.RecordRoot("r", entity, (("id", p.Slot(READ_ID)),), (trail,)),)))
        text = await read(connection, {READ_ID: record_id})
    except NotVisible:
        raise NotFound(what=stored.WHAT) from None
    record = json.loads(text)["r"]
    if record is None or not record["t"]:
        raise NotFound(what=stored.WHAT)


def _replayed(found: Replay, seen: _Seen) -> dict[str, Any]:
    return {
        "faithful": found.faithful,
        "unfaithful": list(found.unfaithful),
        "then": _said(found.then, seen),
        "now": _said(found.now, seen) if found.now is not None else None,
        "differences": [
            {"what": each.what, "name": each.name, "then": wire(each.then), "now": wire(each.now)}
            for each in found.differences
            if each.what != "fact" or seen.shows(each.name)
        ],
    }


def _said(verdict: Verdict, seen: _Seen) -> dict[str, Any]:
    checks = [_answer(each, seen) for each in verdict.answers]
    return {"outcome": verdict.outcome, "release": verdict.release, "policy": verdict.policy, "checks": checks}


def _answer(answer: Answer, seen: _Seen) -> dict[str, Any]:
    return {
        "kind": answer.kind,
        "name": answer.name,
        "held": answer.held,
        "stage": answer.stage,
        "conditions": list(answer.conditions),
        "facts": seen.facts(answer.facts),
        "rules": [dict(each) for each in answer.rules],
        "again": answer.again,
    }


def chosen(call: Call, selected: Selected, value: Any) -> Any:
    """The members of plain data that were selected."""
    if isinstance(value, list):
        return [chosen(call, selected, each) for each in value]
    if not isinstance(value, Mapping) or not any(node.selection_set for node in selected.nodes):
        return wire(value)
    return {
        each.key: selected.type.name if each.name == "__typename" else chosen(call, each, value[each.name])
        for each in call.planner.children(selected)
    }


# ── types ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _record(build: Build) -> dict[str, GraphQLField]:
    text, identity = required(scalars.TEXT.type), required(scalars.ID.type)
    members: dict[str, tuple[Any, str, str]] = {
        "id": (identity, "决策编号", "Its id"),
        "at": (required(scalars.DATE_TIME.type), "决策时间", "When"),
        "outcome": (text, "结果:allowed 或 refused", "allowed or refused"),
        "code": (text, "拒绝代码", "Why refused: the error's code"),
        "action": (text, "操作", "transition:<name>, update, void or correct"),
        "entity": (text, "实体", "The kind of record"),
        "recordId": (identity, "记录", "The record"),
        "rowVersion": (required(scalars.INT.type), "决策所依据的版本", "The version it was decided on"),
        "account": (identity, "账号", "Who wanted it"),
        "roles": (required(GraphQLList(text)), "当时的角色", "The roles held then"),
        "requestId": (text, "请求编号", "The request"),
        "release": (text, "发布", "The release"),
        "policy": (text, "权限策略摘要", "Digest of the policy"),
        "checks": (required(GraphQLList(required(build.type("DecisionCheck")))), "各项检查", "Every check"),
        "replay": (required(build.type("DecisionReplay")), "重放", "Evaluated again with what was known then, and now"),
    }
    return {name: build.field(type_, None, build.say(zh, en)) for name, (type_, zh, en) in members.items()}


def _check(build: Build) -> dict[str, GraphQLField]:
    text = required(scalars.TEXT.type)
    members: dict[str, tuple[Any, str, str]] = {
        "kind": (text, "种类", "grant, state, guard, reason, frozen, rule, signature or refusal"),
        "name": (text, "名称", "What was asked"),
        "held": (required(scalars.BOOLEAN.type), "是否成立", "Whether it holds"),
        "stage": (text, "变更前或后", "Asked of the record before or after the change"),
        "conditions": (required(GraphQLList(text)), "条件", "The conditions as written; any of them is enough"),
        "facts": (required(scalars.JSON.type), "依据的事实", "What they read of the record"),
        "rules": (required(scalars.JSON.type), "规则及其位置", "The rules, with file, line and column"),
        "again": (required(scalars.BOOLEAN.type), "是否重新评估", "False when the kept answer was taken over"),
    }
    return {name: build.field(type_, None, build.say(zh, en)) for name, (type_, zh, en) in members.items()}


def _replay(build: Build) -> dict[str, GraphQLField]:
    text = required(scalars.TEXT.type)
    differences = required(GraphQLList(required(build.type("DecisionDifference"))))
    members: dict[str, tuple[Any, str, str]] = {
        "faithful": (required(scalars.BOOLEAN.type), "重放结果与原决策一致", "Whether the same comes out again"),
        "unfaithful": (required(GraphQLList(text)), "不一致之处", "What does not"),
        "then": (required(build.type("DecisionVerdict")), "按当时所知", "With what was known then"),
        "now": (build.type("DecisionVerdict"), "按现在所知", "With what is known now"),
        "differences": (differences, "差异", "What is not as it was"),
    }
    return {name: build.field(type_, None, build.say(zh, en)) for name, (type_, zh, en) in members.items()}


def _verdict(build: Build) -> dict[str, GraphQLField]:
    text = required(scalars.TEXT.type)
    checks = required(GraphQLList(required(build.type("DecisionCheck"))))
    members = {"outcome": text, "release": text, "policy": text, "checks": checks}
    return {name: build.field(type_, None) for name, type_ in members.items()}


def _difference(build: Build) -> dict[str, GraphQLField]:
    text, data = required(scalars.TEXT.type), scalars.JSON.type
    members: dict[str, tuple[Any, str, str]] = {
        "what": (text, "种类", "outcome, check, fact, rule, role, policy or record"),
        "name": (text, "名称", "Which"),
        "then": (data, "当时", "As it was"),
        "now": (data, "现在", "As it is"),
    }
    return {name: build.field(type_, None, build.say(zh, en)) for name, (type_, zh, en) in members.items()}
