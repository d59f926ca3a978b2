"""The processes benchmark's people and instances: one of each workflow is started by the platform, then multiplied.

A copy is made inside PostgreSQL: every row of the instance and of its records, with other ids, so that a hundred
thousand open instances take seconds. Copies have no leaves in the trail, which no completion reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from clew.audit.trail import Trail
from clew.identity import accounts, sessions
from clew.identity.assignments import Asked
from clew.identity.desk import desk
from clew.identity.people import person_of
from clew.identity.ports import NOBODY
from clew.identity.secrets import Vault, digest_of
from clew.identity.sessions import Session
from clew.kernel.clock import SystemClock
from clew.kernel.context import Context
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_sources
from clew.records.commands import Call
from clew.runtime import RuntimeHost
from clew.storage.change.install import install as install_release
from clew.storage.engine import Connection
from clew.storage.open import open_database

HERE = Path(__file__).parent
SECRET = "clew_benchmark_inspector"
PEOPLE = (("ann", "inspector"), ("bob", "inspector"), ("cid", "approver"), ("dan", "approver"), ("eve", "approver"))
"""The first holds the session that requests come with."""


def project() -> Blueprint:
    """The read benchmark's entities, and those of the processes."""
    sources = {
        str(file.relative_to(folder)): file.read_text(encoding="utf-8")
        for folder in (HERE / "project", HERE / "process_project")
        for file in sorted(folder.rglob("*.yaml"))
    }
    loaded = load_sources(sources)
    if loaded.blueprint is None:
        raise SystemExit("\n".join(f"{each.place} {each.message('en')}" for each in loaded.diagnostics))
    return loaded.blueprint


async def install(url: str) -> None:
    """The project on an empty database, its people, and a session of the first of them."""
    database = await open_database(url, clock=SystemClock())
    try:
        await install_release(database, project())
        counter = desk(database, SystemClock(), Trail(), Vault(None))

        async def hire(connection: Connection, at: datetime) -> None:
            context = Context(NOBODY, "benchmark")
            for login, role in PEOPLE:
                made = await accounts.create(connection, counter.witness, context, login=login, name=login, at=at)
                await counter.assignments.assign(connection, context, Asked(made.id, role, at), at)
                if login == PEOPLE[0][0]:
                    end = at + timedelta(days=1)
                    used = Session(digest_of(SECRET), made.id, "token", made.epoch + 1, at, at, end, end)
                    await sessions.put(connection, used)

        await counter.within(hire)
    finally:
        await database.close()


async def caller(host: RuntimeHost, login: str = PEOPLE[0][0]) -> Call:
    """Commands of one of the people, inside this process."""
    async with host.database.read() as connection:
        found = await accounts.by_login(connection, login)
        person = await person_of(connection, found.id, await connection.now())
    context = Context(person, "benchmark")
    return Call(context, host.current.decide(context))


@dataclass(frozen=True, slots=True)
class Started:
    """An instance made by the platform itself, and how many times it stands there."""

    process: UUID
    check: UUID
    sample: UUID
    copies: int = field(default=0)


async def start(host: RuntimeHost, workflow: str, code: str) -> Started:
    """One instance about a new check of a new sample."""
    call, commands = await caller(host), host.current.commands
    sample = await commands.create(call, "sample", {"code": code})
    check = await commands.create(call, "check", {"code": code, "sample": sample.id})
    begun = await host.current.processes.start(call, workflow, check.id)
    return Started(begun.process, check.id, sample.id)


async def multiply(connection: asyncpg.Connection[Any], found: Started, code: str, copies: int) -> Started:
    """More instances like this one. `code` is what its records are called."""
    process, check, sample = found.process, found.check, found.sample
    task = await connection.fetchval("SELECT id FROM clew_task WHERE process = $1", process)
    first, last = found.copies + 1, found.copies + copies
    tables = (
        ("sample", "id", sample), ("sample__history", "id", sample), ("check", "id", check),
        ("check__history", "id", check), ("clew_process", "id", process), ("clew_task", "process", process),
        ("clew_task_candidate", "task", task), ("clew_process_timer", "process", process),
    )  # fmt: skip
    for table, column, key in tables:
        await _copy(connection, table, f"\"{column}\" = '{key}'", (process, check, sample, task), code, first, last)
    jobs = await connection.fetch("SELECT id FROM clew_job WHERE key LIKE $1 AND state = 'ready'", f"{process}:%")
    for (job,) in jobs:
        await _copy(connection, "clew_job", f"id = '{job}'", (job, process), code, first, last)
    return replace(found, copies=last)


async def _copy(
    connection: asyncpg.Connection[Any], table: str, one: str, ids: Sequence[UUID], code: str, first: int, last: int
) -> None:
    """A row as many times, each with ids of its own: the last part of an id counts the copies."""
    text = "to_jsonb(t)::text"
    for each in ids:
        text = f"replace({text}, '{each}', '{str(each)[:24]}' || lpad(to_hex(n), 12, '0'))"
    text = f"replace({text}, '\"{code}\"', '\"{code}-' || n || '\"')"
    await connection.execute(
        f'INSERT INTO "{table}" SELECT (jsonb_populate_record(NULL::"{table}", ({text})::jsonb)).* '
        f'FROM "{table}" t, generate_series({first}, {last}) n WHERE {one}'
    )


async def open_tasks(connection: asyncpg.Connection[Any], workflow: str, step: str, most: int) -> list[UUID]:
    """Tasks of a step that wait, all over the table."""
    query = "SELECT id FROM clew_task WHERE workflow = $1 AND step = $2 AND status = 'open' ORDER BY random() LIMIT $3"
    return [row[0] for row in await connection.fetch(query, workflow, step, most)]
