"""Jobs: put, and done by one worker, in one of two ways.

What takes long or acts outside the database is leased: claimed, renewed, completed. When its worker dies the lease
runs out and another takes over, so its handler must bear being run again (at least once). What is one transaction needs
no lease: it is found by `upcoming` and finished inside that transaction, which holds it meanwhile. Its effect comes
exactly once, and when its worker dies the database lets go of it at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from clew.kernel.ids import uuid7
from clew.storage.dialects import any_of
from clew.storage.engine import Connection, Database, DialectName
from clew.storage.errors import LeaseLost
from clew.storage.system import job

LEASE = timedelta(seconds=60)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(hours=1)
MOST_ATTEMPTS = 10
_CALLED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Job:
    """A job. `lease` proves the claim of one that was claimed."""

    id: UUID
    kind: str
    key: str | None
    payload: Mapping[str, Any]
    run_at: datetime
    attempts: int
    lease: UUID | None = None
    lease_until: datetime | None = None


async def put(
    connection: Connection,
    kind: str,
    payload: Mapping[str, Any] = MappingProxyType({}),
    *,
    key: str | None = None,
    run_at: datetime | None = None,
) -> UUID | None:
    """Ask for work, in the caller's transaction. With a `key` at most one such job is open: None when one is."""
    at = await connection.now()
    new = uuid7()
    row = {
        "id": new,
        "kind": kind,
        "key": key,
        "payload": dict(payload),
        "state": "ready",
        "run_at": run_at or at,
        "attempts": 0,
        "created_at": at,
    }
    return new if await connection.execute(_PUT[connection.dialect], row) else None


async def claim(
    database: Database, worker: str, kinds: Sequence[str], *, most: int = 1, lease: timedelta = LEASE
) -> list[Job]:
    """Take up to `most` due jobs: ready ones whose time has come, and leased ones whose worker fell silent."""

    async def take(connection: Connection) -> list[Job]:
        at = await connection.now()
        columns = [job.c[name] for name in ("id", "kind", "key", "payload", "run_at", "attempts")]
        query = sa.select(*columns).where(job.c.kind.in_(list(kinds)), due(at)).order_by(job.c.run_at, job.c.id)
        query = query.limit(most)
        if connection.dialect == "postgresql":
            query = query.with_for_update(skip_locked=True)
        taken = []
        for row in await connection.fetch(query):
            id_, kind, key, payload, run_at, attempts = row
            mine = Job(id_, kind, key, payload, run_at, attempts + 1, uuid7(), at + lease)
            change = (
                sa.update(job)
                .where(job.c.id == mine.id)
                .values(
                    state="leased",
                    worker=worker,
                    lease=mine.lease,
                    lease_until=mine.lease_until,
                    attempts=mine.attempts,
                )
            )
            await connection.execute(change)
            taken.append(mine)
        return taken

    return await database.run_write(take)


async def renew(database: Database, mine: Job, *, lease: timedelta = LEASE) -> datetime:
    """Keep a job longer. Raises LeaseLost when somebody else has it."""

    async def extend(connection: Connection) -> datetime:
        until = await connection.now() + lease
        await _owned(connection, mine, lease_until=until)
        return until

    return await database.run_write(extend)


async def complete(connection: Connection, mine: Job) -> None:
    """Finish a job, in the transaction of its effects: both happen or neither. Raises LeaseLost."""
    await _owned(connection, mine, state="done", done_at=await connection.now())


async def repeat(database: Database, mine: Job, after: timedelta) -> None:
    """Finish a job that comes back: the same one is due again `after` a while. Raises LeaseLost."""

    async def put_back(connection: Connection) -> None:
        run_at = await connection.now() + after
        await _owned(connection, mine, state="ready", run_at=run_at, attempts=0, last_error=None)

    await database.run_write(put_back)


