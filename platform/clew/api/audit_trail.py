"""Feature: the trail of everything as one connection, and what its watches raised.

`auditTrail` is there for whoever may read the trail of any entity or looks after the trail; `alerts` for the latter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLObjectType,
)

from clew.access.decision import Decision
from clew.api import scalars
from clew.api.build import Build, Factory, required
from clew.api.errors import BadCursor
from clew.api.operations import Call
from clew.api.planner import Planner, Selected, check_size
from clew.api.trees import decode_cursor
from clew.kernel.scalars import to_wire
from clew.records.query.entries import RIGHT, Asked, Page, Reader, may_look
from clew.records.watching import Raised, alerts
from clew.storage.engine import Connection
from clew.storage.tables import Tables

_ORDER = "audit.trail"
"""What a cursor of this list begins with; a cursor of another list is refused."""
_MOST_ALERTS = 500


class AuditTrail:
    """`auditTrail(where, first, after, last, before)` and `alerts(first)`. `tables` are those of the release served."""

    def __init__(self, tables: Callable[[], Tables]) -> None:
        self._tables = tables

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        for name, fields in _TYPES.items():
            build.names.types.claim(name, "audit")
            yield name, _object(build, name, fields)
        for name, inputs in _INPUTS.items():
            build.names.types.claim(name, "audit")
            yield name, _input(build, name, inputs)
        for name in ("auditTrail", "alerts"):
            build.names.queries.claim(name, "audit")
        build.extend("Query", lambda: self._queries(build))

    def _queries(self, build: Build) -> dict[str, GraphQLField]:
        found: dict[str, GraphQLField] = {}
        if may_look(build.blueprint, build.decision):
            size, cursor = GraphQLArgument(GraphQLInt), GraphQLArgument(scalars.CURSOR.type)
            where = GraphQLArgument(build.type("AuditTrailWhere"))
            found["auditTrail"] = build.field(
                required(build.type("AuditTrailConnection")),
                TrailSpec(self._tables),
                build.say("审计追踪,最新在前", "The audit trail, newest first"),
                {"where": where, "first": size, "after": cursor, "last": size, "before": cursor},
            )
        if RIGHT in build.decision.administers:
            found["alerts"] = build.field(
                required(GraphQLList(required(build.type("AuditAlert")))),
                AlertsSpec(),
                build.say("监视规则触发的警示,最新在前", "What the watches raised, newest first"),
                {"first": GraphQLArgument(GraphQLInt)},
            )
        return found


@dataclass(frozen=True, slots=True)
class TrailSpec:
    """Reads a page of the trail."""

    tables: Callable[[], Tables]

    async def answer(self, call: Call, connection: Connection) -> str:
        asked = _asked(call)
        build, caller = call.planner.build, call.caller
        reader = Reader(build.blueprint, self.tables(), caller.decision, caller.context, await connection.now())
        page = await reader.page(connection, asked, changes=_selects(call.planner, call.selected, "changes"))
        found = _connection(page)
        if _selects(call.planner, call.selected, "totalCount"):
            found["totalCount"] = await reader.count(connection, asked)
        return json.dumps(_chosen(call.planner, call.selected, found), ensure_ascii=False)


def _asked(call: Call) -> Asked:
    """The arguments, checked. Raises BadPage, BadCursor, BadVariable."""
    given, paging = call.arguments, call.planner.paging
    first, last = given.get("first"), given.get("last")
    if first is not None and last is not None:
        raise call.planner.refuse("last", "cannot be combined with first")
    size = paging.default if first is None and last is None else first if last is None else last
    check_size(size, "first" if last is None else "last", paging.most)
    where = given.get("where") or {}
    period = where.get("period") or {}
    return Asked(
        period.get("from"),
        period.get("to"),
        where.get("actor"),
        where.get("action"),
        where.get("entity"),
        where.get("recordId"),
        _place(given.get("after")),
        _place(given.get("before")),
        int(size or 0),
        last is not None,
    )


def _place(cursor: str | None) -> UUID | None:
    """The entry a cursor names."""
    if cursor is None:
        return None
    order, values = decode_cursor(cursor)
    try:
        if order != _ORDER or len(values) != 1:
            raise ValueError
        return UUID(values[0])
    except (ValueError, TypeError, AttributeError):
        raise BadCursor() from None


def _cursor(entry: Mapping[str, Any]) -> str:
    return json.dumps([_ORDER, str(entry["id"])]).encode().hex()


def _connection(page: Page) -> dict[str, Any]:
    edges = [{"cursor": _cursor(each), "node": each} for each in page.entries]
    ends = {"startCursor": edges[0]["cursor"], "endCursor": edges[-1]["cursor"]} if edges else {}
    info = {"hasNextPage": page.has_next, "hasPreviousPage": page.has_previous, "startCursor": None, "endCursor": None}
    return {"edges": edges, "nodes": list(page.entries), "pageInfo": {**info, **ends}}


@dataclass(frozen=True, slots=True)
class AlertsSpec:
    """Reads alerts. What they are about is told where the caller reads the trail of all records of that kind."""

    async def answer(self, call: Call, connection: Connection) -> str:
        size = call.arguments.get("first")
        size = call.planner.paging.default if size is None else size
        check_size(size, "first", _MOST_ALERTS)
        shown = [_alert(call.caller.decision, each) for each in await alerts(connection, size)]
        return json.dumps([_chosen(call.planner, call.selected, each) for each in shown], ensure_ascii=False)


def _alert(decision: Decision, raised: Raised) -> dict[str, Any]:
    access = decision.on(raised.entity)
    open_ = "." in raised.entity or (access.read.always and access.audit.always)
    return {
        "id": raised.id,
        "watch": raised.watch,
        "severity": raised.severity,
        "at": raised.at,
        "index": raised.index,
        "entity": raised.entity if open_ else None,
        "recordId": raised.record_id if open_ else None,
        "by": raised.actor,
        "times": raised.times,
    }


def _selects(planner: Planner, selected: Selected, name: str) -> bool:
    """Whether a field of this name is selected anywhere inside."""
    return any(
        each.name == name or (any(node.selection_set for node in each.nodes) and _selects(planner, each, name))
        for each in planner.children(selected)
    )


def _chosen(planner: Planner, selected: Selected, value: Any) -> Any:
    """What is selected of plain data, in wire form."""
    if isinstance(value, list) and any(node.selection_set for node in selected.nodes):
        return [_chosen(planner, selected, each) for each in value]
    if not any(node.selection_set for node in selected.nodes):
        return str(value) if selected.name == "index" and value is not None else _plain(value)
    return {
        each.key: selected.type.name if each.name == "__typename" else _chosen(planner, each, value[each.name])
        for each in planner.children(selected)
    }


def _plain(value: Any) -> Any:
    """A scalar in wire form; what came from the trail as JSON is that already."""
    return value if value is None or isinstance(value, bool | int | str | list | dict) else to_wire(value)


# ── types ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_TEXT, _ID, _AT = scalars.TEXT.type, scalars.ID.type, scalars.DATE_TIME.type
_TYPES: Mapping[str, Mapping[str, tuple[Any, str, str]]] = {
    "AuditTrailConnection": {
        "edges": (["AuditTrailEdge"], "", ""),
        "nodes": (["AuditTrailEntry"], "", ""),
        "pageInfo": ("PageInfo", "", ""),
        "totalCount": (
            GraphQLInt,
            "全部条目数,超过一万时为空",
            "How many entries there are in all; null beyond ten thousand",
        ),
    },
    "AuditTrailEdge": {"cursor": (required(scalars.CURSOR.type), "", ""), "node": ("AuditTrailEntry", "", "")},
    "AuditTrailEntry": {
        "id": (required(_ID), "条目编号", "The id of the leaf"),
        "index": (scalars.BIG_INT.type, "在日志中的序号,未封存时为空", "Its place in the log; null until sealed"),
        "at": (required(_AT), "时间", "When, by the database's clock"),
        "by": (_ID, "账号", "Whose account did it"),
        "onBehalfOf": (_ID, "代表谁", "On whose behalf"),
        "action": (required(_TEXT), "操作", "What was done"),
        "entity": (required(_TEXT), "实体,平台事项以 clew. 开头", "What about; clew.… for things of the platform"),
        "recordId": (required(_ID), "记录或事项编号", "The record or thing it is about"),
        "rowVersion": (required(GraphQLInt), "产生的版本,0 表示事件", "The version it made; 0 for an event"),
        "reason": (_TEXT, "原因", "The reason given"),
        "channel": (_TEXT, "途径", "How it came"),
        "release": (_TEXT, "配置版本", "The release it was made under"),
        "requestId": (_TEXT, "请求编号", "The request"),
        "digest": (required(_TEXT), "摘要", "The digest that is sealed"),
        "changes": (["AuditChange"], "您可见的变更字段", "The changed fields you may see"),
    },
    "AuditAlert": {
        "id": (required(_ID), "", ""),
        "watch": (required(_TEXT), "监视规则", "The watch"),
        "severity": (required(_TEXT), "严重程度", "How severe"),
        "at": (required(_AT), "触发条目的时间", "When the entry that raised it was made"),
        "index": (required(scalars.BIG_INT.type), "触发条目在日志中的序号", "The place of that entry in the log"),
        "entity": (_TEXT, "所涉事项,无权查看时为空", "What it is about; null where you may not read that trail"),
        "recordId": (_ID, "所涉记录,无权查看时为空", "The record; null where you may not read that trail"),
        "by": (_ID, "账号", "Whose account did it"),
        "times": (required(GraphQLInt), "次数", "How often"),
    },
}
_INPUTS: Mapping[str, Mapping[str, tuple[Any, str, str]]] = {
    "AuditPeriod": {
        "from": (_AT, "起(含)", "From, included"),
        "to": (_AT, "止(不含)", "To, not included"),
    },
    "AuditTrailWhere": {
        "period": ("AuditPeriod", "时间段", "When"),
        "actor": (_ID, "账号", "Whose account did it"),
        "action": (_TEXT, "操作", "What was done"),
        "entity": (_TEXT, "实体", "What about"),
        "recordId": (_ID, "记录", "The record"),
    },
}


def _type(build: Build, kind: Any) -> Any:
    if isinstance(kind, list):
        return required(GraphQLList(required(build.type(kind[0]))))
    return required(build.type(kind)) if isinstance(kind, str) else kind


def _object(build: Build, name: str, members: Mapping[str, tuple[Any, str, str]]) -> Factory:
    def fields() -> dict[str, GraphQLField]:
        return {
            key: build.field(_type(build, kind), None, build.say(zh, en) or None)
            for key, (kind, zh, en) in members.items()
        }

    return lambda: GraphQLObjectType(name, fields)


def _input(build: Build, name: str, members: Mapping[str, tuple[Any, str, str]]) -> Factory:
    def fields() -> dict[str, Any]:
        return {
            key: build.input(build.type(kind) if isinstance(kind, str) else kind, None, build.say(zh, en))
            for key, (kind, zh, en) in members.items()
        }

    return lambda: GraphQLInputObjectType(name, fields)
