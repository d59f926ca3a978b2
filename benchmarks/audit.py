"""What the sealed trail costs those who write, and how fast it is verified.

    python -m benchmarks.audit [--seconds 3] [--rounds 5] [--entries 100000] [--only write,verify,apart] [postgresql://…]

Writes: the same create command from 1 and 16 writers, in turns with nobody sealing and with the sealer at work beside
them; ratios within one round, the median of the rounds. Verification: a log of so many entries is verified as `clew
audit verify --no-records` does it, against reading the same rows without looking at them; then once more by a process
of its own, which tells its peak memory after a tenth of the entries and after all of them (`--only apart`: that alone).
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from uuid import UUID

from clew.access.decision import permit_all
from clew.audit.leaf import Circumstances, make_leaf
from clew.audit.sealing import log
from clew.audit.verify.walk import Walk, _page
from clew.audit.verify.whole import verify_trail
from clew.kernel.clock import SystemClock
from clew.kernel.context import Context, Person
from clew.kernel.ids import uuid7
from clew.metadata.load import load_folder
from clew.records.commands import Call, Commands
from clew.storage import releases, system
from clew.storage.change import install
from clew.storage.engine import Connection, Database
from clew.storage.open import open_database
from clew.storage.tables import Tables
from clew.testing.databases import PostgresServer

MINI = Path(__file__).parents[1] / "tests" / "projects" / "mini"
PERSON = Person(UUID(int=7), "bench", "Bench")
CHUNK = 5_000


async def opened(url: str) -> tuple[Database, Commands, Call]:
    """The mini project on an empty database, and somebody who creates items."""
    loaded = load_folder(MINI)
    assert loaded.blueprint is not None
    database = await open_database(url, clock=SystemClock())
    await install(database, loaded.blueprint)
    release = await releases.current(database)
    tables = Tables(loaded.blueprint, release.catalog, database.dialect)
    commands = Commands(database, loaded.blueprint, tables, release="1")
    return database, commands, Call(Context(PERSON, "bench"), permit_all(loaded.blueprint))


async def rate(commands: Commands, call: Call, writers: int, seconds: float) -> float:
    """Creates a second."""
    stop, done = time.perf_counter() + seconds, 0

    async def work() -> None:
        nonlocal done
        while time.perf_counter() < stop:
            await commands.create(call, "item", {"item_no": f"N-{uuid7().hex[-12:]}".upper(), "name": "bench"})
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(writers)))
    return done / (time.perf_counter() - began)


async def sealing(database: Database) -> None:
    """As upkeep does it: what there is, every second."""
    while True:
        await log.seal_all(database)
        await asyncio.sleep(1)


async def write_cost(url: str, seconds: float, rounds: int) -> None:
    database, commands, call = await opened(url)
    await rate(commands, call, 4, 0.5)
    for writers in (1, 16):
        ratios, plain = [], []
        for _ in range(rounds):
            await log.seal_all(database)
            without = await rate(commands, call, writers, seconds)
            beside = asyncio.create_task(sealing(database))
            with_sealer = await rate(commands, call, writers, seconds)
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)
            ratios.append(with_sealer / without)
            plain.append(without)
        print(
            f"{database.dialect:11} {writers:3} writers: {median(ratios):.2f} x with sealing"
            f" ({min(ratios):.2f}-{max(ratios):.2f}; {median(plain):.0f} creates/s without)"
        )
    await database.close()


async def fill(database: Database, entries: int) -> None:
    """So many leaves of three fields, pending."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    columns = [each.name for each in system.leaf.c]
    for start in range(0, entries, CHUNK):
        rows = []
        for number in range(start, min(start + CHUNK, entries)):
            at = begin + timedelta(milliseconds=number)
            changes = {"qty": (None, "10.0000"), "state": ("testing", "released"), "note": (None, f"n {number}")}
            leaf = make_leaf(Circumstances(at, Context(PERSON, "bench"), "1"), "update", "lot", uuid7(), 1, changes)
            found = {**{name: getattr(leaf, name) for name in columns if name != "actor"}, "actor": PERSON.id}
            rows.append([found[name] for name in columns])

        async def work(connection: Connection, rows: list[list[object]] = rows) -> None:
            await connection.copy_in(system.leaf, columns, rows)
            await connection.copy_in(system.leaf_pending, ["leaf_id", "at"], [row[:2] for row in rows])

        await database.run_write(work)


async def read_only(database: Database) -> int:
    """The same rows, page by page, looked at by nobody."""
    count = 0
    async with database.read() as connection:
        while rows := await _page(connection, count):
            count += len(rows)
    return count


async def verify_speed(url: str, entries: int, *, compare: bool) -> None:
    database, _, _ = await opened(url)
    await fill(database, entries)
    began = time.perf_counter()
    await log.seal_all(database)
    sealed = time.perf_counter() - began
    if compare:
        await against_reading(database, entries, sealed)
    await database.close()
    subprocess.run(  # noqa: ASYNC221 - nothing else is to run meanwhile
        [sys.executable, "-m", "benchmarks.audit", "--apart", url, "--entries", str(entries)], check=True
    )


async def against_reading(database: Database, entries: int, sealed: float) -> None:
    began = time.perf_counter()
    assert await read_only(database) == entries
    reading = time.perf_counter() - began
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, walk = time.perf_counter(), Walk()
    async for _, found in walk.entries(database):
        assert found == []
    walking = time.perf_counter() - began
    began = time.perf_counter()
    report = await verify_trail(database)
    whole = time.perf_counter() - began
    assert (report.entries, report.findings) == (entries, [])
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"{database.dialect:11} {entries} entries: verified {entries / whole:,.0f}/s (the walk alone"
        f" {entries / walking:,.0f}/s, {walking / reading:.1f} x reading the same rows),"
        f" sealed {entries / sealed:,.0f}/s, memory grew by {grown:.0f} MB",
        flush=True,
    )


async def verify_apart(url: str, entries: int) -> None:
    """The same verification in a process that has done nothing else: how fast, with how much memory."""
    database = await open_database(url, clock=SystemClock())
    peaks = [peak()]

    def progress(size: int) -> None:
        if size == entries // 10:
            peaks.append(peak())

    began, used = time.perf_counter(), time.process_time()
    report = await verify_trail(database, progress=progress)
    took, cpu = time.perf_counter() - began, time.process_time() - used
    assert (report.entries, report.findings) == (entries, [])
    print(
        f"{database.dialect:11} {entries} entries apart: {entries / took:,.0f}/s ({took:.0f} s, {cpu:.0f} s of CPU);"
        f" peak memory before, after a tenth, after all: {', '.join(f'{each:.0f}' for each in (*peaks, peak()))} MB"
    )
    await database.close()


def peak() -> float:
    """Peak resident memory of this process, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("postgresql", nargs="?")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--only", default="write,verify")
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--apart", help="verify the log of this database and nothing else")
    given = parser.parse_args()
    if given.apart:
        asyncio.run(verify_apart(given.apart, given.entries))
        return
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as folder:
        server = None
        for dialect in given.databases.split(","):
            for what in given.only.split(","):
                if dialect == "sqlite":
                    url = f"sqlite:///{Path(folder) / f'{what}.db'}"
                elif given.postgresql:
                    url = given.postgresql
                else:
                    server = server or PostgresServer.start(Path(tempfile.mkdtemp(prefix="clew-bench-pg-")))
                    url = server.create()
                if what == "write":
                    asyncio.run(write_cost(url, given.seconds, given.rounds))
                else:
                    asyncio.run(verify_speed(url, given.entries, compare=what == "verify"))


if __name__ == "__main__":
    main()
