"""Instances in their tables: read under lock, written back as what has changed. Nothing here decides anything."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from clew.kernel.ids import id_of, uuid7
from clew.process.clocks import Running
from clew.process.state import State, Task, Token
from clew.storage import process_tables
from clew.storage.dialects import any_of
from clew.storage.engine import Connection

_p, _t, _c, _timer, _wait, _log, _notice, _definition, _unasked = (
    process_tables.process,
    process_tables.task,
    process_tables.task_candidate,
    process_tables.process_timer,
    process_tables.process_wait,
    process_tables.process_log,
    process_tables.notice,
    process_tables.process_definition,
    process_tables.process_unasked,
)
_MICRO = timedelta(microseconds=1)
LIVE = ("running", "suspended")
OPEN = ("open", "held")
"""Of tasks: those yet to be done."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One stored instance. `version` counts its changes."""

    id: UUID
    workflow: str
    definition: str
    entity: str
    record_id: UUID
    thread_id: UUID | None
    site: UUID | None
    starter: UUID
    state: State
    version: int
    parent: UUID | None
    parent_token: int | None
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Definition:
    """The text an instance is pinned to."""

    digest: str
    workflow: str
    file: str
    source: str


@dataclass(frozen=True, slots=True)
class Clock:
    """A timer's clock as stored. `due_at` is None while it stands still, or when its calendar does not reach so far."""

    number: int
    token: int
    share: int
    running: Running
    calendar: str
    due_at: datetime | None
    trouble: str = ""


COLUMNS = (
    _p.c.id,
    _p.c.workflow,
    _p.c.definition,
    _p.c.entity,
    _p.c.record_id,
    _p.c.thread_id,
    _p.c.site,
    _p.c.starter,
    _p.c.state,
    _p.c.version,
    _p.c.parent,
    _p.c.parent_token,
    _p.c.started_at,
)


BY_ID = sa.select(*COLUMNS).where(_p.c.id == sa.bindparam("of_process", type_=_p.c.id.type))
_LOCKED = BY_ID.with_for_update()


async def load(connection: Connection, process: UUID, *, lock: bool = False) -> Instance | None:
    """An instance; with `lock` it is held until the end of the transaction."""
    query = _LOCKED if lock and connection.dialect == "postgresql" else BY_ID
    row = await connection.fetch_one(query, {"of_process": process})
    return None if row is None else instance_of(row)


async def load_several(connection: Connection, processes: Collection[UUID]) -> dict[UUID, Instance]:
    """Instances, held until the end of the transaction; by id."""
    query = _SEVERAL.with_for_update() if connection.dialect == "postgresql" else _SEVERAL
    found = [instance_of(row) for row in await connection.fetch(query, {"of_processes": sorted(processes)})]
    return {each.id: each for each in found}


_SEVERAL = sa.select(*COLUMNS).where(any_of(_p.c.id, "of_processes")).order_by(_p.c.id)


def instance_of(row: Sequence[Any]) -> Instance:
    values = list(row)
    values[8] = State.from_json(values[8])
    return Instance(*values)


async def live_on(connection: Connection, record: UUID, workflow: str) -> UUID | None:
    """The instance of a workflow that lives on a record."""
    query = sa.select(_p.c.id).where(_p.c.record_id == record, _p.c.workflow == workflow, _p.c.status.in_(LIVE))
    found: UUID | None = await connection.fetch_value(query)
    return found


async def in_hands(connection: Connection, record: UUID, workflow: str) -> bool:
    """Whether a workflow about another record asks somebody to do something about this one now."""
    mine = _t.c.record_id == record, _t.c.workflow == workflow, _t.c.status.in_(("open", "held"))
    return await connection.fetch_one(sa.select(_t.c.id).where(*mine).limit(1)) is not None


async def called_off_by(connection: Connection, record: UUID, workflow: str, people: Iterable[UUID]) -> bool:
    """Whether one of these people has cancelled this workflow on a record, or what it was part of."""
    mine = _p.c.record_id == record, _p.c.workflow == workflow, _p.c.status == "cancelled", _log.c.what == "cancel"
    who = sa.or_(*(column == each for each in people for column in (_log.c.actor, _log.c.behalf)))
    query = sa.select(_p.c.id).join(_log, _log.c.process == _p.c.id).where(*mine, who).limit(1)
    return await connection.fetch_one(query) is not None


