"""Plan values as SQL: slots become named binds, constants become binds of their own."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from clew.metadata.blueprint import Field, FieldKind
from clew.records.query.json_text import Sql
from clew.records.query.plan import Const, Slot, Value
from clew.storage.types import Day, Duration, Exact, Id, Instant, Integer, Json, ListOf, Text, Truth

_TYPES: dict[FieldKind, type[Any]] = {
    FieldKind.INTEGER: Integer,
    FieldKind.BOOLEAN: Truth,
    FieldKind.DATE: Day,
    FieldKind.DATETIME: Instant,
    FieldKind.DURATION: Duration,
    FieldKind.REF: Id,
    FieldKind.ANY: Id,
    FieldKind.ID: Id,
    FieldKind.JSON: Json,
}


def type_of(field: Field, part: str = "") -> TypeEngine[Any]:
    """The SQL type of a field's value, or of its companion."""
    if part and part != "id":
        return Text()
    if field.kind in (FieldKind.DECIMAL, FieldKind.MONEY):
        return Exact(field.scale)
    found: TypeEngine[Any] = _TYPES.get(field.kind, Text)()
    return found


def bound(value: Value, type_: TypeEngine[Any]) -> Sql:
    """A value as a bind of the given type."""
    if isinstance(value, Slot):
        return sa.bindparam(value.name, type_=type_)
    return sa.bindparam(None, value.value, type_=type_, unique=True)


def size_of(value: Value) -> Sql:
    """A page size: an integer the caller has bounded already.

    One that is part of the plan is written out, so that PostgreSQL knows how few rows are wanted and can keep one plan
    instead of planning at every execution.
    """
    if isinstance(value, Const):
        return sa.literal_column(str(int(str(value.value))), sa.BigInteger())
    return bound(value, Integer())


def listed(value: Value, type_: TypeEngine[Any]) -> sa.BindParameter[Any]:
    """A list value as one bind."""
    if isinstance(value, Slot):
        return sa.bindparam(value.name, type_=ListOf(type_))
    assert isinstance(value, Const)
    return sa.bindparam(None, value.value, type_=ListOf(type_), unique=True)
