"""What an operator should know about a database: facts only; `clew doctor` says what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from clew.storage import nodes, provision, system
from clew.storage.ddl import default_partition, months, partition_name
from clew.storage.engine import Connection
from clew.storage.partitions import PARENTS
from clew.storage.roles import READ_ONLY, rights

_VERSION = "SELECT current_setting('server_version_num')::int"
_FORBIDDEN = """
SELECT c.relname::text, p.name FROM pg_class c CROSS JOIN unnest(CAST(:names AS text[])) AS p(name)
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  AND (c.relname = ANY(CAST(:tables AS text[])) OR c.oid IN (
    SELECT i.inhrelid FROM pg_inherits i JOIN pg_class q ON q.oid = i.inhparent
    WHERE q.relname = ANY(CAST(:tables AS text[]))))
  AND has_table_privilege(c.oid, p.name) ORDER BY 1, 2
"""
_WITHHELD = """
SELECT t.name, t.wanted FROM unnest(CAST(:tables AS text[]), CAST(:names AS text[])) AS t(name, wanted)
WHERE NOT has_table_privilege(quote_ident(t.name), t.wanted) ORDER BY 1, 2
"""
_WHOLE_TABLES = """
SELECT relname::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Steps of a change that are still to be done, and the nodes they wait for."""

    release: int
    state: str
    steps: int
    first: str
    waits_for: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Queue:
    """How many wait, and since when the first of them does."""

    length: int
    since: datetime | None


async def server_version(connection: Connection) -> tuple[int, int] | None:
    """PostgreSQL's major and minor version; None on SQLite."""
    if connection.dialect == "sqlite":
        return None
    number = int(await connection.fetch_value(sa.text(_VERSION)))
    return number // 10_000, number % 10_000


async def clock_ahead(connection: Connection, ours: datetime) -> timedelta:
    """How far the database's clock is ahead of ours, read just before."""
    return await connection.now() - ours


async def excess_rights(connection: Connection) -> list[str]:
    """Rights this connection's role has and a server must not have: `table RIGHT`. Partitions are looked at too."""
    if connection.dialect == "sqlite":
        return []
    found: list[str] = []
    for tables, names in (
        (system.INSERT_ONLY, ["UPDATE", "DELETE", "TRUNCATE"]),
        (READ_ONLY, ["INSERT", "UPDATE", "DELETE", "TRUNCATE"]),
    ):
        rows = await connection.fetch(sa.text(_FORBIDDEN), {"names": names, "tables": list(tables)})
        found += [f"{table} {right}" for table, right in rows]
    return found


async def lacking_rights(connection: Connection) -> list[str]:
    """Rights a server needs and this connection's role has not."""
    if connection.dialect == "sqlite":
        return []
    tables = [row[0] for row in await connection.fetch(sa.text(_WHOLE_TABLES))]
    wanted = [(table, right) for table in tables for right in rights(table).split(", ")]
    args = {"tables": [table for table, _ in wanted], "names": [right for _, right in wanted]}
    return [f"{table} {right}" for table, right in await connection.fetch(sa.text(_WITHHELD), args)]


async def missing_partitions(connection: Connection, ahead: int = 1) -> list[str]:
    """Partitions of this month and the next `ahead` that nobody has made."""
    if connection.dialect == "sqlite":
        return []
    present = await provision.existing_tables(connection)
    wanted = months(await connection.now(), ahead)
    parents = [row[0] for row in await connection.fetch(sa.text(PARENTS))]
    return [name for table in parents for month in wanted if (name := partition_name(table, *month)) not in present]


async def strays(connection: Connection) -> list[str]:
    """Default partitions that hold rows of this month or later: its own partition came too late for them."""
    if connection.dialect == "sqlite":
        return []
    now = await connection.now()
    begun = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found = []
    for (table,) in await connection.fetch(sa.text(PARENTS)):
        name = default_partition(table)
        column = "at" if table in system.PARTITIONED else "tx_from"
        instant: sa.ColumnClause[Any] = sa.column(column, system.leaf.c.at.type)
        query = sa.select(sa.literal(1)).select_from(sa.table(name, instant)).where(instant >= begun).limit(1)
        if await connection.fetch_one(query):
            found.append(name)
    return found


async def unfinished(connection: Connection) -> Unfinished | None:
    """The change that is not finished, if there is one."""
    waiting = system.change.c.state == "waiting"
    columns = (system.change.c.release, system.change.c.phase, system.change.c.object, system.release.c.state)
    joined = system.change.join(system.release, system.release.c.number == system.change.c.release)
    order = (system.change.c.release.desc(), system.change.c.step)
    rows = await connection.fetch(sa.select(*columns).select_from(joined).where(waiting).order_by(*order))
    if not rows:
        return None
    number, phase, what, state = rows[0]
    mine = [row for row in rows if row[0] == number]
    late = await nodes.behind(connection, number)
    return Unfinished(number, state, len(mine), f"{phase} {what}", late)


async def sealing_queue(connection: Connection) -> Queue:
    """Audit leaves that are not sealed yet."""
    return await _queue(connection, system.leaf_pending)


async def outbox_queue(connection: Connection) -> Queue:
    """Events that are not dispatched yet."""
    return await _queue(connection, system.outbox_pending)


async def failed_jobs(connection: Connection) -> Sequence[tuple[str, int]]:
    """Kinds of jobs that were given up, with how many of each."""
    query = sa.select(system.job.c.kind, sa.func.count()).where(system.job.c.state == "failed")
    rows = await connection.fetch(query.group_by(system.job.c.kind).order_by(system.job.c.kind))
    return [(row[0], int(row[1])) for row in rows]


async def _queue(connection: Connection, table: sa.Table) -> Queue:
    row = await connection.fetch_one(sa.select(sa.func.count(), sa.func.min(table.c.at, type_=table.c.at.type)))
    assert row is not None
    return Queue(int(row[0]), row[1])
