"""Fills: worked out by the database, the same as in memory; beside writers; resumable; history as it was before."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from tests.integration.change_case import SECOND, SHELF, Node, change, lot_id, new_project, old_project, seeded

from clew.expressions.check import check
from clew.expressions.interpret import evaluate
from clew.expressions.problems import Undecidable
from clew.expressions.tree import Base, Checked, Type
from clew.kernel.ids import uuid7
from clew.kernel.text import Locale
from clew.metadata.blueprint import Blueprint
from clew.metadata.schema import BlueprintSchema
from clew.storage import nodes, releases, system
from clew.storage.change import apply, plan, resume
from clew.storage.change.values import value_sql
from clew.storage.engine import Connection
from clew.storage.errors import NodesBehind
from clew.storage.tables import Tables
from clew.testing.blueprints import Shelf, blueprint, entity, field
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
PLAIN = (
    field("number", "number", unique=True),
    field("supplier_lot"),
    field("qty", "decimal", scale=4, required=True),
    field("item", "ref", targets=("item",)),
)
EXPRESSIONS = {
    ("label", "text"): "coalesce(number, '?') + '/' + coalesce(supplier_lot, '-')",
    ("whole", "integer"): "integer(qty) + 1",
    ("share", "decimal"): "qty / (row_version - 2)",
    ("many", "decimal"): "row_version",
    ("is_big", "boolean"): "qty > 1.5",
    ("due", "date"): "addDays(date(created_at), 30)",
    ("seen", "datetime"): "updated_at",
}


def _computed(kind: str, source: str) -> Checked:
    """A default over the lots, of the field's own type."""
    shelf = blueprint(entity("lot", PLAIN), entity("item", [field("name")]))
    expect = Type(Base(kind), True, scale=6 if kind == "decimal" else 0)
    return check(source, BlueprintSchema(shelf.entities, {}), "lot", expect=expect)


def _computing() -> Blueprint:
    added = [
        field(name, kind, required=True, default=_computed(kind, source), scale=6 if kind == "decimal" else 0)
        for (name, kind), source in EXPRESSIONS.items()
    ]
    return blueprint(entity("lot", [*PLAIN, *added]), entity("item", [field("name")]))


async def test_the_database_computes_what_memory_would(database: TestDatabase) -> None:
    db = await database.open()
    project = _computing()
    shelf = Shelf(old_project(), project)
    old = await seeded(db, 23)
    await old.update(lot_id(3), {"row_version": 3, "supplier_lot": None})
    made = await plan(db, project, load=shelf)
    release = await apply(db, made, load=shelf, batch=5)
    node = Node.of(db, project, release.catalog)
    tables = Tables(project, release.catalog, db.dialect)
    for step in made.steps:
        if step.kind == "fill":
            assert value_sql(step.work, tables, project) is not None, f"{step.object} is left to memory"
    reads = ("id", "row_version", "created_at", "updated_at", "number", "supplier_lot", "qty", "item")
    names = [name for name, _ in EXPRESSIONS]
    for row in await node.lots(*reads, *names):
        facts = dict(zip(reads, row, strict=False))
        for at, name in enumerate(names, len(reads)):
            default = project.entities["lot"].fields[name].default
            assert default is not None
            try:
                wanted = evaluate(default, facts, now=SECOND)
            except Undecidable:
                wanted = None
            assert row[at] == wanted, f"{name} of {facts['number']}"
    share = dict(await node.lots("number", "share"))
    assert share["L0000003"] == Decimal("0.75"), "one divisor is not zero"
    assert share["L0000004"] is None, "what cannot be decided stays empty"


async def test_today_is_the_day_of_the_project(database: TestDatabase) -> None:
    """What `today` fills in is the day it is where the project is, as it is for whoever writes there."""
    db = await database.open()
    east, west = ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Etc/GMT+12")
    zone = next(each for each in (east, west) if datetime.now(each).date() != datetime.now(UTC).date())
    added = field("due", "date", required=True, default=_computed("date", "today"))
    project = blueprint(entity("lot", [*PLAIN, added]), entity("item", [field("name")]))
    project = replace(project, project=replace(project.project, time_zone=zone.key))
    shelf = Shelf(old_project(), project)
    await seeded(db, 1)
    made = await plan(db, project, load=shelf)
    release = await apply(db, made, load=shelf)
    ((due,),) = await Node.of(db, project, release.catalog).lots("due")
    assert due == datetime.now(zone).date()


