"""Which record of ours is which record of another system: (system, object, external id) → record, unique."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from clew.storage import system
from clew.storage.engine import Connection

_t = system.external_id


async def find(connection: Connection, source: str, object_: str, external_id: str) -> tuple[str, UUID] | None:
    """The (entity, record id) known under an external id."""
    row = await connection.fetch_one(_FIND, {"in_system": source, "of_object": object_, "known_as": external_id})
    return (row[0], row[1]) if row else None


async def remember(
    connection: Connection,
    source: str,
    object_: str,
    external_id: str,
    entity: str,
    record_id: UUID,
    at: datetime,
) -> None:
    """Note the cross reference. Raises IntegrityFault when another record is known under this id."""
    await connection.execute(
        _ADD,
        {
            "v_system": source,
            "v_object": object_,
            "v_external_id": external_id,
            "v_entity": entity,
            "v_record_id": record_id,
            "v_at": at,
        },
    )


async def of_record(connection: Connection, record_id: UUID) -> list[tuple[str, str, str]]:
    """Every (system, object, external id) a record is known under."""
    rows = await connection.fetch(_OF, {"record": record_id})
    return [(row[0], row[1], row[2]) for row in rows]


_FIND = sa.select(_t.c.entity, _t.c.record_id).where(
    _t.c.system == sa.bindparam("in_system", type_=_t.c.system.type),
    _t.c.object == sa.bindparam("of_object", type_=_t.c.object.type),
    _t.c.external_id == sa.bindparam("known_as", type_=_t.c.external_id.type),
)
_ADD = sa.insert(_t).values({column.key: sa.bindparam(f"v_{column.key}", type_=column.type) for column in _t.c})
_OF = (
    sa.select(_t.c.system, _t.c.object, _t.c.external_id)
    .where(_t.c.record_id == sa.bindparam("record", type_=_t.c.record_id.type))
    .order_by(_t.c.system, _t.c.object, _t.c.external_id)
)
