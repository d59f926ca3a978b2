"""The outbox: one CloudEvents 1.0 event per thing that happened, stored with it, read back in order per record.

An event names what changed, never the values: whoever acts on it reads the record through `records.query`, under the
permissions of that moment.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.canonical import encode_wire
from clew.kernel.ids import uuid7
from clew.kernel.scalars import instant_text
from clew.storage import system
from clew.storage.dialects import any_of
from clew.storage.engine import Connection

LANES = 64
"""Partitions of the outbox. All events of a record share a lane; a dispatcher leases whole lanes."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it is stored and dispatched. `payload` is the CloudEvents JSON."""

    event_id: UUID
    at: datetime
    type: str
    entity: str
    record_id: UUID
    row_version: int
    site: UUID | None
    lane: int
    payload: str

    @property
    def data(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.payload)
        return read


def lane_of(record_id: UUID) -> int:
    """The lane of a record: the random tail of its id, so that lanes fill evenly."""
    return record_id.int % LANES


def make_event(
    source: str,
    at: datetime,
    entity: str,
    verb: str,
    record_id: UUID,
    row_version: int,
    site: UUID | None,
    data: dict[str, Any],
) -> Event:
    """`clew.<entity>.<verb>` about one record. `sequence` (the row version) orders the events of one subject. `data` is
    such as `encode_wire` takes."""
    event_id, lane = uuid7(), lane_of(record_id)
    type_ = f"clew.{entity}.{verb}"
    payload = {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/clew/{source}",
        "type": type_,
        "subject": record_id,
        "time": instant_text(at),
        "datacontenttype": "application/json",
        "partitionkey": str(lane),
        "sequence": str(row_version).zfill(10),
        "data": data,
    }
    text = encode_wire(payload).decode()
    return Event(event_id, at, type_, entity, record_id, row_version, site, lane, text)


async def store(connection: Connection, events: Sequence[Event]) -> None:
    """Put events into the outbox and its queue, outside a unit of work over records."""
    for each in events:
        row = {column.name: getattr(each, column.name) for column in _stored.c}
        await connection.execute(sa.insert(_stored), row)
        await connection.execute(sa.insert(_pending), {"lane": each.lane, "event_id": each.event_id, "at": each.at})


async def read_batch(connection: Connection, lanes: Sequence[int], limit: int = 100) -> list[Event]:
    """The oldest undelivered events of the given lanes, in the order they must be delivered in.

    Within a record that is the order of its versions; ids are made in that order, inside the record's lock.
    """
    rows = await connection.fetch(_BATCH, {"lanes": list(lanes), "most": limit})
    return [Event(*row) for row in rows]


async def delivered(connection: Connection, events: Sequence[Event]) -> None:
    """Take events off the queue once their delivery is certain. The events themselves stay."""
    if events:
        await connection.execute_many(_DONE, [{"of_lane": each.lane, "of_event": each.event_id} for each in events])


_pending, _stored = system.outbox_pending, system.outbox
_BATCH = (
    sa.select(
        _stored.c.event_id,
        _stored.c.at,
        _stored.c.type,
        _stored.c.entity,
        _stored.c.record_id,
        _stored.c.row_version,
        _stored.c.site,
        _stored.c.lane,
        _stored.c.payload,
    )
    .join_from(_pending, _stored, sa.and_(_stored.c.event_id == _pending.c.event_id, _stored.c.at == _pending.c.at))
    .where(any_of(_pending.c.lane, "lanes"))
    .order_by(_pending.c.at, _stored.c.row_version, _pending.c.event_id)
    .limit(sa.bindparam("most", type_=sa.Integer()))
)
_DONE = sa.delete(_pending).where(
    _pending.c.lane == sa.bindparam("of_lane", type_=_pending.c.lane.type),
    _pending.c.event_id == sa.bindparam("of_event", type_=_pending.c.event_id.type),
)
