"""Answers to idempotency keys are kept for a while; then the key is spent: what comes again is refused, not redone."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.integration.http_case import served, until

from clew.records import idempotency
from clew.records.errors import KeySpent
from clew.storage import system
from clew.storage.engine import Database
from clew.testing.databases import TestDatabase

sys.path.insert(0, str(Path(__file__).parent))
from write_journey import Plant, a_lot, plant

pytestmark = pytest.mark.anyio
KEPT = timedelta(days=30)
_t, _spent = system.idempotency, system.spent_key


@pytest.fixture
async def mini(database: TestDatabase) -> AsyncIterator[Plant]:
    opened = await database.open()
    yield await plant(opened)
    await opened.close()


async def aged(database: Database, days: int, *keys: str) -> None:
    """As if the keys had been used so many days ago."""
    async with database.write() as connection:
        before = await connection.now() - timedelta(days=days)
        await connection.execute(sa.update(_t).where(_t.c.key.in_(keys)).values(at=before))


async def test_what_comes_again_too_late_is_refused(mini: Plant) -> None:
    old, young = mini.why("x", idempotency_key="old"), mini.why("x", idempotency_key="young")
    for call in (old, young):
        await mini.commands.create(call, "lot", a_lot(mini))
    await aged(mini.database, 31, "old")
    await aged(mini.database, 29, "young")
    assert await idempotency.prune(mini.database, KEPT) == 1
    assert [each["key"] for each in await mini.rows(_t)] == ["young"]
    for given in (a_lot(mini), a_lot(mini, qty="11")):
        with pytest.raises(KeySpent):
            await mini.commands.create(old, "lot", given)
    assert len(await mini.current("lot")) == 2, "nothing was done a second time"
    assert (await mini.commands.create(young, "lot", a_lot(mini))).replayed
    assert not (await mini.commands.create(mini.why("x", idempotency_key="new"), "lot", a_lot(mini))).replayed
    assert await idempotency.prune(mini.database, KEPT) == 0


async def test_they_go_in_small_steps_and_the_oldest_first(mini: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "STEP", 2)
    names = [f"k{number}" for number in range(5)]
    for number, name in enumerate(names):
        await mini.commands.create(mini.why("x", idempotency_key=name), "lot", a_lot(mini))
        await aged(mini.database, 40 - number, name)
    assert await mini.database.run_write(lambda connection: idempotency._prune(connection, KEPT)) == 2
    assert sorted(each["key"] for each in await mini.rows(_spent)) == ["k0", "k1"]
    # One that is spent already holds nothing up.
    async with mini.database.write() as connection:
        person = mini.call.context.person.id
        await connection.execute(sa.insert(_spent).values(person=person, key="k2"))
    assert await idempotency.prune(mini.database, KEPT) == 3
    assert await mini.rows(_t) == []
    assert sorted(each["key"] for each in await mini.rows(_spent)) == names


async def test_a_server_lets_them_go_by_itself(database: TestDatabase, tmp_path: Path) -> None:
    async with served(database.url, tmp_path / "blobs", release_poll=0.1, idempotency_days=2) as house:
        db = house.host.database
        async with db.write() as connection:
            at, nobody = await connection.now(), house.host.current.operator_call("en").context.person.id
            for key, days in (("old", 3), ("young", 1)):
                values = {"key": key, "request_digest": "x", "answer": "{}", "at": at - timedelta(days=days)}
                await connection.execute(sa.insert(_t).values(person=nobody, **values))
            due = sa.update(system.job).where(system.job.c.kind == "idempotency.prune")
            await connection.execute(due.values(run_at=at))

        async def pruned() -> bool:
            async with db.read() as connection:
                return [row[0] for row in await connection.fetch(sa.select(_t.c.key))] == ["young"]

        await until(pruned, 30)
