"""What would make one false atom of a condition true, and which transitions lead where: read off the project alone,
before any record is looked at."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal as Either
from typing import TypeAlias, cast

from clew.expressions.algebra import BOOLEAN
from clew.expressions.guards import path_of
from clew.expressions.rewrite import remade, rewrite, sure
from clew.expressions.tree import (
    AnyNode,
    Base,
    Binary,
    Call,
    Checked,
    ListOf,
    Literal,
    Macro,
    Member,
    Name,
    Node,
    Type,
    Unary,
    walk,
)
from clew.expressions.way_out import Atom
from clew.metadata.blueprint import Entity, Transition
from clew.metadata.processes import Workflow

Path: TypeAlias = tuple[str, ...]
"""Names from the record on; the last is the field or relation that matters."""

_LATER = {("<", False), ("<=", False), (">", True), (">=", True)}
"""Comparisons that time makes true by itself, with whether today stands on the left."""


@dataclass(frozen=True, slots=True)
class Value:
    """A field must be filled in (`fill`) or have another value."""

    path: Path
    fill: bool


@dataclass(frozen=True, slots=True)
class Reach:
    """A record must be in one of these states."""

    path: Path
    """The way to the record whose state it is; empty for this one."""
    states: frozenset[str]


@dataclass(frozen=True, slots=True)
class Related:
    """Of the records of a relation none may be `wrong` (a condition over them); with `some`, one must be `right`.

    A condition that also speaks of the record it was asked of cannot be asked of the other alone: then it is None.
    """

    path: Path
    entity: str
    some: bool
    condition: Checked | None
    node: Node
    negated: bool
    """The condition is met by the records whose `node` does not hold."""


@dataclass(frozen=True, slots=True)
class Other:
    """Time, another person, or something that has no shape known here."""

    kind: Either["wait", "other_person", "unknown"]


Need: TypeAlias = Value | Reach | Related | Other


def need_of(atom: Atom, states_of: dict[str, tuple[str, ...]]) -> Need:
    """What an atom needs. `states_of`: the states of each entity."""
    node, negated = cast(AnyNode, atom.node), atom.negated
    if isinstance(node, Macro):
        found = _related(atom.condition, node, negated)
        return found if found is not None else Other("unknown")
    if any(isinstance(each, Name) and each.name == "user" for each in walk(node)):
        return Other("other_person")
    if _by_time(node, negated):
        return Other("wait")
    state = _state(node, negated, states_of)
    if state is not None:
        return state
    if isinstance(node, Binary):
        counted = _counted(atom.condition, node, negated)
        if counted is not None:
            return counted
        fill = node.op == ("==" if negated else "!=") and _null(node.right)
        for side in (node.left, node.right):
            path = _own(side)
            if path:
                return Value(path, fill)
        return _first_field(node)
    path = _own(node)
    return Value(path, False) if path else _first_field(node)


def admitted(node: Node, states: Sequence[str], negated: bool = False) -> frozenset[str]:
    """The states in which a condition on `this` may hold; all of them where it says nothing about the state."""
    every = frozenset(states)
    match cast(AnyNode, node):
        case Unary(op="!", operand=operand):
            return admitted(operand, states, not negated)
        case Binary(op="&&" | "||" as op, left=left, right=right):
            first, second = admitted(left, states, negated), admitted(right, states, negated)
            return first & second if (op == "&&") is not negated else first | second
        case Binary(op=op, left=Member(of=Name(name="this"), name="state"), right=right):
            named = _texts(right)
            if named is None or op not in ("==", "!=", "in"):
                return every
            return named & every if (op != "!=") is not negated else every - named
        case _:
            return every


def _related(condition: Checked, macro: Macro, negated: bool) -> Related | None:
    """`exists` and `all` over a relation, filtered or not."""
    if macro.kind not in ("exists", "all"):
        return None
    some = (macro.kind == "exists") is not negated
    # What must be (exists) or must not be (not exists: the body; all: its opposite).
    body: Node = macro.body if macro.kind == "exists" else Unary("!", sure(macro.body), BOOLEAN, macro.body.span)
    return _listed(condition, macro.over, macro.variable, body, some)


def _listed(condition: Checked, over: Node, variable: str, body: Node, some: bool) -> Related | None:
    inner = cast(AnyNode, over)
    if isinstance(inner, Macro) and inner.kind == "filter":
        kept = _renamed(inner.body, inner.variable, variable)
        return _listed(condition, inner.over, variable, Binary("&&", sure(kept), sure(body), BOOLEAN, body.span), some)
    path, element = _own(over), over.type.element
    if not path or element is None or element.base is not Base.RECORD or len(element.entities) != 1:
        return None
    entity = element.entities[0]
    plain, negated = body, False
    while isinstance(opposite := cast(AnyNode, plain), Unary) and opposite.op == "!":
        plain, negated = opposite.operand, not negated
    if any(isinstance(each, Name) and each.name in ("this", "old") for each in walk(body)):
        return Related(path, entity, some, None, plain, negated)
    there = Type(Base.RECORD, entities=(entity,))
    root = rewrite(body, lambda each: Name("this", there, each.span) if _is(each, variable) else None)
    return Related(path, entity, some, remade(condition, root, condition.source, entity), plain, negated)


def _renamed(node: Node, old: str, new: str) -> Node:
    return rewrite(node, lambda each: Name(new, each.type, each.span) if _is(each, old) else None)


def _is(node: Node, name: str) -> bool:
    return isinstance(node, Name) and node.name == name


def _counted(condition: Checked, node: Binary, negated: bool) -> Related | None:
    """`size(lines) > 0`: there must be one."""
    left, right = cast(AnyNode, node.left), cast(AnyNode, node.right)
    if not (isinstance(left, Call) and left.function == "size" and isinstance(right, Literal)) or negated:
        return None
    if (node.op, right.value) not in ((">", 0), (">=", 1), ("!=", 0)):
        return None
    return _listed(condition, left.args[0], "@each", Literal(True, BOOLEAN, node.span), True)


def _state(node: AnyNode, negated: bool, states_of: dict[str, tuple[str, ...]]) -> Reach | None:
    if not isinstance(node, Binary) or node.op not in ("==", "!=", "in"):
        return None
    path, named = _own(node.left), _texts(node.right)
    member = cast(AnyNode, node.left)
    if not path or path[-1] != "state" or named is None or not isinstance(member, Member):
        return None
    known = frozenset(states_of.get(member.of.type.entities[0], ()))
    return Reach(path[:-1], named & known if (node.op != "!=") is not negated else known - named)


def _by_time(node: AnyNode, negated: bool) -> bool:
    if not isinstance(node, Binary) or negated:
        return False
    sides = [isinstance(each, Name) and each.name in ("today", "now") for each in (node.left, node.right)]
    return any(sides) and (node.op, sides[0]) in _LATER


def _first_field(node: Node) -> Need:
    """The field that a comparison of anything more than fields reads first."""
    for each in walk(node):
        path = _own(each)
        if path and each.type.base is not Base.RECORD:
            return Value(path, False)
    return Other("unknown")


def _own(node: Node) -> Path:
    """The way from this record; empty for anything else."""
    path = path_of(node)
    return path[1:] if path is not None and path[0] == "this" else ()


def _texts(node: Node) -> frozenset[str] | None:
    items = node.items if isinstance(node, ListOf) else (node,)
    values = [each.value for each in items if isinstance(each, Literal) and isinstance(each.value, str)]
    return frozenset(values) if len(values) == len(items) else None


def _null(node: Node) -> bool:
    return isinstance(node, Literal) and node.value is None


def leads_to(workflow: Workflow, move: Transition) -> bool:
    """Whether some step of a process makes a transition, by the state it leads to or by its name."""
    for _, step in workflow.walk():
        acts = (*step.actions, *(each for found in step.effects.values() for each in found))
        if move.target in step.states.values() or any(each.transition == move.name for each in acts):
            return True
    return False


def route(entity: Entity, state: str, goal: frozenset[str]) -> list[Transition]:
    """The fewest transitions from a state to one of others; empty when there is no way, or it is there."""
    ways: deque[tuple[str, list[Transition]]] = deque([(state, [])])
    known = {state}
    while ways:
        at, way = ways.popleft()
        if at in goal:
            return way
        for each in entity.transitions.values():
            if at in each.sources and each.target not in known:
                known.add(each.target)
                ways.append((each.target, [*way, each]))
    return []
