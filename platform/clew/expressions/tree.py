"""The typed expression tree: what the checker produces and what the interpreter and the SQL translator both walk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


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
    """A tree node: its static type and its place in the source text."""

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
    """A declared function; a method call `x.f(y)` is `f` with `x` first."""

    function: str
    args: tuple[Node, ...]
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Macro:
    """`over.kind(variable, body)`: exists, all, exists_one, filter, map, count, sum, min, max."""

    kind: str
    over: Node
    variable: str
    body: Node
    type: Type
    span: Span


@dataclass(frozen=True, slots=True)
class Checked:
    """An expression that passed the checker: safe to run anywhere `runs_in` says."""

    source: str
    root: Node
    entity: str | None
    """The entity bare names belong to."""
    reads: frozenset[tuple[str, ...]]
    """Every path read from `this`, e.g. ('inspection_lot', 'state'); a one-element path is a same-row field."""
    uses: frozenset[str]
    """Roots used besides this: `user`, `old`, `now`, `today`."""
    runs_in: frozenset[str]
    """Subset of {'memory', 'sql', 'browser'}."""

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


USER_MEMBERS: Mapping[str, Type] = {
    "id": Type(Base.ID),
    "login": Type(Base.TEXT),
    "name": Type(Base.TEXT),
    "roles": Type(Base.LIST, element=Type(Base.TEXT)),
    "sites": Type(Base.LIST, element=Type(Base.ID)),
    "site": Type(Base.ID, nullable=True),
    "department": Type(Base.ID, nullable=True),
    "employee": Type(Base.ID, nullable=True),
}
"""What `user.` offers; the values come from `kernel.context.Person`."""
