"""Retention: what has been kept as long as it must be, and what becomes of it.

A record is due when its period is over, counted from the day its entity names (the day of its last change where it
names none), and no legal hold is on it. Disposal empties its personal data and leaves an event of its own; the record,
its history and its leaves stay: nothing regulated goes away in silence.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.audit.erasure import Erased, erase_in
from clew.audit.errors import OnLegalHold, RetentionRunning
from clew.audit.evidence.collect import About
from clew.audit.trail import record_event
from clew.kernel.context import Context
from clew.metadata.blueprint import Entity, FieldKind, Retention
from clew.storage import system
from clew.storage.engine import Connection, Database
from clew.storage.tables import Tables

DISPOSED = "dispose"
HOLD = "legal_hold"
PAGE = 500
leaf = system.leaf


@dataclass(frozen=True, slots=True)
class Due:
    """A record whose period is over. `held`: it is kept all the same, by a legal hold."""

    entity: str
    record_id: UUID
    since: date
    ended: date
    basis: str
    held: bool


async def due(connection: Connection, tables: Tables, today: date) -> AsyncIterator[Due]:
    """Everything whose period is over and that has not been disposed of, entity by entity."""
    for entity in tables.blueprint.entities.values():
        kept = entity.retention
        if kept is None or kept.years is None:
            continue
        after = UUID(int=0)
        query = _due(tables, entity, kept, today)
        while rows := await connection.fetch(query.where(tables.current(entity.name).c.id > after)):
            after = rows[-1][0]
            for record_id, since, held in rows:
                day = since.date() if isinstance(since, datetime) else since
                yield Due(entity.name, record_id, day, years_later(day, kept.years), kept.basis, bool(held))


def _due(tables: Tables, entity: Entity, kept: Retention, today: date) -> sa.Select[Any]:
    assert kept.years is not None
    table, name = tables.current(entity.name), kept.after or "updated_at"
    begun, limit = table.c[name], years_before(today, kept.years)
    is_day = entity.fields[name].kind is FieldKind.DATE
    over = begun <= limit if is_day else begun < datetime.combine(limit, datetime.min.time(), UTC)
    disposed = sa.exists().where(leaf.c.record_id == table.c.id, leaf.c.row_version == 0, leaf.c.action == DISPOSED)
    return sa.select(table.c.id, begun, table.c[HOLD]).where(over, ~disposed).order_by(table.c.id).limit(PAGE)


def years_later(day: date, years: int) -> date:
    """The same day so many years on; 29 February becomes 1 March."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


def years_before(day: date, years: int) -> date:
    """The last day whose period of so many years is over on `day`."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return date(day.year - years, 2, 28)


async def dispose(database: Database, tables: Tables, context: Context, release: str, what: Due, reason: str) -> Erased:
    """Dispose of one due record. Raises OnLegalHold when a hold was put on it meanwhile, RetentionRunning when its
    period has begun anew."""
    about = About(what.entity, what.record_id)
    async with database.migrate(rows_only=True) as connection:
        await may_be_erased(connection, tables, about, what.ended)
        done = await erase_in(connection, tables, context, release, about, reason)
        told = {"since": what.since, "ended": what.ended, "basis": what.basis or None, "erased": done.fields or None}
        await record_event(connection, context, release, DISPOSED, what.entity, what.record_id, told, reason)
        return done


async def erase_when_allowed(
    database: Database,
    tables: Tables,
    context: Context,
    release: str,
    about: About,
    reason: str,
    today: date,
    *,
    before_due: bool = False,
) -> Erased:
    """Erase the personal data of a record and its lines, if it may be (`may_be_erased`), in one transaction."""
    async with database.migrate(rows_only=True) as connection:
        await may_be_erased(connection, tables, about, today, before_due=before_due)
        return await erase_in(connection, tables, context, release, about, reason)


async def may_be_erased(
    connection: Connection, tables: Tables, about: About, today: date, *, before_due: bool = False
) -> None:
    """Whether personal data may go at all. Raises OnLegalHold, and RetentionRunning unless that is overridden.

    A duty to keep goes before the wish to be forgotten (GDPR Art. 17(3)(b)).
    """
    await _not_held(connection, tables, about)
    assert about.entity is not None
    entity = tables.blueprint.entities[about.entity]
    kept = entity.retention
    if kept is None or before_due:
        return
    table, name = tables.current(entity.name), kept.after or "updated_at"
    since = await connection.fetch_value(sa.select(table.c[name]).where(table.c.id == about.record_id))
    day = since.date() if isinstance(since, datetime) else since
    if kept.years is None or day is None or years_later(day, kept.years) > today:
        until = "∞" if kept.years is None or day is None else years_later(day, kept.years).isoformat()
        raise RetentionRunning(what=entity.label, until=until, basis=kept.basis)


async def _not_held(connection: Connection, tables: Tables, about: About) -> None:
    assert about.entity is not None
    table = tables.current(about.entity)
    if HOLD not in table.c:
        return
    held = sa.select(table.c[HOLD]).where(table.c.id == about.record_id)
    if connection.dialect == "postgresql":
        held = held.with_for_update()  # a hold that is being put on is waited for
    if await connection.fetch_value(held):
        raise OnLegalHold(what=tables.blueprint.entities[about.entity].label, id=about.record_id)
