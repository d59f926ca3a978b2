"""One change under life: two nodes, a rename and a newly required field, a crash after each statement, a kill anywhere;
history stays readable as of before."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.integration.change_case import (
    BETWEEN,
    SECOND,
    SHELF,
    Node,
    change,
    finish,
    lot_id,
    new_project,
    old_project,
    seeded,
)

from clew.kernel.ids import uuid7
from clew.storage import nodes, releases
from clew.storage.change import apply, plan, resume
from clew.storage.change.reflect import reflect
from clew.storage.engine import Database
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier

pytestmark = pytest.mark.anyio


class Crash(Exception):
    """A machine that stops."""


@pytest.mark.timeout(7200)  # a million rows in the full tier; the small tier takes a second
async def test_rename_and_required_field_with_two_nodes(
    database: TestDatabase, tier: Tier, record_property: Callable[[str, object], None]
) -> None:
    count = tier.count(2_000, 1_000_000)
    db = await database.open(statement_timeout=0)
    other = await database.open()
    old = await seeded(db, count)
    before_now = await old.lots("id", "number", "supplier_lot", "qty")
    before_then = await old.lots("id", "number", "supplier_lot", as_of=BETWEEN)
    await nodes.beat(other, "old-node", 1)
    beating = asyncio.create_task(_keep_beating(other))

    made = await plan(db, new_project(), load=SHELF)
    assert made.safe, made.text("en")
    assert f"{count} rows will be filled with A" in made.text("en")
    assert f"{count} 行将填入 A" in made.text("zh")
    begun = time.monotonic()
    release = await change(db, batch=tier.count(300, 5_000))
    record_property("rows_per_second", round(count / (time.monotonic() - begun)))
    assert (release.number, release.state) == (2, "live")
    new = Node.of(other, new_project(), release.catalog)

    # Both releases work on the same rows.
    assert await old.lots("id", "number", "supplier_lot", "qty") == before_now
    assert await new.lots("id", "number", "vendor_lot", "qty") == before_now
    assert {row[0] for row in await new.lots("grade")} == {"A"}
    await new.update(lot_id(1), {"grade": "B", "row_version": 3})
    await old.update(lot_id(1), {"supplier_lot": "改", "row_version": 4})
    await old.create({"id": uuid7(), "number": "X1", "supplier_lot": "old", "qty": Decimal(1), "item": None})
    await new.create({"id": uuid7(), "number": "X2", "vendor_lot": "new", "qty": None, "item": None, "grade": "C"})
    assert ("X2", "new") in await old.lots("number", "supplier_lot")

    # Tightening waits for the old node …
    waiting = await resume(db, load=SHELF)
    assert waiting is not None
    assert waiting.state == "live"
    assert not await _grade_required(db)
    # … and is done once it has moved. What the old node left out is filled in, its carried values kept.
    beating.cancel()
    await nodes.beat(other, "old-node", 2)
    settled = await resume(db, load=SHELF)
    assert settled is not None
    assert settled.state == "settled"
    assert await _grade_required(db)
    assert dict(await new.lots("number", "grade"))["X1"] == "A"
    async with db.read() as connection:
        now = await connection.now() + timedelta(seconds=1)
    everything = ("id", "row_version", "number", "vendor_lot", "qty", "grade")
    assert await new.lots(*everything, as_of=now) == await new.lots(*everything)
    assert ("L0000001", "改", "B") in await new.lots("number", "vendor_lot", "grade")

    # History is what it was, under the old names and the new.
    assert await old.lots("id", "number", "supplier_lot", as_of=BETWEEN) == before_then
    assert await new.lots("id", "number", "vendor_lot", as_of=BETWEEN) == before_then
    assert await new.lots("id", "number", "vendor_lot", "qty", as_of=SECOND) == before_now
    assert {row[0] for row in await new.lots("grade", as_of=SECOND)} == {None}


async def test_crash_after_each_statement(
    database: TestDatabase, new_database: Callable[[str], TestDatabase], tier: Tier
) -> None:
    rows = tier.count(20, 2_000)
    labels: list[str] = []
    first = await new_database(database.dialect).open()
    await seeded(first, rows)
    await change(first, on_step=labels.append, batch=7)
    assert len(labels) > 15
    db = await database.open()
    old = await seeded(db, rows)
    before = await old.lots("id", "number", "supplier_lot", "qty")
    crashes = 0
    for _ in range(3 * len(labels)):
        # Each attempt does one more statement than the one before could, so every statement is crashed after once.
        seen = 0

        def on_step(_label: str, allowed: int = crashes % len(labels)) -> None:
            nonlocal seen
            seen += 1
            if seen > allowed:
                raise Crash

        try:
            await (resume(db, load=SHELF, on_step=on_step, batch=7) if crashes else change(db, on_step=on_step))
        except Crash:
            crashes += 1
            await _old_or_new(db, before)
            continue
        break
    release = await finish(db)
    assert crashes > 5
    await _arrived(db, release, before)


async def test_each_statement_of_a_fresh_change(
    database: TestDatabase, new_database: Callable[[str], TestDatabase], tier: Tier
) -> None:
    """The same change from the start, stopped after statement k, for each k."""
    labels: list[str] = []
    db = await database.open()
    await seeded(db, 9)
    await change(db, on_step=labels.append, batch=4)
    for stop_after in range(0, len(labels), tier.count(4, 1)):
        again = await new_database(database.dialect).open()
        old = await seeded(again, 9)
        before = await old.lots("id", "number", "supplier_lot", "qty")
        seen = 0

        def on_step(_label: str, stop_after: int = stop_after) -> None:
            nonlocal seen
            seen += 1
            if seen > stop_after:
                raise Crash

        with pytest.raises(Crash):
            await change(again, on_step=on_step, batch=4)
        await _old_or_new(again, before)
        await _arrived(again, await finish(again), before)
        await again.close()


async def test_kill9_mid_migration(
    database: TestDatabase, new_database: Callable[[str], TestDatabase], tier: Tier
) -> None:
    labels: list[str] = []
    db = await database.open()
    await seeded(db, 9)
    await change(db, on_step=labels.append, batch=4)
    for kill_at in range(1, len(labels) + 1, tier.count(len(labels) // 3, 1)):
        case = new_database(database.dialect)
        again = await case.open()
        old = await seeded(again, 9)
        before = await old.lots("id", "number", "supplier_lot", "qty")
        script = Path(__file__).with_name("change_case.py")
        root = str(script.parents[2])
        child = await asyncio.create_subprocess_exec(
            sys.executable, str(script), case.url, str(kill_at), env={"PYTHONPATH": root}
        )
        assert await child.wait() == -9, "the child is killed at the chosen statement"
        await _old_or_new(again, before)
        await _arrived(again, await finish(again), before)
        await again.close()


async def test_two_nodes_apply_at_once(database: TestDatabase) -> None:
    one, two = await database.open(), await database.open()
    old = await seeded(one, 200)
    before = await old.lots("id", "number", "supplier_lot", "qty")
    # Both planned before either began, as two operators would: a plan made half-way through is refused.
    plans = [await plan(db, new_project(), load=SHELF) for db in (one, two)]
    applying = (apply(db, each, load=SHELF, batch=20) for db, each in zip((one, two), plans, strict=True))
    made = await asyncio.gather(*applying)
    assert {release.number for release in made} == {2}
    assert len(await releases.listed(one)) == 2
    await _arrived(one, await finish(one), before)


async def _keep_beating(db: Database) -> None:
    """The old node says that it is there, as servers do: a large fill takes longer than silence may last."""
    while True:
        await nodes.beat(db, "old-node", 1)
        await asyncio.sleep(5)


async def _old_or_new(db: Database, before: list[tuple[object, ...]]) -> None:
    """Whatever release is live, its whole schema is there and its rows are whole."""
    release = await releases.current(db)
    assert release.number in (1, 2)
    project = SHELF(release.sources)
    node = Node.of(db, project, release.catalog)
    text = "supplier_lot" if release.number == 1 else "vendor_lot"
    assert await node.lots("id", "number", text, "qty") == before
    if release.number == 2:
        assert {row[0] for row in await node.lots("grade")} == {"A"}
    columns = list(node.tables.current("lot").c.keys())
    assert len(await node.lots(*columns)) == len(before)


async def _arrived(db: Database, release: releases.Release, before: list[tuple[object, ...]]) -> None:
    assert (release.number, release.state) == (2, "settled")
    node = Node.of(db, new_project(), release.catalog)
    assert await node.lots("id", "number", "vendor_lot", "qty") == before
    assert {row[0] for row in await node.lots("grade")} == {"A"}
    assert await _grade_required(db)
    async with db.read() as connection:
        now = await connection.now() + timedelta(seconds=1)
    keys = ("id", "row_version", "number", "vendor_lot", "qty", "grade")
    assert await node.lots(*keys, as_of=now) == await node.lots(*keys)
    assert await node.lots("id", "number", "vendor_lot", "qty", as_of=SECOND) == before
    assert await plan(db, new_project(), load=SHELF) is not None
    assert old_project().digest != new_project().digest


async def _grade_required(db: Database) -> bool:
    async with db.read() as connection:
        found = await reflect(connection)
    return found.tables["lot"]["grade"].required
