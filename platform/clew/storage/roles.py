"""The two PostgreSQL roles: the owner migrates; the runtime reads and writes records and can touch nothing else."""

from __future__ import annotations

import sqlalchemy as sa

from clew.storage import system
from clew.storage.ddl import Ddl
from clew.storage.engine import Database

_TABLES = """
SELECT relname::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1
"""
READ_ONLY = (
    system.release.name,
    system.change.name,
    system.platform.name,
    system.environment.name,
    system.promotion.name,
)
"""What only `clew apply`, as the owner, writes."""


async def grant_runtime(database: Database, role: str) -> None:
    """Give `role` exactly what a server needs; run it after each apply, as the owner. Does nothing on SQLite.

    Rights are given on whole tables, never on partitions, so that no month can be reached behind the parent's back.
    """
    if database.dialect == "sqlite":
        return
    quote = Ddl("postgresql").quote
    async with database.migrate() as connection:
        await connection.run_sql(f"GRANT USAGE ON SCHEMA public TO {quote(role)}")
        for (table,) in await connection.fetch(sa.text(_TABLES)):
            await connection.run_sql(f"REVOKE ALL ON {quote(table)} FROM {quote(role)}")
            await connection.run_sql(f"GRANT {rights(table)} ON {quote(table)} TO {quote(role)}")


def rights(table: str) -> str:
    """What a server may do with a table."""
    if table in READ_ONLY:
        return "SELECT"
    if table in system.INSERT_ONLY:
        return "SELECT, INSERT"
    if table in system.NEVER_DELETED:
        return "SELECT, INSERT, UPDATE"
    return "SELECT, INSERT, UPDATE, DELETE"
