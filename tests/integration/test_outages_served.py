"""A server whose PostgreSQL goes away and comes back: it says so meanwhile, and goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import sqlalchemy as sa
from outage_case import Switched, switched
from tests.integration.http_case import Served, served, until
from tests.unit.process.play import PROJECT

from clew.records import feed
from clew.storage import system
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
FILES = {
    **PROJECT,
    "workflows/w.yaml": """\
workflow: handling
for: case
starts: [{event: case.create}]
steps:
  note: {do: [{set: {title: "'seen to'"}}]}
""",
}
CREATE = "mutation { createCase(input: {}) { case { id } } }"
PENDING = sa.select(sa.func.count()).select_from(system.leaf_pending)
CASES = "{ cases(first: 100) { nodes { id title } } }"


async def asked(house: Served, query: str) -> str:
    """The code with which it was refused, or nothing."""
    errors = (await house.ask(query)).get("errors")
    return errors[0]["extensions"]["code"] if errors else ""


async def an_hour_on(connection: Connection) -> None:
    """What waits for its time is due; what was being done when the database went away has lost its lease."""
    job, now = system.job, await connection.now()
    await connection.execute(sa.update(job).where(job.c.state == "ready").values(run_at=now))
    await connection.execute(sa.update(job).where(job.c.state == "leased").values(lease_until=now))


async def stopped(server: Switched, how: Literal["fast", "immediate"]) -> None:
    await asyncio.sleep(0.3)
    await asyncio.to_thread(server.stop, how)


@pytest.mark.parametrize("how", ["fast", "immediate"])
async def test_a_server_outlives_its_database(tmp_path: Path, how: Literal["fast", "immediate"]) -> None:
    for name, text in FILES.items():
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_text(text, encoding="utf-8")
    options: dict[str, Any] = {"release_poll": 0.1, "audit_checkpoint_every": 0.1}
    with switched() as server:
        server.say("ALTER SYSTEM SET fsync = off")
        url, folder = server.create(), tmp_path / "project"
        async with served(url, tmp_path / "blobs", folder=folder, project=folder, **options) as house:
            database, heard = house.host.database, set[str]()

            async def in_order() -> bool:
                """All processes have been worked to their end, whoever listens has heard of it, the trail is sealed."""
                async with database.read() as connection:
                    sealed = not await connection.fetch_value(PENDING)
                cases = (await house.ask(CASES))["data"]["cases"]["nodes"]
                return sealed and all(each["title"] and each["id"] in heard for each in cases)

            async def hear() -> None:
                async with house.host.feed.listen("case") as listener:
                    while True:
                        heard.add(str((await listener.next()).record_id))

            hearing = asyncio.create_task(hear())
            await asyncio.sleep(0.5)
            for _ in range(2):
                stopping = asyncio.create_task(stopped(server, how))
                codes = set()
                while not stopping.done():
                    codes |= {await asked(house, CREATE), await asked(house, CASES)}
                    await asyncio.sleep(0.005)
                await stopping
                assert codes <= {"", "DATABASE_UNREACHABLE", "WRITTEN_BUT_UNREAD"}
                for query in (CREATE, CASES):
                    assert await asked(house, query) == "DATABASE_UNREACHABLE"
                assert (await house.client.get("/readyz")).status_code == 503
                await asyncio.sleep(0.5)  # those that work by themselves meet it as well

                await asyncio.to_thread(server.start_again)
                for query in (CREATE, CASES):
                    assert await asked(house, query) == ""
                assert (await house.client.get("/readyz")).status_code == 200
                await database.run_write(an_hour_on)
                await until(in_order, 40)
            hearing.cancel()
            assert not [task for task in house.host._tasks if task.done()]


async def test_an_event_that_could_not_be_read_is_told_later(
    new_database: Callable[[str], TestDatabase], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The database is away for longer than a look goes back.
    for each in ("LOOK_BACK_SECONDS", "FAR_BACK_SECONDS"):
        monkeypatch.setattr(feed, each, 0.5)
    async with (
        served(new_database("postgresql").url, tmp_path) as house,
        house.host.feed.listen("supplier") as listener,
    ):
        with monkeypatch.context() as lost:
            # The connection goes after the event was found, and before it was read.
            lost.setattr(feed, "_THESE", sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))
            assert await asked(house, 'mutation { createSupplier(input: {name: "A"}) { created } }') == ""
            await asyncio.sleep(1.5)
        async with asyncio.timeout(10):
            assert (await listener.next()).entity == "supplier"
