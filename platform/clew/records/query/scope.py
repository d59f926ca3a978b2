"""One entity's rows inside a statement, seen through the caller's decision.

Every value that leaves a scope has its mask on it and every scope that opens carries its row conditions: selection,
filter, order, group, search and cursor all go through here, so there is no second place where they could be forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import FromClause

from clew.access.decision import Decision, EntityAccess, Grant
from clew.expressions.tree import Checked
from clew.kernel.errors import ClewError
from clew.metadata.blueprint import Blueprint, Entity, Field, FieldKind
from clew.records.query.json_text import Sql
from clew.storage.engine import DialectName
from clew.storage.expressions import Rows, computed_sql, condition_sql
from clew.storage.tables import Tables
from clew.storage.types import Instant

TRUE = sa.true()
FALSE = sa.false()


class NotVisible(ClewError):
    """A plan names something the caller may not see. For the caller it does not exist (threat 16)."""

    code, status = "UNKNOWN_NAME", 400
    en = "There is no {name} on {what}."
    zh = "{what}上没有{name}。"


@dataclass(frozen=True, slots=True)
class Build:
    """What one compilation works with."""

    blueprint: Blueprint
    tables: Tables
    decision: Decision
    dialect: DialectName
    numbers: count[int] = field(default_factory=lambda: count(1))

    def alias(self, table: FromClause) -> Any:
        return table.alias(f"t{next(self.numbers)}")


@dataclass(frozen=True, slots=True)
class Scope:
    """Rows of one entity: the current ones, or those valid at `as_of`."""

    build: Build
    entity: Entity
    rows: Any
    as_of: Sql | None = None
    version: bool = False
    """True when `rows` is one chosen version already, so no interval is added."""
    bare: bool = False
    """True when `rows` carries masked values already (groups), so masks are not asked again."""

    @property
    def access(self) -> EntityAccess:
        return self.build.decision.on(self.entity.name)

    # ── opening ───────────────────────────────────────────────────────────────────────────────────────────────────

    @staticmethod
    def over(build: Build, name: str, as_of: Sql | None = None) -> Scope:
        """A fresh scope over all rows of an entity. An entity the caller cannot read does not exist."""
        entity = build.blueprint.entities.get(name)
        if entity is None or not build.decision.on(name).read.allowed:
            raise NotVisible(name=name, what=build.blueprint.project.name)
        table = build.tables.current(name) if as_of is None else build.tables.history(name)
        return Scope(build, entity, build.alias(table), as_of)

    def open(self, name: str) -> Scope:
        """A fresh scope over another entity, at the same moment."""
        return Scope.over(self.build, name, self.as_of)

    def conditions(self) -> list[Sql]:
        """What holds for every row of this scope: valid at the moment asked for, and readable by the caller."""
        found = self.interval(self.rows) if not self.version else []
        return [*found, *self.granted(self.access.read)]

    def interval(self, rows: Any) -> list[Sql]:
        if self.as_of is None:
            return []
        return [rows.c.tx_from <= self.as_of, rows.c.tx_to > self.as_of]

    def granted(self, grant: Grant) -> list[Sql]:
        """The conditions under which a grant holds; empty when always."""
        if grant.always:
            return []
        if not grant.allowed:
            return [FALSE]
        return [sa.or_(*(self.holds(each) for each in grant.conditions))]

    # ── values ────────────────────────────────────────────────────────────────────────────────────────────────────

    def field(self, name: str) -> Field:
        """A field the caller may see."""
        found = self.entity.fields.get(name)
        if found is None or not self.sees(name):
            raise NotVisible(name=name, what=self.entity.name)
        return found

    def sees(self, name: str) -> bool:
        return name == "id" or self.access.sees(name)

    def mask(self, name: str) -> Sql | None:
        """The condition under which this row shows the field; None when every row does."""
        if name == "id" or self.bare:
            return None
        access = self.access.fields.get(name)
        conditions = [FALSE] if access is None else self.granted(access.read)
        return conditions[0] if conditions else None

    def column(self, name: str, part: str = "") -> Sql:
        """A value of the row with its mask on: hidden on this row means null. `part` names a companion column."""
        self.field(name)
        return self.masked(name, self.raw(name, part))

    def masked(self, name: str, value: Sql) -> Sql:
        mask = self.mask(name)
        return value if mask is None else sa.case((mask, value), else_=sa.null())

    def raw(self, name: str, part: str = "") -> Sql:
        """The stored or computed value, without a mask."""
        known = self.entity.fields[name]
        if known.computed is not None and not self.bare:
            return computed_sql(known, self._expression_rows())
        column: Sql = self.rows.c[name + _SUFFIX[part]] if part else self.rows.c[_main_column(known)]
        return column

    # ── expressions ───────────────────────────────────────────────────────────────────────────────────────────────

    def holds(self, condition: Checked) -> Sql:
        """A policy's condition: over the values as they are, because the policy decides what is hidden."""
        return condition_sql(condition, self._expression_rows())

    def holds_as_seen(self, condition: Checked) -> Sql:
        """A condition asked on the caller's behalf: hidden values are missing, hidden records are not there."""

        def mask(entity: str, rows: Any, name: str, value: Sql) -> Sql:
            return self._beside(entity, rows).masked(name, value)

        def visible(entity: str, rows: Any) -> list[Sql]:
            scope = self._beside(entity, rows)
            return scope.granted(scope.access.read)

        return condition_sql(condition, replace(self._expression_rows(), mask=mask, visible=visible))

    def _beside(self, entity: str, rows: Any) -> Scope:
        return Scope(self.build, self.build.blueprint.entities[entity], rows, self.as_of)

    def _expression_rows(self) -> Rows:
        build = self.build
        return Rows(
            build.tables, build.blueprint, self.entity.name, self.rows, build.dialect, self.as_of, numbers=build.numbers
        )


_SUFFIX = {"currency": "_currency", "entity": "_entity", "id": "_id", "sort": "__sort"}


def period_label(field: str, unit: str) -> str:
    """The column of a group that holds the first day of a period."""
    return f"{field}__{unit}"


def _main_column(known: Field) -> str:
    return known.name + "_id" if known.kind is FieldKind.ANY else known.name


def moment(name: str) -> Sql:
    """An instant given when the plan runs."""
    return sa.bindparam(name, type_=Instant())


def select_from(scope: Scope, columns: Sequence[Sql], conditions: Sequence[Sql]) -> Any:
    """SELECT over the scope's rows only; everything else it mentions belongs to enclosing statements."""
    return sa.select(*columns).select_from(scope.rows).where(*conditions).correlate_except(scope.rows)
