"""The SQL a plan prints for a database administrator, run by hand on a copy, does what applying does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from tests.integration.change_case import LONG_AGO, Node, constant, lot_id

from clew.metadata.blueprint import Blueprint
from clew.storage.change import Plan, apply, install, plan
from clew.storage.change.reflect import reflect
from clew.storage.engine import Database
from clew.testing.blueprints import Shelf, blueprint, entity, field
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
AT = datetime(2026, 5, 1, tzinfo=UTC)


def old_project() -> Blueprint:
    fields = [field("number", "number", unique=True), field("supplier_lot"), field("size", "integer"), field("old")]
    return blueprint(entity("lot", fields), entity("item", [field("name")]))


def new_project() -> Blueprint:
    fields = [
        field("number", "number", unique=True),
        field("vendor_lot", renamed_from=("supplier_lot",)),
        field("size"),
        field("grade", required=True, default=constant("it's A"), max_length=10),
        field("item", "ref", targets=("item",)),
        field("count", "integer", unique=True),
    ]
    site = entity("site", [field("code", required=True, unique=True), field("item", "ref", targets=("item",))])
    return blueprint(entity("lot", fields), entity("item", [field("name")]), site)


SHELF = Shelf(old_project(), new_project())


async def _seeded(database: Database) -> None:
    node = Node.of(database, old_project(), (await install(database, old_project())).catalog)
    async with database.write() as connection:
        for at in range(1, 8):
            row = {"id": lot_id(at), "created_at": LONG_AGO, "updated_at": LONG_AGO, "number": f"L{at}"}
            facts = {"supplier_lot": f"批 {at};", "size": None if at == 3 else at * 10, "old": "x"}
            await node.insert(connection, row | facts, LONG_AGO)


async def _by_hand(database: Database, made: Plan) -> list[str]:
    """What an administrator does: each statement of the printed text, in its order. Comments are not statements."""
    printed = made.sql(AT, SHELF)
    bare = "\n".join(line for line in printed.splitlines() if not line.startswith("--"))
    statements = [each.strip() for each in bare.split(";\n") if each.strip()]
    for statement in statements:
        async with database.migrate() as connection:
            await connection.run_sql(statement)
    return statements


async def _schema(database: Database) -> tuple[dict[str, Any], set[str]]:
    async with database.read() as connection:
        found = await reflect(connection)
    return dict(found.tables), set(found.indexes)


async def _data(database: Database, columns: str, table: str, order: str) -> list[tuple[Any, ...]]:
    async with database.read() as connection:
        rows = await connection.fetch(sa.text(f"SELECT {columns} FROM {table} ORDER BY {order}"))
    return [tuple(row) for row in rows]


async def test_the_printed_sql_run_by_hand_does_what_apply_does(
    database: TestDatabase, new_database: Callable[[str], TestDatabase]
) -> None:
    applied, copied = await database.open(), await new_database(database.dialect).open()
    for each in (applied, copied):
        await _seeded(each)
    made = await plan(copied, new_project(), load=SHELF)
    assert {step.kind for step in made.steps} >= {"sql", "fill", "swap", "carry", "require"}
    statements = await _by_hand(copied, made)
    assert len(statements) > len(made.steps)
    mine = await plan(applied, new_project(), load=SHELF)
    await apply(applied, mine, load=SHELF, consents=frozenset(mine.needs), batch=3)

    (want, want_indexes), (have, have_indexes) = await _schema(applied), await _schema(copied)
    assert have_indexes == want_indexes
    assert set(have) == set(want)
    if database.dialect == "sqlite":
        # Tightening rebuilds the table, which the text leaves to the platform and says so.
        assert want["lot"].pop("grade").required
        assert not have["lot"].pop("grade").required
        assert "Only clew apply can do this: SQLite cannot alter a column" in made.sql(AT, SHELF)
    assert have == want

    facts = "number, supplier_lot, size, old, grade, item, count"
    kept = [name for name in want["lot"] if name.startswith("size_")]
    assert kept, "the converted column stands beside the old one"
    facts = ", ".join([facts, *kept])
    assert await _data(copied, facts, "lot", "id") == await _data(applied, facts, "lot", "id")
    assert {row[4] for row in await _data(copied, facts, "lot", "id")} == {"it's A"}
    # History: the same versions of the same contents, each beginning where the one before ended.
    assert await _versions(copied, facts) == await _versions(applied, facts)


async def _versions(database: Database, facts: str) -> list[list[Any]]:
    """What each lot was, version by version, without the moments of the change; gaps and overlaps refused."""
    rows = await _data(database, f"id, tx_from, tx_to, {facts}", "lot__history", "id, tx_from")
    for before, after in pairwise(rows):
        if before[0] == after[0]:
            assert before[2] == after[1]
    return [[row[0], *row[3:]] for row in rows]


async def test_what_only_the_platform_can_do_is_said(database: TestDatabase) -> None:
    one = blueprint(entity("lot", [field("a"), field("size")]))
    two = blueprint(entity("lot", [field("a", sort="pinyin", search=True), field("size", "decimal", scale=2)]))
    shelf = Shelf(one, two)
    db = await database.open()
    await install(db, one)
    printed = (await plan(db, two, load=shelf)).sql(AT, shelf)
    for words in ("sort keys of the texts", "search grams of the texts", "leaves empty what has no equal"):
        assert f"-- Only clew apply can do this: the platform {'' if 'leaves' in words else 'makes the '}" in printed
        assert words in printed
    assert "waits here until no node runs the earlier release" in printed
    assert all(not line.startswith("{") for line in printed.splitlines())
