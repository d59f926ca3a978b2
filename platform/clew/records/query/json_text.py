"""Values as JSON text inside SQL: the same bytes on both engines, by construction.

Answers are concatenated from constant pieces and `JsonString`s; measured on PostgreSQL this takes two thirds of
the time of `row_to_json` and half that of `json_build_object`, has no limit on members or on the length of a name,
and keeps the order of the request.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from clew.metadata.blueprint import Field, FieldKind
from clew.storage.dialects import JsonString
from clew.storage.engine import DialectName

Sql = sa.ColumnElement[Any]
_CHUNK = 48
"""Operands of one `||` chain; SQLite's parser allows a depth of 1,000, so longer chains are nested."""


def piece(text: str) -> Sql:
    """Constant text, written into the statement. Only ever JSON punctuation, GraphQL names and blueprint names."""
    return sa.literal_column("'" + text.replace("'", "''") + "'", sa.Text())


def constant(value: str) -> str:
    """A constant as JSON text."""
    return json.dumps(value, ensure_ascii=False)


def joined(parts: Sequence[Sql]) -> Sql:
    """The parts one after the other."""
    if len(parts) == 1:
        return parts[0]
    if len(parts) > _CHUNK:
        return joined([joined(parts[at : at + _CHUNK]).self_group() for at in range(0, len(parts), _CHUNK)])
    chain = parts[0]
    for part in parts[1:]:
        chain = chain.concat(part)
    return chain


class Text:
    """Collects pieces of an object; neighbouring constants melt into one."""

    def __init__(self) -> None:
        self._parts: list[str | Sql] = []

    def add(self, part: str | Sql) -> Text:
        if isinstance(part, str) and self._parts and isinstance(self._parts[-1], str):
            self._parts[-1] += part
        else:
            self._parts.append(part)
        return self

    def sql(self) -> Sql:
        return joined([piece(part) if isinstance(part, str) else part for part in self._parts])


def json_object(members: Sequence[tuple[str, str | Sql]]) -> Sql:
    """`{"key":value,…}` in the given order; a value is JSON text, constant or computed. Never null."""
    text = Text()
    for at, (key, value) in enumerate(members):
        text.add(("{" if at == 0 else ",") + constant(key) + ":").add(value)
    return text.add("}" if members else "{}").sql()


def or_null(value: Sql) -> Sql:
    """JSON text, or the word null."""
    return sa.func.coalesce(value, piece("null"), type_=sa.Text())


def as_text(value: Sql) -> Sql:
    return sa.cast(value, sa.Text())


def quoted(value: Sql) -> Sql:
    """Text that needs no escapes, in quotes."""
    return joined([piece('"'), value, piece('"')])


def render(value: Sql, field: Field, dialect: DialectName) -> Sql:
    """A field's value as JSON text; SQL NULL stays NULL (or is the word null)."""
    kind = field.kind
    if kind is FieldKind.CHOICE:
        return quoted(value)
    if kind is FieldKind.INTEGER:
        return quoted(as_text(value)) if field.big else as_text(value)
    if kind in (FieldKind.DECIMAL, FieldKind.MONEY):
        return quoted(decimal_text(value, field.scale, dialect, exact=field.computed is None))
    if kind is FieldKind.BOOLEAN:
        return boolean(value, dialect)
    if kind is FieldKind.CHOICES:
        return sa.func.replace(as_text(value), ", ", ",", type_=sa.Text()) if dialect == "postgresql" else value
    if kind in (FieldKind.JSON, FieldKind.FILES, FieldKind.TRANSLATED):
        return as_text(value)
    plain = plain_text(value, kind, dialect)
    if plain is not None:
        return quoted(plain)
    return JsonString(value)


def plain_text(value: Sql, kind: FieldKind, dialect: DialectName) -> Sql | None:
    """The wire text of kinds whose wire form never needs an escape; None for other texts."""
    if kind in (FieldKind.ID, FieldKind.REF):
        return as_text(value)
    if kind is FieldKind.DATE:
        return as_text(value)
    if kind is FieldKind.DATETIME:
        return instant(value, dialect)
    if kind is FieldKind.DURATION:
        return duration(value, dialect)
    return None


def boolean(value: Sql, dialect: DialectName) -> Sql:
    if dialect == "postgresql":
        return as_text(value)
    return sa.case((value.is_(None), sa.null()), (value, piece("true")), else_=piece("false"))


def instant(value: Sql, dialect: DialectName) -> Sql:
    if dialect == "sqlite":
        return as_text(value)
    utc = sa.func.timezone(piece("UTC"), value)
    return sa.func.to_char(utc, piece('YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), type_=sa.Text())


def decimal_text(value: Sql, scale: int, dialect: DialectName, *, exact: bool = True) -> Sql:
    """Fixed-scale decimal text. `exact` says that the value already has this scale (a stored column, a sum)."""
    if dialect == "postgresql":
        return as_text(value if exact else sa.func.round(value, scale))
    whole = sa.type_coerce(value, sa.Integer())
    if scale == 0:
        return as_text(whole)
    return _scaled(whole, scale)


def _scaled(whole: Sql, scale: int) -> Sql:
    unit = sa.literal_column(str(10**scale), sa.Integer())
    magnitude = sa.func.abs(whole, type_=sa.Integer())
    text = sa.func.printf(
        sa.literal_column(f"'%s%d.%0{scale}d'"),
        sa.case((whole < 0, piece("-")), else_=piece("")),
        magnitude.op("/")(unit),
        magnitude.op("%")(unit),
        type_=sa.Text(),
    )
    return sa.case((whole.is_not(None), text))


def duration(value: Sql, dialect: DialectName, *, large: bool = False) -> Sql:
    """Whole microseconds as `PT28800S` or `PT0.500000S`; `large` ones are a PostgreSQL numeric."""
    million = sa.literal_column("1000000", sa.BigInteger())
    number = sa.type_coerce(value, sa.BigInteger())
    magnitude = sa.func.abs(number, type_=sa.BigInteger())
    if large:
        rest: Sql = sa.cast(sa.func.mod(magnitude, million), sa.BigInteger())
        seconds = as_text(sa.func.div(magnitude, million))
    else:
        seconds, rest = as_text(magnitude.op("/")(million)), magnitude.op("%")(million)
    fraction = sa.func.substr(as_text(million + rest), 2)
    sign = sa.case((number < 0, piece("-")), else_=piece(""))
    tail = sa.case((rest == 0, piece("S")), else_=joined([piece("."), fraction, piece("S")]))
    return joined([sign, piece("PT"), seconds, tail])


def any_name(column: Any, names: Sequence[str]) -> Sql:
    """Whether a column is one of some names of the blueprint."""
    found: Sql = column.in_([sa.literal_column(f"'{name}'") for name in names])
    return found
