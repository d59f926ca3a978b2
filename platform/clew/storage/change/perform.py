"""Doing one step, inside the transaction that also writes its line of the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from clew.storage import system
from clew.storage.change.carry import carry_statements
from clew.storage.change.fill import Filler, Outcome
from clew.storage.change.rebuild import rebuild
from clew.storage.change.renamed import rename_statements
from clew.storage.change.steps import Step
from clew.storage.ddl import Ddl
from clew.storage.dialects import literal_text
from clew.storage.engine import Connection
from clew.storage.nodes import behind
from clew.storage.types import Instant


async def perform(
    connection: Connection, step: Step, progress: Mapping[str, Any] | None, release: int, filler: Filler
) -> Outcome:
    """Do the step, or one batch of it."""
    if step.kind == "require":
        # Rows from nodes of the earlier release lack the value; they need not wait for those nodes to stop.
        for fill in step.work["fills"]:
            await filler.all(connection, fill)
    if step.phase == "contract" or step.work.get("alone"):
        late = await behind(connection, release)
        if late:
            return Outcome(done=False, waiting=True, waits_for=late)
    if step.kind == "swap":
        for fill in step.work.get("again", ()):
            await filler.all(connection, {**fill, "again": True})
        for statement in rename_statements(step.work.get("renamed", {}), connection.dialect):
            await connection.run_sql(statement)
    if step.kind == "fill":
        return await filler.batch(connection, step.work, progress)
    if step.kind == "require":
        return await _require(connection, step.work)
    if step.kind == "carry":
        begun_by = step.work.get("release", release)
        since = await connection.fetch_value(sa.select(system.release.c.at).where(system.release.c.number == begun_by))
        begun = literal_text(Instant(), since, connection.dialect)
        for statement in carry_statements(step.work, begun, connection.dialect):
            await connection.run_sql(statement)
    if step.kind == "rebuild":
        await rebuild(connection, step.work["table"], required=step.work["required"], optional=step.work["optional"])
    for statement in step.work.get("sql", ()):
        await connection.run_sql(statement)
    return Outcome()


async def _require(connection: Connection, work: Mapping[str, Any]) -> Outcome:
    """Make NOT NULL the columns that have no empty row; wait for the others."""
    table = work["table"]
    full: list[str] = []
    lacking: list[str] = []
    for name in work["columns"]:
        column: sa.ColumnClause[Any] = sa.column(name)
        query = sa.select(sa.literal(1)).select_from(sa.table(table, column)).where(column.is_(None)).limit(1)
        (lacking if await connection.fetch_one(query) else full).append(name)
    if full and connection.dialect == "sqlite":
        await rebuild(connection, table, required=full)
    elif full:
        for name in full:
            await connection.run_sql(Ddl("postgresql").set_required(table, name, required=True))
    if lacking:
        return Outcome(False, waiting=True, waits_for=tuple(f"{table}.{name}" for name in lacking))
    return Outcome()
