"""What `clew doctor` finds in a database, on both engines: each trouble is made, named, and gone when mended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
import sqlalchemy as sa

from clew.cli.applying import catch_up, open_to_servers
from clew.cli.doctor_database import database_findings
from clew.cli.finding import Finding
from clew.cli.serve import _guarded
from clew.kernel.ids import uuid7
from clew.settings import Settings
from clew.storage import health, nodes, releases, system
from clew.storage.change import apply, install, plan, resume
from clew.storage.engine import Database
from clew.storage.errors import PlatformBehind
from clew.storage.partitions import ensure_partitions
from clew.testing.blueprints import Shelf, blueprint, entity, field
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
ONE = blueprint(entity("lot", [field("a")]))
TWO = blueprint(entity("lot", [field("a"), field("b")]))
SHELF = Shelf(ONE, TWO)


async def found(settings: Settings) -> dict[str, Finding]:
    return {each.subject.en: each async for each in database_findings(settings)}


def of(case: TestDatabase, **options: object) -> Settings:
    return Settings.model_validate({"project": Path("nowhere"), "database_url": case.url, **options})


async def test_a_healthy_database(database: TestDatabase) -> None:
    db = await database.open()
    assert (await found(of(database)))["Release"].state == "warn", "nothing is applied yet"
    await install(db, ONE)
    seen = await found(of(database))
    postgres = database.dialect == "postgresql"
    expected = {"Database", "Clock difference", "Environment of the database", "Release", "Change"}
    expected |= {"The platform's own tables"}
    expected |= {"Leaves to seal", "Events to dispatch"}
    expected |= {"Key of the trail", "Anchor of the trail", "Anchors outside"}
    expected |= {"Monthly partitions", "Rights of the servers' role"} if postgres else set()
    assert set(seen) == expected
    wrong = {name for name, each in seen.items() if each.state != "ok"}
    assert wrong == ({"Rights of the servers' role"} if postgres else set()), "here the owner is the servers' role"
    for each in seen.values():
        assert each.found.zh
        assert each.found.en
        assert each.state == "ok" or (each.mend.zh and each.mend.en)
    assert seen["Database"].found.en.startswith("PostgreSQL " if postgres else "SQLite")


async def test_a_database_of_an_earlier_version_says_what_to_do(database: TestDatabase) -> None:
    db = await database.open()
    await install(db, ONE)
    async with db.migrate() as connection:
        await connection.run_sql("DROP TABLE clew_token_request")
        for name in ("done_at", "round"):
            await connection.run_sql(f"ALTER TABLE clew_task DROP COLUMN {name}")
    with pytest.raises(PlatformBehind) as told:
        await releases.current(db)
    assert told.value.message("en").endswith("it lacks clew_task.round, clew_task.done_at, clew_token_request.")
    assert "clew apply --resume" in told.value.hint("zh")
    with pytest.raises(PlatformBehind):
        await _guarded(of(database))
    seen = (await found(of(database)))["The platform's own tables"]
    assert (seen.state, seen.found.en) == (
        "bad",
        "of an earlier version: clew_task.round, clew_task.done_at, clew_token_request missing",
    )
    assert await catch_up(db) == ["clew_task.round", "clew_task.done_at", "clew_token_request"]
    assert await catch_up(db) == []
    assert (await releases.current(db)).number == 1
    assert (await found(of(database)))["The platform's own tables"].state == "ok"


async def test_queues_and_failed_jobs(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    db = await database.open()
    await install(db, ONE)
    monkeypatch.setattr("clew.cli.doctor_database.MOST_WAITING", 1)
    async with db.write() as connection:
        at = await connection.now()
        for _ in range(2):
            await connection.execute(sa.insert(system.leaf_pending), {"leaf_id": uuid7(), "at": at})
        job = {"id": uuid7(), "kind": "seal", "payload": {}, "state": "failed", "run_at": at, "attempts": 10}
        await connection.execute(sa.insert(system.job).values(**job, created_at=at))
    seen = await found(of(database))
    assert (seen["Leaves to seal"].state, seen["Leaves to seal"].found.en[0]) == ("warn", "2")
    assert seen["Events to dispatch"].state == "ok"
    assert seen["Failed jobs"].found.en == "seal × 1"


async def test_an_unfinished_change_and_who_holds_it_up(database: TestDatabase) -> None:
    db = await database.open()
    await install(db, ONE)
    made = await plan(db, TWO, load=SHELF)

    def crash(_label: str) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        await apply(db, made, load=SHELF, on_step=crash)
    stopped = (await found(of(database)))["Change"]
    assert stopped.state == "bad"
    assert "release 2 stopped before expand lot" in stopped.found.en
    assert stopped.mend.zh == "clew apply --resume"
    await nodes.beat(db, "old-node", 1)
    await resume(db, load=SHELF)
    waiting = (await found(of(database)))["Change"]
    assert waiting.state == "warn"
    assert "old-node" in waiting.mend.en
    assert "old-node" in waiting.mend.zh
    await nodes.beat(db, "old-node", 2)
    await resume(db, load=SHELF)
    assert (await found(of(database)))["Change"].state == "ok"


async def test_missing_months_and_rows_that_came_before_them(new_database: Callable[[str], TestDatabase]) -> None:
    case = new_database("postgresql")
    db = await case.open()
    await install(db, ONE)
    async with db.migrate() as connection:
        now = await connection.now()
        month = f"clew_outbox_p{now:%Y%m}"
        await connection.run_sql(f"DROP TABLE {month}")
    seen = (await found(of(case)))["Monthly partitions"]
    assert seen.state == "bad"
    assert f"1 missing: {month}" in seen.found.en
    await ensure_partitions(db)
    assert (await found(of(case)))["Monthly partitions"].state == "ok"
    async with db.migrate() as connection:
        await connection.run_sql(f"DROP TABLE {month}")
        event = {"event_id": uuid7(), "at": now, "type": "x", "entity": "lot", "record_id": uuid7(), "row_version": 1}
        await connection.execute(sa.insert(system.outbox).values(**event, lane=0, payload="{}"))
    seen = (await found(of(case)))["Monthly partitions"]
    assert (seen.state, "clew_outbox_default" in seen.found.zh) == ("bad", True)


async def test_the_servers_role(new_database: Callable[[str], TestDatabase]) -> None:
    """A role that lacks rights, then has what a server needs, then was given too much on a single month."""
    case = new_database("postgresql")
    db = await case.open()
    await install(db, ONE)
    async with _role(db) as role:
        parts = urlsplit(case.url)
        host = parts.netloc.rpartition("@")[2]
        url = urlunsplit(parts._replace(netloc=f"{role}:secret@{host}"))
        settings = of(case, database_url=url, owner_database_url=case.url, mode="production")
        seen = (await found(settings))["Rights of the servers' role"]
        assert (seen.state, "it lacks" in seen.found.en) == ("bad", True)
        await open_to_servers(settings, db)
        assert (await found(settings))["Rights of the servers' role"].state == "ok"
        async with db.write() as connection:
            month = f"clew_audit_leaf_p{await connection.now():%Y%m}"
            await connection.run_sql(f"GRANT DELETE ON {month} TO {role}")
        seen = (await found(settings))["Rights of the servers' role"]
        assert seen.state == "bad"
        assert f"{month} DELETE" in seen.found.en
        assert f"{month} DELETE" in seen.found.zh


async def test_facts_of_an_embedded_database(new_database: Callable[[str], TestDatabase]) -> None:
    db = await new_database("sqlite").open()
    await install(db, ONE)
    async with db.read() as connection:
        assert await health.server_version(connection) is None
        assert await health.excess_rights(connection) == await health.lacking_rights(connection) == []
        assert await health.missing_partitions(connection) == await health.strays(connection) == []


@asynccontextmanager
async def _role(db: Database) -> AsyncIterator[str]:
    role = f"clew_runtime_{uuid7().hex[-12:]}"
    async with db.write() as connection:
        await connection.run_sql(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    try:
        yield role
    finally:
        async with db.write() as connection:
            await connection.run_sql(f"DROP OWNED BY {role}; DROP ROLE {role}")
