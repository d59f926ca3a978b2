"""A database made by an earlier version of the platform: what it lacks of the platform's own tables, and adding it.

Said when a server starts or a command asks what is served, before anybody signs in and finds out.
"""

from __future__ import annotations

import sqlalchemy as sa

from clew.storage.dialects import compile_ddl
from clew.storage.engine import Connection
from clew.storage.provision import ensure_system
from clew.storage.system_metadata import metadata

_SQLITE = """
SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
WHERE m.type = 'table' AND m.name GLOB 'clew_*'
"""
_POSTGRES = """
SELECT r.relname::text, a.attname::text FROM pg_class r JOIN pg_attribute a ON a.attrelid = r.oid
WHERE r.relnamespace = 'public'::regnamespace AND r.relkind IN ('r', 'p') AND r.relname LIKE 'clew\\_%'
  AND a.attnum > 0 AND NOT a.attisdropped
"""


async def lacking(connection: Connection) -> list[str]:
    """Tables, and columns of tables that are there (`clew_task.post`), which this version works with and the database
    has not; empty when it is up to date."""
    present = await _present(connection)
    found: list[str] = []
    for table in metadata.sorted_tables:
        columns = present.get(table.name)
        if columns is None:
            found.append(table.name)
        else:
            found += [f"{table.name}.{each.name}" for each in table.columns if each.name not in columns]
    return found


async def bring_up_to_date(connection: Connection) -> None:
    """Add what is lacking, inside a `migrate` unit. A new column of a table with rows must allow nothing in it; one
    that does not is left, because nobody knows what stood in it, and goes on being told as lacking."""
    await ensure_system(connection)
    present = await _present(connection)
    for table in metadata.sorted_tables:
        for column in table.columns:
            if column.name in present[table.name]:
                continue
            if column.nullable or await connection.fetch_one(sa.select(sa.literal(1)).select_from(table)) is None:
                text = compile_ddl(sa.schema.CreateColumn(column), connection.dialect)
                # SQLite adds no column that must have a value without one for rows, even where there are none.
                value = "" if column.nullable or connection.dialect != "sqlite" else " DEFAULT ''"
                await connection.run_sql(f"ALTER TABLE {table.name} ADD COLUMN {text}{value}")


async def _present(connection: Connection) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    query = _SQLITE if connection.dialect == "sqlite" else _POSTGRES
    for table, column in await connection.fetch(sa.text(query)):
        found.setdefault(table, set()).add(column)
    return found
