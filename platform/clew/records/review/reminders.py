"""Reminders of review campaigns: each owner with open items is told once before the due date, and once after it.

Telling is a notice (`review_due_soon`, `review_overdue`) and an event, `clew.review.due_soon` or `clew.review.overdue`,
for connectors. That it was told is kept, so that no node tells it twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from clew.jobs.upkeep import Chore
from clew.kernel.scalars import instant_text
from clew.kernel.text import Bilingual
from clew.metadata.project import Project
from clew.records import outbox
from clew.records.notices import Notice, tell
from clew.storage import identity_tables
from clew.storage.engine import Connection, Database

BEFORE = timedelta(days=7)
"""How long before the due date owners are told."""
DUE_SOON, OVERDUE = "due_soon", "overdue"
_r, _i, _a, _told = (
    identity_tables.review,
    identity_tables.review_item,
    identity_tables.assignment,
    identity_tables.review_reminder,
)


@dataclass(frozen=True, slots=True)
class Open:
    """What one owner has still to decide on in one campaign."""

    review: UUID
    name: str
    due_at: datetime
    owner: UUID
    items: int


@dataclass(frozen=True, slots=True)
class Reminders:
    """`project` is the one that is served."""

    database: Database
    project: Callable[[], Project]

    def chore(self) -> Chore:
        return Chore("review.remind", timedelta(hours=1), self.remind)

    async def remind(self) -> int:
        """Tell everybody who is to be told now; how many were."""
        return await self.database.run_write(self._remind)

    async def _remind(self, connection: Connection) -> int:
        at = await connection.now()
        known = {tuple(row) for row in await connection.fetch(sa.select(_told.c.review, _told.c.owner, _told.c.kind))}
        events = []
        for each in await left(connection):
            kind = OVERDUE if at > each.due_at else DUE_SOON
            if at < each.due_at - BEFORE or (each.review, each.owner, kind) in known:
                continue
            row = {"review": each.review, "owner": each.owner, "kind": kind, "at": at}
            await connection.execute(sa.insert(_told), row)
            told = {"name": each.name, "owner": str(each.owner), "open": each.items}
            told["due_at"] = instant_text(each.due_at)
            events.append(outbox.make_event(self.project().name, at, "review", kind, each.review, 1, None, told))
            notice = Notice(each.review, f"review_{kind}", text=said(each, kind))
            await tell(connection, self.project(), [each.owner], notice, at)
        await outbox.store(connection, events)
        return len(events)


def said(open_: Open, kind: str) -> Bilingual:
    """What an owner reads."""
    day = instant_text(open_.due_at)[:10]
    if kind == OVERDUE:
        return Bilingual(
            f"权限复核“{open_.name}”已于 {day} 到期,您还有 {open_.items} 项未决定。",
            f"The access review {open_.name} was due on {day}; {open_.items} of its items are still yours to decide.",
        )
    return Bilingual(
        f"权限复核“{open_.name}”将于 {day} 到期,您还有 {open_.items} 项未决定。",
        f"The access review {open_.name} is due on {day}; {open_.items} of its items are yours to decide.",
    )


async def left(connection: Connection) -> list[Open]:
    """Open items of campaigns that are not closed, by owner; an assignment that ended otherwise is none."""
    query = (
        sa.select(_r.c.id, _r.c.name, _r.c.due_at, _i.c.owner, sa.func.count())
        .select_from(_r.join(_i, _i.c.review == _r.c.id).join(_a, _a.c.id == _i.c.assignment))
        .where(_r.c.closed_at.is_(None), _i.c.verdict.is_(None), _a.c.state == "active")
        .group_by(_r.c.id, _r.c.name, _r.c.due_at, _i.c.owner)
        .order_by(_r.c.id, _i.c.owner)
    )
    return [Open(*row) for row in await connection.fetch(query)]
