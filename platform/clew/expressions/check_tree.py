"""The checker's treatment of names, paths and operators. `check_calls` adds functions and list macros."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from clew.expressions import problems as found
from clew.expressions.algebra import BOOLEAN, NULL, arithmetic, equatable, orderable, text_literals, unify
from clew.expressions.functions import Functions
from clew.expressions.guards import NOTHING, Known, known_when, path_of
from clew.expressions.problems import Problem, problem
from clew.expressions.syntax import Apply, Choice, Identifier, Infix, Prefix, Select, Sequence, Syntax, Value
from clew.expressions.tree import (
    ARITHMETIC,
    USER_MEMBERS,
    Base,
    Binary,
    Conditional,
    ListOf,
    Literal,
    Member,
    Name,
    Node,
    Schema,
    Span,
    Type,
    Unary,
)
from clew.kernel.diagnostics import Rule, nearest

_USER = Type(Base.RECORD, entities=("user",))
_MOMENTS = {"now": Type(Base.DATETIME), "today": Type(Base.DATE)}
_ORDER = ("<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is in reach at one place of the expression: list variables, and paths known not to be null."""

    variables: Mapping[str, Type]
    known: Known

    def knowing(self, more: Known) -> Surroundings:
        return replace(self, known=self.known | more) if more else self

    def binding(self, name: str, type_: Type) -> Surroundings:
        """Inside a macro. What was known about a hidden variable of the same name no longer holds."""
        known = frozenset(path for path in self.known if path[0] != name)
        return Surroundings(MappingProxyType({**self.variables, name: type_}), known)


