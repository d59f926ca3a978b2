"""What people see of processes: a task, an instance with its timeline, a record's processes, notices.

Somebody sees a task that is offered to them, and an instance they started, are asked in or acted in; whoever may read
the record sees its processes too, which the caller of this room decides.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.ids import id_of
from clew.kernel.scalars import instant_text
from clew.process import comments
from clew.process.store import Instance, load, one_of
from clew.storage import identity_tables, process_tables
from clew.storage.engine import Connection

_p, _t, _c, _log, _notice, _timer, _r = (
    process_tables.process,
    process_tables.task,
    process_tables.task_candidate,
    process_tables.process_log,
    process_tables.notice,
    process_tables.process_timer,
    process_tables.process_record,
)
_account = identity_tables.account
Answer = dict[str, Any]
TASK = (
    _t.c.id,
    _t.c.process,
    _t.c.workflow,
    _t.c.step,
    _t.c.round,
    _t.c.kind,
    _t.c.post,
    _t.c.status,
    _t.c.assignee,
    _t.c.behalf,
    _t.c.actor,
    _t.c.outcome,
    _t.c.comment,
    _t.c.entity,
    _t.c.record_id,
    _t.c.opened_at,
    _t.c.due_at,
    _t.c.done_at,
    _t.c.number,
)


async def open_tasks_of(connection: Connection, people: Sequence[UUID]) -> list[tuple[UUID, int, UUID]]:
    """Open tasks these people may do, the most urgent first: instance, number in it, id."""
    if not people:
        return []
    query = (
        sa.select(_t.c.process, _t.c.number, _t.c.id)
        .join(_c, _c.c.task == _t.c.id)
        .where(one_of(_c.c.person, people), _t.c.status == "open")
        .distinct()
        .order_by(_t.c.process, _t.c.number, _t.c.id)
    )
    return [(row[0], row[1], row[2]) for row in await connection.fetch(query)]


async def task(connection: Connection, number: UUID) -> Answer | None:
    """One task, whoever it is asked of."""
    row = await connection.fetch_one(_ONE_TASK, {"of_task": number})
    return None if row is None else task_of(row)


_ONE_TASK = sa.select(*TASK).where(_t.c.id == sa.bindparam("of_task", type_=_t.c.id.type))


async def started_by(connection: Connection, person: UUID, limit: int, lists: Collection[str]) -> list[Answer]:
    """Instances a person started, the newest first."""
    query = sa.select(_p.c.id).where(_p.c.starter == person).order_by(_p.c.started_at.desc(), _p.c.id.desc())
    return await _instances(connection, query.limit(limit), lists)


async def of_workflow(connection: Connection, workflow: str, limit: int, lists: Collection[str]) -> list[Answer]:
    """Instances of one process, the newest first."""
    query = sa.select(_p.c.id).where(_p.c.workflow == workflow).order_by(_p.c.started_at.desc(), _p.c.id.desc())
    return await _instances(connection, query.limit(limit), lists)


async def of_record(connection: Connection, record: UUID, limit: int, lists: Collection[str]) -> list[Answer]:
    """Every instance about a record, that asked somebody about it or that has written it, the newest first."""
    about = sa.select(_p.c.id).where(_p.c.record_id == record)
    asked = sa.select(_t.c.process).where(_t.c.record_id == record)
    wrote = sa.select(_r.c.process).where(_r.c.record_id == record)
    of = _p.c.id.in_(sa.union(about, asked, wrote))
    query = sa.select(_p.c.id).where(of).order_by(_p.c.started_at.desc(), _p.c.id.desc())
    return await _instances(connection, query.limit(limit), lists)


LISTS = frozenset({"tasks", "timeline", "records"})
"""What of an instance is as long as its history."""


async def instance(connection: Connection, process: UUID, lists: Collection[str] = LISTS) -> Answer | None:
    """One instance with its incidents and those of its `LISTS` that are asked for."""
    found = await load(connection, process)
    return None if found is None else await _whole(connection, found, lists)


def without_lists(found: Instance) -> Answer:
    """An instance that is known already, without its long lists."""
    state = found.state
    return {
        "id": str(found.id),
        "workflow": found.workflow,
        "definition": found.definition,
        "status": state.status,
        "outcome": state.outcome or None,
        "entity": found.entity,
        "recordId": str(found.record_id),
        "threadId": str(found.thread_id) if found.thread_id else None,
        "starter": str(found.starter),
        "startedAt": instant_text(found.started_at),
        "at": sorted({each.step for each in state.tokens.values()}),
        "records": _about(found),
        "incidents": [
            {"id": each.id, "kind": each.kind, "detail": each.detail, "at": each.at}
            for each in state.incidents.values()
        ],
    }


async def takes_part(connection: Connection, process: UUID, person: UUID) -> bool:
    """Whether somebody started an instance, acted in it, or is asked in it."""
    return bool(await connection.fetch_value(_TAKES_PART, {"of_process": process, "by_person": person}))


async def task_asked(connection: Connection, number: UUID, person: UUID) -> tuple[Answer, bool] | None:
    """Where a task stands, and whether somebody is asked by it; others may take part in its instance all the same."""
    row = await connection.fetch_one(_ASKED, {"of_task": number, "by_person": person})
    return (
        None if row is None else (_plain(("process", "number", "workflow", "step", "entity"), row[:-1]), bool(row[-1]))
    )


_BY = sa.bindparam("by_person", type_=_p.c.starter.type)
_asked_by = sa.alias(_t)
_PART = sa.or_(
    _p.c.starter == _BY,
    sa.exists().where(_asked_by.c.process == _p.c.id, _asked_by.c.id == _c.c.task, _c.c.person == _BY),
    sa.exists().where(_log.c.process == _p.c.id, _log.c.actor == _BY),
)
_TAKES_PART = sa.select(_PART).where(_p.c.id == sa.bindparam("of_process", type_=_p.c.id.type))
_PLACE = (_t.c.process, _t.c.number, _t.c.workflow, _t.c.step, _t.c.entity)
_ASKED = sa.select(*_PLACE, sa.exists().where(_c.c.task == _t.c.id, _c.c.person == _BY)).where(
    _t.c.id == sa.bindparam("of_task", type_=_t.c.id.type)
)


async def notices(connection: Connection, person: UUID, *, unread: bool, limit: int) -> list[Answer]:
    """What somebody was told, the newest first."""
    columns = (
        _notice.c.id,
        _notice.c.process,
        _notice.c.about,
        _notice.c.step,
        _notice.c.share,
        _notice.c.zh,
        _notice.c.en,
        _notice.c.at,
        _notice.c.read_at,
    )
    query = sa.select(*columns).where(_notice.c.person == person).order_by(_notice.c.at.desc(), _notice.c.id.desc())
    if unread:
        query = query.where(_notice.c.read_at.is_(None))
    rows = await connection.fetch(query.limit(limit))
    names = ("id", "process", "about", "step", "share", "zh", "en", "at", "readAt")
    return [_plain(names, row) for row in rows]


async def read_notice(connection: Connection, person: UUID, notice: UUID) -> bool:
    """Mark a notice as read by the one it is for."""
    mine = sa.and_(_notice.c.id == notice, _notice.c.person == person)
    at = await connection.now()
    return bool(await connection.execute(sa.update(_notice).where(mine).values(read_at=at)))


async def _instances(connection: Connection, query: sa.Select[Any], lists: Collection[str]) -> list[Answer]:
    found = []
    for row in await connection.fetch(query):
        one = await load(connection, row[0])
        if one is not None:
            found.append(await _whole(connection, one, lists))
    return found


async def _whole(connection: Connection, found: Instance, lists: Collection[str] = LISTS) -> Answer:
    answer = without_lists(found)
    if "tasks" in lists:
        query = sa.select(*TASK).where(_t.c.process == found.id).order_by(_t.c.number)
        answer["tasks"] = [task_of(row) for row in await connection.fetch(query)]
    if "timeline" in lists:
        answer["timeline"] = await _timeline(connection, found.id)
    if "records" in lists:
        answer["records"] = await _records(connection, found)
    return answer


async def _timeline(connection: Connection, process: UUID) -> list[Answer]:
    lines = await connection.fetch(
        sa.select(_log.c.at, _log.c.what, _log.c.step, _log.c.actor, _log.c.behalf, _log.c.outcome, _log.c.comment)
        .where(_log.c.process == process)
        .order_by(_log.c.at, _log.c.id)
    )
    names = ("at", "what", "step", "actor", "behalf", "outcome", "comment")
    found = comments.merged([_plain(names, row) for row in lines], await comments.of_process(connection, process))
    return await _named(connection, found)


async def _named(connection: Connection, lines: list[Answer]) -> list[Answer]:
    """The lines with the names of those whose accounts they tell."""
    whose = {id_of(each[key]) for each in lines for key in ("actor", "behalf") if each[key]}
    query = sa.select(_account.c.id, _account.c.name).where(one_of(_account.c.id, sorted(whose)))
    names = {str(row[0]): row[1] for row in await connection.fetch(query)} if whose else {}
    return [{**each, "actorName": names.get(each["actor"]), "behalfName": names.get(each["behalf"])} for each in lines]


def _about(found: Instance) -> list[Answer]:
    """The records an instance is and was about: its own first, then those its steps went through one by one."""
    state = found.state
    done, now = [each.subject for each in state.done], [each.subject for each in state.tokens.values()]
    subjects = [state.subject, *done, *now]
    return [{"entity": each.entity, "recordId": each.id} for each in dict.fromkeys(subjects)]


async def _records(connection: Connection, found: Instance) -> list[Answer]:
    """And then those its steps have made, moved or filled in, in the order in which they did."""
    query = sa.select(_r.c.entity, _r.c.record_id).where(_r.c.process == found.id).order_by(_r.c.at, _r.c.record_id)
    wrote = [{"entity": entity, "recordId": str(record)} for entity, record in await connection.fetch(query)]
    return list({each["recordId"]: each for each in [*_about(found), *wrote]}.values())


def task_of(row: Sequence[Any]) -> Answer:
    """A row of `TASK` columns."""
    names = (
        "id", "process", "workflow", "step", "round", "kind", "post", "status", "assignee", "behalf", "actor",
        "outcome", "comment", "entity", "recordId", "openedAt", "dueAt", "doneAt", "number",
    )  # fmt: skip
    return _plain(names, row)


def _plain(names: Sequence[str], row: Sequence[Any]) -> Answer:
    found: Answer = {}
    for name, value in zip(names, row, strict=True):
        if isinstance(value, UUID):
            value = str(value)
        elif hasattr(value, "isoformat"):
            value = instant_text(value)
        found[name] = None if value == "" else value
    return found
