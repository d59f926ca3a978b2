"""Walks a typed tree and builds SQL for it. `expressions` is its public face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from clew.expressions.text import MAX_TEXT
from clew.expressions.tree import (
    ARITHMETIC,
    AnyNode,
    Base,
    Binary,
    Call,
    Conditional,
    ListOf,
    Literal,
    Macro,
    Member,
    Name,
    Node,
    Type,
    Unary,
    claim,
    fallible,
    widened,
)
from clew.storage.expression_functions import call_sql
from clew.storage.expression_moments import between, shifted
from clew.storage.expression_numbers import Numbers
from clew.storage.expression_relations import Record, Relations
from clew.storage.expression_rows import Rows
from clew.storage.formula import Sql, formula, is_code, no, written_out
from clew.storage.types import Day, Duration, Exact, Id, Instant, Integer, Json, Text, Truth

_ORDER = ("<", "<=", ">", ">=")
_TYPES: Mapping[Base, TypeEngine[Any]] = {
    Base.BOOLEAN: Truth(),
    Base.INTEGER: Integer(),
    Base.TEXT: Text(),
    Base.DATE: Day(),
    Base.DATETIME: Instant(),
    Base.DURATION: Duration(),
    Base.ID: Id(),
    Base.RECORD: Id(),
    Base.JSON: Json(),
    Base.NULL: Text(),
}


def sql_type(type_: Type) -> TypeEngine[Any]:
    return Exact(type_.scale) if type_.base is Base.DECIMAL else _TYPES[type_.base]


class Translator:
    """One expression over one set of rows. `variables` are the list elements in reach."""

    def __init__(self, rows: Rows, variables: Mapping[str, Record] | None = None) -> None:
        self.rows = rows
        self.variables = variables or {}
        self.numbers: Numbers = Numbers(rows.dialect)
        self.relations = Relations(self)

    def inside(self, name: str, record: Record) -> Translator:
        """Within a macro, with its element in reach."""
        return Translator(self.rows, {**self.variables, name: record})

    def over(self, rows: Rows) -> Translator:
        """Over another record's own fields, for its computed ones."""
        return Translator(rows)

    # ── values ────────────────────────────────────────────────────────────────────────────────────────────────────

    def result(self, node: Node) -> Sql:
        """The value in the form of its type, for a result column."""
        value = self.value(node)
        if node.type.base in (Base.INTEGER, Base.DURATION) and _computed(node):
            value = formula("CAST({0} AS bigint)", value, type_=Integer(), sqlite="{0}")
        return sa.type_coerce(value, sql_type(node.type))

    def value(self, node: Node) -> Sql:
        """The value; NULL when missing or undecided."""
        match cast(AnyNode, node):
            case Literal():
                return self._literal(node)
            case Name() | Member():
                return self.relations.value(node)
            case Unary(op="-", operand=operand):
                return self.numbers.negate(self.value(operand), node.type)
            case Binary(op=op) as binary if op in ARITHMETIC:
                return self._arithmetic(binary)
            case Conditional() as conditional:
                return self._conditional(conditional)
            case Call(function="coalesce", args=args):
                return self._coalesce(args, node.type)
            case Call() as call if node.type.base is not Base.BOOLEAN:
                return call_sql(self, call)
            case Macro(kind="count" | "sum" | "min" | "max") as macro:
                return self.relations.aggregate(macro)
            case _:
                return self.condition(node, loose=False)

    def aligned(self, node: Node, to: Type) -> Sql:
        """A number in the form of `to`, anything else as it is."""
        if to.base is not Base.DECIMAL or not node.type.numeric:
            return self.value(node)
        value = self.numbers.align(self.value(node), node.type.scale, to.scale)
        return self.numbers.checked(value, to) if widened(node, to) else value

    def _literal(self, node: Node) -> Sql:
        value = cast(Literal, node).value
        if value is None:
            return sa.null()
        return written_out(value) if is_code(value) else sa.literal(value, sql_type(node.type))

    def _arithmetic(self, node: Binary) -> Sql:
        left, right = self.value(node.left), self.value(node.right)
        if node.type.numeric:
            return self.numbers.operate(node.op, left, node.left.type.scale, right, node.right.type.scale, node.type)
        if node.type.base is Base.TEXT:
            return self._joined(left, right)
        if node.type.base is Base.DATETIME:
            return shifted(left, right if node.op == "+" else self.numbers.negate(right, Type(Base.DURATION)))
        if node.left.type.base is Base.DATETIME:
            return between(left, right)
        return self.numbers.operate(node.op, left, 0, right, 0, Type(Base.DURATION))

    def _joined(self, left: Sql, right: Sql) -> Sql:
        body = f"SELECT CASE WHEN length(v) <= {MAX_TEXT} THEN v END FROM (SELECT {{0}} || {{1}} AS v OFFSET 0) AS a"
        return formula(body, left, right, type_=Text(), sqlite="clew_join({0}, {1})")

    def _conditional(self, node: Conditional) -> Sql:
        test = self.condition(node.condition, loose=False)
        then, otherwise = self.aligned(node.then, node.type), self.aligned(node.otherwise, node.type)
        return _choose(test, fallible(node.condition), then, otherwise)

    def _coalesce(self, args: Sequence[Node], type_: Type) -> Sql:
        """The first value that is there. An undecided one before it leaves the whole undecided."""
        if not any(fallible(each) or widened(each, type_) for each in args[:-1]):
            return sa.func.coalesce(*(self.aligned(each, type_) for each in args), type_=sql_type(type_))
        cases: list[tuple[Sql, Sql]] = []
        for arg in args[:-1]:
            undecided = self.undecided(arg)
            cases.append((self.value(arg).is_not(None), self.aligned(arg, type_)))
            if undecided is not None:
                cases.append((undecided, sa.null()))
        return sa.case(*cases, else_=self.aligned(args[-1], type_))

    # ── conditions ────────────────────────────────────────────────────────────────────────────────────────────────

    def condition(self, node: Node, *, loose: bool) -> Sql:
        """Three-valued: NULL is undecided. `loose`: NULL may also stand for false, as in a WHERE."""
        match cast(AnyNode, node):
            case Literal(value=value):
                return sa.true() if value else sa.false()
            case Binary(op="&&", left=left, right=right):
                return sa.and_(self.condition(left, loose=loose), self.condition(right, loose=loose))
            case Binary(op="||", left=left, right=right):
                return sa.or_(self.condition(left, loose=loose), self.condition(right, loose=loose))
            case Unary(op="!", operand=operand):
                return no(self.condition(operand, loose=False))
            case Binary(op="in", left=left, right=right):
                return self._within(left, right, loose)
            case Binary(op="==" | "!=") as binary:
                return self._equality(binary, loose)
            case Binary(op=op, left=left, right=right) if op in _ORDER:
                return self._ordering(op, left, right, loose)
            case Conditional(condition=test, then=then, otherwise=otherwise):
                first, second = self.condition(then, loose=loose), self.condition(otherwise, loose=loose)
                return _choose(self.condition(test, loose=False), fallible(test), first, second)
            case Macro() as macro:
                return self.relations.quantified(macro, loose)
            case Call(function="coalesce"):
                return self._present(self.value(node), node, loose)
            case Call(args=args) as call:
                return self.total(call_sql(self, call), args, loose)
            case _:
                return self._present(self.value(node), node, loose)

    def _present(self, value: Sql, node: Node, loose: bool) -> Sql:
        """A boolean that may be missing: missing is not true."""
        if loose or not node.type.nullable:
            return value
        found = sa.func.coalesce(value, sa.false(), type_=sa.Boolean())
        undecided = self.undecided(node)
        return found if undecided is None else sa.case((undecided, sa.null()), else_=found)

    def total(self, value: Sql, operands: Sequence[Node], loose: bool) -> Sql:
        """A comparison that is false when an operand is missing and NULL when one is undecided."""
        if loose or not any(each.type.nullable for each in operands):
            return value
        found = sa.func.coalesce(value, sa.false(), type_=sa.Boolean())
        return self._decided(found, operands)

    def _decided(self, value: Sql, operands: Sequence[Node]) -> Sql:
        """The value, or NULL when an operand is undecided."""
        undecided = [each for each in map(self.undecided, operands) if each is not None]
        return sa.case((sa.or_(*undecided), sa.null()), else_=value) if undecided else value

    def undecided(self, node: Node) -> Sql | None:
        """True where the node cannot be decided; None when it always can."""
        if not fallible(node):
            return None
        if not node.type.nullable:
            return self.value(node).is_(None)
        match cast(AnyNode, node):
            case Conditional(condition=condition, then=then, otherwise=otherwise):
                test = self.condition(condition, loose=False)
                one, other = (self._lost(each, node.type) for each in (then, otherwise))
                chosen = sa.case((test, one), else_=other)
                return sa.or_(test.is_(None), chosen) if fallible(condition) else chosen
            case Call(function="coalesce", args=args):
                found: Sql = sa.false()
                for arg in reversed(args):
                    found = sa.case(
                        (self._lost(arg, node.type), sa.true()), (self.value(arg).is_not(None), sa.false()), else_=found
                    )
                return found
            case _:
                return sa.false()

    def _lost(self, node: Node, to: Type) -> Sql:
        """True where the node is undecided, or has too many digits for the decimal places of `to`."""
        undecided = self.undecided(node)
        found = sa.false() if undecided is None else undecided
        if not widened(node, to):
            return found
        return sa.or_(found, sa.and_(self.value(node).is_not(None), self.aligned(node, to).is_(None)))

    def _equality(self, node: Binary, loose: bool) -> Sql:
        left, right = node.left, node.right
        negated = node.op == "!="
        for one, other in ((left, right), (right, left)):
            if isinstance(one, Literal) and one.value is None:
                return self._against_null(other, negated)
        first, second = self.comparable(left, right)
        strict = claim(left) or claim(right)
        if strict or not (left.type.nullable and right.type.nullable):
            if not negated:
                return self.total(first == second, (left, right), loose)
            if not (left.type.nullable or right.type.nullable):
                return first != second
        if strict:
            return no(self.total(first == second, (left, right), False))
        safe = first.is_distinct_from(second) if negated else first.is_not_distinct_from(second)
        return self._decided(safe, (left, right))

    def _against_null(self, node: Node, negated: bool) -> Sql:
        value = self.relations.json_member(node) if node.type.base is Base.JSON else self.value(node)
        return self._decided(value.is_not(None) if negated else value.is_(None), (node,))

    def comparable(self, left: Node, right: Node) -> tuple[Sql, Sql]:
        """Both sides in one form: records as ids, numbers with the same decimal places, text by code point."""
        if left.type.numeric and right.type.numeric and left.type.scale != right.type.scale:
            scale = max(left.type.scale, right.type.scale)
            return self.at_scale(left, scale), self.at_scale(right, scale)
        return self.value(left), self.value(right)

    def at_scale(self, node: Node, scale: int) -> Sql:
        return self.numbers.align(self.value(node), node.type.scale, scale)

    def _ordering(self, op: str, left: Node, right: Node, loose: bool) -> Sql:
        first, second = self.comparable(left, right)
        if left.type.base is Base.TEXT and self.rows.dialect == "postgresql":
            first = sa.collate(first, "C")
        compared = {"<": first < second, "<=": first <= second, ">": first > second, ">=": first >= second}[op]
        return self.total(compared, (left, right), loose)

    def _within(self, left: Node, right: Node, loose: bool) -> Sql:
        if isinstance(right, ListOf):
            if not right.items:
                found: Sql = sa.false()
            else:
                scale = max(each.type.scale for each in (left, *right.items))
                wanted = self.at_scale(left, scale) if left.type.numeric else self.value(left)
                items = [self.at_scale(each, scale) if each.type.numeric else self.value(each) for each in right.items]
                found = wanted.in_(items)
            return self.total(found, (left, *right.items), loose)
        found = self.relations.contains(right, left)
        undecided = self.undecided(left)
        found = found if loose else sa.func.coalesce(found, sa.false(), type_=sa.Boolean())
        return found if undecided is None else sa.case((undecided, sa.null()), else_=found)


def _computed(node: Node) -> bool:
    return not isinstance(node, Member | Literal | Name)


def _choose(test: Sql, may_fail: bool, then: Sql, otherwise: Sql) -> Sql:
    if not may_fail:
        return sa.case((test, then), else_=otherwise)
    return sa.case((sa.true(), then), (sa.false(), otherwise), value=test)
