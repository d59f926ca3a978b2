"""The typed tree as Python closures. A closure takes the `Moment` of one evaluation and returns a value."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, cast

from clew.expressions import numbers
from clew.expressions.check_decide import Asked
from clew.expressions.closures import (
    arithmetic,
    asked,
    both,
    coalesce,
    either,
    equality,
    json_member,
    ordering,
    person_fact,
    root,
    state_reached,
    within,
)
from clew.expressions.loops import Loop, counted, exactly_one, extreme, filtered, summed
from clew.expressions.moment import Closure, Moment, member, sure
from clew.expressions.problems import Undecidable
from clew.expressions.tree import (
    ARITHMETIC,
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
    Type,
    Unary,
    walk,
    widened,
)

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Compiler:
    """Builds closures for one expression."""

    def __init__(self, checked: Checked, computed: Mapping[tuple[str, str], Checked]) -> None:
        self._functions = checked.functions
        self._computed = computed
        self._inside: set[tuple[str, str]] = set()

    def size(self, node: Node) -> int:
        return sum(1 for _ in walk(node))

    def closure(self, node: Node) -> Closure:
        match cast(AnyNode, node):
            case Literal(value=value):
                return lambda moment: value
            case Name(name=name, type=type_) if name.startswith("@"):
                return asked(name, type_)
            case Name(name=name):
                return root(name)
            case Member(type=Type(base=Base.LIST)) as reached:
                elements = self._member(reached)
                return lambda moment: elements(moment) or ()
            case Member() as reached:
                return self._member(reached)
            case Unary() as unary:
                return self._unary(unary)
            case Binary() as binary:
                return self._binary(binary)
            case Conditional(condition=condition, then=then, otherwise=otherwise):
                test = self.closure(condition)
                yes, no = self._widened(then, node.type), self._widened(otherwise, node.type)
                return lambda moment: yes(moment) if test(moment) else no(moment)
            case ListOf(items=items):
                parts = tuple(self.closure(item) for item in items)
                return lambda moment: [part(moment) for part in parts]
            case Call(function="coalesce") as call:
                return coalesce([self._widened(arg, call.type) for arg in call.args])
            case Call(function="decide") as call:
                return self._decided(call)
            case Call() as call:
                return self._call(call)
            case Macro() as macro:
                return self._macro(macro)

    def _widened(self, node: Node, to: Type) -> Closure:
        """A number with the decimal places of `to`, checked to have at most 18 digits."""
        run = self.closure(node)
        if not widened(node, to):
            return run
        scale = to.scale

        def fit(moment: Moment) -> Any:
            value = run(moment)
            return None if value is None else numbers.exact(Decimal(value), scale)

        return fit

    # Names

    def _member(self, node: Member) -> Closure:
        name = node.name
        if isinstance(node.of, Name) and node.of.name == "user":
            return person_fact(name)
        of = self.closure(node.of)
        if node.of.type.base is Base.JSON:
            return lambda moment: json_member(of(moment), name)
        computed = self._expansion(node)
        if computed is not None:
            return computed
        if isinstance(node.of, Name) and node.of.name == "this":

            def own(moment: Moment) -> Any:
                try:
                    return moment.record[name]
                except (KeyError, TypeError):
                    return member(moment.record, name)

            return own
        return lambda moment: member(of(moment), name)

    def _expansion(self, node: Member) -> Closure | None:
        """A computed field: its value when the facts hold it, otherwise its expression over that record."""
        entities = node.of.type.entities
        key = (entities[0], node.name) if len(entities) == 1 else ("", "")
        expression = self._computed.get(key)
        if expression is None:
            return None
        if key in self._inside:
            raise ValueError(f"the computed field {key[0]}.{key[1]} depends on itself")
        self._inside.add(key)
        body, of, name, size = (
            self.closure(expression.root),
            self.closure(node.of),
            node.name,
            self.size(expression.root),
        )
        self._inside.discard(key)

        def run(moment: Moment) -> Any:
            record = of(moment)
            if record is None or (isinstance(record, Mapping) and name in record):
                return member(record, name)
            moment.spend(size)
            outer = moment.record, moment.variables
            moment.record, moment.variables = record, {}
            try:
                return body(moment)
            finally:
                moment.record, moment.variables = outer

        return run

    # Operators

    def _unary(self, node: Unary) -> Closure:
        operand = self.closure(node.operand)
        if node.op == "!":
            return lambda moment: not operand(moment)
        if node.type.base is Base.INTEGER:
            return lambda moment: numbers.whole(-sure(operand(moment)))
        return lambda moment: -sure(operand(moment))

    def _binary(self, node: Binary) -> Closure:
        left, right = self.closure(node.left), self.closure(node.right)
        if node.op == "&&":
            return both(left, right)
        if node.op == "||":
            return either(left, right)
        if node.op in ("==", "!="):
            return equality(node, left, right)
        if node.op in _ORDER:
            return ordering(_ORDER[node.op], left, right)
        if node.op == "in":
            return within(left, right)
        assert node.op in ARITHMETIC  # the parser knows no other operator
        return arithmetic(node.op, node.type, node.left.type, left, right)

    # Functions and lists

    def _call(self, node: Call) -> Closure:
        extreme = node.function in ("min", "max")
        args = tuple(self._widened(arg, node.type) if extreme else self.closure(arg) for arg in node.args)
        if node.function in ("was", "entered"):
            state = cast(Literal, node.args[1]).value
            return state_reached(node.function, args[0], str(state))
        signature = self._functions.by_id[node.overload]
        run = signature.prepare(node.args) if signature.prepare else signature.run
        absent = False if node.type.base is Base.BOOLEAN else None
        predicate, cost = signature.predicate, signature.cost

        def call(moment: Moment) -> Any:
            values = [arg(moment) for arg in args]
            if None in values:
                if predicate:
                    return absent
                raise Undecidable(why="a missing value")
            if cost is not None:
                moment.spend(cost(values))
            return run(*values)

        return call

    def _decided(self, node: Call) -> Closure:
        asked = cast(Asked, cast(Literal, node.args[0]).value)
        inputs = tuple(self.closure(arg) for arg in node.args[1:])
        table, name, cost = asked.table, asked.output, len(asked.table.rows) // 16

        def decided(moment: Moment) -> Any:
            moment.spend(cost)
            return table.decide([each(moment) for each in inputs]).values[name]

        return decided

    def _macro(self, node: Macro) -> Closure:
        over, body = self.closure(node.over), self.closure(node.body)
        loop = Loop(over, node.variable, body, self.size(node.body) + 1)
        match node.kind:
            case "exists":
                return lambda moment: loop.any(moment, True)
            case "all":
                return lambda moment: not loop.any(moment, False)
            case "exists_one":
                return exactly_one(loop)
            case "count":
                return counted(loop)
            case "filter":
                return filtered(loop)
            case "map":
                return lambda moment: loop.values(moment)[1]
            case "sum":
                return summed(loop, node.type)
            case _:
                return extreme(loop, min if node.kind == "min" else max)