async def living(connection: Connection, record: UUID) -> list[UUID]:
    """Every instance that lives on a record."""
    query = sa.select(_p.c.id).where(_p.c.record_id == record, _p.c.status.in_(LIVE)).order_by(_p.c.id)
    return [row[0] for row in await connection.fetch(query)]


async def concerned(connection: Connection, record: UUID) -> list[UUID]:
    """Every live instance about a record, or with a step about it that is open."""
    asks = sa.select(_t.c.process).where(_t.c.record_id == record, _t.c.status.in_(("open", "held")))
    waits = sa.select(_wait.c.process).where(_wait.c.record_id == record)
    about = sa.select(_p.c.id).where(_p.c.record_id == record, _p.c.status.in_(LIVE))
    return sorted({row[0] for row in await connection.fetch(sa.union(about, asks, waits))})


async def define(connection: Connection, definition: Definition, release: str, at: datetime) -> None:
    """Keep the text that instances are pinned to."""
    if await connection.fetch_value(sa.select(_definition.c.digest).where(_definition.c.digest == definition.digest)):
        return
    await connection.execute(
        sa.insert(_definition).values(
            digest=definition.digest,
            workflow=definition.workflow,
            file=definition.file,
            source=definition.source,
            release=release,
            at=at,
        )
    )


async def definition(connection: Connection, digest: str) -> Definition | None:
    columns = (_definition.c.digest, _definition.c.workflow, _definition.c.file, _definition.c.source)
    row = await connection.fetch_one(sa.select(*columns).where(_definition.c.digest == digest))
    return None if row is None else Definition(*row)


async def definitions_of(connection: Connection, workflow: str) -> list[tuple[str, str, datetime, int]]:
    """The definitions of a process that instances were pinned to, the newest first: digest, the release that brought
    it, when, and how many live instances follow it."""
    live = (
        sa.select(sa.func.count()).where(_p.c.definition == _definition.c.digest, _p.c.status.in_(LIVE))
    ).scalar_subquery()
    query = sa.select(_definition.c.digest, _definition.c.release, _definition.c.at, live)
    query = query.where(_definition.c.workflow == workflow).order_by(_definition.c.at.desc(), _definition.c.digest)
    return [(row[0], row[1], row[2], int(row[3])) for row in await connection.fetch(query)]


async def definitions_in_use(connection: Connection) -> list[tuple[str, int]]:
    """The digests of definitions that live instances follow, with how many do."""
    query = sa.select(_p.c.definition, sa.func.count()).where(_p.c.status.in_(LIVE)).group_by(_p.c.definition)
    return [(row[0], int(row[1])) for row in await connection.fetch(query.order_by(_p.c.definition))]


async def create(connection: Connection, instance: Instance, at: datetime) -> None:
    state = instance.state
    await connection.execute(
        sa.insert(_p).values(
            id=instance.id,
            workflow=instance.workflow,
            definition=instance.definition,
            entity=instance.entity,
            record_id=instance.record_id,
            thread_id=instance.thread_id,
            site=instance.site,
            status=state.status,
            outcome=state.outcome,
            starter=instance.starter,
            state=state.to_json(),
            version=instance.version,
            parent=instance.parent,
            parent_token=instance.parent_token,
            started_at=at,
            changed_at=at,
        )
    )


def task_id(process: UUID, number: int) -> sa.Select[Any]:
    """The id of a task by its number."""
    return sa.select(_t.c.id).where(_t.c.process == process, _t.c.number == number)


def new_task(instance: Instance, state: State, task: Task, at: datetime) -> dict[str, Any]:
    """The row of a task that was not there before; without the moment it is due."""
    token = state.tokens.get(task.token) or instance.state.tokens.get(task.token)
    subject = token.subject if token is not None else state.subject
    return {
        "id": uuid7(),
        "process": instance.id,
        "number": task.id,
        "workflow": state.workflow,
        "step": task.step,
        "round": task.round,
        "kind": task.kind,
        "post": task.post,
        "entity": subject.entity,
        "record_id": id_of(subject.id),
        "site": instance.site,
        "opened_at": at,
        **changing(task, at),
    }


def changing(task: Task, at: datetime) -> dict[str, Any]:
    """What changes of a task while it lives."""
    return {
        "status": task.status,
        "assignee": _id(task.assignee),
        "behalf": _id(task.behalf),
        "actor": _id(task.actor),
        "outcome": task.outcome,
        "comment": task.comment,
        "done_at": at if task.status in ("done", "closed") else None,
    }


