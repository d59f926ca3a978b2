"""The data of a form as JSON Schema (2020-12): what each field takes, by its wire form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clew.api.build import Build
from clew.api.inputs import input_fields
from clew.metadata import naming
from clew.metadata.blueprint import Entity, Field, FieldKind

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ID: Schema = {"type": "string", "format": "uuid"}
_FILE: Schema = {
    "type": "object",
    "required": ["name", "sha256"],
    "properties": {"name": {"type": "string"}, "sha256": {"type": "string"}, "size": {"type": "integer"}},
}


def data_schema(build: Build, entity: Entity, fields: Iterable[Field], required: Iterable[str]) -> Schema:
    """An object of these fields."""
    known, demanded = list(fields), set(required)
    needed = [naming.field_name(each.name) for each in known if each.name in demanded]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {naming.field_name(each.name): _field(build, entity, each) for each in known},
        **({"required": needed} if needed else {}),
    }


def _field(build: Build, entity: Entity, field: Field) -> Schema:
    found = _value(build, entity, field)
    title, help_ = build.text(field.label), build.text(field.help)
    return {**found, **({"title": title} if title else {}), **({"description": help_} if help_ else {})}


def _value(build: Build, entity: Entity, field: Field) -> Schema:
    match field.kind:
        case FieldKind.INTEGER if not field.big:
            return {"type": "integer", **_bounds(field, "minimum", "maximum")}
        case FieldKind.INTEGER:
            return {"type": "string", "pattern": r"^-?\d{1,19}$"}
        case FieldKind.DECIMAL:
            return _decimal(field)
        case FieldKind.MONEY:
            amount = {"amount": _decimal(field), "currency": {"type": "string", "pattern": "^[A-Z]{3}$"}}
            return {"type": "object", "required": ["amount", "currency"], "properties": amount}
        case FieldKind.BOOLEAN:
            return {"type": "boolean"}
        case FieldKind.DATE:
            return {"type": "string", "format": "date"}
        case FieldKind.DATETIME:
            return {"type": "string", "format": "date-time"}
        case FieldKind.DURATION:
            return {"type": "string", "format": "duration"}
        case FieldKind.CHOICE:
            return _codes(build, field)
        case FieldKind.CHOICES:
            items = _codes(build, field)
            return {"type": "array", "items": items, "uniqueItems": True, **_bounds(field, "minItems", "maxItems")}
        case FieldKind.JSON:
            return dict(field.schema or {})
        case FieldKind.TRANSLATED:
            return {"type": "object", "properties": {"zh": {"type": "string"}, "en": {"type": "string"}}}
        case FieldKind.REF:
            return {**_ID, "x-entity": naming.type_name(field.target)}
        case FieldKind.ANY:
            targets = [naming.type_name(each) for each in build.targets(field)]
            properties = {"entity": {"enum": targets}, "id": _ID}
            return {"type": "object", "required": ["entity", "id"], "properties": properties}
        case FieldKind.MANY:
            items = {**_ID, "x-entity": naming.type_name(field.target)}
            return {"type": "array", "items": items, **_bounds(field, "minItems", "maxItems")}
        case FieldKind.LINES:
            line = build.blueprint.entities[field.target]
            given = input_fields(build, line, creating=True)
            items = data_schema(build, line, given, (each.name for each in given if each.required))
            return {"type": "array", "items": items, **_bounds(field, "minItems", "maxItems")}
        case FieldKind.FILES:
            return {"type": "array", "items": _FILE, **_bounds(field, "minItems", "maxItems")}
        case _:
            return _text(field)


def _text(field: Field) -> Schema:
    found: Schema = {"type": "string"}
    if field.max_length is not None:
        found["maxLength"] = field.max_length
    if field.min_length is not None:
        found["minLength"] = field.min_length
    if field.pattern is not None:
        found["pattern"] = f"^(?:{field.pattern})$"
    return found


def _decimal(field: Field) -> Schema:
    places = rf"(\.\d{{1,{field.scale}}})?" if field.scale else ""
    found: Schema = {"type": "string", "format": "decimal", "pattern": rf"^-?\d{{1,18}}{places}$"}
    bounds = {"x-minimum": field.min, "x-maximum": field.max}
    return {**found, **{name: f"{bound:f}" for name, bound in bounds.items() if bound is not None}}


def _codes(build: Build, field: Field) -> Schema:
    listed = build.blueprint.code_lists.get(field.code_list or "")
    codes = listed.codes.values() if listed is not None else ()
    return {"type": "string", "oneOf": [{"const": each.value, "title": build.text(each.label)} for each in codes]}


def _bounds(field: Field, low: str, high: str) -> Schema:
    bounds = {low: field.min, high: field.max}
    return {name: int(bound) for name, bound in bounds.items() if bound is not None}
