"""The typed expression tree: what the checker produces and what the interpreter and the SQL translator both walk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol, TypeAlias, cast


class Base(StrEnum):
    """Types an expression may have. `record` carries an entity, `list` an element type."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"
    TEXT = "text"
    DATE = "date"
    DATETIME = "datetime"
    DURATION = "duration"
    ID = "id"
    JSON = "json"
    RECORD = "record"
    LIST = "list"
    NULL = "null"


@dataclass(frozen=True, slots=True)
class Type:
    """A static type. `nullable` says a value may be missing; the checker asks for a guard where that matters."""

    base: Base
    nullable: bool = False
    entities: tuple[str, ...] = ()
    """For record: the possible entities (more than one for an `any` field)."""
    element: Type | None = None
    scale: int = 0
    codes: tuple[str, ...] | None = None
    """For text that is a choice or a state: the values it can have, so that a misspelt literal is an error."""

    def maybe(self, nullable: bool = True) -> Type:
        """The same type, nullable when `nullable` or when it is so already."""
        return self if self.nullable or not nullable else replace(self, nullable=True)

    def sure(self) -> Type:
        """The same type without null."""
        return replace(self, nullable=False) if self.nullable else self

    @property
    def numeric(self) -> bool:
        return self.base in (Base.INTEGER, Base.DECIMAL)

    def __str__(self) -> str:
        if self.base is Base.LIST and self.element:
            return f"list<{self.element}>"
        if self.base is Base.RECORD:
            return "|".join(self.entities)
        return str(self.base)


@dataclass(frozen=True, slots=True)
class Span:
    """Where a node stands in its expression text: 0-based character offsets."""

    start: int
    end: int


class Node(Protocol):
    """A tree node: its static type and its place in the source text. One of `AnyNode`."""

    @property
    def type(self) -> Type: ...

    @property
    def span(self) -> Span: ...


@dataclass(frozen=True, slots=True)
class Literal:
    value: object
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Name:
    """A root: `this` (implicit for bare field names), `old`, `user`, `now`, `today`, or a macro's variable."""

    name: str
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Member:
    """`of.name`: a field, a relation (forward or back) or an envelope field of a record; a member of `user`."""

    of: Node
    name: str
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Unary:
    """`!x` or `-x`."""

    op: str
    operand: Node
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Binary:
    """`&& || == != < <= > >= in + - * / %`."""

    op: str
    left: Node
    right: Node
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Conditional:
    condition: Node
    then: Node
    otherwise: Node
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class ListOf:
    items: tuple[Node, ...]
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """A declared function; a method call `x.f(y)` is `f` with `x` first. `overload` names the signature chosen."""

    function: str
    args: tuple[Node, ...]
    type: Type
    span: Span
    overload: str = ""
    fallible: bool = False
    """True when the function can fail on arguments of the right type (a date beyond year 9999)."""


@dataclass(frozen=True, slots=True)
class Macro:
    """`over.kind(variable, body)`: exists, all, exists_one, filter, map, count, sum, min, max."""

    kind: str
    over: Node
    variable: str
    body: Node
    type: Type
    span: Span


AnyNode: TypeAlias = Literal | Name | Member | Unary | Binary | Conditional | ListOf | Call | Macro

