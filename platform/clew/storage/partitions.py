"""Monthly partitions of history, leaves and outbox on PostgreSQL. Rows of a month without one fall into `…_default`."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from clew.storage.ddl import MONTHS_AHEAD, Ddl, months, partition_name
from clew.storage.engine import Database
from clew.storage.provision import existing_tables

PARENTS = "SELECT relname::text FROM pg_class WHERE relkind = 'p' AND relnamespace = 'public'::regnamespace ORDER BY 1"


async def ensure_partitions(
    database: Database, ahead: int = MONTHS_AHEAD, *, patience: timedelta = timedelta(seconds=60)
) -> int:
    """Make the partitions of this month and the next `ahead`; how many were new. Nothing to do on SQLite.

    Raises DatabaseBusy when a long transaction holds a table for longer than `patience`.
    """
    if database.dialect == "sqlite":
        return 0
    ddl, made = Ddl("postgresql"), 0
    async with database.migrate() as connection:
        await connection.run_sql(f"SET LOCAL lock_timeout = {round(patience.total_seconds() * 1000)}")
        wanted = months(await connection.now(), ahead)
        present = await existing_tables(connection)
        for (table,) in await connection.fetch(sa.text(PARENTS)):
            missing = [month for month in wanted if partition_name(table, *month) not in present]
            for statement in ddl.partitions(table, missing):
                await connection.run_sql(statement)
            made += len(missing)
    return made
