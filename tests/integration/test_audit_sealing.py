"""Sealing on both databases: order, proofs, crashes, late commits, several sealers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from write_journey import context, mini

from clew.audit.sealing import log
from clew.audit.sealing.merkle import Peaks, proves_consistency, proves_inclusion
from clew.audit.trail import record_event
from clew.kernel.ids import uuid7
from clew.storage import system
from clew.storage.engine import Connection, Database
from clew.storage.errors import InsertOnly
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


async def tell(database: Database, count: int) -> list[UUID]:
    """So many events, one transaction each ten."""
    return await tell_in(database, count, 10)


async def tell_in(database: Database, count: int, parts: int) -> list[UUID]:
    """So many events, in transactions of so many."""
    told: list[UUID] = []

    async def work(connection: Connection) -> list[UUID]:
        return [
            await record_event(connection, context(), "1", "sign_in", "clew.account", uuid7(), {"at": number})
            for number in range(min(parts, count - len(told)))
        ]

    while len(told) < count:
        told += await database.run_write(work)
    return told


async def entries(database: Database) -> list[tuple[int, UUID, str, str]]:
    table = system.audit_log
    async with database.read() as connection:
        query = sa.select(table.c.index, table.c.leaf_id, table.c.digest, table.c.link).order_by(table.c.index)
        return [(row[0], row[1], row[2], row[3]) for row in await connection.fetch(query)]


async def waiting(database: Database) -> int:
    async with database.read() as connection:
        return int(await connection.fetch_value(sa.select(sa.func.count()).select_from(system.leaf_pending)))


async def test_a_batch_of_a_long_queue_touches_no_more_than_the_batch(
    new_database: Callable[[str], TestDatabase],
) -> None:
    """After an outage the queue is long; what a batch costs must not grow with it."""
    opened = await new_database("postgresql").installed(mini())
    await tell_in(opened, 2_000, 500)
    async with opened.write() as connection:
        await connection.run_sql("ANALYZE clew_audit_pending, clew_audit_leaf")
    text = log._waiting(20).compile(dialect=postgresql.dialect())
    async with opened.read() as connection:
        (plan,) = json.loads(await connection.fetch_value(sa.text(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}")))
    seen: list[int] = []

    def walk(node: dict[str, Any]) -> None:
        seen.append(int(node["Actual Rows"] * node["Actual Loops"]))
        for child in node.get("Plans", ()):
            walk(child)

    walk(plan["Plan"])
    assert max(seen) == 20


async def test_every_leaf_is_sealed_once_and_every_proof_holds(database: TestDatabase) -> None:
    opened = await database.installed(mini())
    told: list[UUID] = []
    roots: dict[int, bytes] = {0: Peaks().root()}
    for count, most in ((1, 5), (7, 3), (12, 100)):
        told += await tell(opened, count)
        assert await log.seal_all(opened, most) == count
        async with opened.read() as connection:
            roots[len(told)] = await log.root_of(connection, len(told))
    stored = await entries(opened)
    assert [index for index, *_ in stored] == list(range(20))
    assert sorted(leaf for _, leaf, *_ in stored) == sorted(told)
    assert await waiting(opened) == 0
    peaks, link = Peaks(), bytes(32)
    for size, (_, _, digest, kept) in enumerate(stored, 1):
        peaks.append(bytes.fromhex(digest))
        link = log.next_link(link, bytes.fromhex(digest))
        assert kept == link.hex()
        assert roots.get(size, peaks.root()) == peaks.root()
    async with opened.read() as connection:
        for index, _, digest, _ in stored:
            given = await log.prove_inclusion(connection, index, 20)
            assert proves_inclusion(index, 20, bytes.fromhex(digest), given.proof, roots[20])
        for size in (1, 8):
            proof = (await log.prove_consistency(connection, size, 20)).proof
            assert proves_consistency(size, 20, roots[size], roots[20], proof)
        assert await log.index_of(connection, told) == {leaf: index for index, leaf, *_ in stored}


async def test_a_late_commit_is_sealed_after_its_juniors(new_database: Callable[[str], TestDatabase]) -> None:
    """No watermark: an old leaf that becomes visible late takes its place at the end. (SQLite has one writer at a
    time, so there no commit can be late.)"""
    opened = await new_database("postgresql").installed(mini())
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def late(connection: Connection) -> UUID:
        told = await record_event(connection, context(), "1", "sign_in", "clew.account", uuid7(), {})
        begun.set()
        await go_on.wait()
        return told

    writing = asyncio.create_task(opened.run_write(late))
    await begun.wait()
    quick = await tell(opened, 3)
    assert await log.seal_all(opened) == 3
    go_on.set()
    slow = await writing
    assert slow < quick[0]
    assert await log.seal_all(opened) == 1
    assert [leaf for _, leaf, *_ in await entries(opened)] == [*quick, slow]


async def test_a_crash_at_any_statement_leaves_the_queue_or_the_log(database: TestDatabase) -> None:
    opened = await database.installed(mini())
    await tell(opened, 5)

    class Crash(Exception):
        pass

    async def crash(*_: object, **__: object) -> None:
        raise Crash

    for step in ("copy_in", "execute"):
        async with opened.write() as connection:
            kind = type(connection)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kind, step, crash)
            with pytest.raises(Crash):
                await log.seal(opened)
        assert await entries(opened) == []
        assert await waiting(opened) == 5
    assert await log.seal_all(opened) == 5
    assert len(await entries(opened)) == 5


async def test_many_sealers_and_writers_seal_each_leaf_once(database: TestDatabase) -> None:
    first, second = await database.installed(mini()), await database.open()
    told: list[UUID] = []

    async def write(database: Database) -> None:
        for _ in range(6):
            told.extend(await tell(database, 3))

    async def seal(database: Database) -> None:
        for _ in range(20):
            await log.seal(database, 4)
            await asyncio.sleep(0)

    await asyncio.gather(write(first), write(second), seal(first), seal(second))
    await log.seal_all(first)
    stored = await entries(first)
    assert [index for index, *_ in stored] == list(range(len(told)))
    assert sorted(leaf for _, leaf, *_ in stored) == sorted(told)


async def test_the_log_is_insert_only(database: TestDatabase) -> None:
    opened = await database.installed(mini())
    await tell(opened, 1)
    await log.seal_all(opened)
    for statement in (sa.update(system.audit_log).values(digest="0" * 64), sa.delete(system.audit_log)):
        with pytest.raises(InsertOnly):
            await opened.run_write(lambda connection, said=statement: connection.execute(said))  # type: ignore[misc]
