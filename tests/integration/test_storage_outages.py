"""PostgreSQL that goes away, comes back, or has no connection to give: callers get the platform's own error, what they
cannot know they are not told, and everything goes on by itself."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import pytest
import sqlalchemy as sa
from outage_case import Switched, switched

from clew.kernel.clock import SystemClock
from clew.kernel.errors import BadInput
from clew.storage.engine import Connection, Database
from clew.storage.errors import DatabaseUnreachable
from clew.storage.open import open_database
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
TABLE = sa.table("t", sa.column("x", sa.Integer))
WRITTEN = sa.insert(TABLE).values(x=sa.bindparam("x")).returning(TABLE.c.x)
COUNTED = sa.select(sa.func.count()).select_from(TABLE)


@pytest.fixture(scope="module")
def server() -> Iterator[Switched]:
    with switched() as made:
        yield made


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Database]:
    database = await open_database(url, clock=SystemClock(), **options)
    try:
        yield database
    finally:
        await asyncio.wait_for(database.close(), 20)


async def read(database: Database) -> Any:
    async with database.read() as connection:
        return await connection.fetch_value(COUNTED)


async def look(database: Database) -> None:
    async with database.snapshot() as connection:
        first = await connection.fetch_value(COUNTED)
        assert await connection.fetch_value(COUNTED) == first


async def write(database: Database) -> None:
    async def work(connection: Connection) -> None:
        await connection.now()
        await connection.fetch(COUNTED)
        await connection.execute(WRITTEN, {"x": 1})

    await database.run_write(work)


async def write_at_once(database: Database) -> None:
    await database.run_write(lambda connection: connection.fetch_last(WRITTEN, {"x": 2}))


async def refuse(database: Database) -> None:
    async def work(connection: Connection) -> None:
        await connection.execute(WRITTEN, {"x": 3})
        raise BadInput(what="refused")

    with suppress(BadInput):
        await database.run_write(work)


async def write_many(database: Database) -> None:
    await database.run_write(lambda connection: connection.execute_many(WRITTEN, [{"x": 5}] * 200))


USES = (read, look, write, write_at_once, refuse, write_many)


@pytest.mark.parametrize("how", ["fast", "immediate"])
async def test_whoever_asks_while_it_is_away_is_told_so_and_all_goes_on(
    server: Switched, how: Literal["fast", "immediate"]
) -> None:
    server.say("ALTER SYSTEM SET fsync = off")
    async with opened(server.create(), connections=6) as database:
        async with database.migrate() as connection:
            await connection.run_sql("CREATE TABLE t (x int)")
        told: Counter[str] = Counter()
        done: Counter[str] = Counter()
        stopped = False

        async def ask(use: Callable[[Database], Awaitable[Any]]) -> None:
            while not stopped:
                try:
                    await use(database)
                except DatabaseUnreachable:
                    told[use.__name__] += 1
                    await asyncio.sleep(0.01)
                else:
                    done[use.__name__] += 1

        asking = [asyncio.create_task(ask(use)) for use in USES for _ in range(3)]
        for _ in range(3):
            done.clear()
            await asyncio.sleep(0.4)
            assert len(done) == len(USES), f"all go on: {done}"
            await asyncio.to_thread(server.stop, how)
            await asyncio.sleep(0.2)
            await asyncio.to_thread(server.start_again)
            assert len(told) == len(USES), f"all were told: {told}"
            told.clear()
        await asyncio.sleep(0.2)
        stopped = True
        await asyncio.wait_for(asyncio.gather(*asking), 20)


async def cut(server: Switched, database: Database, *, heard: bool = True) -> None:
    """All its connections are ended by the server; whether we have heard of it yet."""
    name = urlsplit(database.url).path[1:]
    server.say(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")
    if heard:
        await hear()


async def hear() -> None:
    await asyncio.sleep(0.05)


@pytest.mark.parametrize("heard", [True, False])
async def test_at_whatever_moment_the_connection_goes_the_error_is_ours(server: Switched, heard: bool) -> None:
    async with opened(server.create(), connections=2) as database:
        async with database.migrate() as connection:
            await connection.run_sql("CREATE TABLE t (x int)")
        for begin in (database.read, database.snapshot, database.write, database.migrate):
            for said in (0, 1):
                with pytest.raises(DatabaseUnreachable):  # noqa: PT012
                    async with begin() as connection:
                        for _ in range(said):
                            await connection.fetch(COUNTED)
                        await cut(server, database, heard=heard)
                        await connection.fetch(COUNTED)
                await hear()
                assert await read(database) == 0
            for ask in (lambda each: each.now(), lambda each: each.fetch_last(WRITTEN, {"x": 1})):
                with pytest.raises(DatabaseUnreachable):  # noqa: PT012
                    async with begin() as connection:
                        await cut(server, database, heard=heard)
                        await ask(connection)
            with pytest.raises(BadInput):  # noqa: PT012
                async with begin() as connection:
                    await connection.fetch(COUNTED)
                    await cut(server, database, heard=heard)
                    raise BadInput(what="what the block says is what the caller hears")
            await hear()
            assert await read(database) == 0

        async with database.snapshot() as connection:
            await connection.fetch(COUNTED)
            await cut(server, database, heard=heard)  # what was read was read
        with pytest.raises(DatabaseUnreachable):  # noqa: PT012
            async with database.write() as connection:
                await connection.execute(WRITTEN, {"x": 1})
                await cut(server, database, heard=heard)  # before COMMIT
        await hear()
        assert await read(database) == 0
        async with database.write() as connection:
            await connection.fetch_last(WRITTEN, {"x": 1})
            await cut(server, database, heard=heard)  # it was acknowledged: it stands, and nobody is told otherwise
        await hear()
        assert await read(database) == 1
        await cut(server, database, heard=heard)
        if heard:
            assert await read(database) == 1, "those that lay idle are replaced unnoticed"


async def test_a_load_ends_with_its_connection(server: Switched) -> None:
    """More than the network holds waits to be sent, and nobody takes it any more."""
    table = sa.Table("t", sa.MetaData(), sa.Column("x", sa.Text))
    large = "x" * 100_000
    async with opened(server.create(), connections=2) as database:
        async with database.migrate() as connection:
            await connection.run_sql("CREATE TABLE t (x text)")

        async def load(many: bool) -> None:
            async with database.write() as connection, database.write() as other:
                # Who writes waits for this lock, so nothing is read from the network.
                await other.run_sql("LOCK TABLE t IN EXCLUSIVE MODE")
                if many:
                    await connection.execute_many(WRITTEN, [{"x": large}] * 1000)
                else:
                    await connection.copy_in(table, ["x"], ([large] for _ in range(1000)))

        for many in (False, True):
            loading = asyncio.create_task(load(many))
            await asyncio.sleep(0.3)
            await cut(server, database)
            with pytest.raises(DatabaseUnreachable):
                await asyncio.wait_for(loading, 10)

        # The driver leaves a failed future behind when it has read the goodbye and not yet the end.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        with pytest.raises(DatabaseUnreachable):  # noqa: PT012
            async with database.write() as connection:
                await connection.copy_in(table, ["x"], [["x"]])
                await cut(server, database, heard=False)
                await connection.copy_in(table, ["x"], [["x"]])
        await hear()
        assert await read(database) == 0


async def test_a_commit_that_was_not_acknowledged_may_have_happened_and_is_not_done_twice(server: Switched) -> None:
    async with opened(server.create(), connections=2) as database:
        async with database.migrate() as connection:
            await connection.run_sql("CREATE TABLE t (x int)")
        begun = 0

        async def work(connection: Connection) -> None:
            nonlocal begun
            begun += 1
            await connection.run_sql("SET LOCAL synchronous_commit = on")
            await connection.execute(WRITTEN, {"x": 1})

        # Committed, the server waits for a standby that never comes before it says so.
        server.say("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        server.stop()
        server.start_again()
        await hear()
        try:
            writing = asyncio.create_task(database.run_write(work))
            await asyncio.sleep(0.5)
            assert not writing.done()
            await cut(server, database)
            with pytest.raises(DatabaseUnreachable):
                await writing
        finally:
            server.say("ALTER SYSTEM RESET synchronous_standby_names")
            server.say("SELECT pg_reload_conf()")
        assert (await read(database), begun) == (1, 1)


@pytest.fixture
def limited(new_database: Callable[[str], TestDatabase], postgres_server: Any) -> Iterator[Any]:
    """The address of a database under a role, and a way to say how many connections that may have."""
    url = new_database("postgresql").url
    role = f"clew_few_{secrets.token_hex(6)}"
    say = postgres_server._admin
    say(f"CREATE ROLE {role} LOGIN PASSWORD 'few'")
    say(f"ALTER DATABASE {urlsplit(url).path[1:]} OWNER TO {role}")
    parts = urlsplit(url)
    address = urlunsplit(parts._replace(netloc=f"{role}:few@{parts.netloc.rpartition('@')[2]}"))
    yield address, lambda most: say(f"ALTER ROLE {role} CONNECTION LIMIT {most}")
    postgres_server.drop(url)
    say(f"DROP ROLE {role}")


async def slow(database: Database) -> None:
    async with database.read() as connection:
        await connection.fetch(sa.text("SELECT pg_sleep(0.1)"))


@pytest.mark.parametrize("most", [1, 2, 5])
async def test_few_connections_serve_all_who_ask(limited: Any, most: int) -> None:
    url, allow = limited
    allow(most)
    async with opened(url) as database:
        async with database.migrate() as connection:
            await connection.run_sql("CREATE TABLE t (x int)")
        uses = (read, look, write, write_at_once, refuse, slow)
        await asyncio.wait_for(asyncio.gather(*(use(database) for use in uses for _ in range(8))), 60)
        assert await read(database) == 16


async def test_one_that_is_ended_but_still_counted_is_waited_for(limited: Any) -> None:
    url, allow = limited
    allow(1)
    async with opened(url) as database:

        async def ask() -> None:
            async with database.write() as connection:
                await connection.fetch(sa.text("SELECT 1"))

        async with database.read() as connection:
            await connection.fetch(sa.text("SELECT 1"))
        allow(0)  # as if the reader, which is ended so that there can be a writer, were still there
        asking = asyncio.create_task(ask())
        await asyncio.sleep(0.5)
        assert not asking.done()
        allow(1)
        await asyncio.wait_for(asking, 10)


async def test_it_says_so_at_once_when_there_is_none_at_all_and_takes_what_comes(limited: Any) -> None:
    url, allow = limited
    allow(0)
    with pytest.raises(DatabaseUnreachable):
        async with opened(url):
            pass
    allow(1)
    async with opened(url) as database:
        holding = asyncio.Event()
        ended = asyncio.Event()

        async def report() -> None:
            async with database.read():
                holding.set()
                await ended.wait()

        reporting = asyncio.create_task(report())
        await holding.wait()
        waiting = [asyncio.create_task(slow(database)) for _ in range(3)]
        await asyncio.sleep(0.2)
        assert not any(each.done() for each in waiting)
        allow(3)  # there are more now, though none of ours came back
        await asyncio.wait_for(asyncio.gather(*waiting), 10)
        ended.set()
        await reporting


async def test_it_waits_no_longer_than_a_statement_may_take(limited: Any) -> None:
    url, allow = limited
    allow(1)
    async with opened(url, statement_timeout=0.5) as database:
        for begin in (database.read, database.write):
            async with database.read():
                with pytest.raises(DatabaseUnreachable) as told:
                    async with asyncio.timeout(5), begin() as connection:
                        await connection.fetch(sa.text("SELECT 1"))
            assert "too many connections" in told.value.message("en")
            async with begin() as connection:
                await connection.fetch(sa.text("SELECT 1"))
