"""JSON Schemas of json fields: whole in themselves. Nothing is fetched, whatever a schema refers to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
from jsonschema import Draft202012Validator
from referencing import Registry

_SAMPLES: tuple[Any, ...] = (None, True, 1, "a", [], {}, [[]], {"a": {}})
_REFERENCES = ("$ref", "$dynamicRef")


def validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    """Judges values by the schema. A reference out of the schema cannot be followed."""
    registry: Registry[Any] = Registry()
    return Draft202012Validator(schema, registry=registry)


def wrong_with(schema: Mapping[str, Any]) -> str | None:
    """Why this cannot be the schema of a field; None when it can."""
    try:
        Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        return error.message[:200]
    for reference in _references(schema):
        if not isinstance(reference, str) or not reference.startswith("#"):
            return f"the reference {str(reference)[:100]} leads out of the schema"
        if reference.startswith("#/") and not _leads_somewhere(schema, reference):
            return f"the reference {reference[:100]} leads nowhere"
    try:
        for sample in _SAMPLES:
            validator(schema).is_valid(sample)
    except RecursionError:
        return "it refers to itself without end"
    except Exception as error:  # what a reference by name that is nowhere raises, is the library's own
        return str(error)[:200]
    return None


def _references(node: Any) -> Iterator[Any]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in _REFERENCES and isinstance(value, str):
                yield value
            elif key not in ("const", "enum", "default", "examples"):
                yield from _references(value)
    elif isinstance(node, list | tuple):
        for each in node:
            yield from _references(each)


def _leads_somewhere(schema: Any, reference: str) -> bool:
    node = schema
    for part in reference[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, Mapping) and name in node:
            node = node[name]
        elif isinstance(node, list | tuple) and name.isascii() and name.isdigit() and int(name) < len(node):
            node = node[int(name)]
        else:
            return False
    return True
