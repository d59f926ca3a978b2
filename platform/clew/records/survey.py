"""Whole-table checks: which stored records break the rules of their entity. One statement per entity.

A record is judged as if it were saved again unchanged, so `old` is the record itself. Used after a bulk load, before a
release that adds rules, and wherever somebody asks whether the data is what the model says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity, RecordRule
from clew.storage.engine import Connection
from clew.storage.expressions import Rows, condition_sql
from clew.storage.tables import Tables

SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Violation:
    """Records that break one rule."""

    entity: str
    rule: str
    say: Bilingual
    warn: bool
    count: int
    samples: tuple[UUID, ...]


async def violations(connection: Connection, tables: Tables, args: Mapping[str, Any]) -> list[Violation]:
    """Every broken rule of every entity. `args` are the person and time binds (`user.id`, `now`, `today` …)."""
    found: list[Violation] = []
    for entity in tables.blueprint.entities.values():
        rules = [rule for rule in entity.rules if "sql" in rule.condition.runs_in]
        if rules:
            found.extend(await _of_entity(connection, tables, entity, rules, args))
    return found


async def _of_entity(
    connection: Connection, tables: Tables, entity: Entity, rules: list[RecordRule], args: Mapping[str, Any]
) -> list[Violation]:
    this = tables.current(entity.name).alias("this")
    rows = Rows(tables, tables.blueprint, entity.name, this, tables.dialect, None)
    broken = [_broken(rule, rows, this) for rule in rules]
    counts = await connection.fetch_one(
        sa.select(*(sa.func.sum(sa.case((each, 1), else_=0)) for each in broken)).select_from(this), args
    )
    found = []
    for rule, condition, count in zip(rules, broken, counts or (), strict=False):
        if count:
            sample = sa.select(this.c.id).where(condition).order_by(this.c.id).limit(SAMPLES)
            ids = tuple(row[0] for row in await connection.fetch(sample, args))
            found.append(Violation(entity.name, rule.name, rule.say, rule.warn, int(count), ids))
    return found


def _broken(rule: RecordRule, rows: Rows, this: sa.FromClause) -> sa.ColumnElement[bool]:
    condition = condition_sql(rule.condition, rows)

    def unchanged(element: Any, **_: Any) -> Any:
        key = getattr(element, "key", None)
        if isinstance(element, sa.BindParameter) and isinstance(key, str) and key.startswith("old."):
            name = key.removeprefix("old.")
            return this.c[name] if name in this.c else this.c[f"{name}_id"]
        return None

    kept: Any = visitors.replacement_traverse(condition, {}, unchanged)
    return sa.not_(sa.func.coalesce(kept, sa.false()))
