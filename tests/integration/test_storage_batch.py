"""Changes of several tables in one round trip: the same rows on both engines, whatever their number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from clew.storage import batch as batches
from clew.storage import process_tables, system
from clew.storage.batch import Batch, Delete, Insert, Update
from clew.storage.change import install
from clew.storage.engine import Connection, Database
from clew.testing.blueprints import blueprint, entity
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

CANDIDATE, JOB = process_tables.task_candidate, system.job
ASK, UNASK = Insert(101, CANDIDATE), Delete(102, CANDIDATE, ("person", "task"))
COLUMNS = ("id", "kind", "key", "payload", "state", "run_at", "attempts", "created_at")
PUT = Insert(103, JOB, COLUMNS, instead=(("kind", "key"), sa.text("state IN ('ready', 'leased')"), ("run_at",)))
CHANGE = Update(104, JOB, ("id",), ("attempts", "last_error"))
AT = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)


def row(number: int, **changed: Any) -> dict[str, Any]:
    payload = {"text": '批次 "1" \\ {}', "list": [1, None, True], "at": {"n": number}}
    known = {"id": UUID(int=number + 1), "kind": "k", "key": f"key {number}", "payload": payload, "state": "ready"}
    return {**known, "run_at": AT, "attempts": 0, "created_at": AT, **changed}


async def write(db: Database, batch: Batch) -> None:
    async def work(connection: Connection) -> None:
        await batch.write(connection)

    await db.run_write(work)


async def rows(db: Database, table: sa.Table) -> list[Any]:
    async with db.read() as connection:
        found = await connection.fetch(sa.select(table).order_by(*table.primary_key.columns))
    return [dict(zip(table.c.keys(), each, strict=True)) for each in found]


async def test_a_batch_inserts_changes_and_deletes(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_LONGEST", 4)
    monkeypatch.setattr(batches, "_MOST", 3)
    db = await database.open()
    await install(db, blueprint(entity("lot", [])))
    count = 10
    first = Batch()
    for number in range(count):
        first.add(PUT, row(number))
        first.add(ASK, {"person": UUID(int=7), "task": UUID(int=number)})
    await write(db, first)
    await write(db, first)  # nothing is left in it
    mine = [each for each in await rows(db, JOB) if each["kind"] == "k"]
    assert [{name: each[name] for name in COLUMNS} for each in mine] == [row(number) for number in range(count)]
    assert len(await rows(db, CANDIDATE)) == count

    second, later = Batch(), AT + timedelta(days=1)
    for number in range(5):
        second.add(UNASK, {"person": UUID(int=7), "task": UUID(int=number)})
        second.add(CHANGE, {"id": UUID(int=number + 1), "attempts": number, "last_error": None if number else "'"})
    second.add(PUT, row(9, id=UUID(int=99), run_at=later))
    await write(db, second)
    mine = [each for each in await rows(db, JOB) if each["kind"] == "k"]
    assert [each["attempts"] for each in mine] == [0, 1, 2, 3, 4, 0, 0, 0, 0, 0]
    assert mine[0]["last_error"] == "'"
    assert [each["run_at"] for each in mine] == [AT] * 9 + [later], "one that is there takes the new moment"
    assert [each["task"] for each in await rows(db, CANDIDATE)] == [UUID(int=each) for each in range(5, count)]
