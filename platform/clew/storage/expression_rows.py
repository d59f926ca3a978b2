"""Where an expression's record and its relations come from in a statement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from sqlalchemy.sql import FromClause

from clew.metadata.blueprint import Blueprint
from clew.storage.engine import DialectName
from clew.storage.formula import Sql
from clew.storage.tables import Tables

Mask = Callable[[str, Any, str, Sql], Sql]
"""(entity, rows, field, value) → the value as the caller may see it."""
Visible = Callable[[str, Any], list[Sql]]
"""(entity, rows) → what must hold for a related row to be seen."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Where an expression's `this` comes from: rows of one entity in an enclosing statement.

    `as_of` makes every other table it reaches show that moment. `mask` and `visible` are asked for each value and each
    related row, when given; related rows that are void are never elements of a list.
    """

    tables: Tables
    blueprint: Blueprint
    entity: str
    rows: FromClause
    dialect: DialectName
    as_of: Sql | None = None
    mask: Mask | None = None
    visible: Visible | None = None
    numbers: count[int] = field(default_factory=lambda: count(1), compare=False)

    def of(self, entity: str, rows: FromClause) -> Rows:
        """The same circumstances over other rows."""
        return replace(self, entity=entity, rows=rows)

    def alias(self, table: FromClause) -> Any:
        return table.alias(f"x{next(self.numbers)}")

    def open(self, entity: str) -> tuple[Any, list[Sql]]:
        """A fresh alias over an entity's rows, and what limits it to the moment and to what may be seen."""
        table = self.tables.current(entity) if self.as_of is None else self.tables.history(entity)
        rows = self.alias(table)
        seen = self.visible(entity, rows) if self.visible else []
        return rows, [*self.interval(rows), *seen]

    def interval(self, rows: Any) -> list[Sql]:
        return [] if self.as_of is None else [rows.c.tx_from <= self.as_of, rows.c.tx_to > self.as_of]
