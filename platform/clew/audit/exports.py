"""The trail of what left the platform: one event per export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from clew.audit.trail import record_event
from clew.kernel.context import Context
from clew.storage.engine import Connection, Database

ACTION = "export"


async def record_export(
    database: Database, context: Context, release: str, entity: str, particulars: Mapping[str, Any]
) -> UUID:
    """Store who exported which records of an entity; the id of the leaf. `particulars` say filter, moment, number."""

    async def work(connection: Connection) -> UUID:
        return await record_event(connection, context, release, ACTION, entity, None, particulars)

    return await database.run_write(work)
