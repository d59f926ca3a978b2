"""Both engines behind one shape: units of work, constraints, time, limits, cancellation."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from clew.kernel.ids import uuid7
from clew.storage import system
from clew.storage.change import install
from clew.storage.engine import Connection, Database
from clew.storage.errors import DatabaseUnreachable, InsertOnly, IntegrityFault, StatementTimeout, UnknownDatabaseUrl
from clew.storage.open import open_database
from clew.storage.tables import Tables
from clew.testing import ManualClock
from clew.testing.blueprints import blueprint, entity, field, unique
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
AT = datetime(2026, 1, 1, tzinfo=UTC)
PROJECT = blueprint(
    entity(
        "lot",
        [
            field("number", "number", required=True),
            field("owner", "ref", targets=("lot",)),
            field("qty", "integer"),
            field("peers", "many", targets=("lot",)),
        ],
        uniques=(unique("number", ignore_case=True),),
    )
)


async def opened(case: TestDatabase, **options: Any) -> tuple[Database, Tables]:
    db = await case.open(**options)
    release = await install(db, PROJECT)
    return db, Tables(PROJECT, release.catalog, db.dialect)


async def add(connection: Connection, tables: Tables, number: str | None, **more: Any) -> Any:
    row = {"id": uuid7(), "row_version": 1, "created_at": AT, "updated_at": AT, "number": number} | more
    await connection.execute(sa.insert(tables.current("lot")).values(**row))
    return row["id"]


async def count(db: Database, tables: Tables) -> int:
    async with db.read() as connection:
        found: int = await connection.fetch_value(sa.select(sa.func.count()).select_from(tables.current("lot")))
        return found


_ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c"


async def test_a_read_that_nobody_waits_for_ends(database: TestDatabase) -> None:
    """Its connection is free for the next: else as many readers as there are could be lost to it."""
    db, tables = await opened(database, statement_timeout=0)

    async def endless() -> None:
        async with db.read() as connection:
            await connection.fetch(sa.text(_ENDLESS))

    for _ in range(6):
        reading = asyncio.create_task(endless())
        await asyncio.sleep(0.05)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await count(db, tables) == 0


async def test_a_snapshot_is_of_one_moment_and_leaves_nothing_behind(database: TestDatabase) -> None:
    db, tables = await opened(database)
    rows = sa.select(sa.func.count()).select_from(tables.current("lot"))
    for number in range(1, 4):
        with suppress(ZeroDivisionError):
            async with db.snapshot() as connection:
                before = await connection.fetch_value(rows)
                async with db.write() as other:
                    await add(other, tables, f"L{number}")
                assert await connection.fetch_value(rows) == before == number - 1
                if number == 2:
                    raise ZeroDivisionError
        assert await count(db, tables) == number


async def test_all_or_nothing(database: TestDatabase) -> None:
    db, tables = await opened(database)
    with pytest.raises(RuntimeError):  # noqa: PT012
        async with db.write() as connection:
            await add(connection, tables, "1")
            raise RuntimeError
    assert await count(db, tables) == 0
    async with db.write() as connection:
        await add(connection, tables, "1")
        assert await count(db, tables) == 0, "others see nothing before the commit"
    assert await count(db, tables) == 1


async def test_cancelled_units_leave_nothing_and_block_nobody(database: TestDatabase) -> None:
    db, tables = await opened(database)
    started = asyncio.Event()

    async def slow() -> None:
        async with db.write() as connection:
            await add(connection, tables, "1")
            started.set()
            await asyncio.sleep(3600)

    task = asyncio.create_task(slow())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with db.write() as connection:
        await add(connection, tables, "1")
    assert await count(db, tables) == 1


async def test_whatever_is_cancelled_no_transaction_stays_open(database: TestDatabase) -> None:
    """A unit is stopped at each of its first moments: while it waits, begins, asks, commits."""
    db = await database.open()

    async def work(connection: Connection) -> None:
        await connection.fetch_value(sa.text("SELECT 1"))

    for moments in range(24):
        task = asyncio.create_task(db.run_write(work))
        for _ in range(moments):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await asyncio.gather(*(db.run_write(work) for _ in range(20)))
    if db.dialect == "postgresql":
        open_ones = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        async with db.read() as connection:
            assert await connection.fetch_value(sa.text(open_ones)) == 0
    await db.close()


async def test_a_unit_that_goes_on_after_a_failed_statement_is_no_success(database: TestDatabase) -> None:
    """PostgreSQL answers its COMMIT with ROLLBACK."""
    db = await database.open()
    if db.dialect == "postgresql":
        with pytest.raises(RuntimeError, match="ROLLBACK"):  # noqa: PT012
            async with db.write() as connection:
                with suppress(Exception):
                    await connection.run_sql("SELECT 1 / 0")
    await db.close()


async def test_constraints_speak_the_platforms_words(database: TestDatabase) -> None:
    db, tables = await opened(database)
    async with db.write() as connection:
        await add(connection, tables, "abc")
    cases = [({"number": "ABC"}, "unique"), ({"number": None}, "required"), ({"owner": uuid7()}, "reference")]
    for more, kind in cases:
        with pytest.raises(IntegrityFault) as refusal:
            async with db.write() as connection:
                await add(connection, tables, **{"number": "other"} | more)
        assert refusal.value.kind == kind
        if kind == "unique":
            assert refusal.value.constraint.startswith("ux_lot__")
    assert await count(db, tables) == 1


async def test_rivals_are_retried_until_each_has_counted(database: TestDatabase) -> None:
    db, tables = await opened(database)
    async with db.write() as connection:
        lot = await add(connection, tables, "1", qty=0)
    current = tables.current("lot")

    async def one_more(connection: Connection) -> None:
        before = await connection.fetch_value(sa.select(current.c.qty).where(current.c.id == lot))
        await asyncio.sleep(0)
        await connection.execute(sa.update(current).where(current.c.id == lot).values(qty=before + 1))

    await asyncio.gather(*(db.run_write(one_more) for _ in range(20)))
    async with db.read() as connection:
        assert await connection.fetch_value(sa.select(current.c.qty)) == 20


async def test_write_skew_is_impossible(database: TestDatabase) -> None:
    """Two units each read what the other writes; serially only one of them would have written."""
    db, tables = await opened(database)
    current = tables.current("lot")
    async with db.write() as connection:
        pair = [await add(connection, tables, name, qty=1) for name in "ab"]

    async def take(mine: Any) -> bool:
        async def work(connection: Connection) -> bool:
            left: int = await connection.fetch_value(sa.select(sa.func.sum(current.c.qty)))
            await asyncio.sleep(0.01)
            if left < 2:
                return False
            await connection.execute(sa.update(current).where(current.c.id == mine).values(qty=0))
            return True

        return bool(await db.run_write(work))

    assert sorted(await asyncio.gather(*(take(each) for each in pair))) == [False, True]


async def test_time_is_one_per_unit(database: TestDatabase) -> None:
    clock = ManualClock(step=timedelta(seconds=1))
    db, _ = await opened(database, clock=clock)
    async with db.write() as connection:
        first = await connection.now()
        assert first.tzinfo is not None
        assert await connection.now() == first
    async with db.write() as connection:
        assert await connection.now() > first


async def test_statements_that_run_too_long_are_stopped(database: TestDatabase) -> None:
    db = await database.open(statement_timeout=0.2)
    endless = sa.text(
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000000) SELECT max(x) FROM n"
    )
    with pytest.raises(StatementTimeout):
        async with db.read() as connection:
            await connection.fetch(endless)
    async with db.read() as connection:
        assert await connection.fetch_value(sa.text("SELECT 1")) == 1


async def test_few_connections_serve_many_readers_though_some_are_stopped(database: TestDatabase) -> None:
    db = await database.open(connections=2)
    long = sa.text(
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000000) SELECT max(x) FROM n"
    )

    async def read(statement: Any) -> Any:
        async with db.read() as connection:
            return await connection.fetch_value(statement)

    stopped = [asyncio.create_task(read(long)) for _ in range(2)]
    await asyncio.sleep(0.05)
    waiting = [asyncio.create_task(read(sa.text(f"SELECT {at}"))) for at in range(40)]
    await asyncio.sleep(0.05)
    for each in (*stopped, waiting[0]):
        each.cancel()
    assert await asyncio.gather(*waiting[1:]) == list(range(1, 40))
    for each in (*stopped, waiting[0]):
        with pytest.raises(asyncio.CancelledError):
            await each
    assert await asyncio.gather(*(read(sa.text(f"SELECT {at}")) for at in range(10))) == list(range(10))


async def test_leaves_and_events_can_only_be_added(database: TestDatabase) -> None:
    db, _ = await opened(database)
    leaf = {
        "leaf_id": uuid7(), "at": AT, "action": "create", "entity": "lot", "record_id": uuid7(), "row_version": 1,
        "header": "{}", "fields": "{}", "digest": "00",
    }  # fmt: skip
    async with db.write() as connection:
        await connection.execute(sa.insert(system.leaf).values(**leaf))
    attempts = [f"UPDATE {system.leaf.name} SET digest = '11'", f"DELETE FROM {system.leaf.name}"]
    if db.dialect == "sqlite":
        attempts.append(
            f"INSERT OR REPLACE INTO {system.leaf.name} SELECT leaf_id, at, 'forged', entity, record_id, row_version,"
            f" actor, header, fields, digest FROM {system.leaf.name}"
        )
    else:
        attempts.append(f"TRUNCATE {system.leaf.name}")
    for attempt in attempts:
        with pytest.raises(InsertOnly):
            async with db.write() as connection:
                await connection.run_sql(attempt)
    async with db.read() as connection:
        rows = await connection.fetch(sa.select(system.leaf.c.action, system.leaf.c.digest))
    assert [tuple(row) for row in rows] == [("create", "00")]


async def test_bulk_loading(database: TestDatabase) -> None:
    db, tables = await opened(database)
    rows = [[uuid7(), 1, AT, AT, f"N{at}", at] for at in range(500)] + [[uuid7(), 1, AT, AT, "empty", None]]
    async with db.write() as connection:
        loaded = await connection.copy_in(
            tables.current("lot"), ["id", "row_version", "created_at", "updated_at", "number", "qty"], rows
        )
    assert loaded == 501
    async with db.read() as connection:
        assert await connection.fetch_value(sa.select(sa.func.sum(tables.current("lot").c.qty))) == 499 * 250
        empty = sa.select(tables.current("lot").c.qty).where(tables.current("lot").c.number == "empty")
        assert await connection.fetch_value(empty) is None


async def test_two_handles_write_to_one_database(database: TestDatabase) -> None:
    one, tables = await opened(database)
    two = await database.open()

    async def write(db: Database, name: str) -> None:
        async def work(connection: Connection) -> None:
            await add(connection, tables, name)

        await db.run_write(work)

    await asyncio.gather(*(write(db, f"{at}-{name}") for at in range(10) for db, name in ((one, "a"), (two, "b"))))
    assert await count(two, tables) == 20


async def test_sqlite_settings(new_database: Any) -> None:
    db = await new_database("sqlite").open()
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "recursive_triggers": 1}
    for connect in (db.read, db.write):
        async with connect() as connection:
            found = {name: await connection.fetch_value(sa.text(f"PRAGMA {name}")) for name in wanted}
            assert found == wanted
    async with db.migrate() as connection:
        assert await connection.fetch_value(sa.text("PRAGMA foreign_keys")) == 0
    async with db.write() as connection:
        assert await connection.fetch_value(sa.text("PRAGMA foreign_keys")) == 1


async def test_addresses(tmp_path: Any) -> None:
    clock = ManualClock()
    for url in ("mysql://host/db", "sqlite:/one-slash", "", "postgresql"):
        with pytest.raises(UnknownDatabaseUrl):
            await open_database(url, clock=clock)
    with pytest.raises(DatabaseUnreachable):
        await open_database(f"sqlite:///{tmp_path}/no/such/folder/clew.db", clock=clock)
    with pytest.raises(DatabaseUnreachable):
        await open_database(f"postgresql://user:secret@/db?host={tmp_path}", clock=clock)
    (tmp_path / "text.db").write_text("this is not a database, only some text that is long enough to be one" * 50)
    with pytest.raises(DatabaseUnreachable):
        await open_database(f"sqlite:///{tmp_path}/text.db", clock=clock)
    temporary = await open_database("sqlite://", clock=clock)
    async with temporary.write() as connection:
        await connection.run_sql("CREATE TABLE t (x)")
    async with temporary.read() as connection:
        assert await connection.fetch(sa.text("SELECT x FROM t")) == []
    await temporary.close()
