"""Which paths are known not to be null once a condition has come out true, or false: `x != null && x + 1 > 2`.

Only conditions that cannot themselves be undecidable say anything, because `&&` looks at its right side even when the
left one is undecided.
"""

from __future__ import annotations

from typing import TypeAlias, cast

from clew.expressions.tree import (
    AnyNode,
    Base,
    Binary,
    Literal,
    Member,
    Name,
    Node,
    Unary,
    fallible,
)

Path: TypeAlias = tuple[str, ...]
Known: TypeAlias = frozenset[Path]
NOTHING: Known = frozenset()

_ORDER = ("<", "<=", ">", ">=")


def path_of(node: Node) -> Path | None:
    """A chain of names such as this.item.base_uom, or None for anything else."""
    names: list[str] = []
    current = cast(AnyNode, node)
    while isinstance(current, Member):
        names.append(current.name)
        current = cast(AnyNode, current.of)
    if not isinstance(current, Name):
        return None
    return (current.name, *reversed(names))


def known_when(outcome: bool, node: Node) -> Known:
    """Paths that are not null whenever `node` evaluates to `outcome`."""
    match cast(AnyNode, node):
        case Unary(op="!", operand=operand):
            return known_when(not outcome, operand)
        case Binary(op="&&" | "||" as op, left=left, right=right):
            first, second = known_when(outcome, left), known_when(outcome, right)
            return first | second if (op == "&&") is outcome else first & second
        case Binary(op=op, left=left, right=right) if not (fallible(left) or fallible(right)):
            return _of_comparison(outcome, op, left, right)
        case Name() | Member() if outcome and node.type.base is Base.BOOLEAN:
            return _present(node)
        case _:
            return NOTHING


def _of_comparison(outcome: bool, op: str, left: Node, right: Node) -> Known:
    nulls = [isinstance(each, Literal) and each.value is None for each in (left, right)]
    if any(nulls):
        other = left if nulls[1] else right
        return _present(other) if (op == "!=" and outcome) or (op == "==" and not outcome) else NOTHING
    if not outcome and op == "!=":
        op, outcome = "==", True
    if not outcome:
        return NOTHING
    if op in _ORDER:
        return _present(left) | _present(right)
    if op == "in":
        return _present(left)
    if op == "==":
        found = NOTHING if right.type.nullable else _present(left)
        return found if left.type.nullable else found | _present(right)
    return NOTHING


def _present(node: Node) -> Known:
    """The path of a node that is not null, and of every record on the way to it."""
    path = path_of(node)
    if path is None:
        return NOTHING
    return frozenset(path[:length] for length in range(1, len(path) + 1))
