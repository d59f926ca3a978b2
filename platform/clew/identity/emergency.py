"""Break-glass: a role in an emergency, by two persons, for at most a day, looked at afterwards by somebody else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import sqlalchemy as sa

from clew.identity.assignments import Asked, Assignment, Assignments
from clew.identity.errors import BadPeriod, NoAssignment
from clew.identity.independence import require_another
from clew.identity.ports import SecurityEvent
from clew.kernel.context import Context
from clew.kernel.text import Bilingual
from clew.storage import identity_tables
from clew.storage.engine import Connection

LONGEST = timedelta(hours=24)
Verdict = Literal["justified", "not_justified"]
REVIEW = Bilingual("复核紧急授权", "review an emergency role")
_b = identity_tables.break_glass


@dataclass(frozen=True, slots=True)
class Emergency:
    """An emergency role and what the review found; `reviewed_at` None: the review is due."""

    assignment: Assignment
    reviewed_by: UUID | None = None
    reviewed_at: datetime | None = None
    verdict: Verdict | None = None
    note: str = ""


async def ask(
    assignments: Assignments, connection: Connection, context: Context, asked: Asked, at: datetime, hours: float
) -> Emergency:
    """Ask for a role now. It counts once another person approves. Raises BadPeriod (more than 24 h, no reason)."""
    lasting = timedelta(hours=hours)
    if not timedelta() < lasting <= LONGEST:
        raise BadPeriod(what=Bilingual("紧急授权最长 24 小时", "an emergency role lasts at most 24 hours"))
    if len(asked.reason.strip()) < 5:
        raise BadPeriod(what=Bilingual("须写明紧急原因", "the emergency must be described"))
    wanted = Asked(
        asked.account, asked.role, at, at + lasting, asked.sites, asked.families, asked.reason.strip(), "break_glass"
    )
    made = await assignments.request(connection, context, wanted, at)
    await connection.execute(sa.insert(_b).values(assignment=made.id, note=""))
    return Emergency(made)


async def approve(
    assignments: Assignments, connection: Connection, context: Context, assignment: UUID, at: datetime, why: str
) -> Emergency:
    """The second person. Static separations hold in an emergency too. Raises NotYourself, SeparationConflict."""
    if await _row(connection, assignment) is None:
        raise NoAssignment
    return Emergency(await assignments.approve(connection, context, assignment, at, why))


async def review(
    assignments: Assignments,
    connection: Connection,
    context: Context,
    assignment: UUID,
    at: datetime,
    verdict: Verdict,
    note: str,
) -> None:
    """Say whether it was justified. Neither who held it nor who approved it may say so. Raises NotYourself."""
    made = await assignments.one(connection, assignment)
    row = await _row(connection, assignment)
    if row is None or row[2] is not None or made.state not in ("active", "ended"):
        raise NoAssignment
    for other in dict.fromkeys((made.account, made.granted_by, made.requested_by)):
        if other is not None:
            await require_another(connection, context.person.id, other, made.requested_at, at, REVIEW)
    seen = {"reviewed_by": context.person.id, "reviewed_at": at, "verdict": verdict, "note": note}
    await connection.execute(sa.update(_b).where(_b.c.assignment == assignment).values(**seen))
    particulars = {"assignment": assignment, "role": made.role, "verdict": verdict}
    event = SecurityEvent("break_glass.review", "account", made.account, context, particulars, note or None)
    await assignments.witness.record(connection, event)


async def pending(assignments: Assignments, connection: Connection) -> list[Emergency]:
    """Granted emergencies nobody has reviewed yet, the oldest first."""
    rows = await connection.fetch(sa.select(_b.c.assignment).where(_b.c.reviewed_at.is_(None)))
    found = [await assignments.one(connection, row[0]) for row in rows]
    granted = [each for each in found if each.granted_at is not None]
    return [Emergency(each) for each in sorted(granted, key=lambda each: (each.valid_from, each.id))]


async def _row(connection: Connection, assignment: UUID) -> tuple[object, ...] | None:
    columns = (_b.c.assignment, _b.c.reviewed_by, _b.c.reviewed_at)
    row = await connection.fetch_one(sa.select(*columns).where(_b.c.assignment == assignment))
    return tuple(row) if row else None