class TreeChecker:
    """Checks one expression; collects problems; returns None for a part that has one."""

    def __init__(self, source: str, schema: Schema, entity: str | None, functions: Functions, old: bool) -> None:
        self.source, self.schema, self.entity, self.functions = source, schema, entity, functions
        self.old = old
        self.problems: list[Problem] = []

    def outermost(self) -> Surroundings:
        return Surroundings(MappingProxyType({}), NOTHING)

    def problem(self, rule: Rule, span: Span, nearest: str = "", **params: Any) -> None:
        self.problems.append(problem(rule, span, nearest, **params))

    def text(self, span: Span) -> str:
        return self.source[span.start : span.end]

    def expression(self, tree: Syntax, around: Surroundings) -> Node | None:
        match tree:
            case Value(value=value, span=span):
                return Literal(value, literal_type(value), span)
            case Identifier():
                return self._name(tree, around)
            case Select():
                return self._member(tree, around)
            case Apply():
                return self.call(tree, around)
            case Prefix():
                return self._prefix(tree, around)
            case Infix(op="&&" | "||"):
                return self._junction(tree, around)
            case Infix():
                return self._infix(tree, around)
            case Choice():
                return self._choice(tree, around)
            case Sequence():
                return self._sequence(tree, around)

    def call(self, tree: Apply, around: Surroundings) -> Node | None:
        raise NotImplementedError

    # Names and paths

    def this(self, span: Span) -> Name:
        return Name("this", Type(Base.RECORD, entities=(self.entity or "",)), span)

    def _name(self, tree: Identifier, around: Surroundings) -> Node | None:
        name, span = tree.name, tree.span
        if name in around.variables:
            return Name(name, around.variables[name], span)
        if name == "user":
            self.problem(found.PERSON, span, facts=", ".join(f"user.{each}" for each in USER_MEMBERS))
            return None
        if name in _MOMENTS:
            return Name(name, _MOMENTS[name], span)
        if name in ("this", "old"):
            return self._record_root(name, span)
        members = self.schema.members(self.entity) if self.entity is not None else {}
        if name in members:
            return self._reach(self.this(span), name, members[name], span, around)
        candidates = (*around.variables, *members, "user", "now", "today", "true", "false", "null")
        self.problem(found.UNKNOWN_NAME, span, nearest(name, candidates), name=name)
        return None

    def _record_root(self, name: str, span: Span) -> Node | None:
        if self.entity is None:
            self.problem(found.NO_RECORD, span, name=name)
            return None
        if name == "this":
            return self.this(span)
        if not self.old:
            self.problem(found.NO_OLD, span)
            return None
        return Name("old", Type(Base.RECORD, nullable=True, entities=(self.entity,)), span)

    def _reach(self, of: Node, name: str, type_: Type, span: Span, around: Surroundings) -> Node:
        """A member, nullable when it or any record before it is, unless a guard has shown that it is there."""
        whole = Member(of, name, type_.maybe(self._may_miss(of, around)), span)
        path = path_of(whole)
        if path is not None and path in around.known:
            return replace(whole, type=type_.sure())
        return whole

    def _may_miss(self, of: Node, around: Surroundings) -> bool:
        return of.type.nullable and path_of(of) not in around.known

    def _member(self, tree: Select, around: Surroundings) -> Node | None:
        of = self._person(tree.of, around) or self.expression(tree.of, around)
        if of is None:
            return None
        name, type_ = tree.name, of.type
        if type_.base is Base.JSON:
            return Member(of, name, Type(Base.JSON, nullable=True), tree.span)
        if type_.base is Base.LIST:
            self.problem(found.OF_A_LIST, tree.name_span, name=name)
            return None
        if type_.base is not Base.RECORD:
            self.problem(found.NOT_A_RECORD, tree.name_span, name=name, type=type_)
            return None
        members = self._members(of)
        if name not in members:
            self.problem(found.UNKNOWN_MEMBER, tree.name_span, nearest(name, members), name=name, of=type_)
            return None
        return self._reach(of, name, members[name], tree.span, around)

    def _person(self, tree: Syntax, around: Surroundings) -> Node | None:
        if isinstance(tree, Identifier) and tree.name == "user" and "user" not in around.variables:
            return Name("user", _USER, tree.span)
        return None

    def _members(self, of: Node) -> Mapping[str, Type]:
        if of.type is _USER:
            return USER_MEMBERS
        tables = [self.schema.members(each) for each in of.type.entities]
        if len(tables) == 1:
            return tables[0]
        shared: dict[str, Type] = {}
        for name, first in tables[0].items() if tables else ():
            met: Type | None = first
            for other in tables[1:]:
                met = unify(met, other[name]) if met and name in other else None
            if met is not None:
                shared[name] = met
        return shared

    # Operators

    def condition(self, tree: Syntax, around: Surroundings) -> Node | None:
        node = self.expression(tree, around)
        if node is not None and node.type.base is not Base.BOOLEAN:
            self.problem(found.CONDITION, node.span, type=node.type)
            return None
        return node

    def sure(self, node: Node) -> bool:
        """Reports a value that may be missing where it is computed with."""
        if node.type.nullable:
            self.problem(found.NULL_GUARD, node.span, what=self.text(node.span))
        return not node.type.nullable

    def codes(self, node: Node, type_: Type) -> None:
        """Reports text literals that are none of a choice's codes."""
        codes = type_.element.codes if type_.element else type_.codes
        if codes is None:
            return
        for literal in text_literals(node):
            if literal.value not in codes:
                value = str(literal.value)
                self.problem(
                    found.UNKNOWN_CODE, literal.span, nearest(value, codes), value=value, values=", ".join(codes[:20])
                )

    def _prefix(self, tree: Prefix, around: Surroundings) -> Node | None:
        if tree.op == "!":
            condition = self.condition(tree.operand, around)
            return Unary("!", condition, BOOLEAN, tree.span) if condition else None
        operand = self.expression(tree.operand, around)
        if operand is None:
            return None
        if not (operand.type.numeric or operand.type.base is Base.DURATION):
            self.problem(found.OPERAND, tree.span, op="-", type=operand.type)
            return None
        return Unary("-", operand, operand.type, tree.span) if self.sure(operand) else None

    def _junction(self, tree: Infix, around: Surroundings) -> Node | None:
        left = self.condition(tree.left, around)
        known = known_when(tree.op == "&&", left) if left is not None else NOTHING
        right = self.condition(tree.right, around.knowing(known))
        if left is None or right is None:
            return None
        return Binary(tree.op, left, right, BOOLEAN, tree.span)

    def _infix(self, tree: Infix, around: Surroundings) -> Node | None:
        left, right = self.expression(tree.left, around), self.expression(tree.right, around)
        if left is None or right is None:
            return None
        if tree.op in ARITHMETIC:
            return self._arithmetic(tree, left, right)
        if tree.op == "in":
            fits = right.type.base is Base.LIST and equatable(left.type, right.type.element or NULL)
        elif tree.op in _ORDER:
            fits = orderable(left.type, right.type)
        else:
            fits = equatable(left.type, right.type)
        if not fits:
            self.problem(found.OPERANDS, tree.op_span, op=tree.op, left=left.type, right=right.type)
            return None
        self.codes(left, right.type)
        self.codes(right, left.type)
        return Binary(tree.op, left, right, BOOLEAN, tree.span)

    def _arithmetic(self, tree: Infix, left: Node, right: Node) -> Node | None:
        type_ = arithmetic(tree.op, left.type, right.type)
        if type_ is None:
            self.problem(found.OPERANDS, tree.op_span, op=tree.op, left=left.type, right=right.type)
            return None
        sure = (self.sure(left), self.sure(right))
        if not all(sure):
            return None
        return Binary(tree.op, left, right, type_, tree.span)

    def _choice(self, tree: Choice, around: Surroundings) -> Node | None:
        condition = self.condition(tree.condition, around)
        yes = known_when(True, condition) if condition is not None else NOTHING
        no = known_when(False, condition) if condition is not None else NOTHING
        then = self.expression(tree.then, around.knowing(yes))
        otherwise = self.expression(tree.otherwise, around.knowing(no))
        if condition is None or then is None or otherwise is None:
            return None
        type_ = self.together((then, otherwise), tree.span)
        return Conditional(condition, then, otherwise, type_, tree.span) if type_ else None

    def _sequence(self, tree: Sequence, around: Surroundings) -> Node | None:
        items = [self.expression(each, around) for each in tree.items]
        sure = [each for each in items if each is not None]
        if len(sure) < len(items):
            return None
        for each in sure:
            if each.type.base in (Base.NULL, Base.LIST):
                self.problem(found.OPERAND, each.span, op="[…]", type=each.type)
                return None
        element = self.together(sure, tree.span) if sure else NULL
        return ListOf(tuple(sure), Type(Base.LIST, element=element), tree.span) if element else None

    def together(self, nodes: Iterable[Node], span: Span) -> Type | None:
        """The type all nodes fit into; a problem when there is none."""
        met: Type | None = None
        for node in nodes:
            both = node.type if met is None else unify(met, node.type)
            if both is None:
                self.problem(found.MIXED, span, left=met, right=node.type)
                return None
            met = both
        return met


def literal_type(value: object) -> Type:
    """The type of a literal as the parser gives it."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return BOOLEAN
    if isinstance(value, int):
        return Type(Base.INTEGER)
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        return Type(Base.DECIMAL, scale=-exponent if isinstance(exponent, int) else 0)
    return Type(Base.TEXT)
