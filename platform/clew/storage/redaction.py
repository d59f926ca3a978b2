"""The one door through which a stored leaf may change: values leave it, in a transaction that shuts the door again.

Leaves are insert-only for everybody; erasing personal data is the exception the law demands. It needs the role that
owns the tables, so a server cannot do it. Whether only values left is proven afterwards by the leaves themselves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from clew.storage import provision, system
from clew.storage.engine import Connection

_NAME = system.leaf.name


@asynccontextmanager
async def leaves_open(connection: Connection) -> AsyncIterator[None]:
    """Inside a `migrate` unit: leaves can be updated until the end of the block. Rolled back, nothing was open."""
    if connection.dialect == "sqlite":
        await connection.run_sql(f"DROP TRIGGER {_NAME}__no_update")
        yield
        for statement in provision.insert_only(_NAME, "sqlite"):
            if "__no_update " in statement:
                await connection.run_sql(statement)
        return
    await connection.run_sql(f"ALTER TABLE {_NAME} DISABLE TRIGGER {_NAME}__no_change")
    yield
    await connection.run_sql(f"ALTER TABLE {_NAME} ENABLE TRIGGER {_NAME}__no_change")
