"""Turning a stored value into another stored form, by way of its wire text. The same on both engines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from clew.kernel.scalars import (
    parse_date,
    parse_decimal,
    parse_duration,
    parse_instant,
    to_wire,
)
from clew.metadata.blueprint import Blueprint
from clew.storage.types import json_text

_INT64 = 2**63
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_LANGUAGES = ("zh", "en")


@dataclass(frozen=True, slots=True)
class Here:
    """Where the project is at home: the language of a text that does not say, the zone of a day."""

    language: str
    zone: ZoneInfo

    @classmethod
    def of(cls, blueprint: Blueprint) -> Here:
        return cls(blueprint.project.locale, ZoneInfo(blueprint.project.time_zone))


def convert(value: Any, was: str, form: str, here: Here) -> Any:
    """`value` of the form `was` in another form. Raises ValueError when it has no equal there."""
    kind, _, detail = form.partition(":")
    if was == form:
        return value
    if kind == "json":
        return _json(value, was, detail, here)
    if was == "json:translated":
        value = _in_language(value, here)
    if kind in ("exact", "money"):
        return parse_decimal(_text(value), int(detail))
    if kind == "datetime" and isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=here.zone).astimezone(UTC)
    if kind == "date" and isinstance(value, datetime):
        return value.astimezone(here.zone).date()
    if was == "json:choices":
        (value,) = value  # several are more than one
    return _READERS[kind](_text(value))


def _json(value: Any, was: str, wanted: str, here: Here) -> Any:
    if not wanted:
        return value if was.startswith("json") else to_wire(value)
    if wanted == "translated" and was == "text":
        return {here.language: value}
    if wanted == "choices" and was == "text":
        return [value]
    if was == "json" and _HAS_SHAPE[wanted](value):
        return value
    raise ValueError(f"not of the shape of {wanted}: {_text(value)[:40]!r}")


def _in_language(value: Mapping[str, str], here: Here) -> str:
    """What a translated text says, in the project's language if it can."""
    for language in (here.language, *_LANGUAGES):
        if value.get(language):
            return value[language]
    raise ValueError("a translated text that says nothing")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json_text(value)
    return str(to_wire(value))


def _integer(text: str) -> int:
    head, _, tail = text.strip().partition(".")
    if tail.strip("0") or not re.fullmatch(r"[+-]?[0-9]{1,19}", head):
        raise ValueError(f"not a whole number: {text[:40]!r}")
    value = int(head)
    if not -_INT64 <= value < _INT64:
        raise ValueError(f"more than 64 bits: {text[:40]!r}")
    return value


def _truth(text: str) -> bool:
    if text.strip().lower() not in _TRUTH:
        raise ValueError(f"neither true nor false: {text[:40]!r}")
    return _TRUTH[text.strip().lower()]


_HAS_SHAPE: dict[str, Callable[[Any], bool]] = {
    "translated": lambda value: (
        isinstance(value, Mapping)
        and bool(value)
        and all(key in _LANGUAGES and isinstance(each, str) for key, each in value.items())
    ),
    "choices": lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    "files": lambda _value: False,
}
_READERS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "entity": str,
    "currency": str,
    "integer": _integer,
    "boolean": _truth,
    "date": parse_date,
    "datetime": parse_instant,
    "duration": parse_duration,
    "id": UUID,
}