def _id(text: str | None) -> UUID | None:
    return None if text is None else id_of(text)


def one_of(column: sa.Column[Any], ids: Iterable[UUID]) -> sa.ColumnElement[bool]:
    """Whether an id is among these. Written out, because a list of ids binds differently on the two engines."""
    return sa.or_(sa.false(), *(column == each for each in ids))


# ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────


_CLOCK = (
    _timer.c.number,
    _timer.c.token,
    _timer.c.share,
    _timer.c.budget,
    _timer.c.working,
    _timer.c.used,
    _timer.c.since,
    _timer.c.calendar,
    _timer.c.due_at,
    _timer.c.trouble,
)


async def clocks(connection: Connection, process: UUID) -> list[Clock]:
    """Every running or standing timer of an instance."""
    return [_clock(row) for row in await connection.fetch(sa.select(*_CLOCK).where(_timer.c.process == process))]


async def clock(connection: Connection, process: UUID, number: int) -> Clock | None:
    """One timer of an instance."""
    query = sa.select(*_CLOCK).where(_timer.c.process == process, _timer.c.number == number)
    row = await connection.fetch_one(query)
    return None if row is None else _clock(row)


async def clocks_of_several(connection: Connection, processes: Collection[UUID]) -> dict[tuple[UUID, int], Clock]:
    """Every timer of these instances, by instance and number."""
    query = sa.select(_timer.c.process, *_CLOCK).where(any_of(_timer.c.process, "of_processes"))
    rows = await connection.fetch(query, {"of_processes": sorted(processes)})
    return {(row[0], row[1]): _clock(row[1:]) for row in rows}


def _clock(row: Sequence[Any]) -> Clock:
    number, token, share, budget, working, used, since, calendar, due_at, trouble = row
    running = Running(budget * _MICRO, bool(working), used * _MICRO, since)
    return Clock(number, token, share, running, calendar, due_at, trouble)


# ── finding nobody ────────────────────────────────────────────────────────────────────────────────────────────────


async def unasked(connection: Connection) -> set[UUID]:
    """The instances with a step for which nobody was found to ask."""
    return {row[0] for row in await connection.fetch(sa.select(_unasked.c.process).distinct())}


async def note_unasked(connection: Connection) -> None:
    """Write down where nobody was found before it was written down at once: by an earlier version. Harmless where it
    is."""
    said = sa.cast(_p.c.state, sa.Text).contains('"nobody"')
    found = {row[0] for row in await connection.fetch(sa.select(_p.c.id).where(_p.c.status.in_(LIVE), said))}
    insert = (postgresql.insert if connection.dialect == "postgresql" else sqlite.insert)(_unasked)
    for instance in (await load_several(connection, found)).values():
        for token in instance.state.unasked().values():
            await connection.execute(insert.values(**unasked_row(instance, token)).on_conflict_do_nothing())


def unasked_row(instance: Instance, token: Token) -> dict[str, Any]:
    """The row of a token at whose step nobody was found to ask."""
    return {
        "process": instance.id,
        "token": token.id,
        "workflow": instance.workflow,
        "step": token.step,
        "entity": token.subject.entity,
        "record_id": id_of(token.subject.id),
        "site": instance.site,
    }


# ── waiting, remembering ──────────────────────────────────────────────────────────────────────────────────────────


async def waiting(connection: Connection, entity: str, verb: str, records: Iterable[UUID]) -> list[tuple[UUID, int]]:
    """Who waits for an event about one of these records: instance and token."""
    query = sa.select(_wait.c.process, _wait.c.token).where(
        one_of(_wait.c.record_id, records), _wait.c.entity == entity, _wait.c.verb == verb
    )
    return [(row[0], row[1]) for row in await connection.fetch(query)]


async def log(connection: Connection, process: UUID, at: datetime, what: str, **said: Any) -> None:
    """A line of the timeline."""
    await connection.execute(sa.insert(_log).values(**log_row(process, at, what, **said)))


def log_row(
    process: UUID,
    at: datetime,
    what: str,
    *,
    actor: UUID | None = None,
    behalf: UUID | None = None,
    step: str = "",
    task: int | None = None,
    outcome: str = "",
    comment: str = "",
) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "process": process,
        "at": at,
        "actor": actor,
        "behalf": behalf,
        "what": what,
        "step": step,
        "task": task,
        "outcome": outcome,
        "comment": comment,
    }
