"""A rebuilt SQLite table keeps its rows, keys, references from both sides, indexes and triggers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from clew.storage.change.rebuild import rebuild
from clew.storage.engine import Database
from clew.storage.errors import IntegrityFault
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
SCHEMA = (
    'CREATE TABLE "order" (id TEXT NOT NULL, a TEXT, b INTEGER NOT NULL DEFAULT 7, parent TEXT, PRIMARY KEY (id),'
    ' FOREIGN KEY (parent) REFERENCES "order" (id) DEFERRABLE INITIALLY IMMEDIATE)',
    'CREATE TABLE child (id TEXT PRIMARY KEY, owner TEXT NOT NULL REFERENCES "order" (id))',
    "CREATE TABLE noted (what TEXT)",
    'CREATE UNIQUE INDEX ux ON "order" (lower(a)) WHERE b > 0',
    'CREATE INDEX ix ON "order" (parent, id)',
    'CREATE TRIGGER seen AFTER UPDATE ON "order" BEGIN INSERT INTO noted VALUES (new.id); END',
    "INSERT INTO \"order\" VALUES ('1', 'x', 1, NULL), ('2', 'y', 2, '1')",
    "INSERT INTO child VALUES ('c', '2')",
)


async def opened(case: TestDatabase) -> Database:
    db = await case.open()
    async with db.write() as connection:
        for statement in SCHEMA:
            await connection.run_sql(statement)
    return db


async def objects(db: Database) -> set[tuple[str, str, str]]:
    async with db.read() as connection:
        rows = await connection.fetch(sa.text("SELECT type, name, sql FROM sqlite_master WHERE type <> 'table'"))
    return {tuple(row) for row in rows}


async def test_rebuild_keeps_everything(new_database: Callable[[str], TestDatabase]) -> None:
    db = await opened(new_database("sqlite"))
    before = await objects(db)
    async with db.migrate() as connection:
        await rebuild(connection, "order", required=["a"], optional=["b"])
    assert await objects(db) == before
    async with db.read() as connection:
        info = {row[1]: row[3] for row in await connection.fetch(sa.text('PRAGMA table_info("order")'))}
        rows = await connection.fetch(sa.text('SELECT id, a, b, parent FROM "order" ORDER BY id'))
    assert info == {"id": 1, "a": 1, "b": 0, "parent": 0}
    assert [tuple(row) for row in rows] == [("1", "x", 1, None), ("2", "y", 2, "1")]
    async with db.write() as connection:
        await connection.run_sql("UPDATE \"order\" SET b = NULL WHERE id = '1'")
        assert await connection.fetch_value(sa.text("SELECT what FROM noted")) == "1"
    refused = {
        "INSERT INTO \"order\" (id) VALUES ('3')": "required",
        "INSERT INTO \"order\" (id, a, b) VALUES ('3', 'Y', 1)": "unique",
        "INSERT INTO \"order\" (id, a, parent) VALUES ('3', 'z', 'none')": "reference",
        "INSERT INTO child VALUES ('d', 'none')": "reference",
        "DELETE FROM \"order\" WHERE id = '2'": "reference",
    }
    for statement, kind in refused.items():
        with pytest.raises(IntegrityFault) as refusal:
            async with db.write() as connection:
                await connection.run_sql(statement)
        assert refusal.value.kind == kind, statement


async def test_rebuild_that_fails_leaves_the_old_table(new_database: Callable[[str], TestDatabase]) -> None:
    db = await opened(new_database("sqlite"))
    before = await objects(db)
    async with db.write() as connection:
        await connection.run_sql("UPDATE \"order\" SET a = NULL WHERE id = '1'")
    with pytest.raises(IntegrityFault):
        async with db.migrate() as connection:
            await rebuild(connection, "order", required=["a"])
    assert await objects(db) == before
    async with db.read() as connection:
        assert await connection.fetch_value(sa.text('SELECT count(*) FROM "order"')) == 2
        assert await connection.fetch_value(sa.text("PRAGMA foreign_keys")) == 1
