"""Column types: one Python value per kind, whatever the database stores. See docs/architecture.md, Physical layout.

Each type says how a value goes to the driver (`to_driver`) and how it comes back (`from_driver`). Only the driver's own
form differs between the engines.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from clew.kernel.ids import id_of
from clew.kernel.scalars import instant_text, parse_decimal, to_wire

Converter = Callable[[Any], Any]
_MICROSECOND = timedelta(microseconds=1)
_WIDE = Context(prec=60)
_MARK = f"decimal:{secrets.token_hex(16)}:"
"""Marks a Decimal while JSON is written; random, so that no stored text can pass for one."""


class StoredType(TypeDecorator[Any]):
    """Base of the platform's types: a literal form for DDL, and `from_driver`."""

    impl: Any = sa.Text
    cache_ok = True

    def __init_subclass__(cls, **options: Any) -> None:
        cls.cache_ok = True  # SQLAlchemy asks each class itself, not its parents
        super().__init_subclass__(**options)

    def to_driver(self, dialect: str) -> Converter | None:
        """How a canonical value, never None, becomes the driver's; None when it already is."""
        return None

    def from_driver(self, dialect: str) -> Converter | None:
        """How the driver's value becomes the canonical one; None when it already is."""
        return None

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        convert = self.to_driver(dialect.name)
        return value if value is None or convert is None else convert(value)

    def process_literal_param(self, value: Any, dialect: Dialect) -> Any:
        return self.process_bind_param(value, dialect)


class Text(StoredType):
    """Text compared by code point on both engines."""

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        collation = "C" if dialect.name == "postgresql" else None
        return dialect.type_descriptor(sa.Text(collation=collation))


class Integer(StoredType):
    """A 64-bit integer."""

    impl = sa.BigInteger

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(sa.BigInteger() if dialect.name == "postgresql" else sa.Integer())

    def from_driver(self, dialect: str) -> Converter | None:
        return _whole if dialect == "postgresql" else None


class Exact(StoredType):
    """A decimal of fixed scale: numeric on PostgreSQL, a scaled 64-bit integer on SQLite."""

    impl = sa.Numeric

    def __init__(self, scale: int) -> None:
        super().__init__(18, scale)
        self.scale = scale

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.Numeric(18, self.scale))
        return dialect.type_descriptor(sa.Integer())

    def to_driver(self, dialect: str) -> Converter | None:
        scale = self.scale
        if dialect == "postgresql":
            return lambda value: parse_decimal(value, scale)
        return lambda value: int(parse_decimal(value, scale).scaleb(scale, _WIDE))

    def from_driver(self, dialect: str) -> Converter | None:
        scale, unit = self.scale, Decimal(1).scaleb(-self.scale)
        if dialect == "postgresql":
            return lambda value: value.quantize(unit, ROUND_HALF_EVEN, _WIDE)
        # An average or a division gives a float of scaled units; sums and plain columns are exact integers.
        return lambda value: Decimal(value).scaleb(-scale, _WIDE).quantize(unit, ROUND_HALF_EVEN, _WIDE)


class Truth(StoredType):
    """A boolean; 0/1 on SQLite."""

    impl = sa.Boolean
    coerce_to_is_types = (type(None), bool)  # `column.is_(False)` and `column == True` become IS, on both engines

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(sa.Boolean() if dialect.name == "postgresql" else sa.Integer())

    def to_driver(self, dialect: str) -> Converter | None:
        return None if dialect == "postgresql" else int

    def from_driver(self, dialect: str) -> Converter | None:
        return None if dialect == "postgresql" else bool


class Day(StoredType):
    """A calendar date."""

    impl = sa.Date

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(sa.Date() if dialect.name == "postgresql" else sa.Text())

    def to_driver(self, dialect: str) -> Converter | None:
        return None if dialect == "postgresql" else date.isoformat

    def process_literal_param(self, value: Any, dialect: Dialect) -> Any:
        return value if dialect.name == "postgresql" else self.process_bind_param(value, dialect)

    def from_driver(self, dialect: str) -> Converter | None:
        return None if dialect == "postgresql" else date.fromisoformat


