"""Leased jobs: put, claim, renew, complete. A job is done by one worker; when that one dies, its lease runs out and
another takes over. Handlers must therefore bear being run again (at least once)."""

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
from clew.storage.engine import Connection, Database
from clew.storage.errors import LeaseLost
from clew.storage.system import job

LEASE = timedelta(seconds=60)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(hours=1)
MOST_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed job. `lease` proves the claim."""

    id: UUID
    kind: str
    key: str | None
    payload: Mapping[str, Any]
    run_at: datetime
    lease: UUID
    lease_until: datetime
    attempts: int


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
    insert = postgresql.insert if connection.dialect == "postgresql" else sqlite.insert
    new = uuid7()
    statement = insert(job).values(
        id=new, kind=kind, key=key, payload=dict(payload), state="ready", run_at=run_at or at, attempts=0, created_at=at
    )
    inserted = await connection.execute(statement.on_conflict_do_nothing())
    return new if inserted else None


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
            mine = Job(id_, kind, key, payload, run_at, uuid7(), at + lease, attempts + 1)
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


def due(at: datetime) -> sa.ColumnElement[bool]:
    """Jobs that may be claimed."""
    ready = sa.and_(job.c.state == "ready", job.c.run_at <= at)
    return sa.or_(ready, sa.and_(job.c.state == "leased", job.c.lease_until < at))


async def _owned(connection: Connection, mine: Job, **values: Any) -> None:
    if values.get("state"):
        values |= {"lease": None, "lease_until": None, "worker": None}
    statement = sa.update(job).where(job.c.id == mine.id, job.c.lease == mine.lease, job.c.state == "leased")
    if not await connection.execute(statement.values(**values)):
        raise LeaseLost(job=mine.id)
