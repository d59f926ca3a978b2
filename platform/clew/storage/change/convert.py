"""Turning a stored value into another stored form, by way of its wire text. The same on both engines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from clew.kernel.scalars import (
    parse_date,
    parse_decimal,
    parse_duration,
    parse_instant,
    to_wire,
)
from clew.storage.types import json_text

_INT64 = 2**63
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def convert(value: Any, form: str) -> Any:
    """`value` in another form. Raises ValueError when it has no equal there."""
    kind, _, scale = form.partition(":")
    if kind == "exact":
        return parse_decimal(_text(value), int(scale))
    if kind == "datetime" and isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if kind == "json":
        return value
    return _READERS[kind](_text(value))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json_text(value)
    return str(to_wire(value))


def _integer(text: str) -> int:
    head, _, tail = text.partition(".")
    if tail.strip("0"):
        raise ValueError(f"not a whole number: {text[:40]!r}")
    value = int(head)
    if not -_INT64 <= value < _INT64:
        raise ValueError(f"more than 64 bits: {text[:40]!r}")
    return value


def _truth(text: str) -> bool:
    if text.strip().lower() not in _TRUTH:
        raise ValueError(f"neither true nor false: {text[:40]!r}")
    return _TRUTH[text.strip().lower()]


_READERS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "integer": _integer,
    "boolean": _truth,
    "date": parse_date,
    "datetime": parse_instant,
    "duration": parse_duration,
    "id": UUID,
}
