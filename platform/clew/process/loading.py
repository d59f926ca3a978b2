"""An instance read for a command of its caller: held until the end, with what the caller holds and, for a decision,
what it is bound to ask for. On PostgreSQL that is one question.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.identity import sessions
from clew.identity.errors import SessionEnded
from clew.process import behalf
from clew.process.ahead import Ahead, Place
from clew.process.behalf import Standing
from clew.process.holders import HOLDERS, known_of
from clew.process.store import BY_ID, COLUMNS, Instance, instance_of, load
from clew.records.unit import Unit
from clew.storage import process_tables
from clew.storage.engine import Connection

_p, _t = process_tables.process, process_tables.task


async def load_for(unit: Unit, process: UUID) -> tuple[Instance | None, Standing]:
    """An instance for a command of its caller, held until the end, and what the caller holds. On PostgreSQL the same
    statement looks at the caller's session, where nobody has yet. Raises SessionEnded."""
    if unit.connection.dialect != "postgresql":
        found = await load(unit.connection, process, lock=True)
        return found, await behalf.standing(unit.connection, unit.context.person.id, unit.at)
    row = await unit.connection.fetch_one(_LOCKED_HELD, {"of_process": process, **_circumstances(unit)})
    if row is None:
        return None, Standing()
    return instance_of(row[: len(COLUMNS)]), _stands(unit, *row[-2:])


async def load_task(unit: Unit, place: Place, ahead: Ahead | None) -> tuple[Instance, int, Standing] | None:
    """As `load_for`, the instance of a task, and the task's number in it; None where it does not stand there. On
    PostgreSQL what will be asked for is read along."""
    if unit.connection.dialect != "postgresql":
        there, where = await place_of(unit.connection, place.id), await number_of(unit.connection, place.id)
        if there is None or where is None or (there.workflow, there.step) != (place.workflow, place.step):
            return None
        instance, stands = await load_for(unit, where[0])
        return None if instance is None else (instance, where[1], stands)
    args = {"of_task": place.id, "of_workflow": place.workflow, "of_step": place.step, **_circumstances(unit)}
    query: Any = _LOCKED_TASK
    if ahead is not None:
        args["asked_roles"] = ahead.roles
        key = ("ahead", ahead.entity.name, ahead.references)
        query = unit.engine.remember(key, lambda: ahead.query(unit, _BY_TASK, (*_HELD, HOLDERS)))
    row = await unit.connection.fetch_one(query, args)
    if row is None:
        return None
    count = len(COLUMNS)
    number, rows, session = row[count : count + 3]
    stands = _stands(unit, rows, session)
    if ahead is not None:
        unit.found[ROLES] = known_of(ahead.roles, row[count + 3] or ())
        ahead.hold(unit, row[count + 4 :])
    found = instance_of(row[:count])
    unit.found[found.id, number] = place.id
    return found, number, stands


def _circumstances(unit: Unit) -> dict[str, Any]:
    """The arguments of what is asked of the caller."""
    looked_at = unit.session_at or unit.at
    return {**sessions.asked(unit.context, looked_at), **behalf.asked(unit.context.person.id, unit.at)}


def _stands(unit: Unit, rows: Any, session: int) -> Standing:
    if unit.session_at is not None and session != 1:
        raise SessionEnded
    unit.session_at = None
    return behalf.standing_of(rows or ())


ROLES = ("process", "holders of roles")
"""Who holds which roles at the unit's moment, as far as it was read with an instance."""
_HELD = (behalf.STANDING, sessions.HELD.label("session"))
_LOCKED_HELD = BY_ID.add_columns(*_HELD).with_for_update(of=_p)
_OF_TASK = sa.bindparam("of_task", type_=_t.c.id.type)
_BY_TASK = (
    sa.select(*COLUMNS, _t.c.number)
    .join(_t, _t.c.process == _p.c.id)
    .where(
        _t.c.id == _OF_TASK,
        _t.c.workflow == sa.bindparam("of_workflow", type_=_t.c.workflow.type),
        _t.c.step == sa.bindparam("of_step", type_=_t.c.step.type),
    )
)
_LOCKED_TASK = _BY_TASK.add_columns(*_HELD).with_for_update(of=_p)


async def place_of(connection: Connection, task: UUID) -> Place | None:
    """Where a task stands."""
    row = await connection.fetch_one(_PLACE, {"of_task": task})
    return None if row is None else Place(*row)


_PLACE = sa.select(_t.c.id, _t.c.workflow, _t.c.step, _t.c.entity).where(_t.c.id == _OF_TASK)


async def number_of(connection: Connection, task: UUID) -> tuple[UUID, int] | None:
    """The instance a task belongs to, and the task's number in it."""
    row = await connection.fetch_one(_NUMBER, {"of_task": task})
    return None if row is None else (row[0], row[1])


_NUMBER = sa.select(_t.c.process, _t.c.number).where(_t.c.id == _OF_TASK)
