"""The trail of what left the platform: one leaf per export. It belongs to no record, so it has an id of its own and
row version 0; the versions of records stay contiguous from 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.audit.leaf import Circumstances, make_leaf
from clew.kernel.context import Context
from clew.kernel.ids import uuid7
from clew.storage import system
from clew.storage.engine import Connection, Database

ACTION = "export"


async def record_export(
    database: Database, context: Context, release: str, entity: str, particulars: Mapping[str, Any]
) -> UUID:
    """Store who exported which records of an entity; the id of the leaf. `particulars` say filter, moment, number."""

    async def work(connection: Connection) -> UUID:
        at = await connection.now()
        changes = {name: (None, value) for name, value in particulars.items() if value is not None}
        leaf = make_leaf(Circumstances(at, context, release), ACTION, entity, uuid7(), 0, changes)
        row = {
            "leaf_id": leaf.leaf_id,
            "at": leaf.at,
            "action": leaf.action,
            "entity": leaf.entity,
            "record_id": leaf.record_id,
            "row_version": leaf.row_version,
            "actor": context.person.id,
            "header": leaf.header,
            "fields": leaf.fields,
            "digest": leaf.digest,
        }
        await connection.execute(sa.insert(system.leaf), row)
        await connection.execute(sa.insert(system.leaf_pending), {"leaf_id": leaf.leaf_id, "at": leaf.at})
        return leaf.leaf_id

    return await database.run_write(work)
