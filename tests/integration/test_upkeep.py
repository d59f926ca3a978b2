"""Two runtimes on one database look after it by themselves: a release is tightened once both have moved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.integration.http_case import MINI, until

from clew.audit.sealing.keys import configured_key, new_key
from clew.jobs import upkeep as upkeep_module
from clew.jobs.upkeep import Chore, Upkeep, chores, waits_to_tighten
from clew.metadata.load import load_folder
from clew.runtime import TEXTS, open_runtime, stored_blueprint
from clew.settings import Settings
from clew.storage import nodes
from clew.storage.blobs import Blobs
from clew.storage.change import apply, plan
from clew.storage.engine import Database
from clew.storage.partitions import PARENTS, ensure_partitions
from clew.storage.system import change, job, node
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

    def worker(name: str, every: timedelta) -> Upkeep:
        async def act() -> None:
            done.append(name)
            await asyncio.sleep(0.01)

        return Upkeep(opened, name, [Chore("chore", every, act)])

    two = [worker(name, timedelta(days=1)) for name in ("a", "b")]
    running = [asyncio.create_task(each.run(0.02)) for each in two]
    await until(_has(done, 1))
    await asyncio.gather(*(each.once() for each in two))
    assert len(done) == 1
    await _stop(running)
    async with opened.write() as connection:
        await connection.execute(sa.update(job).where(job.c.kind == "chore").values(run_at=await connection.now()))
    await asyncio.gather(*(each.once() for each in two))
    assert len(done) == 2


async def test_a_killed_node_is_forgotten_in_the_end(opened: Database) -> None:
    await release(opened, MINI)
    for name, age in (("killed", nodes.GONE), ("late", nodes.ALIVE), ("alive", timedelta(0))):
        await nodes.beat(opened, name, 1)
        async with opened.write() as connection:
            seen = await connection.now() - age
            await connection.execute(sa.update(node).where(node.c.node == name).values(seen_at=seen))
    await nodes.forget_gone(opened)
    assert set(await _values(opened, "SELECT node FROM clew_node")) == {"late", "alive"}


async def test_a_chore_that_fails_is_logged_and_tried_again(opened: Database, caplog: pytest.LogCaptureFixture) -> None:
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


async def test_a_foreseen_refusal_is_one_line_and_said_once(
    opened: Database, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Without its key the trail cannot be signed: told once, without a trace, and again only after it worked."""
    await release(opened, MINI)
    file = tmp_path / "audit.pem"
    settings = Settings(mode="production", audit_key=str(file))
    tried: list[str] = []

    async def sign() -> None:
        tried.append("once more")
        configured_key(settings)

    upkeep = Upkeep(opened, "a", [Chore("audit.sign", timedelta(0), sign)])
    await upkeep._begin()

    async def again() -> None:
        async with opened.write() as connection:
            await connection.execute(sa.update(job).values(run_at=await connection.now()))
        await upkeep.once()

    for _ in range(3):
        await again()
    assert len(tried) == 3
    assert [(each.levelname, each.exc_info) for each in caplog.records] == [("WARNING", None)]
    assert "AUDIT_KEY_MISSING" in caplog.text
    assert caplog.text.count("\n") == 1
    file.write_text(new_key(), "utf-8")
    await again()
    file.unlink()
    await again()
    assert len(caplog.records) == 2, "it had worked in between"


async def test_partitions_wait_for_a_long_load_in_quiet(
    database: TestDatabase, opened: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that runs for an hour keeps its tables: one line, nobody held up behind it, and done when it is over."""
    if database.dialect == "sqlite":
        assert await ensure_partitions(opened) == 0
        return
    monkeypatch.setattr(upkeep_module, "PATIENCE", timedelta(milliseconds=50))
    await release(opened, MINI)
    table = str((await _values(opened, PARENTS))[0])
    last = str((await _values(opened, _PARTITIONS.format(table=table)))[-1])
    async with opened.migrate() as connection:
        await connection.run_sql(f'DROP TABLE "{last}"')

    @asynccontextmanager
    async def owner() -> AsyncIterator[Database]:
        yield opened

    async def nothing(_database: Database) -> None:
        return None

    todo = chores(opened, Blobs(Path("unused")), owner, nothing)
    upkeep = Upkeep(opened, "a", [each for each in todo if each.kind == "upkeep.partitions"])
    await upkeep._begin()
    other = await database.open()
    async with other.write() as loading:
        await loading.run_sql(f'LOCK TABLE "{table}" IN ROW EXCLUSIVE MODE')
        for _ in range(2):
            async with opened.write() as connection:
                await connection.execute(sa.update(job).values(run_at=await connection.now()))
            await upkeep.once()
    assert [(each.levelname, each.exc_info) for each in caplog.records] == [("WARNING", None)]
    assert "DATABASE_BUSY" in caplog.text
    assert last not in await _values(opened, _PARTITIONS.format(table=table))
    async with opened.write() as connection:
        await connection.execute(sa.update(job).values(run_at=await connection.now()))
    await upkeep.once()
    assert last in await _values(opened, _PARTITIONS.format(table=table))


_PARTITIONS = "SELECT relname::text FROM pg_class WHERE relname LIKE '{table}_p%' AND relkind = 'r' ORDER BY 1"


async def _values(db: Database, query: str) -> list[Any]:
    async with db.read() as connection:
        return [row[0] for row in await connection.fetch(sa.text(query))]


def _has(found: list[str], count: int) -> Any:
    async def check() -> bool:
        return len(found) >= count

    return check


async def _stop(running: list[asyncio.Task[None]]) -> None:
    for each in running:
        each.cancel()
    await asyncio.gather(*running, return_exceptions=True)
