"""Decision tables: rows of cells over typed inputs, typed outputs, and what counts when several rows hold.

A table is a value of the language: an expression asks it with `decide('table', 'output', input, …)`. It decides the
same in memory and in SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from clew.expressions.cells import Axis, Points, contains
from clew.expressions.numbers import total, whole
from clew.expressions.problems import Undecidable
from clew.expressions.tree import Base, Type
from clew.kernel.diagnostics import Place

MAX_ROWS = 2000


class Hit(StrEnum):
    """What counts when several rows hold: none may (unique), the first, all of them say the same (any), the one whose
    first output stands first in a list (priority), all of them together (collect)."""

    UNIQUE = "unique"
    FIRST = "first"
    ANY = "any"
    PRIORITY = "priority"
    COLLECT = "collect"


class Together(StrEnum):
    """How collected rows become one value; `list` leaves them as they are."""

    LIST = "list"
    SUM = "sum"
    MIN = "min"
    MAX = "max"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Input:
    name: str
    axis: Axis


@dataclass(frozen=True, slots=True)
class Output:
    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a set of points for each input, a value for each output."""

    when: tuple[Points, ...]
    then: tuple[Any, ...]
    number: int = 0
    """Where it stands in the table as written, from 1."""
    place: Place = field(default_factory=lambda: Place(""), compare=False)


@dataclass(frozen=True, slots=True)
class Found:
    """What a table says: a value for each output, and the rows that were hit (none: the default)."""

    values: dict[str, Any]
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A linked table. `rows` stand in the order in which they count (with `priority`, not the order written)."""

    name: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    rows: tuple[Row, ...]
    hit: Hit = Hit.UNIQUE
    together: Together = Together.LIST
    default: tuple[Any, ...] | None = None
    version: str = ""
    """Over everything else here: two tables that decide alike have the same."""

    def output(self, name: str) -> int | None:
        return next((at for at, each in enumerate(self.outputs) if each.name == name), None)

    def result(self, at: int) -> Type:
        """The type an output has for whoever asks."""
        if self.hit is Hit.COLLECT:
            if self.together is Together.COUNT:
                return Type(Base.INTEGER)
            if self.together is Together.LIST:
                return Type(Base.LIST, element=self.outputs[at].type)
        return self.outputs[at].type

    def decide(self, values: Sequence[Any]) -> Found:
        """What the table says of these inputs. Raises Undecidable for a value that it does not know, or when no row
        holds and there is no default."""
        points = []
        for each, value in zip(self.inputs, values, strict=True):
            point = each.axis.point(value)
            if point is None:
                raise Undecidable(why=f"{value} is no value of {each.name} of the table {self.name}")
            points.append(point)
        rows = []
        for row in self.rows:
            if all(contains(cell, point) for cell, point in zip(row.when, points, strict=True)):
                rows.append(row)
                if self.hit is not Hit.COLLECT:
                    break
        return Found(self._values(rows), tuple(each.number for each in rows))

    def _values(self, rows: Sequence[Row]) -> dict[str, Any]:
        if self.hit is Hit.COLLECT and (rows or self.default is None):
            return {each.name: self._joined(at, rows) for at, each in enumerate(self.outputs)}
        values = rows[0].then if rows else self.default
        if values is None:
            raise Undecidable(why=f"no row of the table {self.name} holds")
        return {each.name: value for each, value in zip(self.outputs, values, strict=True)}

    def _joined(self, at: int, rows: Sequence[Row]) -> Any:
        found = [row.then[at] for row in rows]
        type_ = self.outputs[at].type
        match self.together:
            case Together.LIST:
                return found
            case Together.COUNT:
                return len(found)
            case Together.SUM:
                return whole(sum(found)) if type_.base is Base.INTEGER else total(map(Decimal, found), type_.scale)
            case _:
                if not found:
                    raise Undecidable(why=f"no row of the table {self.name} holds")
                return min(found) if self.together is Together.MIN else max(found)