async def fail(database: Database, mine: Job, error: str, *, most_attempts: int = MOST_ATTEMPTS) -> bool:
    """Give a job back to be tried later, longer and longer apart; after `most_attempts` it is parked as failed.

    True when it will be tried again. `error` must hold no secrets: it is shown to operators.
    """
    again = mine.attempts < most_attempts

    async def give_back(connection: Connection) -> None:
        pause = min(FIRST_PAUSE * 2 ** min(mine.attempts - 1, 12), LONGEST_PAUSE)
        run_at = await connection.now() + pause
        await _owned(connection, mine, state="ready" if again else "failed", run_at=run_at, last_error=error[:2000])

    await database.run_write(give_back)
    return again


# ── without a lease ───────────────────────────────────────────────────────────────────────────────────────────────


async def upcoming(connection: Connection, kinds: Sequence[str], most: int, skip: int = 0) -> list[Job]:
    """Due jobs, the earliest first, but for the first `skip`; none of them is taken by this."""
    at = await connection.now()
    rows = await connection.fetch(_UPCOMING, {"kinds": list(kinds), "due_at": at, "most": most, "skip": skip})
    return [Job(*row) for row in rows]


async def finish(connection: Connection, mine: Job) -> None:
    """Do a job: the first thing in the transaction of its effect. Until that ends nobody else can.
    Raises LeaseLost when somebody else is at it, or has done it."""
    args = {"job_id": mine.id, "finished_at": await connection.now()}
    if not await connection.execute(_FINISH[connection.dialect], args):
        raise LeaseLost(job=mine.id)


async def finish_several(connection: Connection, jobs: Sequence[Job]) -> frozenset[UUID]:
    """As `finish`, for several that have their effects in one transaction: the ids of those nobody else is at."""
    args = {"job_ids": sorted(each.id for each in jobs), "finished_at": await connection.now()}
    return frozenset(row[0] for row in await connection.fetch(_FINISH_SEVERAL[connection.dialect], args))


async def move(connection: Connection, kind: str, key: str, run_at: datetime) -> None:
    """The job that is open under a key is due at another moment."""
    mine = sa.and_(job.c.kind == kind, job.c.key == key, _OPEN)
    await connection.execute(sa.update(job).where(mine).values(run_at=run_at))


async def hurry(connection: Connection, kinds: Sequence[str], prefix: str, at: datetime) -> None:
    """The open jobs of these kinds whose key begins so are due now."""
    mine = sa.and_(any_of(job.c.kind, "kinds"), job.c.key.startswith(prefix, autoescape=True), _OPEN)
    # They were asked for already: that moment is past also by a clock that is ahead now, and put right later.
    asked = sa.case((job.c.created_at < at, job.c.created_at), else_=sa.literal(at, job.c.run_at.type))
    await connection.execute(sa.update(job).where(mine).values(run_at=asked), {"kinds": list(kinds)})


async def call_back(database: Database) -> int:
    """How many jobs wait longer than any is put off, because the clock was ahead when it was done: they are due now.

    Those to be tried again, those that were to be done at once, and those whose worker has kept them. What waits for a
    moment of its own goes on waiting for it.
    """
    async with database.read() as connection:
        found = [row[0] for row in await connection.fetch(_stranded(await connection.now()))]
    if not found:
        return 0

    async def call(connection: Connection) -> int:
        at = await connection.now()
        mine = sa.update(job).where(any_of(job.c.id, "job_ids"), _strands(at))
        waiting = mine.where(_OPEN).values(run_at=at)
        kept = mine.where(job.c.state == "leased").values(lease_until=at)
        return sum([await connection.execute(each, {"job_ids": found}) for each in (waiting, kept)])

    return await database.run_write(call)


async def postpone(database: Database, mine: Job, error: str) -> None:
    """A job whose transaction was undone: it is tried again, later and later. `error` must hold no secrets."""

    async def put_off(connection: Connection) -> None:
        pause = min(FIRST_PAUSE * 2 ** min(mine.attempts, 12), LONGEST_PAUSE)
        change = {"run_at": await connection.now() + pause, "attempts": mine.attempts + 1, "last_error": error[:2000]}
        same = sa.and_(job.c.id == mine.id, job.c.attempts == mine.attempts, _OPEN)
        await connection.execute(sa.update(job).where(same).values(state="ready", **change))

    await database.run_write(put_off)


