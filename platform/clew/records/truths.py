"""What holds of a stored record now, for who asks: many conditions in one statement, outside of any write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa

from clew.expressions.functions import SQL
from clew.expressions.tree import Checked
from clew.kernel.context import Person
from clew.metadata.blueprint import Entity
from clew.records.judge import Judge
from clew.storage.engine import Connection
from clew.storage.expressions import Rows, condition_sql

if TYPE_CHECKING:
    from clew.records.engine import Engine


async def truths(
    engine: Engine, connection: Connection, person: Person, entity: Entity, record: UUID, conditions: Sequence[Checked]
) -> list[bool | None]:
    """Each condition's truth; None for what cannot be asked of the database, and when there is no such record."""
    asked = [each for each in conditions if SQL in each.runs_in]
    if not asked:
        return [None] * len(conditions)
    at = await connection.now()
    tables = engine.tables
    this = tables.current(entity.name).alias("this")
    rows = Rows(tables, engine.blueprint, entity.name, this, tables.dialect, None)
    columns = [condition_sql(each, rows).label(f"c{number}") for number, each in enumerate(asked)]
    query = sa.select(*columns).select_from(this).where(this.c.id == sa.bindparam("this_id", type_=this.c.id.type))
    judge = Judge(engine, connection, person, at, at.astimezone(engine.zone).date())
    row = await connection.fetch_one(query, {**judge.person_args, "this_id": record})
    if row is None:
        return [None] * len(conditions)
    answers = iter(row)
    return [bool(next(answers)) if SQL in each.runs_in else None for each in conditions]
