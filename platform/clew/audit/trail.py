"""What belongs to no version of a record: one leaf per event, with row version 0.

A sign-in, a refusal, an export, a changed role, a release, a hold: all of them stand in the same trail as the changes
of records, in the transaction of what they tell of. `subject_id` says whom or what an event is about; an event about
nothing that has an id (an export) gets one of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.audit.leaf import Circumstances, Leaf, make_leaf
from clew.identity.ports import SecurityEvent
from clew.kernel.context import Context
from clew.kernel.ids import uuid7
from clew.storage import system
from clew.storage.engine import Connection
from clew.storage.releases import current_number

PLATFORM = "clew."
"""What an event is about that is no record: `clew.account`, `clew.role`, `clew.release`, `clew.log` … A project's
entity cannot have a point in its name."""


async def record_event(
    connection: Connection,
    context: Context,
    release: str,
    action: str,
    entity: str,
    subject_id: UUID | None,
    particulars: Mapping[str, Any],
    reason: str | None = None,
) -> UUID:
    """Append one leaf in the caller's transaction; its id.

    `particulars` maps a name to its value, or to `Changed(old, new)`; what is None is left out. They are committed to
    one by one, so each can be redacted. Never put a secret into them, not even one that was wrong.
    """
    at = await connection.now()
    changes = {name: _pair(value) for name, value in particulars.items() if value is not None}
    leaf = make_leaf(Circumstances(at, context, release, reason), action, entity, subject_id or uuid7(), 0, changes)
    await append(connection, leaf, context.person.id)
    return leaf.leaf_id


@dataclass(frozen=True, slots=True)
class Changed:
    """A particular that had another value before."""

    old: Any
    new: Any


def _pair(value: Any) -> tuple[Any, Any]:
    return (value.old, value.new) if isinstance(value, Changed) else (None, value)


async def append(connection: Connection, leaf: Leaf, actor: UUID) -> None:
    """Store a leaf and put it into the queue of what is to be sealed."""
    await connection.execute(sa.insert(system.leaf), leaf.row(actor))
    await connection.execute(sa.insert(system.leaf_pending), {"leaf_id": leaf.leaf_id, "at": leaf.at})


class Trail:
    """The witness of identity (`identity.ports.Witness`): its events, told under the release in force.

    Subjects are things of the platform, so they get its prefix: `account` is told as `clew.account`.
    """

    async def record(self, connection: Connection, event: SecurityEvent) -> None:
        release = str(await current_number(connection))
        subject = event.subject if event.subject.startswith(PLATFORM) else PLATFORM + event.subject
        await record_event(
            connection,
            event.context,
            release,
            event.action,
            subject,
            event.subject_id,
            event.particulars,
            event.reason,
        )
