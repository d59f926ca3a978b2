"""Input as trees: what a plan is built from, with request values replaced by slots.

A variable contributes its *shape* (which keys are given, which are null, chosen order terms), never its values, so one
plan serves all requests of the same shape. A literal contributes constants.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    EnumValueNode,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    Undefined,
    ValueNode,
    VariableNode,
    value_from_ast_untyped,
)

from clew.api.errors import BadCursor, BadVariable
from clew.api.scalars import CURSOR, parser_of
from clew.records.query.plan import Const, Slot, Value

STRUCTURAL = "structural"
"""Extension of enums whose value shapes the plan (directions, fields to group by) instead of being compared."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a structural enum."""

    value: str


@dataclass(frozen=True, slots=True)
class CursorAt:
    """A decoded cursor: the order it belongs to, which values are missing, and the values."""

    digest: str
    nulls: tuple[bool, ...]
    values: tuple[Value, ...]


class Absent:
    """An argument or key that was not given."""

    _only: Absent | None = None


ABSENT = Absent()
Tree = Any
"""dict | list | Slot | Const | Choice | CursorAt | None | ABSENT"""
Shape = Any
_VALUE = 1
MAX_DEPTH = 60
"""Levels of objects and lists inside one argument."""


def _structural(type_: Any) -> bool:
    return isinstance(type_, GraphQLEnumType) and bool((type_.extensions or {}).get(STRUCTURAL))


def _nullable(type_: Any) -> Any:
    return type_.of_type if isinstance(type_, GraphQLNonNull) else type_


def _single_slot(type_: Any) -> bool:
    """Whether a list of this item type is one value: scalars and codes, not objects or structural choices."""
    inner = _nullable(type_)
    return isinstance(inner, GraphQLScalarType | GraphQLEnumType) and not _structural(inner)


# ── request values ────────────────────────────────────────────────────────────────────────────────────────────────


class Coercion:
    """Takes one variable's value apart: values into `args`, the rest into the shape."""

    def __init__(self, args: dict[str, Any]) -> None:
        self.args = args

    def take(self, type_: Any, value: Any, name: str) -> Shape:
        if isinstance(type_, GraphQLNonNull):
            if value is None:
                raise _bad(name, "must not be null")
            type_ = type_.of_type
        if value is None:
            return None
        if isinstance(type_, GraphQLInputObjectType):
            return self._object(type_, value, name)
        if isinstance(type_, GraphQLList):
            return self._list(type_, value, name)
        if _structural(type_):
            return _choice(type_, value, name)
        if type_ is CURSOR.type:
            digest, values = decode_cursor(value)
            for at, each in enumerate(values):
                self.args[f"{name}.{at}"] = each
            return ("c", digest, tuple(each is None for each in values))
        if type_ is GraphQLBoolean:
            # Truth values may decide what is selected, so they belong to the shape.
            return ("b", _scalar(type_, value, name))
        self.args[name] = _scalar(type_, value, name)
        return _VALUE

    def _object(self, type_: GraphQLInputObjectType, value: Any, name: str) -> Shape:
        if not isinstance(value, Mapping):
            raise _bad(name, "must be an object")
        if name.count(".") > MAX_DEPTH:
            raise _bad(name, "is nested too deeply")
        fields = type_.fields
        shape: list[Any] = ["{"]
        for key, inner in value.items():
            known = fields.get(key)
            if known is None:
                raise _bad(f"{name}.{key}", "is not known here")
            shape.append((key, self.take(known.type, inner, f"{name}.{key}")))
        for key, known in fields.items():
            if isinstance(known.type, GraphQLNonNull) and key not in value:
                raise _bad(f"{name}.{key}", "is required")
        return tuple(shape)

    def _list(self, type_: GraphQLList[Any], value: Any, name: str) -> Shape:
        items = value if isinstance(value, list) else [value]
        if _single_slot(type_.of_type):
            inner = _nullable(type_.of_type)
            if any(item is None for item in items):
                raise _bad(name, "must not contain null")
            self.args[name] = [_scalar(inner, item, f"{name}.{at}") for at, item in enumerate(items)]
            return _VALUE
        return ("[", *(self.take(type_.of_type, item, f"{name}.{at}") for at, item in enumerate(items)))


