"""The typed tree as Python closures. A closure takes the `Moment` of one evaluation and returns a value."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias, cast
from uuid import UUID

from clew.expressions import numbers
from clew.expressions.problems import Undecidable
from clew.expressions.reads import ENTERED
from clew.expressions.text import joined
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
    claim,
    walk,
    widened,
)
from clew.kernel.context import Person

_IDENTITIES = frozenset({Base.RECORD, Base.ID})
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Exhausted(Exception):
    """The budget ran out. Not an Undecidable, so that && and || cannot swallow it; `Program.run` makes it one."""


class Moment:
    """One evaluation: its facts, list variables and what is left of the budget."""

    __slots__ = ("left", "now", "old", "person", "record", "today", "variables")

    def __init__(
        self,
        record: Mapping[str, Any],
        old: Mapping[str, Any] | None,
        person: Person | None,
        now: datetime,
        today: date,
        budget: int,
    ) -> None:
        self.record: Any = record
        self.old = old
        self.person = person
        self.now = now
        self.today = today
        self.left = budget
        self.variables: dict[str, Any] = {}

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise Exhausted


Closure: TypeAlias = Callable[[Moment], Any]


def identity(value: Any) -> Any:
    """A record's id, given the record or the id."""
    return value["id"] if isinstance(value, Mapping) else value


def member(record: Any, name: str) -> Any:
    """A named fact of a record; null of no record; undecidable when the fact was not given."""
    if record is None:
        return None
    if isinstance(record, Mapping):
        try:
            return record[name]
        except KeyError:
            raise Undecidable(why=f"{name} is not among the facts") from None
    if name == "id" and isinstance(record, UUID):
        return record
    raise Undecidable(why=f"{name} is not among the facts")


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
            case Name(name=name):
                return _root(name)
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
                return _coalesce([self._widened(arg, call.type) for arg in call.args])
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
            return _user(name)
        of = self.closure(node.of)
        if node.of.type.base is Base.JSON:
            return lambda moment: _json_member(of(moment), name)
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
            return lambda moment: numbers.whole(-_sure(operand(moment)))
        return lambda moment: -_sure(operand(moment))

    def _binary(self, node: Binary) -> Closure:
        left, right = self.closure(node.left), self.closure(node.right)
        if node.op == "&&":
            return _both(left, right)
        if node.op == "||":
            return _either(left, right)
        if node.op in ("==", "!="):
            return _equality(node, left, right)
        if node.op in _ORDER:
            return _ordering(_ORDER[node.op], left, right)
        if node.op == "in":
            return _within(left, right)
        assert node.op in ARITHMETIC  # the parser knows no other operator
        return _arithmetic(node.op, node.type, node.left.type, left, right)

    # Functions and lists

    def _call(self, node: Call) -> Closure:
        extreme = node.function in ("min", "max")
        args = tuple(self._widened(arg, node.type) if extreme else self.closure(arg) for arg in node.args)
        if node.function in ("was", "entered"):
            state = cast(Literal, node.args[1]).value
            return _state(node.function, args[0], str(state))
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

    def _macro(self, node: Macro) -> Closure:
        over, body = self.closure(node.over), self.closure(node.body)
        loop = _Loop(over, node.variable, body, self.size(node.body) + 1)
        match node.kind:
            case "exists":
                return lambda moment: loop.any(moment, True)
            case "all":
                return lambda moment: not loop.any(moment, False)
            case "exists_one":
                return _one(loop)
            case "count":
                return _count(loop)
            case "filter":
                return _filter(loop)
            case "map":
                return lambda moment: loop.values(moment)[1]
            case "sum":
                return _sum(loop, node.type)
            case _:
                return _extreme(loop, min if node.kind == "min" else max)


class _Loop:
    """Runs a macro's body for each element, charging the budget."""

    __slots__ = ("body", "cost", "over", "variable")

    def __init__(self, over: Closure, variable: str, body: Closure, cost: int) -> None:
        self.over, self.variable, self.body, self.cost = over, variable, body, cost

    def values(self, moment: Moment) -> tuple[Sequence[Any], list[Any]]:
        """The elements, and the body's value on each."""
        elements = self.over(moment) or ()
        outer = moment.variables
        found: list[Any] = []
        try:
            for element in elements:
                moment.spend(self.cost)
                moment.variables = {**outer, self.variable: element}
                found.append(self.body(moment))
        finally:
            moment.variables = outer
        return elements, found

    def any(self, moment: Moment, wanted: bool) -> bool:
        """True when the body is `wanted` for some element; undecidable when that hangs on an undecidable one."""
        undecided: Undecidable | None = None
        elements = self.over(moment) or ()
        outer = moment.variables
        try:
            for element in elements:
                moment.spend(self.cost)
                moment.variables = {**outer, self.variable: element}
                try:
                    if bool(self.body(moment)) is wanted:
                        return True
                except Undecidable as error:
                    undecided = error
        finally:
            moment.variables = outer
        if undecided is not None:
            raise undecided
        return False


def _count(loop: _Loop) -> Closure:
    return lambda moment: sum(map(bool, loop.values(moment)[1]))


