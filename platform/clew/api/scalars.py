"""The API's scalars. Each parses a wire value into its canonical Python value or says in one sentence why not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from graphql import (
    GraphQLBoolean,
    GraphQLError,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLScalarType,
    GraphQLString,
    ValueNode,
    value_from_ast_untyped,
)

from clew.kernel.ids import id_of
from clew.kernel.scalars import parse_date, parse_duration, parse_instant

Parse = Callable[[Any], Any]
_INT_MAX = 2**31 - 1
_BIG = re.compile(r"-?\d{1,19}")
_DECIMAL = re.compile(r"-?\d{1,18}(\.\d{1,18})?")
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    if "\x00" in value:
        raise ValueError("must not contain the character NUL")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("is not valid Unicode") from None
    return value


def _identity(value: Any) -> UUID:
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError("must be an id (a UUID)")
    return id_of(value)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -_INT_MAX - 1 <= value <= _INT_MAX:
        raise ValueError("must be a whole number of 32 bits")
    return value


def _big(value: Any) -> int:
    if isinstance(value, str) and _BIG.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise ValueError("must be a whole number of 64 bits, best given as a text")
    return value


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ValueError('must be a decimal number as a text, such as "12.50"')
    text = str(value)
    if not _DECIMAL.fullmatch(text):
        raise ValueError('must be a decimal number as a text, such as "12.50", of at most 18 digits')
    return Decimal(text)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _parsed(parse: Callable[[str], Any], expected: str) -> Parse:
    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError(expected)
        try:
            return parse(value)
        except (ValueError, OverflowError):
            raise ValueError(expected) from None

    return read


def _any(value: Any) -> Any:
    return value


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    return float(value)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar of the API: its GraphQL type and how its input is read."""

    type: GraphQLScalarType
    parse: Parse


def _scalar(name: str, description: str, parse: Parse) -> Scalar:
    def literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
        return value(value_from_ast_untyped(node, variables))

    def value(raw: Any) -> Any:
        try:
            return parse(raw)
        except ValueError as error:
            raise GraphQLError(f"{name} {error}") from None

    return Scalar(GraphQLScalarType(name, parse_value=value, parse_literal=literal, description=description), parse)


DECIMAL = _scalar("Decimal", 'An exact decimal number as a text of fixed scale: `"12.5000"`.', _decimal)
DATE = _scalar("Date", "A calendar date: `2026-11-22`.", _parsed(parse_date, "must be a date such as 2026-11-22"))
DATE_TIME = _scalar(
    "DateTime",
    "A moment with time zone; answers are UTC with microseconds: `2026-11-22T16:52:00.000000Z`.",
    _parsed(parse_instant, "must be a moment with time zone such as 2026-11-22T16:52:00Z"),
)
DURATION = _scalar(
    "Duration",
    "A length of time, ISO 8601 hours, minutes and seconds: `PT8H30M`; answers are in seconds.",
    _parsed(parse_duration, "must be a duration such as PT8H30M"),
)
BIG_INT = _scalar("BigInt", "A whole number of 64 bits as a text.", _big)
JSON = _scalar("JSON", "Any JSON value.", _any)
CURSOR = _scalar("Cursor", "Where a page begins or ends; opaque.", _text)
ID = Scalar(GraphQLID, _identity)
TEXT = Scalar(GraphQLString, _text)
INT = Scalar(GraphQLInt, _integer)
BOOLEAN = Scalar(GraphQLBoolean, _boolean)
FLOAT = Scalar(GraphQLFloat, _float)

SCALARS: Mapping[str, Scalar] = {
    each.type.name: each
    for each in (DECIMAL, DATE, DATE_TIME, DURATION, BIG_INT, JSON, CURSOR, ID, TEXT, INT, BOOLEAN, FLOAT)
}


def parser_of(type_: GraphQLScalarType) -> Parse:
    """How input of a scalar type is read."""
    known = SCALARS.get(type_.name)
    return known.parse if known else type_.parse_value