def _scalar(type_: Any, value: Any, name: str) -> Any:
    if isinstance(type_, GraphQLEnumType):
        return _choice(type_, value, name)[1:]
    try:
        return parser_of(type_)(value)
    except (ValueError, TypeError) as error:
        raise _bad(name, str(error)) from None


def _choice(type_: GraphQLEnumType, value: Any, name: str) -> str:
    if not isinstance(value, str) or value not in type_.values:
        raise _bad(name, f"is not a value of {type_.name}")
    return "=" + str(type_.values[value].value)


def _bad(name: str, why: str) -> BadVariable:
    return BadVariable(where=name[:100], why=why[:200], path=tuple(name.removeprefix("$").split(".")))


def decode_cursor(text: Any) -> tuple[str, list[Any]]:
    """The order digest and the wire values of a cursor. Anything else than our own cursors is refused."""
    try:
        if not isinstance(text, str) or len(text) > 8000:
            raise ValueError
        found = json.loads(bytes.fromhex(text))
        digest, *values = found
        if not isinstance(digest, str) or not values or any(isinstance(each, list | dict) for each in values):
            raise ValueError
    except (ValueError, TypeError, RecursionError):
        raise BadCursor() from None
    return digest, values


# ── trees ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def from_shape(shape: Shape, name: str) -> Tree:
    """The tree of a variable of this shape; its values are slots."""
    if shape is None or shape is ABSENT:
        return shape
    if shape == _VALUE:
        return Slot(name)
    if isinstance(shape, str):
        return Choice(shape[1:])
    kind, *rest = shape
    if kind == "b":
        return Const(rest[0])
    if kind == "{":
        return {key: from_shape(inner, f"{name}.{key}") for key, inner in rest}
    if kind == "c":
        digest, nulls = rest
        return CursorAt(digest, nulls, tuple(Slot(f"{name}.{at}") for at in range(len(nulls))))
    return [from_shape(inner, f"{name}.{at}") for at, inner in enumerate(rest)]


def from_literal(type_: Any, node: ValueNode, variable: Callable[[str], Tree], name: str) -> Tree:
    """The tree of a value in the document; a variable inside it contributes its own tree."""
    if isinstance(node, VariableNode):
        return variable(node.name.value)
    type_ = _nullable(type_)
    if isinstance(node, NullValueNode):
        return None
    if isinstance(type_, GraphQLInputObjectType):
        assert isinstance(node, ObjectValueNode)
        if name.count(".") > MAX_DEPTH:
            raise _bad(name, "is nested too deeply")
        found: dict[str, Tree] = {}
        for each in node.fields:
            key = each.name.value
            found[key] = from_literal(type_.fields[key].type, each.value, variable, f"{name}.{key}")
        return {key: value for key, value in found.items() if value is not ABSENT}
    if isinstance(type_, GraphQLList):
        return _literal_list(type_, node, variable, name)
    if _structural(type_):
        assert isinstance(node, EnumValueNode)
        return Choice(str(type_.values[node.value].value))
    if type_ is CURSOR.type:
        digest, values = decode_cursor(getattr(node, "value", None))
        return CursorAt(digest, tuple(each is None for each in values), tuple(Const(each) for each in values))
    return Const(_scalar(type_, value_from_ast_untyped(node), name))


