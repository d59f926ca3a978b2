"""What is read in several statements is of one moment: an export, and the comparison of records with their trail."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from clew.audit.sealing import log
from clew.records import exporting
from clew.records.reconcile import reconcile
from clew.records.source import Source
from clew.storage.engine import Connection, Database
from clew.testing.databases import TestDatabase

sys.path.insert(0, str(Path(__file__).parent))
from write_journey import Plant, a_lot, plant

pytestmark = pytest.mark.anyio


class WrittenMeanwhile:
    """A database of which somebody changes a record once a reader has read its versions."""

    def __init__(self, database: Database, write: Callable[[], Awaitable[Any]]) -> None:
        self._database, self._write = database, write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        async with self._database.read() as connection:
            yield self._heard(connection)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        async with self._database.snapshot() as connection:
            yield self._heard(connection)

    def _heard(self, connection: Any) -> Connection:
        fetch = connection.fetch

        async def then_written(statement: Any, *args: Any) -> Any:
            rows = await fetch(statement, *args)
            if rows and _of_versions(statement):
                write, self._write = self._write, nothing
                await write()
            return rows

        connection.fetch = then_written
        found: Connection = connection
        return found


def _of_versions(statement: Any) -> bool:
    """Whether it asks for versions of nonconformances."""
    columns = getattr(statement, "selected_columns", {})
    return "tx_to" in columns and columns["tx_to"].table.name == "nonconformance__history"


async def nothing() -> None:
    return None


async def with_actions(database: TestDatabase) -> tuple[Plant, Any]:
    made = await plant(await database.open())
    lot = (await made.commands.create(made.call, "lot", a_lot(made))).id
    severity = min(made.blueprint.code_lists["severity"].codes)
    given = {"site": made.ids["SHA"], "severity": severity, "subject": {"entity": "lot", "id": lot}, "lots": [lot]}
    given["actions"] = [{"what": "before", "due": "2030-01-01"}]
    return made, (await made.commands.create(made.call, "nonconformance", given)).id


async def test_an_export_is_of_one_moment(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines, read after the records, are those the records had."""
    made, record = await with_actions(database)
    read = exporting._records

    async def later(source: Any, connection: Any, entity: Any, *more: Any) -> AsyncIterator[list[Any]]:
        if entity.part_of is not None:
            after = {"closed_on": "2031-01-01", "actions": [{"what": "after", "due": "2030-01-01"}]}
            await made.commands.update(made.why("x"), "nonconformance", record, 1, after)
        async for row in read(source, connection, entity, *more):
            yield row

    monkeypatch.setattr(exporting, "_records", later)
    async with made.database.read() as connection:
        now = await connection.now()
    source = Source(made.database, made.blueprint, made.tables, made.decision, made.call.context, now, "1")
    await exporting.export_file(source, "nonconformance", tmp_path / "out.jsonl", "jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row.get("closed_on", row.get("what")) for row in rows] == [None, "before"]


async def test_verification_tells_nothing_of_what_is_written_meanwhile(database: TestDatabase) -> None:
    made, record = await with_actions(database)
    await log.seal_all(made.database)

    async def write() -> None:
        after = {"closed_on": "2031-01-01", "actions": {"add": [{"what": "after", "due": "2030-01-01"}]}}
        await made.commands.update(made.why("x"), "nonconformance", record, 1, after)

    busy: Any = WrittenMeanwhile(made.database, write)
    assert [each.text().en async for each in reconcile(busy, made.tables)] == []
    assert (await made.current("nonconformance"))[record]["row_version"] == 2
