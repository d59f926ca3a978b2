"""Processes that the calendar starts: once for each period and record, by any number of workers, after any outage.

Nothing ticks: whoever looks asks which periods have begun since it was last looked through, and starts what has no row
yet. Row, new record and instance are one transaction. Of a period that is over nothing is made up for later: a record
that was not there in its time has no part in it.
"""

from __future__ import annotations

import calendar
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from clew.kernel.errors import ClewError
from clew.metadata.blueprint import FieldKind
from clew.metadata.processes import Schedule, Workflow
from clew.process import store
from clew.process.calendar import WorkingTime, midnight
from clew.process.effects import locked
from clew.process.errors import NotInUse
from clew.process.in_use import passed_over, require_in_use
from clew.process.jobs import system_call
from clew.process.time import calendar_of
from clew.records import verbs
from clew.records.unit import Unit
from clew.records.values import AnyRef
from clew.storage import process_tables
from clew.storage.engine import Connection
from clew.storage.expressions import Rows, condition_sql

if TYPE_CHECKING:
    from clew.process.engine import Processes

_s = process_tables.calendar_start
_NO_RECORD = UUID(int=0)
_FIRST, _LAST = "", "looked"
"""Rows that stand for no period: when a schedule was seen first, and up to when it was looked through."""
_DAY = timedelta(days=1)
_log = logging.getLogger("clew.process")


@dataclass(frozen=True, slots=True)
class CalendarStarts:
    """Looks at the schedules of one release."""

    engine: Processes

    async def look(self, at: datetime | None = None) -> int:
        """Start what has come due; how many instances. A calendar year that is not published stops only its own."""
        started = 0
        if at is None:
            async with self.engine.database.read() as connection:
                at = await connection.now()
        for workflow in self.engine.blueprint.workflows.values():
            for number, start in enumerate(workflow.starts):
                if start.schedule is None:
                    continue
                try:
                    started += await self._look(workflow, number, start.schedule, at)
                except ClewError as error:
                    _tell(workflow, error)
        return started

    async def _look(self, workflow: Workflow, number: int, schedule: Schedule, at: datetime) -> int:
        working = WorkingTime(calendar_of(self.engine.blueprint, None))
        database, today = self.engine.database, working.day_of(at)
        since, looked = await database.run_write(lambda connection: _seen(connection, workflow, number, at))
        started, whole = 0, True
        for day in days(schedule, working.day_of(looked), today):
            if schedule.every == "day" and not working.works_on(day):
                continue
            moment = begins(schedule, day, working)
            if not since < moment <= at or (moment <= looked and day < today):
                continue
            async with database.read() as connection:
                begun = await _begun(connection, workflow, number, day)
            for record in await self._records(schedule):
                try:
                    if record not in begun:
                        started += await self._start(workflow, number, schedule, day, record)
                except ClewError as error:
                    whole = False
                    _tell(workflow, error, record)
        if whole and working.day_of(looked) < today:
            await database.run_write(lambda connection: _looked(connection, workflow, number, at))
        return started

    async def _records(self, schedule: Schedule) -> list[UUID]:
        """For which records it starts now."""
        if not schedule.each:
            return [_NO_RECORD]
        found: list[UUID] = []

        async def read(unit: Unit) -> None:
            tables = unit.engine.tables
            this = tables.current(schedule.each).alias("this")
            query = sa.select(this.c.id).order_by(this.c.id)
            if schedule.where is not None:
                rows = Rows(tables, unit.engine.blueprint, schedule.each, this, tables.dialect, None)
                query = query.where(condition_sql(schedule.where, rows))
            if "voided_at" in this.c:
                query = query.where(this.c.voided_at.is_(None))
            found[:] = [row[0] for row in await unit.connection.fetch(query, dict(unit.judge.person_args))]

        await self.engine.commands.run(system_call(self.engine), read, elevated=True)
        return found

    async def _start(self, workflow: Workflow, number: int, schedule: Schedule, day: date, record: UUID) -> int:
        """1 when it began. A process that is not in use is passed over for this period, and nothing is made for it."""
        begun = 0

        async def work(unit: Unit) -> None:
            nonlocal begun
            begun = 0
            if not await _claimed(unit.connection, workflow, number, day.isoformat(), record, unit.at):
                return
            about = record
            if schedule.values:
                about = (
                    await verbs.create(unit, workflow.entity, await self._values(unit, workflow, schedule, record))
                )["id"]
            if await store.live_on(unit.connection, about, workflow.name) is None:
                entity = unit.engine.blueprint.entities[workflow.entity]
                await require_in_use(unit, workflow, await locked(unit, entity, about))
                await self.engine.begin(unit, workflow, about)
                begun = 1

        async def pass_over(unit: Unit) -> None:
            if await _claimed(unit.connection, workflow, number, day.isoformat(), record, unit.at):
                about = (schedule.each or workflow.entity, record if schedule.each else None)
                await passed_over(unit, self.engine.release, workflow, about, "calendar")

        try:
            await self.engine.commands.run(system_call(self.engine), work, elevated=True)
        except NotInUse:
            await self.engine.commands.run(system_call(self.engine), pass_over, elevated=True)
        return begun

    async def _values(self, unit: Unit, workflow: Workflow, schedule: Schedule, record: UUID) -> dict[str, Any]:
        """The values of the new record, from the record it is started for."""
        entity = unit.engine.blueprint.entities[schedule.each or workflow.entity]
        made = unit.engine.blueprint.entities[workflow.entity]
        row = await unit.lock(entity, record) if schedule.each else {}
        found: dict[str, Any] = {}
        for name, value in schedule.values:
            given: Any = record
            if value.expression is not None:
                given = await unit.judge.value(value.expression, entity, row or {})
            kind = made.fields[name].kind
            if kind is FieldKind.ANY and value.expression is None:
                given = AnyRef(entity.name, record)
            found[name] = [given] if kind is FieldKind.MANY and given is not None else given
        return found


