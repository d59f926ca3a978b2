"""Refused decisions that wait for the database are written while the server runs, or when it stops; else the log says
which are lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.integration.http_case import installed, until

from clew.kernel.errors import ClewError
from clew.records.decisions import keep
from clew.runtime import RuntimeHost, open_runtime
from clew.settings import Settings
from clew.storage import releases, system
from clew.storage.errors import DatabaseBusy
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
QUIET = 60.0
"""Seconds between two looks of a node that is not to look again in a test."""


class Away:
    """A database that takes no refusals until it is back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gone, self.delay, self._real = True, 0.0, keep.record_event
        monkeypatch.setattr(keep, "record_event", self)

    async def __call__(self, *given: Any, **named: Any) -> Any:
        await asyncio.sleep(self.delay)
        if self.gone:
            raise DatabaseBusy(what="test")
        return await self._real(*given, **named)


@asynccontextmanager
async def running(database: TestDatabase, blobs: Path, poll: float = QUIET) -> AsyncIterator[RuntimeHost]:
    await installed(database.url)
    host = await open_runtime(Settings(database_url=database.url, blobs=blobs, release_poll=poll))
    try:
        yield host
    finally:
        await host.close()


async def refuse(host: RuntimeHost) -> None:
    """A regulated action without its reason."""
    call = host.current.operator_call("en")
    made = await host.current.commands.create(call, "supplier", {"name": "Apex"})
    with pytest.raises(ClewError) as refused:
        await host.current.commands.void(call, "supplier", made.id, made.row_version)
    assert refused.value.code == "REASON_REQUIRED"


async def kept(database: TestDatabase) -> list[tuple[str, str]]:
    opened = await database.open()
    try:
        async with opened.read() as connection:
            return [(each[0], each[1]) for each in await connection.fetch(ACTIONS)]
    finally:
        await opened.close()


ACTIONS = system.decision.select().with_only_columns(system.decision.c.action, system.decision.c.code)
VOID = ("void", "REASON_REQUIRED")


async def test_a_server_that_stops_writes_what_waits(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    away = Away(monkeypatch)
    async with running(database, tmp_path / "blobs") as host:
        await refuse(host)
        # A later release keeps the book of the node, so that what waits in it is not forgotten with the one before.
        fresh = host._assemble(await releases.current(host.database))
        assert fresh.commands.refusals is host.refusals is host.current.commands.refusals
        assert host.refusals.waiting == 1
        away.gone = False
    assert await kept(database) == [VOID]
    assert "lost" not in caplog.text


@pytest.mark.parametrize("delay", [0.0, 30.0], ids=["refuses", "hangs"])
async def test_what_cannot_be_written_at_the_end_is_told(
    database: TestDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    delay: float,
) -> None:
    monkeypatch.setattr(keep, "PATIENCE", 0.2)
    away = Away(monkeypatch)
    async with running(database, tmp_path / "blobs") as host:
        await refuse(host)
        away.delay = delay
    [lost] = [each for each in caplog.records if each.name == "clew.decisions" and each.levelno == logging.ERROR]
    assert "void of supplier" in lost.getMessage()
    assert "REASON_REQUIRED" in lost.getMessage()
    assert host.refusals.waiting == 0
    assert await kept(database) == []


async def test_a_node_looks_again_by_itself(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where so many wait that nothing is decided any more: no further refusal would ever take them along."""
    away = Away(monkeypatch)
    async with running(database, tmp_path / "blobs", poll=0.05) as host:
        await refuse(host)
        monkeypatch.setattr(keep, "MOST_WAITING", 1)
        with pytest.raises(ClewError):
            host.refusals.ready()
        away.gone = False

        async def written() -> bool:
            return host.refusals.waiting == 0

        await until(written, 20)
        host.refusals.ready()
        assert await kept(database) == [VOID]
