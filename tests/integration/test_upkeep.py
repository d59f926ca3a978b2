"""Two runtimes on one database look after it by themselves: a release is tightened once both have moved."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.integration.http_case import MINI, until

from clew.jobs.upkeep import Chore, Upkeep, waits_to_tighten
from clew.metadata.load import load_folder
from clew.runtime import TEXTS, open_runtime, stored_blueprint
from clew.settings import Settings
from clew.storage import nodes
from clew.storage.change import apply, plan
from clew.storage.engine import Database
from clew.storage.system import change, job
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


@pytest.fixture
async def opened(database: TestDatabase) -> AsyncIterator[Database]:
    db = await database.open()
    yield db
    await db.close()


async def release(db: Database, folder: Path) -> None:
    loaded = load_folder(folder)
    assert loaded.blueprint is not None, loaded.diagnostics
    made = await plan(db, loaded.blueprint, load=stored_blueprint)
    await apply(db, made, load=stored_blueprint, texts=TEXTS, consents=frozenset(made.needs))


async def test_a_release_is_tightened_when_every_node_has_moved(
    database: TestDatabase, opened: Database, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "models").mkdir()
    (project / "clew.yaml").write_text((MINI / "clew.yaml").read_text("utf-8"), "utf-8")
    model = project / "models" / "tool.yaml"
    tool = "entity: tool\nclass: master\nkey: [code]\nfields:\n  code: {type: text, required: true}\n"
    model.write_text(tool, "utf-8")
    await release(opened, project)
    settings = Settings(database_url=database.url, blobs=tmp_path / "blobs", release_poll=0.1)
    hosts = [await open_runtime(settings) for _ in range(2)]
    try:
        # A third node that has not moved yet holds the tightening up.
        await nodes.beat(opened, "slow", 1)
        text = model.read_text("utf-8")
        model.write_text(text + "  kind: {type: text, required: true, default: \"'hand'\"}\n", "utf-8")
        await release(opened, project)

        async def moved() -> bool:
            return all(host.current.number == 2 for host in hosts)

        await until(moved, 30)
        assert await waits_to_tighten(opened)
        await nodes.leave(opened, "slow")

        async def tightened() -> bool:
            return not await waits_to_tighten(opened)

        await until(tightened, 60)
        async with opened.read() as connection:
            states = await connection.fetch(sa.select(change.c.state).where(change.c.release == 2).distinct())
        assert [row[0] for row in states] == ["done"]
    finally:
        for host in hosts:
            await host.close()


async def test_a_chore_is_done_by_one_node_and_comes_back(opened: Database, tmp_path: Path) -> None:
    loaded = load_folder(MINI)
    assert loaded.blueprint is not None
    await release(opened, MINI)
    done: list[str] = []

    def node(name: str, every: timedelta) -> Upkeep:
        async def act() -> None:
            done.append(name)
            await asyncio.sleep(0.01)

        return Upkeep(opened, name, [Chore("chore", every, act)])

    two = [node(name, timedelta(days=1)) for name in ("a", "b")]
    running = [asyncio.create_task(each.run(0.02)) for each in two]
    await until(_has(done, 1))
    await asyncio.gather(*(each.once() for each in two))
    assert len(done) == 1
    await _stop(running)
    async with opened.write() as connection:
        await connection.execute(sa.update(job).where(job.c.kind == "chore").values(run_at=await connection.now()))
    await asyncio.gather(*(each.once() for each in two))
    assert len(done) == 2


async def test_a_chore_that_fails_is_logged_and_tried_again(
    opened: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The import linter, run in this process by another test, switches off every logger that was there before it.
    monkeypatch.setattr(logging.getLogger("clew.upkeep"), "disabled", False)
    await release(opened, MINI)
    tried: list[str] = []

    async def act() -> None:
        tried.append("once more")
        if len(tried) < 2:
            raise RuntimeError("the disk is full")

    running = [asyncio.create_task(Upkeep(opened, "a", [Chore("chore", timedelta(days=1), act)]).run(0.05))]
    await until(_has(tried, 2), 30)
    await _stop(running)
    assert "chore failed" in caplog.text


def _has(found: list[str], count: int) -> Any:
    async def check() -> bool:
        return len(found) >= count

    return check


async def _stop(running: list[asyncio.Task[None]]) -> None:
    for each in running:
        each.cancel()
    await asyncio.gather(*running, return_exceptions=True)
