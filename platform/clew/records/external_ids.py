"""Which record of ours is which record of another system: (system, object, external id) → record, unique."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from clew.metadata.blueprint import Entity
from clew.records.errors import Duplicate
from clew.records.values import Path
from clew.storage import system
from clew.storage.engine import Connection

if TYPE_CHECKING:
    from clew.records.unit import Unit

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


async def find_given(unit: Unit, entity: Entity, given: Mapping[str, Any]) -> UUID | None:
    """The record a foreign input is about, when it says where it comes from and is known under that."""
    source, external = given.get("source_system"), given.get("external_id")
    if not unit.foreign or not isinstance(source, str) or not isinstance(external, str):
        return None
    known = await find(unit.connection, source, entity.name, external)
    return known[1] if known is not None and known[0] == entity.name else None


async def remember_given(
    unit: Unit, entity: Entity, old: Mapping[str, Any] | None, new: Mapping[str, Any], path: Path
) -> None:
    """Note where a foreign input says its record comes from. Raises Duplicate when another one comes from there."""
    source, external = new.get("source_system"), new.get("external_id")
    if not unit.foreign or source is None or external is None:
        return
    if old is not None and (old.get("source_system"), old.get("external_id")) == (source, external):
        return
    known = await find(unit.connection, source, entity.name, external)
    if known is None:
        await remember(unit.connection, source, entity.name, external, entity.name, new["id"], unit.at)
    elif known != (entity.name, new["id"]):
        label = entity.fields["external_id"].label
        raise Duplicate(path=[*path, "external_id"], what=entity.label, fields=label, names=["external_id"])


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
