"""Doing one step, inside the transaction that also writes its line of the journal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from clew.kernel.scalars import FAR_FUTURE
from clew.storage import system
from clew.storage.change.fill import Filler, Outcome
from clew.storage.change.rebuild import rebuild
from clew.storage.change.steps import Step
from clew.storage.ddl import Ddl
from clew.storage.dialects import literal_text
from clew.storage.engine import Connection
from clew.storage.layout import TX_FROM, TX_TO
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
    if step.kind == "fill":
        return await filler.batch(connection, step.work, progress)
    if step.kind == "require":
        return await _require(connection, step.work)
    if step.kind == "carry":
        since = await connection.fetch_value(sa.select(system.release.c.at).where(system.release.c.number == release))
        await _carry(connection, step.work, since)
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


async def _carry(connection: Connection, work: Mapping[str, Any], since: datetime) -> None:
    """Complete versions that nodes of the earlier release wrote since the change began.

    They do not know the new columns, so their versions lack values that the record kept all the while. Only open
    versions can be told for certain, and closed ones of a column that is never empty.
    """
    quote = Ddl(connection.dialect).quote
    current, history, key = quote(work["table"]), quote(work["history"]), quote(work["id"])
    forever = literal_text(Instant(), FAR_FUTURE, connection.dialect)
    late = f"{quote(TX_FROM)} >= {literal_text(Instant(), since, connection.dialect)}"
    for name in map(quote, work["columns"]):
        await connection.run_sql(
            f"UPDATE {history} SET {name} = (SELECT c.{name} FROM {current} c WHERE c.{key} = {history}.{key})"
            f" WHERE {quote(TX_TO)} = {forever} AND {late} AND EXISTS (SELECT 1 FROM {current} c"
            f" WHERE c.{key} = {history}.{key} AND c.{name} IS DISTINCT FROM {history}.{name})"
        )
    for name in map(quote, work["never_empty"]):
        earlier = (
            f"SELECT p.{name} FROM {history} p WHERE p.{key} = {history}.{key}"
            f" AND p.{quote(TX_FROM)} < {history}.{quote(TX_FROM)} AND p.{name} IS NOT NULL"
            f" ORDER BY p.{quote(TX_FROM)} DESC LIMIT 1"
        )
        await connection.run_sql(
            f"UPDATE {history} SET {name} = ({earlier}) WHERE {name} IS NULL AND {late} AND EXISTS ({earlier})"
        )