ARITHMETIC = frozenset({"+", "-", "*", "/", "%"})


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below a node, in evaluation order."""
    below = _BELOW.get(type(node))
    return () if below is None else below(node)


_BELOW: Mapping[type, Callable[[Any], tuple[Node, ...]]] = {
    Member: lambda node: (node.of,),
    Unary: lambda node: (node.operand,),
    Binary: lambda node: (node.left, node.right),
    Conditional: lambda node: (node.condition, node.then, node.otherwise),
    ListOf: lambda node: node.items,
    Call: lambda node: node.args,
    Macro: lambda node: (node.over, node.body),
}


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, a node before what is below it, in evaluation order."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        yield each
        below = _BELOW.get(type(each))
        if below is not None:
            waiting.extend(reversed(below(each)))


def fallible(node: Node) -> bool:
    """True when evaluating the node may be undecidable (overflow, division by zero) although all its facts are known.

    Where a type is not nullable, a missing SQL value means exactly that: undecided.
    """
    match cast(AnyNode, node):
        case Binary(op=op) if op in ARITHMETIC:
            return True
        case Conditional(then=then, otherwise=otherwise, type=type_) if widened(then, type_) or widened(
            otherwise, type_
        ):
            return True
        case Call(function="coalesce" | "min" | "max", args=args, type=type_) if any(
            widened(each, type_) for each in args
        ):
            return True
        case Unary(op="-"):
            return True
        case Call(fallible=True) | Macro(kind="sum"):
            return True
    return any(fallible(child) for child in children(node))


def widened(node: Node, to: Type) -> bool:
    """True when a number gets more decimal places than it has and might then have more than 18 digits."""
    if to.base is not Base.DECIMAL or not node.type.numeric or node.type.scale >= to.scale:
        return False
    if isinstance(node, Literal) and isinstance(node.value, int | Decimal):
        return bool(abs(node.value) >= 10 ** (18 - to.scale))
    return True


@dataclass(frozen=True, slots=True)
class Checked:
    """An expression that passed the checker: safe to run anywhere `runs_in` says."""

    source: str
    root: Node
    entity: str | None
    """The entity bare names belong to."""
    reads: frozenset[tuple[str, ...]]
    """Every path read from `this`, e.g. ('inspection_lot', 'state'); a one-element path is a same-row field (or a
    computed one). A list read only for its presence or size reads ('lots', 'id'); `was('released')` and
    `entered('released')` read ('@entered', 'released'), of a related record ('lots', '@entered', 'released')."""
    uses: frozenset[str]
    """Roots used besides this: `user`, `old`, `now`, `today`."""
    runs_in: frozenset[str]
    """Subset of {'memory', 'sql', 'browser'}."""
    functions: Any = field(default=None, compare=False, repr=False)
    """The `expressions.functions.Functions` it was checked with."""
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What executors derive from the tree once and keep with it, such as the compiled closure."""

    @property
    def type(self) -> Type:
        return self.root.type

    @property
    def local(self) -> bool:
        """True when it reads nothing but fields of its own row (and user/old/now), so memory alone can decide it."""
        return all(len(path) == 1 for path in self.reads)


class Schema(Protocol):
    """What the checker needs to know about entities."""

    def members(self, entity: str) -> Mapping[str, Type]:
        """Every readable name of an entity with its type: fields, envelope, relations both ways."""
        ...

    def states(self, entity: str) -> tuple[str, ...]: ...

    def table(self, name: str) -> Any:
        """The decision table (`expressions.tables.Table`) of that name, or None."""
        ...

    def tables(self) -> tuple[str, ...]:
        """The names of all decision tables."""
        ...


USER_MEMBERS: Mapping[str, Type] = {
    "id": Type(Base.ID),
    "login": Type(Base.TEXT),
    "name": Type(Base.TEXT),
    "roles": Type(Base.LIST, element=Type(Base.TEXT)),
    "sites": Type(Base.LIST, element=Type(Base.ID)),
    "site": Type(Base.ID, nullable=True),
    "department": Type(Base.ID, nullable=True),
    "employee": Type(Base.ID, nullable=True),
    "families": Type(Base.LIST, element=Type(Base.TEXT)),
    "party": Type(Base.ID, nullable=True),
}
"""What `user.` offers; the values come from `kernel.context.Person`."""


def claim(node: Node) -> bool:
    """True when the node may be a fact of the person that is missing. Such a fact equals nothing, not even null fields:
    an empty claim opens no door."""
    match cast(AnyNode, node):
        case Member(of=Name(name="user"), type=type_):
            return type_.nullable
        case Conditional(then=then, otherwise=otherwise):
            return claim(then) or claim(otherwise)
        case Call(function="coalesce", args=args):
            return any(claim(each) for each in args)
        case _:
            return False