class Instant(StoredType):
    """A moment, microsecond UTC; fixed-width text on SQLite so that text order is time order."""

    impl = sa.DateTime

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(sa.DateTime(timezone=True) if dialect.name == "postgresql" else sa.Text())

    def to_driver(self, dialect: str) -> Converter | None:
        return _aware if dialect == "postgresql" else instant_text

    def from_driver(self, dialect: str) -> Converter | None:
        return None if dialect == "postgresql" else _instant


class Duration(StoredType):
    """A length of time in whole microseconds."""

    impl = sa.BigInteger

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(sa.BigInteger() if dialect.name == "postgresql" else sa.Integer())

    def to_driver(self, dialect: str) -> Converter | None:
        return _microseconds

    def from_driver(self, dialect: str) -> Converter | None:
        return lambda value: timedelta(microseconds=int(value))


class Id(StoredType):
    """A UUID."""

    impl = sa.Uuid

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(sa.Uuid() if dialect.name == "postgresql" else sa.Text())

    def to_driver(self, dialect: str) -> Converter | None:
        return _id if dialect == "postgresql" else _id_text

    def from_driver(self, dialect: str) -> Converter | None:
        return None if dialect == "postgresql" else id_of


class Json(StoredType):
    """Structured data; jsonb on PostgreSQL, compact text on SQLite. Numbers with a point come back as Decimal."""

    impl = sa.Text

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(_JsonText() if dialect.name == "postgresql" else sa.Text())

    def to_driver(self, dialect: str) -> Converter | None:
        return json_text

    def from_driver(self, dialect: str) -> Converter | None:
        return read_json


class _JsonText(postgresql.JSONB):
    """jsonb whose bind value is JSON text already, as the driver wants it."""

    render_bind_cast = True

    def bind_processor(self, dialect: Dialect) -> None:
        return None

    def literal_processor(self, dialect: Dialect) -> Converter:
        return lambda value: "'" + str(value).replace("'", "''") + "'"


class ListOf(StoredType):
    """A list parameter for `any_of`: an array on PostgreSQL, JSON text on SQLite."""

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(_ArrayOf(self.item.dialect_impl(dialect)))
        return dialect.type_descriptor(sa.Text())

    def to_driver(self, dialect: str) -> Converter | None:
        convert = self.item.to_driver(dialect) if isinstance(self.item, StoredType) else None

        def items(values: Iterable[Any]) -> list[Any]:
            return [each if convert is None or each is None else convert(each) for each in values]

        if dialect == "postgresql":
            return items
        return lambda values: json.dumps(items(values), ensure_ascii=False)


class _ArrayOf(postgresql.ARRAY[Any]):
    """An array bind whose items are converted by `ListOf`."""

    render_bind_cast = True

    def bind_processor(self, dialect: Dialect) -> None:
        return None


def json_text(value: Any) -> str:
    """Compact JSON. A Decimal is a number with all its digits; other scalars take their wire form."""
    exact: list[str] = []

    def other(each: Any) -> Any:
        if isinstance(each, Decimal) and each.is_finite():
            exact.append(f"{_MARK}{each:f}")
            return exact[-1]
        return to_wire(each)

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=other, allow_nan=False)
    for each in exact:
        text = text.replace(f'"{each}"', each[len(_MARK) :])
    return text


_EXACT = json.JSONDecoder(parse_float=Decimal)


def read_json(text: str) -> Any:
    return _EXACT.decode(text)


def converter(type_: TypeEngine[Any], dialect: str) -> Converter | None:
    """How a result column of this type becomes its canonical Python value."""
    if isinstance(type_, StoredType):
        return type_.from_driver(dialect)
    if isinstance(type_, sa.Boolean):
        return None if dialect == "postgresql" else bool
    if isinstance(type_, sa.Integer):
        return _whole if dialect == "postgresql" else None
    return None


def _whole(value: Any) -> int:
    """PostgreSQL sums bigint into numeric; the platform's integers stay integers."""
    return value if value.__class__ is int else int(value)


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return value


def _microseconds(value: Any) -> Any:
    return value // _MICROSECOND if isinstance(value, timedelta) else value


def _id(value: Any) -> UUID:
    return value if isinstance(value, UUID) else id_of(value)


def _id_text(value: Any) -> str:
    return str(_id(value))


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)
