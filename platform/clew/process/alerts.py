"""Standing alerts: raised once for each record for which their condition holds, by any number of workers.

A change that an alert names leaves a job in its own transaction; every hour all records are looked at, so that time
that passes, and an outage, are noticed too. What is raised, who is told, the process that begins and the event are one
transaction; the index over what stands makes it happen once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from clew.audit.trail import record_event
from clew.jobs import leases
from clew.jobs.leases import Job
from clew.kernel.errors import Forbidden, NotFound
from clew.kernel.ids import id_of, uuid7
from clew.kernel.text import Bilingual
from clew.metadata.alerts import StandingAlert
from clew.metadata.blueprint import Entity
from clew.process.effects import related
from clew.process.facts import Inquiry
from clew.process.in_use import begin_where_used
from clew.process.reach import ADDRESSEES, NOBODY, Reached, reach, role_line
from clew.process.state import State, Subject
from clew.records import outbox
from clew.records.commands import Call
from clew.records.gathering import beside
from clew.records.notices import Notice, tell
from clew.records.participants import Change
from clew.records.rows import Record
from clew.records.unit import Unit
from clew.storage import process_tables
from clew.storage.dialects import any_of
from clew.storage.engine import Connection
from clew.storage.errors import LeaseLost
from clew.storage.expressions import Rows, condition_sql

if TYPE_CHECKING:
    from clew.process.engine import Processes

CHECK = "alert.check"
EVENT = "standing_alert"
"""What its events are about."""
_SEQUENCE = {"raised": 1, "acknowledged": 2, "ceased": 3}
_BATCH = 100
_log = logging.getLogger("clew.process")
WHAT = Bilingual("预警", "alert")
_a = process_tables.standing_alert


class NotTold(Forbidden):
    """Somebody acknowledges an alert who was not told of it."""

    code = "ALERT_NOT_TOLD"
    en = "Whoever was told of the alert acknowledges it."
    zh = "预警由收到通知的人确认。"


class Standing(NamedTuple):
    """An alert that stands for a record."""

    number: UUID
    at: datetime
    told: str | None


@dataclass(slots=True)
class AlertParticipant:
    """The port `records.participants.Participant`: changes that alerts name leave a job."""

    alerts: Mapping[str, StandingAlert]
    name: str = "alerts"

    def wants(self, entity: Entity) -> bool:
        return any(on.entity == entity.name for each in self.alerts.values() for on in each.on)

    async def derive(self, change: Change, unit: Unit) -> Mapping[str, Any]:
        return {}

    async def check(self, change: Change, unit: Unit) -> None:
        return None

    async def answered(self, change: Change, unit: Unit) -> None:
        return None

    async def effect(self, change: Change, unit: Unit) -> None:
        if change.new is None:
            return
        verb = change.transition.name if change.transition is not None else change.verb
        for alert in self.alerts.values():
            for on in alert.on:
                if (on.entity, on.verb) != (change.entity.name, verb):
                    continue
                found = await related(unit, change.entity, on.of, dict(change.new)) if on.of else [change.id]
                for record in found:
                    payload = {"alert": alert.name, "record": str(getattr(record, "id", record))}
                    await leases.put(beside(unit.connection), CHECK, payload)


@dataclass(frozen=True, slots=True)
class Alerts:
    """Looks at the alerts of one release."""

    engine: Processes

    async def sweep(self) -> int:
        """Look at every record, some at a time; how many alerts were raised. What cannot be looked at stands in no
        other's way: its error is raised when all the rest has been seen to."""
        raised = 0
        errors: list[Exception] = []
        for alert in self.engine.blueprint.alerts.values():
            try:
                due = await self._due(alert)
            except Exception as error:
                _log.exception("alert %s cannot be looked at", alert.name)
                errors.append(error)
                continue
            for at in range(0, len(due), _BATCH):
                raised += await self._some(alert, due[at : at + _BATCH], errors)
        if errors:
            raise errors[0]
        return raised

    async def _some(self, alert: StandingAlert, records: list[UUID], errors: list[Exception]) -> int:
        """Look at some records in one transaction; one by one when that fails."""
        try:
            return await self.look(alert, records)
        except Exception as error:
            if len(records) > 1:
                return sum([await self._some(alert, [each], errors) for each in records])
            _log.exception("alert %s of record %s cannot be looked at", alert.name, records[0])
            errors.append(error)
            return 0

    async def _due(self, alert: StandingAlert) -> list[UUID]:
        """The records at which there is something to do."""
        from clew.process.jobs import system_call

        due: list[UUID] = []

        async def work(unit: Unit) -> None:
            holding = await self._holding(unit, alert, None)
            standing = await self._standing(unit.connection, alert, None)
            again = {each for each in holding if each in standing and self._open(alert, standing[each], unit)}
            due[:] = sorted((set(holding) ^ set(standing)) | again)

        await self.engine.commands.run(system_call(self.engine), work, elevated=True)
        return due

    def _open(self, alert: StandingAlert, standing: Standing, unit: Unit) -> bool:
        """Whether there is something to do for an alert that stands: raise it once more, or find somebody to tell."""
        return standing.told == NOBODY or self._again(alert, standing, unit)

    def _again(self, alert: StandingAlert, standing: Standing, unit: Unit) -> bool:
        """Whether an alert that stands is raised once more."""
        after = alert.again_after
        return after is not None and standing.at + timedelta(days=after) <= unit.at

    async def drain(self, most: int = 500) -> int:
        """Look at what changes have left; how many alerts were raised."""
        raised = done = 0
        while done < most:
            async with self.engine.database.read() as connection:
                found = await leases.upcoming(connection, (CHECK,), min(_BATCH, most - done))
            before = done
            for job in found:
                with suppress(LeaseLost):  # another worker came first
                    raised += await self._job(job)
                    done += 1
            if done == before:
                break
        return raised

    async def _job(self, job: Job) -> int:
        alert = self.engine.blueprint.alerts.get(str(job.payload["alert"]))
        if alert is None:
            # A later release does without it.
            await self.engine.database.run_write(partial(_finish, job))
            return 0
        try:
            return await self.look(alert, [id_of(job.payload["record"])], job)
        except LeaseLost:
            raise
        except Exception as error:
            # One alert that cannot be looked at stands in no other's way.
            _log.exception("alert %s of record %s cannot be looked at", alert.name, job.payload["record"])
            await leases.postpone(self.engine.database, job, type(error).__name__)
            return 0

    async def look(self, alert: StandingAlert, records: Sequence[UUID] | None = None, job: Job | None = None) -> int:
        """Look at one alert, for some records or all, in one transaction; how often it was raised."""
        from clew.process.jobs import system_call

        raised = 0

        async def work(unit: Unit) -> None:
            nonlocal raised
            raised = 0
            if job is not None:
                await leases.finish(unit.connection, job)
            holding = await self._holding(unit, alert, records)
            standing = await self._standing(unit.connection, alert, records)
            for each in sorted(set(standing) - set(holding)):
                await self._cease(unit, standing[each].number)
            for each in holding:
                raised += await self._raise(unit, alert, each, standing.get(each))

        await self.engine.commands.run(system_call(self.engine), work, elevated=True)
        return raised

    async def _holding(self, unit: Unit, alert: StandingAlert, records: Sequence[UUID] | None) -> list[UUID]:
        """The records for which it holds now."""
        tables = unit.engine.tables
        this = tables.current(alert.entity).alias("this")
        rows = Rows(tables, unit.engine.blueprint, alert.entity, this, tables.dialect, None)
        query = sa.select(this.c.id).where(condition_sql(alert.when, rows)).order_by(this.c.id)
        if "voided_at" in this.c:
            query = query.where(this.c.voided_at.is_(None))
        args = dict(unit.judge.person_args)
        if records is not None:
            query, args["records"] = query.where(any_of(this.c.id, "records")), list(records)
        return [row[0] for row in await unit.connection.fetch(query, args)]

    async def _standing(
        self, connection: Connection, alert: StandingAlert, records: Sequence[UUID] | None
    ) -> dict[UUID, Standing]:
        query = sa.select(_a.c.record_id, _a.c.id, _a.c.at, _a.c.told)
        query = query.where(_a.c.alert == alert.name, _a.c.ceased_at.is_(None))
        args: dict[str, Any] = {}
        if records is not None:
            query, args["records"] = query.where(any_of(_a.c.record_id, "records")), list(records)
        return {row[0]: Standing(*row[1:]) for row in await connection.fetch(query, args)}

    async def _cease(self, unit: Unit, number: UUID) -> None:
        await unit.connection.execute(sa.update(_a).where(_a.c.id == number).values(ceased_at=unit.at))
        _event(unit, "ceased", number, {})

    async def _raise(self, unit: Unit, alert: StandingAlert, record_id: UUID, standing: Standing | None) -> int:
        if standing is not None:
            if not self._again(alert, standing, unit):
                if standing.told == NOBODY:
                    await self._tell(unit, alert, record_id, standing.number)
                return 0
            await self._cease(unit, standing.number)
        number = uuid7()
        insert = (postgresql.insert if unit.connection.dialect == "postgresql" else sqlite.insert)(_a)
        made = await unit.connection.execute(
            insert.values(
                id=number,
                alert=alert.name,
                severity=alert.severity,
                entity=alert.entity,
                record_id=record_id,
                at=unit.at,
                release=self.engine.release,
                comment="",
            ).on_conflict_do_nothing()
        )
        if not made:
            return 0
        reached, site = await self._tell(unit, alert, record_id, number)
        if alert.start:
            await begin_where_used(self.engine, unit, alert.start, record_id, "alert")
        data = {
            "alert": alert.name,
            "severity": alert.severity,
            "entity": alert.entity,
            "record_id": record_id,
            "told": len(reached.people),
            "told_as": reached.whose,
            "people": [str(each) for each in reached.people],
        }
        _event(unit, "raised", number, data, site)
        return 1

    async def _tell(
        self, unit: Unit, alert: StandingAlert, record_id: UUID, number: UUID
    ) -> tuple[Reached, UUID | None]:
        """Tell whoever can be reached; who they are, and the record's site. It stays written down whom it has
        reached."""
        record = await unit.lock(unit.engine.blueprint.entities[alert.entity], record_id)
        assert record is not None  # it was found in this transaction
        site: UUID | None = record.get("site")
        reached = await self._whom(unit, alert, record, site)
        say = reached.say(alert.say or alert.label, f"alert {alert.name} of record {record_id}")
        notice = Notice(number, "standing_alert", alert.name, text=say)
        await tell(unit.connection, unit.engine.blueprint.project, reached.people, notice, unit.at)
        await unit.connection.execute(sa.update(_a).where(_a.c.id == number).values(told=reached.whose))
        return reached, site

    async def _whom(self, unit: Unit, alert: StandingAlert, record: Record, site: UUID | None) -> Reached:
        """Whom an alert is for; where these are nobody, who answers for the entity's data, at the site or wherever."""
        entity = unit.engine.blueprint.entities[alert.entity]
        nobody = State("", "", Subject(alert.entity, str(record["id"])), "")
        workflow: Any = None  # nothing of a running process is named: the check refuses it
        people = await Inquiry(unit, workflow, nobody, self.engine.staff, site).whom(alert.who, entity, record)
        if people:
            return Reached(tuple(id_of(each) for each in people), ADDRESSEES)
        return await reach(unit, self.engine.staff, role_line("steward", entity.steward, site))

    async def acknowledge(self, call: Call, number: UUID, comment: str) -> None:
        """Somebody has seen it. The first who says so counts; the trail keeps it. Raises NotFound."""

        async def work(unit: Unit) -> None:
            row = await unit.connection.fetch_one(sa.select(_a.c.acknowledged_at).where(_a.c.id == number))
            if row is None:
                raise NotFound(what=WHAT)
            if row[0] is not None:
                return
            seen = {"acknowledged_at": unit.at, "acknowledged_by": call.context.person.id, "comment": comment}
            mine = sa.and_(_a.c.id == number, _a.c.acknowledged_at.is_(None))
            if await unit.connection.execute(sa.update(_a).where(mine).values(**seen)):
                particulars = {"comment": comment}
                await record_event(
                    unit.connection,
                    call.context,
                    self.engine.release,
                    "alert:acknowledge",
                    "clew.standing_alert",
                    number,
                    particulars,
                )
                _event(unit, "acknowledged", number, {"by": str(call.context.person.id)})

        await self.engine.commands.run(call, work, elevated=True)


