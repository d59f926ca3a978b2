"""The list macros as closures: exists, all, exists_one, filter, map, count, sum, min, max."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from clew.expressions import numbers
from clew.expressions.moment import Closure, Moment, sure
from clew.expressions.problems import Undecidable
from clew.expressions.tree import Base, Type


class Loop:
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


def counted(loop: Loop) -> Closure:
    return lambda moment: sum(map(bool, loop.values(moment)[1]))


def exactly_one(loop: Loop) -> Closure:
    return lambda moment: sum(map(bool, loop.values(moment)[1])) == 1


def filtered(loop: Loop) -> Closure:
    return lambda moment: [each for each, taken in zip(*loop.values(moment), strict=True) if taken]


def summed(loop: Loop, type_: Type) -> Closure:
    def run(moment: Moment) -> Any:
        values = [sure(value) for value in loop.values(moment)[1]]
        if type_.base is Base.INTEGER:
            return numbers.whole(sum(values))
        if type_.base is Base.DECIMAL:
            return numbers.total(values, type_.scale)
        return numbers.span(sum(values, timedelta()))

    return run


def extreme(loop: Loop, choose: Callable[..., Any]) -> Closure:
    return lambda moment: choose((value for value in loop.values(moment)[1] if value is not None), default=None)