async def test_writers_go_on_while_a_fill_runs(database: TestDatabase) -> None:
    """An old node creates and changes lots all the while. No write fails, each lot has one present version, and that
    says what the record says."""
    db, other = await database.open(), await database.open()
    await seeded(db, 600)
    old = Node.of(other, old_project(), (await releases.current(db)).catalog)
    await nodes.beat(other, "old-node", 1)
    written: dict[str, str] = {}
    begun = asyncio.Event()

    async def write() -> None:
        at = 0
        while True:
            at += 1
            number, text = f"W{at:05d}", f"new {at}"
            lot = {"id": uuid7(), "number": number, "supplier_lot": text, "qty": Decimal(at), "item": None}
            await _created(other, old, lot)
            written[number] = text
            await _changed(other, old, lot_id(at * 37 % 600), f"changed {at}")
            written[f"L{at * 37 % 600:07d}"] = f"changed {at}"
            begun.set()

    writer = asyncio.create_task(write())
    # How many turns it gets beside the fill is the database's affair, so it begins before.
    await begun.wait()
    release = await change(db, batch=10)
    writer.cancel()
    [ended] = await asyncio.gather(writer, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError), f"a write failed: {ended!r}"
    assert release.state == "live"
    await nodes.leave(other, "old-node")
    settled = await resume(db, load=SHELF)
    assert settled is not None
    assert settled.state == "settled"
    new = Node.of(db, new_project(), release.catalog)
    found = dict(await new.lots("number", "vendor_lot"))
    assert {number: found[number] for number in written} == written
    assert {row[0] for row in await new.lots("grade")} == {"A"}
    async with db.read() as connection:
        now = await connection.now() + timedelta(seconds=1)
    keys = ("number", "vendor_lot", "qty", "grade")
    assert await new.lots(*keys, as_of=now) == await new.lots(*keys)


async def _created(db: Any, node: Node, values: dict[str, Any]) -> None:
    async def work(connection: Connection) -> None:
        await node.insert(connection, values, await connection.now())

    await db.run_write(work)


async def _changed(db: Any, node: Node, lot: UUID, text: str) -> None:
    async def work(connection: Connection) -> None:
        await node.write(connection, lot, {"supplier_lot": text})

    await db.run_write(work)


async def test_progress_is_written_down_with_each_batch(database: TestDatabase) -> None:
    """A crash loses one batch: the journal says how far the fill came, and the next run begins there."""
    db = await database.open()
    await seeded(db, 50)
    commits = 0

    def crash(label: str) -> None:
        nonlocal commits
        commits += label == "fill lot.grade committed"
        if commits == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await change(db, batch=10, on_step=crash)
    async with db.read() as connection:
        columns = (system.change.c.state, system.change.c.progress)
        query = sa.select(*columns).where(system.change.c.kind == "fill", system.change.c.release == 2)
        assert [tuple(row) for row in await connection.fetch(query)] == [
            ("waiting", {"rows": 30, "last": str(lot_id(29))})
        ]
    labels: list[str] = []
    await resume(db, load=SHELF, batch=10, on_step=labels.append)
    assert labels.count("fill lot.grade committed") == 3
    async with db.read() as connection:
        assert [tuple(row) for row in await connection.fetch(query)] == [("done", {"rows": 50})]


async def test_a_change_that_must_run_alone_says_for_whom_it_waits(database: TestDatabase) -> None:
    one = blueprint(entity("lot", [field("size")]))
    two = blueprint(entity("lot", [field("size", "integer")]))
    shelf = Shelf(one, two)
    db = await database.installed(one)
    await nodes.beat(db, "node-7", 1)
    made = await plan(db, two, load=shelf)
    with pytest.raises(NodesBehind) as refusal:
        await apply(db, made, load=shelf, consents=frozenset(made.needs))
    sayings: tuple[tuple[Locale, str], ...] = (("en", "still run the earlier release"), ("zh", "仍在运行旧发布"))
    for locale, words in sayings:
        assert words in refusal.value.message(locale)
        assert "node-7" in refusal.value.message(locale)
        assert "clew apply --resume" in refusal.value.hint(locale)
    await nodes.leave(db, "node-7")
    finished = await resume(db, load=shelf)
    assert finished is not None
    assert (finished.number, finished.state) == (2, "settled")
