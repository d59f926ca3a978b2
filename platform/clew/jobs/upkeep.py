"""Work the platform does for itself, again and again: one node at a time by lease, beside serving, never in its way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from clew.jobs import leases
from clew.kernel.errors import ClewError
from clew.storage import nodes
from clew.storage.blobs import Blobs
from clew.storage.engine import Connection, Database
from clew.storage.errors import LeaseLost
from clew.storage.partitions import ensure_partitions
from clew.storage.system import change, job, release

_log = logging.getLogger("clew.upkeep")
_FOREVER = 1_000_000
"""Attempts after which a chore is given up: it never is."""
PATIENCE = timedelta(seconds=2)
"""How long making partitions may wait for a table's lock: whoever comes after it waits as long."""


async def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to be done every so often; `wanted` says cheaply whether there is anything to do."""

    kind: str
    every: timedelta
    act: Callable[[], Awaitable[object]]
    wanted: Callable[[], Awaitable[bool]] = _always


Owner = Callable[[], AbstractAsyncContextManager[Database]]
"""Opens the database under the role that may change tables."""


def chores(
    database: Database, blobs: Blobs, owner: Owner, finish_change: Callable[[Database], Awaitable[object]]
) -> tuple[Chore, ...]:
    """What every installation needs. `finish_change` goes on with what an applied release still has to tighten."""

    async def tighten() -> None:
        async with owner() as owned:
            await finish_change(owned)

    async def make_partitions() -> None:
        async with owner() as owned:
            await ensure_partitions(owned, patience=PATIENCE)

    async def tightening() -> bool:
        return await waits_to_tighten(database)

    return (
        Chore("upkeep.tighten", timedelta(seconds=5), tighten, tightening),
        Chore("upkeep.partitions", timedelta(hours=12), make_partitions),
        Chore("upkeep.files", timedelta(days=1), lambda: blobs.sweep(database)),
        Chore("upkeep.jobs", timedelta(minutes=1), lambda: leases.call_back(database)),
        Chore("upkeep.nodes", timedelta(days=1), lambda: nodes.forget_gone(database)),
    )


async def waits_to_tighten(database: Database) -> bool:
    """Whether the live release has steps left. One that is being applied is its operator's."""
    async with database.read() as connection:
        waiting = sa.select(release.c.state).join(change, change.c.release == release.c.number)
        states = await connection.fetch(waiting.where(change.c.state == "waiting").distinct())
    return [row[0] for row in states] == ["live"]


class Upkeep:
    """Does chores when they are due, on whichever node gets to them first."""

    def __init__(self, database: Database, worker: str, todo: Sequence[Chore]) -> None:
        self._database, self._worker = database, worker
        self._chores = {each.kind: each for each in todo}
        self._told: dict[str, str] = {}
        """What was last said of each chore that does not succeed."""

    async def run(self, pause: float) -> None:
        """For ever: look every `pause` seconds. Whatever goes wrong is logged and tried again later."""
        while True:
            try:
                await self._begin()
                while True:
                    await self.once()
                    await asyncio.sleep(pause)
            except Exception:
                _log.exception("upkeep cannot reach its jobs; it tries again")
            await asyncio.sleep(max(pause, 1.0))

    async def _begin(self) -> None:
        async def ask(connection: Connection) -> None:
            for kind in self._chores:
                await leases.put(connection, kind, key=kind)

        await self._database.run_write(ask)

    async def once(self) -> None:
        """Do what is due now."""
        for kind in await self._due():
            if await self._chores[kind].wanted():
                for mine in await leases.claim(self._database, self._worker, [kind]):
                    await self._do(self._chores[kind], mine)

    async def _due(self) -> list[str]:
        mine = job.c.kind.in_(sorted(self._chores))
        async with self._database.read() as connection:
            at = await connection.now()
            due = await connection.fetch(sa.select(job.c.kind).where(mine, leases.due(at)).order_by(job.c.run_at))
            waiting = sa.select(job.c.id, job.c.kind, job.c.run_at, job.c.attempts)
            waiting = waiting.where(mine, job.c.state == "ready", job.c.run_at > at)
            ahead = [row for row in await connection.fetch(waiting) if self._too_long(row[1], row[2] - at, row[3])]
        if ahead:
            await self._database.run_write(lambda connection: _call_back(connection, [row[0] for row in ahead]))
        return [row[0] for row in due] + [row[1] for row in ahead]

    def _too_long(self, kind: str, wait: timedelta, attempts: int) -> bool:
        """Whether a chore waits longer than it ever has to: the clock was ahead when it was put off."""
        return wait > (leases.LONGEST_PAUSE if attempts else self._chores[kind].every)

    async def _do(self, chore: Chore, mine: leases.Job) -> None:
        renewing = asyncio.create_task(self._renew(mine))
        try:
            await chore.act()
        except Exception as problem:
            self._tell(chore, problem)
            with suppress(LeaseLost):
                await leases.fail(self._database, mine, type(problem).__name__, most_attempts=_FOREVER)
        else:
            self._told.pop(chore.kind, None)
            with suppress(LeaseLost):
                await leases.repeat(self._database, mine, chore.every)
        finally:
            renewing.cancel()

    def _tell(self, chore: Chore, problem: Exception) -> None:
        """A refusal the platform foresees is one line, and said once until the chore succeeds or meets another one;
        anything else is a fault of ours, and its trace is kept each time."""
        if not isinstance(problem, ClewError):
            _log.error("%s failed; it is tried again later", chore.kind, exc_info=problem)
            return
        if self._told.get(chore.kind) != problem.code:
            self._told[chore.kind] = problem.code
            words = " ".join(f"{problem.message('en')} {problem.hint('en')}".split())
            _log.warning("%s is tried again later: %s: %s", chore.kind, problem.code, words)

    async def _renew(self, mine: leases.Job) -> None:
        """Keep the lease of a chore that takes long."""
        with suppress(LeaseLost):
            while True:
                await asyncio.sleep(leases.LEASE.total_seconds() / 3)
                await leases.renew(self._database, mine)


async def _call_back(connection: Connection, jobs: Sequence[UUID]) -> None:
    """They are due now."""
    for each in jobs:
        mine = job.c.id == each, job.c.state == "ready"
        await connection.execute(sa.update(job).where(*mine).values(run_at=await connection.now()))