def _literal_list(type_: GraphQLList[Any], node: ValueNode, variable: Callable[[str], Tree], name: str) -> Tree:
    nodes = node.values if isinstance(node, ListValueNode) else [node]
    items = [from_literal(type_.of_type, each, variable, f"{name}.{at}") for at, each in enumerate(nodes)]
    if not _single_slot(type_.of_type):
        return items
    if any(item is None or item is ABSENT for item in items):
        raise _bad(name, "must not contain null")
    if all(isinstance(item, Const) for item in items):
        return Const([item.value for item in items])
    return items


# ── plain values, for commands ────────────────────────────────────────────────────────────────────────────────────


Take = Callable[[Any, str], Any]
"""Reads one wire value, found under a name: canonical Python, or BadVariable."""
_TAKE = "clew_take"
"""Where an input type keeps how its values are read: it goes when the type does."""


def plain(type_: Any, value: Any, name: str) -> Any:
    """A wire value as canonical Python: objects by API name, scalars parsed, unknown keys refused."""
    return taker(type_)(value, name)


def taker(type_: Any) -> Take:
    """How values of an input type are read, worked out once per type: every write comes by here."""
    if isinstance(type_, GraphQLNonNull):
        return _present(taker(type_.of_type))
    if isinstance(type_, GraphQLList):
        return _items(taker(type_.of_type))
    known: Take | None = getattr(type_, _TAKE, None)
    if known is None:
        if isinstance(type_, GraphQLInputObjectType):
            known = _Members(type_)
        elif isinstance(type_, GraphQLEnumType):
            known = _one_of(type_)
        else:
            known = _parsed(parser_of(type_))
        setattr(type_, _TAKE, known)
    return known


def _present(inner: Take) -> Take:
    def take(value: Any, name: str) -> Any:
        if value is None:
            raise _bad(name, "must not be null")
        return inner(value, name)

    return take


def _items(inner: Take) -> Take:
    def take(value: Any, name: str) -> Any:
        if value is None:
            return None
        items = value if isinstance(value, list) else [value]
        return [inner(item, f"{name}.{at}") for at, item in enumerate(items)]

    return take


def _one_of(type_: GraphQLEnumType) -> Take:
    return lambda value, name: None if value is None else _choice(type_, value, name)[1:]


def _parsed(parse: Callable[[Any], Any]) -> Take:
    def take(value: Any, name: str) -> Any:
        if value is None:
            return None
        try:
            return parse(value)
        except (ValueError, TypeError) as error:
            raise _bad(name, str(error)) from None

    return take


class _Members:
    """Reads objects of one input type. What its members are is asked late: types may contain themselves."""

    def __init__(self, type_: GraphQLInputObjectType) -> None:
        self._type = type_
        self._members: Mapping[str, Take] | None = None
        self._needed: tuple[str, ...] = ()

    def __call__(self, value: Any, name: str) -> Any:
        if value is None:
            return None
        if type(value) is not dict and not isinstance(value, Mapping):
            raise _bad(name, "must be an object")
        if name.count(".") > MAX_DEPTH:
            raise _bad(name, "is nested too deeply")
        members = self._members if self._members is not None else self._known()
        found: dict[str, Any] = {}
        for key, inner in value.items():
            take = members.get(key)
            if take is None:
                raise _bad(f"{name}.{key}", "is not known here")
            if inner is not Undefined:
                found[key] = take(inner, f"{name}.{key}")
        for key in self._needed:
            if key not in found:
                raise _bad(f"{name}.{key}", "is required")
        return found

    def _known(self) -> Mapping[str, Take]:
        fields = self._type.fields
        self._needed = tuple(key for key, known in fields.items() if isinstance(known.type, GraphQLNonNull))
        self._members = {key: taker(known.type) for key, known in fields.items()}
        return self._members


def plain_argument(type_: Any, node: ValueNode, variables: Mapping[str, Any], name: str) -> Any:
    """An argument's value with the request's variables in it; `Undefined` when its variable was not given."""
    raw = value_from_ast_untyped(node, dict(variables))
    return raw if raw is Undefined else plain(type_, raw, name)
