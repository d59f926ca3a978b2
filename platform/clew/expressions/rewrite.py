"""Checked expressions made from checked ones: joined, negated, moved to another record, bound to an assignment.

What comes out is as well-typed as what went in, so nothing is checked again; only what is read is found anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from clew.expressions.algebra import BOOLEAN
from clew.expressions.reads import reads_of, runs_in, uses_of
from clew.expressions.tree import (
    AnyNode,
    Base,
    Binary,
    Call,
    Checked,
    Conditional,
    ListOf,
    Literal,
    Macro,
    Member,
    Name,
    Node,
    Span,
    Type,
    Unary,
)

Change = Callable[[Node], Node | None]
NOWHERE = Span(0, 0)


def rewrite(node: Node, change: Change) -> Node:
    """The tree with nodes replaced: `change` is asked from the top; what it replaces is not looked into again."""
    changed = change(node)
    if changed is not None:
        return changed

    def each(child: Node) -> Node:
        return rewrite(child, change)

    match cast(AnyNode, node):
        case Member() as member:
            return replace(member, of=each(member.of))
        case Unary() as unary:
            return replace(unary, operand=each(unary.operand))
        case Binary() as binary:
            return replace(binary, left=each(binary.left), right=each(binary.right))
        case Conditional() as choice:
            return replace(
                choice, condition=each(choice.condition), then=each(choice.then), otherwise=each(choice.otherwise)
            )
        case ListOf() as listed:
            return replace(listed, items=tuple(each(item) for item in listed.items))
        case Call() as call:
            return replace(call, args=tuple(each(arg) for arg in call.args))
        case Macro() as macro:
            return replace(macro, over=each(macro.over), body=each(macro.body))
        case _:
            return node


def remade(checked: Checked, root: Node, source: str, entity: str | None = None) -> Checked:
    """A checked expression with another tree, over the same entity unless told otherwise."""
    return Checked(
        source=source,
        root=root,
        entity=entity or checked.entity,
        reads=reads_of(root),
        uses=uses_of(root),
        runs_in=runs_in(root, checked.functions),
        functions=checked.functions,
    )


def both(first: Checked, second: Checked) -> Checked:
    """Both hold."""
    return _joined("&&", first, second)


def either(first: Checked, second: Checked) -> Checked:
    """At least one holds."""
    return _joined("||", first, second)


def _joined(op: str, first: Checked, second: Checked) -> Checked:
    root = Binary(op, sure(first.root), sure(second.root), BOOLEAN, NOWHERE)
    return remade(first, root, f"({first.source}) {op} ({second.source})")


def sure(node: Node) -> Node:
    """A truth value that is never missing: what is missing is not true."""
    if not node.type.nullable:
        return node
    return Binary("==", node, Literal(True, BOOLEAN, NOWHERE), BOOLEAN, NOWHERE)


def negated(checked: Checked) -> Checked:
    """It does not hold. What cannot be decided stays so."""
    return remade(checked, Unary("!", sure(checked.root), BOOLEAN, NOWHERE), f"!({checked.source})")


def truth(checked: Checked) -> bool | None:
    """What the expression always is, where that can be seen from it; else None."""
    root = checked.root
    return root.value if isinstance(root, Literal) and isinstance(root.value, bool) else None


def through(checked: Checked, reference: str, entity: str, target: str) -> Checked:
    """The condition asked of the record that `reference` of another entity points at, which it always has."""
    this = Type(Base.RECORD, entities=(entity,))
    there = Type(Base.RECORD, entities=(target,))

    def change(node: Node) -> Node | None:
        if isinstance(node, Name) and node.name == "this":
            return Member(Name("this", this, NOWHERE), reference, there, NOWHERE)
        return None

    return remade(checked, rewrite(checked.root, change), f"{reference}: {checked.source}", entity)


def assigned(checked: Checked, role: str, facts: dict[str, bool]) -> Checked:
    """The person's facts taken from the assignment to one role.

    `facts` says of each fact (`sites`, `families`) whether the assignment limits it. Where it does, `user.sites` is
    that assignment's list; where it does not, everything is in it.
    """

    def fact(node: Node) -> str | None:
        if isinstance(node, Member) and isinstance(node.of, Name) and node.of.name == "user" and node.name in facts:
            return node.name
        return None

    def change(node: Node) -> Node | None:
        if isinstance(node, Binary) and node.op == "in":
            name = fact(node.right)
            if name is not None and not facts[name]:
                return Literal(True, BOOLEAN, node.span)
        name = fact(node)
        if name is not None:
            assert isinstance(node, Member)
            return replace(node, name=f"{name}@{role}")
        return None

    root = folded(rewrite(checked.root, change))
    return remade(checked, root, checked.source) if root != checked.root else checked


def folded(node: Node) -> Node:
    """The tree without parts that are true or false whatever the record is."""
    match cast(AnyNode, node):
        case Unary(op="!", operand=operand) as unary:
            inner = folded(operand)
            known = _known(inner)
            return replace(unary, operand=inner) if known is None else Literal(not known, BOOLEAN, node.span)
        case Binary(op="&&" | "||", left=left, right=right) as binary:
            first, second = folded(left), folded(right)
            decisive = binary.op == "||"
            if _known(first) is decisive or _known(second) is decisive:
                return Literal(decisive, BOOLEAN, node.span)
            if _known(first) is (not decisive):
                return second
            if _known(second) is (not decisive):
                return first
            return replace(binary, left=first, right=second)
        case _:
            return node


def _known(node: Node) -> bool | None:
    return node.value if isinstance(node, Literal) and isinstance(node.value, bool) else None
