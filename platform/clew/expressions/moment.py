"""One evaluation in memory: its facts, its variables, its budget, and how facts are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, TypeAlias
from uuid import UUID

from clew.expressions.problems import Undecidable
from clew.kernel.context import Person


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


def sure(value: Any) -> Any:
    if value is None:
        raise Undecidable(why="a missing value")
    return value
