"""JSON Schema (2020-12) per kind, for editors: completion, hover text and red lines while typing.

Made from the same models that the loader validates with, in a short form: shared keys stand once, labels are one
definition, an optional key is not a choice with null. A Blueprint adds the project's own names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter

from clew.metadata.blueprint import Blueprint
from clew.metadata.kinds import DEFAULT_KINDS, Kinds
from clew.metadata.spec.field import FIELD_TYPES, AnyField, FieldSpec, ScalarSpec
from clew.metadata.spec.words import Spec

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = ".clew/schemas"


def json_schema(kind: str, blueprint: Blueprint | None = None, kinds: Kinds = DEFAULT_KINDS) -> Schema:
    """The schema of one kind of document. Raises KeyError for a kind that is not registered."""
    found = kinds.all[kind]
    variants = [found.spec, *(model for _, model in found.variants)]
    builder = _Builder(blueprint)
    shapes = [builder.model(model) for model in variants]
    if len(shapes) == 1:
        body = shapes[0]
    else:
        names = [name for name, _ in found.variants]
        body = {"if": {"required": names[:1]}, "then": shapes[1], "else": shapes[0]}
    return {
        "$schema": DIALECT,
        "title": f"{found.label_en} {found.label_zh}",
        **body,
        "$defs": dict(sorted(builder.definitions.items())),
    }


def schema_texts(blueprint: Blueprint | None = None, kinds: Kinds = DEFAULT_KINDS) -> Mapping[str, str]:
    """File name → pretty-printed schema, one per kind."""
    return {
        f"{name}.json": json.dumps(json_schema(name, blueprint, kinds), indent=1, ensure_ascii=False) + "\n"
        for name in kinds.all
    }


def write_schemas(folder: Path, blueprint: Blueprint | None = None, kinds: Kinds = DEFAULT_KINDS) -> tuple[Path, ...]:
    """Write every schema below `.clew/schemas/` of a project folder; the files written."""
    target = folder / FOLDER
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in schema_texts(blueprint, kinds).items():
        (target / name).write_text(text, encoding="utf-8")
        written.append(target / name)
    return tuple(written)


def modeline(kind: str, depth: int = 1) -> str:
    """The comment that ties a file to its schema. `depth` is how many folders below the project it stands."""
    return f"# yaml-language-server: $schema={'../' * depth}{FOLDER}/{kind}.json"


@lru_cache(maxsize=1)
def _field_models() -> Mapping[str, Schema]:
    """The raw schemas of all field types; building the union's validator is slow, and it never changes."""
    raw: Schema = TypeAdapter(AnyField).json_schema(by_alias=True, mode="validation")
    return MappingProxyType(raw["$defs"])


class _Builder:
    """Collects shared definitions while it shortens what pydantic says."""

    def __init__(self, blueprint: Blueprint | None) -> None:
        self.definitions: dict[str, Schema] = {}
        self.entities = list(blueprint.entities) if blueprint else []

    def model(self, model: type[Spec]) -> Schema:
        """The schema of a model, with what it refers to put among the definitions."""
        raw = model.model_json_schema(by_alias=True, mode="validation")
        for name, definition in raw.pop("$defs", {}).items():
            if name.endswith("Spec") and definition.get("properties", {}).get("type", {}).get("const") in FIELD_TYPES:
                continue
            if name not in self.definitions:
                self.definitions[name] = {}
                self.definitions[name] = self.short(definition)
        self.definitions.pop("Label", None)
        self.definitions["Label"] = _LABEL
        shortened: Schema = self.short(raw)
        if "Field" not in self.definitions and "#/$defs/Field" in json.dumps([shortened, self.definitions]):
            self.definitions["Field"] = {}
            self.definitions["Field"] = self.field()
            if self.entities:
                self.definitions["EntityName"] = {"enum": self.entities}
        return shortened

    def field(self) -> Schema:
        """A field: what all have in common once, then the keys of each type."""
        definitions: Mapping[str, Schema] = _field_models()
        common = self.short(FieldSpec.model_json_schema(by_alias=True))["properties"]
        scalar = self.short(ScalarSpec.model_json_schema(by_alias=True))["properties"]
        branches = []
        for definition in definitions.values():
            type_ = definition.get("properties", {}).get("type", {}).get("const")
            if type_ is None:
                continue
            own = self.short(definition)
            then: Schema = {
                "properties": {
                    name: _shared(name, each, scalar)
                    for name, each in own["properties"].items()
                    if name != "type" and each != common.get(name)
                }
            }
            required = [name for name in own.get("required", []) if name != "type"]
            if required:
                then["required"] = required
            branches.append({"if": {"properties": {"type": {"const": type_}}}, "then": then})
        self.definitions |= {f"key.{name}": each for name, each in scalar.items() if name not in common}
        types = {"description": "What kind of value it is. 值的类型。", "enum": list(FIELD_TYPES)}
        return {
            "type": "object",
            "required": ["type"],
            "properties": {**common, "type": types},
            "allOf": branches,
            "unevaluatedProperties": False,
        }

    def short(self, schema: Any) -> Any:
        """Without titles, defaults, null branches and repeated field unions."""
        if isinstance(schema, list):
            return [self.short(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        if _is_field_union(schema):
            return {"$ref": "#/$defs/Field"}
        hint = schema.get("x-clew")
        result: Schema = {
            key: self.properties(value) if key in ("properties", "$defs") else self.short(value)
            for key, value in schema.items()
            if key not in ("title", "default", "x-clew", "discriminator", "additionalProperties")
            or (key == "additionalProperties" and value is not True)
        }
        branches: list[Schema] = [each for each in result.get("anyOf", []) if each != {"type": "null"}]
        if "anyOf" in result:
            del result["anyOf"]
            result = {**branches[0], **result} if len(branches) == 1 else {**result, "anyOf": branches}
        if hint == "entity" and self.entities:
            result = _suggest(result)
        return result

    def properties(self, properties: Mapping[str, Schema]) -> Schema:
        return {name: self.short(each) for name, each in properties.items()}


_LABEL: Schema = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": False,
    "properties": {"zh": {"type": "string"}, "en": {"type": "string"}},
}


def _shared(name: str, schema: Schema, scalar: Mapping[str, Schema]) -> Schema:
    """A reference to the shared definition of a key, unless this type's own differs."""
    return {"$ref": f"#/$defs/key.{name}"} if schema == scalar.get(name) else schema


def _is_field_union(schema: Schema) -> bool:
    branches: Iterable[Schema] = schema.get("oneOf", [])
    return "discriminator" in schema and any(each.get("$ref", "").endswith("/TextSpec") for each in branches)


def _suggest(schema: Schema) -> Schema:
    """The project's own names as completions; what is not among them is left to the check."""
    branches = schema.pop("anyOf", None) or [{key: schema.pop(key) for key in ("type", "pattern") if key in schema}]
    return {**schema, "anyOf": [{"$ref": "#/$defs/EntityName"}, *branches]}
