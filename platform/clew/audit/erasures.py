"""What was erased lawfully, as the trail tells it: which fields of which records, when, by whom and why.

A value that is gone without such an event was taken away; one that differs was altered. Whoever verifies asks here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.audit.leaf import told, verify_leaf
from clew.kernel.canonical import wire
from clew.storage import system
from clew.storage.dialects import any_of
from clew.storage.engine import Connection

ACTION, SUBJECT = "erase", "clew.erasure"
leaf, log = system.leaf, system.audit_log


@dataclass(frozen=True, slots=True)
class Erasure:
    """One event. `index` is its place in the log, None until it is sealed."""

    entity: str
    record_id: UUID
    fields: frozenset[str]
    at: datetime
    actor: UUID
    reason: str | None
    index: int | None

    def explains(self, field: str, at: datetime, index: int | None = None) -> bool:
        """Whether a value of the field that was written at a moment, and sealed at a place, went with this erasure:
        what was written afterwards did not."""
        before = at <= self.at or (index is not None and (self.index is None or index < self.index))
        return field in self.fields and before

    def to_json(self) -> dict[str, Any]:
        names = ("entity", "record_id", "at", "actor", "reason", "index")
        return {name: wire(getattr(self, name)) for name in names} | {"fields": sorted(self.fields)}


def mark(record_id: UUID) -> str:
    """What stands in a required text whose value was erased. It differs by record: unique fields stay unique."""
    return f"erased-{str(record_id)[-12:]}"


def is_gone(value: Any, record_id: UUID) -> bool:
    """Whether a stored value is what an erasure leaves."""
    return value is None or value == mark(record_id)


async def of_records(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, list[Erasure]]:
    """The erasures of some records, oldest first."""
    wanted = sorted(set(ids))
    return _by_record(await connection.fetch(_OF_RECORDS, {"ids": wanted})) if wanted else {}


async def every(connection: Connection, most: int) -> list[Erasure]:
    """All erasures, oldest first, as far as they are listed."""
    found = _by_record(await connection.fetch(_EVERY.limit(most)))
    return sorted((each for some in found.values() for each in some), key=lambda each: each.at)


def _by_record(rows: Sequence[Any]) -> dict[UUID, list[Erasure]]:
    """Events that agree with themselves and with the record they are kept under; others explain nothing."""
    found: dict[UUID, list[Erasure]] = {}
    for record_id, at, actor, header, fields, digest, index in rows:
        if verify_leaf(header, fields, digest):
            continue
        said = told(fields)
        if said.get("record_id") == str(record_id):
            names = frozenset(str(each) for each in said.get("fields") or ())
            reason = json.loads(header)["reason"]
            erasure = Erasure(str(said.get("entity")), record_id, names, at, actor, reason, index)
            found.setdefault(record_id, []).append(erasure)
    return found


_EVERY = (
    sa.select(leaf.c.record_id, leaf.c.at, leaf.c.actor, leaf.c.header, leaf.c.fields, leaf.c.digest, log.c.index)
    .select_from(leaf.outerjoin(log, log.c.leaf_id == leaf.c.leaf_id))
    .where(leaf.c.entity == SUBJECT, leaf.c.action == ACTION, leaf.c.row_version == 0)
    .order_by(leaf.c.at, leaf.c.leaf_id)
)
_OF_RECORDS = _EVERY.where(any_of(leaf.c.record_id, "ids"))
