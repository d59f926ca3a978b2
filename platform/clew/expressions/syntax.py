"""The untyped tree: what the parser produces and the checker reads."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from clew.expressions.tree import Span


@dataclass(frozen=True, slots=True)
class Value:
    """A literal: text, integer, decimal, boolean or null."""

    value: str | int | Decimal | bool | None
    span: Span


@dataclass(frozen=True, slots=True)
class Identifier:
    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Select:
    """`of.name`; `name_span` is the place of the name alone."""

    of: Syntax
    name: str
    span: Span
    name_span: Span


@dataclass(frozen=True, slots=True)
class Apply:
    """`name(args)` or `receiver.name(args)`."""

    name: str
    receiver: Syntax | None
    args: tuple[Syntax, ...]
    span: Span
    name_span: Span


@dataclass(frozen=True, slots=True)
class Prefix:
    op: str
    operand: Syntax
    span: Span


@dataclass(frozen=True, slots=True)
class Infix:
    op: str
    left: Syntax
    right: Syntax
    span: Span
    op_span: Span


@dataclass(frozen=True, slots=True)
class Choice:
    """`condition ? then : otherwise`."""

    condition: Syntax
    then: Syntax
    otherwise: Syntax
    span: Span


@dataclass(frozen=True, slots=True)
class Sequence:
    """`[a, b]`."""

    items: tuple[Syntax, ...]
    span: Span


Syntax: TypeAlias = Value | Identifier | Select | Apply | Prefix | Infix | Choice | Sequence
