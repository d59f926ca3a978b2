"""Leased jobs: exactly one worker at a time, taken over when it falls silent, retried with growing pauses."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa

from clew.jobs import leases, partitions
from clew.jobs.leases import Job
from clew.storage.change import install
from clew.storage.engine import Connection, Database
from clew.storage.errors import LeaseLost
from clew.storage.provision import existing_tables
from clew.storage.system import job
from clew.testing.blueprints import blueprint, entity
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier

pytestmark = pytest.mark.anyio


async def opened(case: TestDatabase) -> Database:
    db = await case.open()
    await install(db, blueprint(entity("lot", [])))
    return db


async def put(db: Database, kind: str, key: str | None = None, **payload: int) -> bool:
    async def work(connection: Connection) -> bool:
        return await leases.put(connection, kind, payload, key=key) is not None

    return await db.run_write(work)


async def finish(db: Database, mine: Job) -> None:
    async def work(connection: Connection) -> None:
        await leases.complete(connection, mine)

    await db.run_write(work)


async def test_each_job_is_done_by_one_worker(database: TestDatabase, tier: Tier) -> None:
    count = tier.count(60, 2_000)
    nodes = [await opened(database), await database.open(), await database.open()]
    for at in range(count):
        await put(nodes[0], "seal", number=at)
    done: Counter[int] = Counter()

    async def worker(db: Database, name: str) -> None:
        while taken := await leases.claim(db, name, ["seal"], most=3):
            for mine in taken:
                done[mine.payload["number"]] += 1
                await finish(db, mine)

    await asyncio.gather(*(worker(db, f"{at}-{each}") for at, db in enumerate(nodes) for each in range(2)))
    assert done == Counter(dict.fromkeys(range(count), 1))


async def test_silent_workers_lose_their_lease(database: TestDatabase) -> None:
    db = await opened(database)
    await put(db, "seal")
    [first] = await leases.claim(db, "first", ["seal"], lease=timedelta(seconds=-1))
    [second] = await leases.claim(db, "second", ["seal"])
    assert (second.id, second.attempts) == (first.id, 2)
    assert await leases.claim(db, "third", ["seal"]) == []
    with pytest.raises(LeaseLost):
        await leases.renew(db, first)
    with pytest.raises(LeaseLost):
        await finish(db, first)
    assert await leases.renew(db, second) > second.lease_until - timedelta(seconds=1)
    await finish(db, second)
    assert await leases.claim(db, "third", ["seal"]) == []


async def test_failures_wait_longer_and_are_parked(database: TestDatabase) -> None:
    db = await opened(database)
    await put(db, "notify")
    [mine] = await leases.claim(db, "w", ["notify"])
    assert await leases.fail(db, mine, "no route")
    assert await leases.claim(db, "w", ["notify"]) == [], "it waits before it is tried again"
    async with db.write() as connection:
        await connection.execute(sa.update(job).values(run_at=mine.run_at))
    [again] = await leases.claim(db, "w", ["notify"])
    assert not await leases.fail(db, again, "no route", most_attempts=2)
    async with db.read() as connection:
        row = await connection.fetch_one(sa.select(job.c.state, job.c.last_error, job.c.attempts))
    assert row is not None
    assert tuple(row) == ("failed", "no route", 2)


async def test_one_open_job_per_key(database: TestDatabase) -> None:
    db = await opened(database)
    assert await put(db, "sweep", key="blobs")
    assert not await put(db, "sweep", key="blobs")
    assert await put(db, "other", key="blobs")
    [mine] = await leases.claim(db, "w", ["sweep"])
    assert not await put(db, "sweep", key="blobs")
    await finish(db, mine)
    assert await put(db, "sweep", key="blobs")


async def test_completion_shares_the_fate_of_its_transaction(database: TestDatabase) -> None:
    db = await opened(database)
    await put(db, "seal")
    [mine] = await leases.claim(db, "w", ["seal"])
    with pytest.raises(RuntimeError):  # noqa: PT012
        async with db.write() as connection:
            await leases.complete(connection, mine)
            raise RuntimeError
    await finish(db, mine)


async def test_partitions_are_made_ahead(database: TestDatabase) -> None:
    db = await opened(database)
    assert await partitions.run(db) == 0, "this month and two ahead are there from birth"
    if db.dialect == "postgresql":
        from clew.storage.partitions import ensure_partitions

        made = await ensure_partitions(db, ahead=4)
        assert made == 2 * 3, "two more months of history, leaves and outbox"
        async with db.read() as connection:
            present = await existing_tables(connection)
        assert sum(name.startswith("lot__history_p") for name in present) == 5
