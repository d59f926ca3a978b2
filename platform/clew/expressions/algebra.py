"""Type algebra: which types meet, what an operator gives, which literals fit a choice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from clew.expressions.numbers import result_scale
from clew.expressions.tree import AnyNode, Base, Call, Conditional, ListOf, Literal, Node, Type

NULL = Type(Base.NULL, nullable=True)
BOOLEAN = Type(Base.BOOLEAN)
INTEGER = Type(Base.INTEGER)

ORDERED = frozenset({Base.INTEGER, Base.DECIMAL, Base.TEXT, Base.DATE, Base.DATETIME, Base.DURATION})
_IDENTITIES = frozenset({Base.RECORD, Base.ID})


def unify(left: Type, right: Type) -> Type | None:
    """The type both fit into, or None when there is none."""
    nullable = left.nullable or right.nullable
    if left.base is Base.NULL:
        return right.maybe()
    if right.base is Base.NULL:
        return left.maybe()
    if left.numeric and right.numeric and left.base is not right.base:
        return Type(Base.DECIMAL, nullable, scale=max(left.scale, right.scale))
    if left.base is not right.base:
        return None
    if left.base is Base.LIST:
        element = unify(left.element or NULL, right.element or NULL)
        return Type(Base.LIST, nullable, element=element) if element else None
    codes = (
        tuple(dict.fromkeys((*left.codes, *right.codes)))
        if left.codes is not None and right.codes is not None
        else None
    )
    entities = tuple(dict.fromkeys((*left.entities, *right.entities)))
    return Type(left.base, nullable, entities, scale=max(left.scale, right.scale), codes=codes)


def equatable(left: Type, right: Type) -> bool:
    """True when `==` makes sense between the two."""
    if Base.LIST in (left.base, right.base):
        return False
    if Base.NULL in (left.base, right.base):
        return True
    if Base.JSON in (left.base, right.base):
        return False
    if left.base is Base.RECORD and right.base is Base.RECORD:
        return bool(set(left.entities) & set(right.entities))
    if left.base in _IDENTITIES and right.base in _IDENTITIES:
        return True
    return left.base is right.base or (left.numeric and right.numeric)


def orderable(left: Type, right: Type) -> bool:
    """True when `<` makes sense between the two."""
    if left.base not in ORDERED:
        return False
    return left.base is right.base or (left.numeric and right.numeric)


_MOMENTS = {
    ("-", Base.DATETIME, Base.DATETIME): Base.DURATION,
    ("+", Base.DATETIME, Base.DURATION): Base.DATETIME,
    ("-", Base.DATETIME, Base.DURATION): Base.DATETIME,
    ("+", Base.DURATION, Base.DURATION): Base.DURATION,
    ("-", Base.DURATION, Base.DURATION): Base.DURATION,
    ("+", Base.TEXT, Base.TEXT): Base.TEXT,
}


def arithmetic(op: str, left: Type, right: Type) -> Type | None:
    """What `left op right` gives, or None. `/` of two integers is a decimal; `%` is for integers."""
    if not (left.numeric and right.numeric):
        base = _MOMENTS.get((op, left.base, right.base))
        return Type(base) if base else None
    if left.base is Base.INTEGER and right.base is Base.INTEGER and op != "/":
        return INTEGER
    if op == "%":
        return None
    return Type(Base.DECIMAL, scale=result_scale(op, left.scale, right.scale))


def text_literals(node: Node) -> Iterator[Literal]:
    """The text literals a node may evaluate to: its own, its branches', its list's."""
    match cast(AnyNode, node):
        case Literal(value=str()) as literal:
            yield literal
        case Conditional(then=then, otherwise=otherwise):
            yield from text_literals(then)
            yield from text_literals(otherwise)
        case ListOf(items=items):
            for item in items:
                yield from text_literals(item)
        case Call(function="coalesce", args=args):
            for arg in args:
                yield from text_literals(arg)
        case _:
            return