def _event(unit: Unit, verb: str, number: UUID, data: dict[str, Any], site: UUID | None = None) -> None:
    source, sequence = unit.engine.blueprint.project.name, _SEQUENCE[verb]
    unit.announce(outbox.make_event(source, unit.at, EVENT, verb, number, sequence, site, data))


async def _finish(job: Job, connection: Connection) -> None:
    await leases.finish(connection, job)


async def was_told(connection: Connection, number: UUID, person: UUID) -> bool:
    """Whether somebody was told of an alert."""
    notice = process_tables.notice
    mine = sa.and_(notice.c.process == number, notice.c.person == person)
    return await connection.fetch_one(sa.select(notice.c.id).where(mine).limit(1)) is not None


async def raised(connection: Connection, limit: int, *, standing: bool, number: UUID | None = None) -> list[Any]:
    """Alerts that were raised, the newest first; `standing`: only those that have not ceased."""
    names = (
        "id", "alert", "severity", "entity", "record_id", "at", "ceased_at", "acknowledged_at", "acknowledged_by",
        "comment", "told",
    )  # fmt: skip
    query = sa.select(*(_a.c[name] for name in names)).order_by(_a.c.at.desc(), _a.c.id.desc()).limit(limit)
    if standing:
        query = query.where(_a.c.ceased_at.is_(None))
    if number is not None:
        query = query.where(_a.c.id == number)
    return [dict(zip(names, row, strict=True)) for row in await connection.fetch(query)]
