"""Makes the platform's own tables where they are missing, with what keeps their rows from changing."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from clew.kernel.ids import uuid7
from clew.storage.ddl import Ddl, default_partition, months
from clew.storage.dialects import compile_ddl
from clew.storage.engine import Connection, DialectName
from clew.storage.system import INSERT_ONLY, NEVER_DELETED, PARTITIONED, SYSTEM_VERSION, platform
from clew.storage.system_metadata import metadata


async def ensure_system(connection: Connection) -> None:
    """Create what is missing of the platform's tables, inside a `migrate` unit. Harmless when all is there."""
    present = await existing_tables(connection)
    at = await connection.now()
    for table in metadata.sorted_tables:
        if table.name not in present:
            for statement in _create(table, connection.dialect, at):
                await connection.run_sql(statement)
    if await connection.fetch_value(sa.select(platform.c.database_id)) is None:
        values = {"database_id": uuid7(), "version": SYSTEM_VERSION, "created_at": at}
        await connection.execute(sa.insert(platform), values)


async def existing_tables(connection: Connection) -> frozenset[str]:
    """Names of all tables of the database, partitions included."""
    sql = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if connection.dialect == "sqlite"
        else "SELECT tablename::text FROM pg_catalog.pg_tables WHERE schemaname = 'public'"
    )
    return frozenset(row[0] for row in await connection.fetch(sa.text(sql)))


def _create(table: sa.Table, dialect: DialectName, at: datetime) -> list[str]:
    ddl = Ddl(dialect)
    statements = [compile_ddl(CreateTable(table), dialect)]
    if dialect == "postgresql" and table.name in PARTITIONED:
        statements += ddl.partitions(table.name, months(at))
        name, default = ddl.quote(table.name), ddl.quote(default_partition(table.name))
        statements.append(f"CREATE TABLE {default} PARTITION OF {name} DEFAULT")
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    statements += [compile_ddl(CreateIndex(index), dialect) for index in indexes]
    if table.name in INSERT_ONLY:
        statements += insert_only(table.name, dialect)
    if table.name in NEVER_DELETED:
        statements += never_deleted(table.name, dialect)
    return statements


def never_deleted(table: str, dialect: DialectName) -> list[str]:
    """Triggers that refuse DELETE, whoever asks."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}__no_delete BEFORE DELETE ON {table}"
            f" BEGIN SELECT RAISE(ABORT, '{table} keeps its rows'); END"
        ]
    return [
        "CREATE OR REPLACE FUNCTION clew_never_deleted() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION '% keeps its rows', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$",
        f"CREATE TRIGGER {table}__no_delete BEFORE DELETE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION clew_never_deleted()",
        f"CREATE TRIGGER {table}__no_truncate BEFORE TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION clew_never_deleted()",
    ]


def insert_only(table: str, dialect: DialectName) -> list[str]:
    """Triggers that refuse UPDATE and DELETE, whoever asks (a whole month leaves by detaching its partition)."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}__no_{verb.lower()} BEFORE {verb} ON {table}"
            f" BEGIN SELECT RAISE(ABORT, '{table} is insert-only'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        "CREATE OR REPLACE FUNCTION clew_insert_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION '% is insert-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$",
        f"CREATE TRIGGER {table}__no_change BEFORE UPDATE OR DELETE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION clew_insert_only()",
        f"CREATE TRIGGER {table}__no_truncate BEFORE TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION clew_insert_only()",
    ]
