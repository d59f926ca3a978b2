"""Which nodes are alive and which release each of them runs. Tightening waits until all of them have moved."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from clew.storage.engine import Connection, Database
from clew.storage.system import node

ALIVE = timedelta(seconds=60)
"""A node that has not been heard of for this long counts as stopped."""
GONE = timedelta(days=7)
"""A node that has not been heard of for this long was killed and is forgotten."""


async def beat(database: Database, name: str, release: int) -> None:
    """Say that node `name` is alive and runs `release`. Call it every few seconds and at every change of release."""

    async def write(connection: Connection) -> None:
        values = {"node": name, "release": release, "seen_at": await connection.now()}
        insert = postgresql.insert if connection.dialect == "postgresql" else sqlite.insert
        statement = insert(node).values(**values)
        changed = {"release": statement.excluded.release, "seen_at": statement.excluded.seen_at}
        await connection.execute(statement.on_conflict_do_update(index_elements=["node"], set_=changed))

    await database.run_write(write)


async def leave(database: Database, name: str) -> None:
    """Say that node `name` stops."""

    async def write(connection: Connection) -> None:
        await connection.execute(sa.delete(node).where(node.c.node == name))

    await database.run_write(write)


async def forget_gone(database: Database) -> None:
    """Drop the rows of nodes that never said that they stop."""

    async def write(connection: Connection) -> None:
        await connection.execute(sa.delete(node).where(node.c.seen_at < await connection.now() - GONE))

    await database.run_write(write)


async def behind(connection: Connection, release: int) -> tuple[str, ...]:
    """Live nodes that still run an earlier release."""
    since = await connection.now() - ALIVE
    statement = sa.select(node.c.node).where(node.c.release < release, node.c.seen_at > since).order_by(node.c.node)
    return tuple(row[0] for row in await connection.fetch(statement))
