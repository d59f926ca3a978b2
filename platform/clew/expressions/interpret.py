"""Evaluation in memory: the typed tree becomes nested closures once, and they run over plain mappings.

Facts: a record is a mapping from name to value (Decimal, date, datetime, timedelta, UUID, text, int, bool, None); a
related record is a nested mapping, or its bare UUID when only its identity is needed; a list is a sequence of
mappings. The fact `@entered` maps a state to the first instant in it, for `was` and `entered`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any

from clew.expressions.compile import Compiler
from clew.expressions.moment import Closure, Exhausted, Moment
from clew.expressions.numbers import exact
from clew.expressions.problems import Undecidable
from clew.expressions.tree import Base, Checked
from clew.kernel.context import Person

Facts = Mapping[str, Any]
Computed = Mapping[tuple[str, str], Checked]
"""Computed fields by entity and name: what to evaluate where a record does not hold the value."""

BUDGET = 10_000
"""Steps one evaluation may take; each node of the tree costs one, again for every element of a list."""


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled expression. Immutable and free of state: may run in many threads at once."""

    checked: Checked
    closure: Closure
    size: int

    def run(
        self,
        record: Facts,
        *,
        now: datetime,
        today: date | None = None,
        old: Facts | None = None,
        person: Person | None = None,
        budget: int = BUDGET,
        asked: Facts = MappingProxyType({}),
    ) -> Any:
        """The value. Raises Undecidable. `today` is the calendar day of `now` in UTC unless given; `asked` are the
        values the database has given for parts of the expression."""
        moment = Moment(record, old, person, now, today or now.astimezone(UTC).date(), budget)
        moment.variables.update(asked)
        try:
            moment.spend(self.size)
            value = self.closure(moment)
        except Exhausted:
            raise Undecidable(why=f"more than {budget} steps") from None
        if value is not None and self.checked.type.base is Base.DECIMAL:
            return exact(value, self.checked.type.scale)
        return value


def compile_memory(checked: Checked, computed: Computed | None = None) -> Program:
    """The expression as closures. Without `computed` the result is kept with the expression."""
    if computed:
        return _program(checked, computed)
    program: Program | None = checked.memo.get("memory")
    if program is None:
        program = checked.memo["memory"] = _program(checked, {})
    return program


def _program(checked: Checked, computed: Computed) -> Program:
    compiler = Compiler(checked, computed)
    return Program(checked, compiler.closure(checked.root), compiler.size(checked.root))


def evaluate(
    checked: Checked,
    record: Facts,
    *,
    now: datetime,
    today: date | None = None,
    old: Facts | None = None,
    person: Person | None = None,
    budget: int = BUDGET,
    asked: Facts = MappingProxyType({}),
) -> Any:
    """The expression's value over a record's facts. Raises Undecidable when they do not decide it."""
    program = compile_memory(checked)
    return program.run(record, now=now, today=today, old=old, person=person, budget=budget, asked=asked)


def holds(
    checked: Checked,
    record: Facts,
    *,
    on_error: bool,
    now: datetime,
    today: date | None = None,
    old: Facts | None = None,
    person: Person | None = None,
    budget: int = BUDGET,
    asked: Facts = MappingProxyType({}),
) -> bool:
    """Whether a condition is true. Undecidable counts as `on_error`: false for what allows, true for what forbids."""
    program = compile_memory(checked)
    try:
        return program.run(record, now=now, today=today, old=old, person=person, budget=budget, asked=asked) is True
    except Undecidable:
        return on_error