_COLUMNS = tuple(job.c[name] for name in ("id", "kind", "key", "payload", "run_at", "attempts"))
_ROW = {
    name: sa.bindparam(name, type_=job.c[name].type)
    for name in ("id", "kind", "key", "payload", "state", "run_at", "attempts", "created_at")
}
_PUT: Mapping[DialectName, Any] = {
    "postgresql": postgresql.insert(job).values(_ROW).on_conflict_do_nothing(),
    "sqlite": sqlite.insert(job).values(_ROW).on_conflict_do_nothing(),
}
_UPCOMING = (
    sa.select(*_COLUMNS)
    .where(any_of(job.c.kind, "kinds"), job.c.state == "ready")
    .where(job.c.run_at <= sa.bindparam("due_at", type_=job.c.run_at.type))
    .order_by(job.c.run_at, job.c.id)
    .limit(sa.bindparam("most", type_=sa.Integer()))
    .offset(sa.bindparam("skip", type_=sa.Integer()))
)
_OPEN = job.c.state == "ready"
_MINE = sa.and_(job.c.id == sa.bindparam("job_id", type_=job.c.id.type), _OPEN)
_DONE = {"state": "done", "done_at": sa.bindparam("finished_at", type_=job.c.done_at.type)}
# On PostgreSQL a worker steps over a job that another is at, instead of waiting to find it done.
_FREE = sa.select(job.c.id).where(_MINE).with_for_update(skip_locked=True).scalar_subquery()
_FINISH: Mapping[DialectName, Any] = {
    "postgresql": sa.update(job).where(job.c.id == _FREE).values(_DONE),
    "sqlite": sa.update(job).where(_MINE).values(_DONE),
}
_OURS = sa.and_(any_of(job.c.id, "job_ids"), _OPEN)
_FREE_ONES = sa.select(job.c.id).where(_OURS).order_by(job.c.id).with_for_update(skip_locked=True)
_FINISH_SEVERAL: Mapping[DialectName, Any] = {
    "postgresql": sa.update(job).where(job.c.id.in_(_FREE_ONES)).values(_DONE).returning(job.c.id),
    "sqlite": sa.update(job).where(_OURS).values(_DONE).returning(job.c.id),
}


# ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _stranded(at: datetime) -> sa.Select[Any]:
    return sa.select(job.c.id).where(_strands(at)).limit(_CALLED_AT_ONCE)


def _strands(at: datetime) -> sa.ColumnElement[bool]:
    again = sa.and_(job.c.attempts > 0, job.c.run_at > at + LONGEST_PAUSE)
    at_once = sa.and_(job.c.run_at <= job.c.created_at, job.c.run_at > at + LEASE)
    kept = sa.and_(job.c.state == "leased", job.c.lease_until > at + LONGEST_PAUSE)
    return sa.or_(sa.and_(_OPEN, job.c.run_at > at + LEASE, sa.or_(again, at_once)), kept)


def due(at: datetime) -> sa.ColumnElement[bool]:
    """Jobs that may be claimed."""
    ready = sa.and_(job.c.state == "ready", job.c.run_at <= at)
    return sa.or_(ready, sa.and_(job.c.state == "leased", job.c.lease_until < at))


async def next_at(connection: Connection, kinds: Sequence[str]) -> datetime | None:
    """When the next job of these kinds falls due; None without one."""
    waiting = job.c.kind.in_(list(kinds)), job.c.state == "ready"
    found: datetime | None = await connection.fetch_value(sa.select(sa.func.min(job.c.run_at)).where(*waiting))
    return found


async def _owned(connection: Connection, mine: Job, **values: Any) -> None:
    if values.get("state"):
        values |= {"lease": None, "lease_until": None, "worker": None}
    statement = sa.update(job).where(job.c.id == mine.id, job.c.lease == mine.lease, job.c.state == "leased")
    if not await connection.execute(statement.values(**values)):
        raise LeaseLost(job=mine.id)
