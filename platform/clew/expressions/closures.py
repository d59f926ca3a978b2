"""Names, operators and `coalesce` as closures."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clew.expressions import numbers
from clew.expressions.moment import Closure, Moment, identity, member
from clew.expressions.problems import Undecidable
from clew.expressions.reads import ENTERED
from clew.expressions.text import joined
from clew.expressions.tree import Base, Binary, Literal, Type, claim
from clew.kernel.context import Person

_IDENTITIES = frozenset({Base.RECORD, Base.ID})


def root(name: str) -> Closure:
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


def asked(name: str, type_: Type) -> Closure:
    """A value the database has given. Where it cannot be missing, a missing one says that it was not decided."""

    def run(moment: Moment) -> Any:
        value = moment.variables[name]
        if value is None and not type_.nullable:
            raise Undecidable(why="the database could not decide a part of it")
        return value

    return run


def person_fact(name: str) -> Closure:
    def run(moment: Moment) -> Any:
        if moment.person is None:
            raise Undecidable(why="there is no person")
        return moment.person.fact(name)

    if name.partition("@")[0] not in Person.__dataclass_fields__:
        raise ValueError(f"a person has no {name}")
    return run


def json_member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def both(left: Closure, right: Closure) -> Closure:
    def run(moment: Moment) -> bool:
        try:
            first = left(moment)
        except Undecidable:
            if right(moment):
                raise
            return False
        return bool(first and right(moment))

    return run


def either(left: Closure, right: Closure) -> Closure:
    def run(moment: Moment) -> bool:
        try:
            first = left(moment)
        except Undecidable:
            if right(moment):
                return True
            raise
        return bool(first or right(moment))

    return run


def equality(node: Binary, left: Closure, right: Closure) -> Closure:
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


def ordering(compare: Callable[[Any, Any], bool], left: Closure, right: Closure) -> Closure:
    def run(moment: Moment) -> bool:
        first, second = left(moment), right(moment)
        return first is not None and second is not None and compare(first, second)

    return run


def within(left: Closure, right: Closure) -> Closure:
    def run(moment: Moment) -> bool:
        wanted, elements = identity(left(moment)), right(moment)
        moment.spend(len(elements or ()))
        return wanted is not None and any(identity(each) == wanted for each in elements or ())

    return run


def arithmetic(op: str, type_: Type, left_type: Type, left: Closure, right: Closure) -> Closure:
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


def coalesce(parts: Sequence[Closure]) -> Closure:
    def run(moment: Moment) -> Any:
        for part in parts:
            value = part(moment)
            if value is not None:
                return value
        return None

    return run


def state_reached(function: str, record: Closure, state: str) -> Closure:
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