def _tell(workflow: Workflow, error: ClewError, record: UUID = _NO_RECORD) -> None:
    about = "" if record == _NO_RECORD else f" for {record}"
    said = error.message("en"), error.hint("en")
    _log.warning("the calendar cannot start %s%s: %s %s", workflow.name, about, *said)


async def _seen(connection: Connection, workflow: Workflow, number: int, at: datetime) -> tuple[datetime, datetime]:
    """Since when the schedule is looked at (what lay before is not started afterwards), and up to when it was looked
    through. Seen by a clock that was ahead, it is seen now."""
    await _claimed(connection, workflow, number, _FIRST, _NO_RECORD, at)
    mine = _s.c.workflow == workflow.name, _s.c.start == number, _s.c.day.in_((_FIRST, _LAST))
    rows = await connection.fetch(sa.select(_s.c.day, _s.c.at).where(*mine))
    if any(moment > at for _, moment in rows):
        await connection.execute(sa.update(_s).where(*mine, _s.c.at > at).values(at=at))
    found = {day: min(moment, at) for day, moment in rows}
    return found[_FIRST], found.get(_LAST, found[_FIRST])


async def _looked(connection: Connection, workflow: Workflow, number: int, at: datetime) -> None:
    """Everything that had come due by then has been started."""
    if not await _claimed(connection, workflow, number, _LAST, _NO_RECORD, at):
        mine = _s.c.workflow == workflow.name, _s.c.start == number, _s.c.day == _LAST
        await connection.execute(sa.update(_s).where(*mine, _s.c.at < at).values(at=at))


async def _begun(connection: Connection, workflow: Workflow, number: int, day: date) -> frozenset[UUID]:
    """For which records a period was started, or passed over."""
    mine = _s.c.workflow == workflow.name, _s.c.start == number, _s.c.day == day.isoformat()
    return frozenset(row[0] for row in await connection.fetch(sa.select(_s.c.record_id).where(*mine)))


async def _claimed(
    connection: Connection, workflow: Workflow, number: int, day: str, record: UUID, at: datetime
) -> bool:
    """Whether this worker is the one that starts it."""
    insert = (postgresql.insert if connection.dialect == "postgresql" else sqlite.insert)(_s)
    row = insert.values(workflow=workflow.name, start=number, day=day, record_id=record, at=at)
    return bool(await connection.execute(row.on_conflict_do_nothing()))


def days(schedule: Schedule, first: date, last: date) -> Iterator[date]:
    """The days by which it must be done, of every period that may have begun between two days."""
    ahead = timedelta(days=0)
    if schedule.ahead is not None:
        # A working day is at most a week or two of calendar days apart, holidays included.
        ahead = timedelta(days=schedule.ahead.amount * (3 if schedule.ahead.unit == "wd" else 1) + 30)
    day, end, before = first - timedelta(days=1), last + ahead, None
    while day <= end:
        found = _deadline(schedule, day)
        if found != before and found >= first:
            yield found
        before, day = found, day + _DAY


def _deadline(schedule: Schedule, day: date) -> date:
    """The deadline of the period a day lies in."""
    if schedule.every == "day":
        return day
    if schedule.every == "week":
        return day + timedelta(days=(schedule.day or 7) - day.isoweekday())
    month = day.month
    if schedule.every == "year":
        month = schedule.month or 12
    elif schedule.every == "quarter":
        month = (day.month + 2) // 3 * 3
    most = calendar.monthrange(day.year, month)[1]
    return date(day.year, month, min(schedule.day or most, most))


def begins(schedule: Schedule, day: date, working: WorkingTime) -> datetime:
    """When it starts: at the first moment of the day that lies so far ahead, by the calendar's own clock."""
    limit = schedule.ahead
    if limit is None:
        return midnight(day, working.zone)
    if limit.unit == "cd":
        return midnight(day - timedelta(days=limit.amount), working.zone)
    left = limit.amount
    while left > 0:
        day -= _DAY
        left -= working.works_on(day)
    return midnight(day, working.zone)