def _one(loop: _Loop) -> Closure:
    return lambda moment: sum(map(bool, loop.values(moment)[1])) == 1


def _filter(loop: _Loop) -> Closure:
    return lambda moment: [each for each, taken in zip(*loop.values(moment), strict=True) if taken]


def _sum(loop: _Loop, type_: Type) -> Closure:
    def run(moment: Moment) -> Any:
        values = [_sure(value) for value in loop.values(moment)[1]]
        if type_.base is Base.INTEGER:
            return numbers.whole(sum(values))
        if type_.base is Base.DECIMAL:
            return numbers.total(values, type_.scale)
        return numbers.span(sum(values, timedelta()))

    return run


def _extreme(loop: _Loop, choose: Callable[..., Any]) -> Closure:
    return lambda moment: choose((value for value in loop.values(moment)[1] if value is not None), default=None)


def _root(name: str) -> Closure:
    match name:
        case "this":
            return lambda moment: moment.record
        case "old":
            return lambda moment: moment.old
        case "now":
            return lambda moment: moment.now
        case "today":
            return lambda moment: moment.today
        case _:
            return lambda moment: moment.variables[name]


def _user(name: str) -> Closure:
    def run(moment: Moment) -> Any:
        if moment.person is None:
            raise Undecidable(why="there is no person")
        return getattr(moment.person, name)

    if name not in Person.__dataclass_fields__:
        raise ValueError(f"a person has no {name}")
    return run


def _json_member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _sure(value: Any) -> Any:
    if value is None:
        raise Undecidable(why="a missing value")
    return value


def _both(left: Closure, right: Closure) -> Closure:
    def run(moment: Moment) -> bool:
        try:
            first = left(moment)
        except Undecidable:
            if right(moment):
                raise
            return False
        return bool(first and right(moment))

    return run


def _either(left: Closure, right: Closure) -> Closure:
    def run(moment: Moment) -> bool:
        try:
            first = left(moment)
        except Undecidable:
            if right(moment):
                return True
            raise
        return bool(first or right(moment))

    return run


def _equality(node: Binary, left: Closure, right: Closure) -> Closure:
    strict = claim(node.left) or claim(node.right)
    written = any(isinstance(each, Literal) and each.value is None for each in (node.left, node.right))
    records = node.left.type.base in _IDENTITIES or node.right.type.base in _IDENTITIES

    def equal(moment: Moment) -> bool:
        first, second = left(moment), right(moment)
        if records:
            first, second = identity(first), identity(second)
        if first is None and second is None:
            return written or not strict
        return bool(first == second)

    return equal if node.op == "==" else lambda moment: not equal(moment)


def _ordering(compare: Callable[[Any, Any], bool], left: Closure, right: Closure) -> Closure:
    def run(moment: Moment) -> bool:
        first, second = left(moment), right(moment)
        return first is not None and second is not None and compare(first, second)

    return run


def _within(left: Closure, right: Closure) -> Closure:
    def run(moment: Moment) -> bool:
        wanted, elements = identity(left(moment)), right(moment)
        moment.spend(len(elements or ()))
        return wanted is not None and any(identity(each) == wanted for each in elements or ())

    return run


def _arithmetic(op: str, type_: Type, left_type: Type, left: Closure, right: Closure) -> Closure:
    work = _work(op, type_, left_type)

    def run(moment: Moment) -> Any:
        first, second = left(moment), right(moment)
        if first is None or second is None:
            raise Undecidable(why="a missing value")
        return work(first, second)

    return run


_WHOLE: Mapping[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "%": numbers.remainder,
}
_EXACT: Mapping[str, Callable[[Any, Any, int], Any]] = {
    "+": numbers.add,
    "-": numbers.subtract,
    "*": numbers.multiply,
    "/": numbers.divide,
}


def _work(op: str, type_: Type, left_type: Type) -> Callable[[Any, Any], Any]:
    if type_.base is Base.INTEGER:
        whole = _WHOLE[op]
        return lambda first, second: numbers.whole(whole(first, second))
    if type_.base is Base.DECIMAL:
        exact, scale = _EXACT[op], type_.scale
        return lambda first, second: exact(first, second, scale)
    if type_.base is Base.TEXT:
        return joined
    if type_.base is Base.DATETIME:
        return lambda first, second: numbers.shift(first, second if op == "+" else -second)
    if left_type.base is Base.DATETIME:
        return operator.sub
    change = operator.add if op == "+" else operator.sub
    return lambda first, second: numbers.span(change(first, second))


def _coalesce(parts: Sequence[Closure]) -> Closure:
    def run(moment: Moment) -> Any:
        for part in parts:
            value = part(moment)
            if value is not None:
                return value
        return None

    return run


def _state(function: str, record: Closure, state: str) -> Closure:
    def entered(moment: Moment) -> Any:
        of = record(moment)
        return None if of is None else member(of, ENTERED).get(state)

    def was(moment: Moment) -> bool:
        of = record(moment)
        if of is None:
            return False
        # a state being written now is not history yet, but the record is in it
        return (isinstance(of, Mapping) and of.get("state") == state) or state in member(of, ENTERED)

    return was if function == "was" else entered
