"""What mutations answer with: the types of their payloads, and the members beside the record itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graphql import GraphQLEnumType, GraphQLEnumValue, GraphQLField, GraphQLInt, GraphQLList, GraphQLObjectType

from clew.api import scalars
from clew.api.build import Build, entity_type, required
from clew.api.operations import Call
from clew.kernel.text import Locale
from clew.metadata import naming
from clew.metadata.blueprint import Entity
from clew.records.commands import BulkOutcome
from clew.records.versions import Warned

_JSON: Mapping[str, Any] = {"ensure_ascii": False, "separators": (",", ":")}


def payload(build: Build, entity: Entity) -> Callable[[], GraphQLObjectType]:
    def fields() -> dict[str, GraphQLField]:
        warnings = required(GraphQLList(required(build.type("RuleWarning"))))
        return {
            naming.field_name(entity.name): build.field(build.type(entity_type(entity.name)), None),
            "created": build.field(required(scalars.BOOLEAN.type), None),
            "replayed": build.field(required(scalars.BOOLEAN.type), None),
            "warnings": build.field(warnings, None),
        }

    return lambda: GraphQLObjectType(entity_type(entity.name, "Payload"), fields)


def bulk_payload(build: Build, entity: Entity) -> Callable[[], GraphQLObjectType]:
    def fields() -> dict[str, GraphQLField]:
        records = required(GraphQLList(build.type(entity_type(entity.name))))
        return {
            naming.field_name(entity.plural): build.field(records, None),
            "committed": build.field(required(scalars.BOOLEAN.type), None),
            "replayed": build.field(required(scalars.BOOLEAN.type), None),
            "rows": build.field(required(GraphQLList(required(build.type("BulkRow")))), None),
            "warnings": build.field(required(GraphQLList(required(build.type("RuleWarning")))), None),
        }

    return lambda: GraphQLObjectType(entity_type(entity.name, "BulkPayload"), fields)


def rule_warning(build: Build) -> GraphQLObjectType:
    text, identity = required(scalars.TEXT.type), required(scalars.ID.type)
    members = {"rule": text, "message": text, "recordId": identity}
    return GraphQLObjectType("RuleWarning", {key: build.field(each, None) for key, each in members.items()})


def bulk_row(build: Build) -> GraphQLObjectType:
    members = {
        "index": required(GraphQLInt),
        "id": scalars.ID.type,
        "rowVersion": scalars.INT.type,
        "created": required(scalars.BOOLEAN.type),
        "code": scalars.TEXT.type,
        "message": scalars.TEXT.type,
        "path": GraphQLList(required(scalars.TEXT.type)),
    }
    return GraphQLObjectType("BulkRow", {key: build.field(each, None) for key, each in members.items()})


def bulk_mode(build: Build) -> GraphQLEnumType:
    texts = {
        "all": build.say("全部写入,否则一行也不写", "Every row or none"),
        "good": build.say("只写入无误的行", "Leave out the rows that are refused"),
        "dry": build.say("只检查,不写入", "Check only"),
    }
    values = {name: GraphQLEnumValue(name, description=text) for name, text in texts.items()}
    return GraphQLEnumType("BulkMode", values)


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def warnings(call: Call, selected: Any, given: Iterable[Warned]) -> str:
    locale: Locale = call.caller.context.locale
    entries = [{"rule": each.rule, "message": each.say.to(locale), "recordId": str(each.record_id)} for each in given]
    return listed(call, selected, entries)


def rows(call: Call, selected: Any, outcome: BulkOutcome) -> str:
    locale: Locale = call.caller.context.locale
    entries = [
        {
            "index": each.index,
            "id": str(each.id) if each.id else None,
            "rowVersion": each.row_version,
            "created": each.created,
            "code": each.error.code if each.error else None,
            "message": each.error.message(locale) if each.error else None,
            "path": [str(part) for part in api_path(each.error.path)] if each.error else None,
        }
        for each in outcome.rows
    ]
    return listed(call, selected, entries)


def listed(call: Call, selected: Any, entries: Iterable[Mapping[str, Any]]) -> str:
    """A list of plain objects with the members that were selected."""
    children = call.planner.children(selected)
    chosen = [
        {each.key: selected.type.name if each.name == "__typename" else entry[each.name] for each in children}
        for entry in entries
    ]
    return json.dumps(chosen, **_JSON)


def members(parts: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{text}" for key, text in parts) + "}"


def api_path(path: Iterable[str | int]) -> tuple[str | int, ...]:
    """A path into the input in the API's names."""
    return tuple(naming.field_name(each) if isinstance(each, str) else each for each in path)
