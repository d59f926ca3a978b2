"""The trail of the configuration: one event per release that went live, with the digests of what it holds.

21 CFR 11.10(k)(2) asks for an audit trail of changes to the system's documentation: here the project is that
documentation, and its digest ties every later leaf (which names its release) to the exact texts it was written under.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import sqlalchemy as sa

from clew.audit.trail import Changed, record_event
from clew.kernel.canonical import digest
from clew.kernel.context import Context
from clew.storage import system
from clew.storage.engine import Connection
from clew.storage.promotion.environment import declaration, earlier
from clew.storage.releases import current_number

ACTION, SUBJECT = "release", "clew.release"
POLICIES = "permissions/"
"""Where a project keeps its policies."""


def release_recorder(context: Context) -> Callable[[Connection, int], Awaitable[None]]:
    """What `apply` calls when a release goes live: `context` says who applied it."""

    async def record(connection: Connection, number: int) -> None:
        await record_release(connection, context, number)

    return record


async def record_release(connection: Connection, context: Context, number: int) -> None:
    """Store that release `number` is served from now on. Its subject is the database it was applied to."""
    columns = ("base", "digest", "blueprint_digest", "plan_id", "sources", "compiler", "by", "note", "consents")
    query = sa.select(*(system.release.c[name] for name in columns)).where(system.release.c.number == number)
    row = await connection.fetch_one(query)
    assert row is not None
    found = dict(zip(columns, row, strict=True))
    sources: Mapping[str, str] = found.pop("sources")
    note = found.pop("note") or None
    told = {
        "number": number,
        **{name: value for name, value in found.items() if value not in ("", [])},
        "sources": sources_digest(sources),
        "policies": policies_digest(sources),
        **await _promoted(connection, number),
    }
    database_id = await connection.fetch_value(sa.select(system.platform.c.database_id))
    await record_event(connection, context, str(number), ACTION, SUBJECT, database_id, told, reason=note)


async def _promoted(connection: Connection, number: int) -> dict[str, Any]:
    """Of a promoted release: its bundle, and who signed it with which meaning."""
    kept = system.promotion.c
    row = await connection.fetch_one(sa.select(kept.digest, kept.bundle).where(kept.release == number))
    if row is None:
        return {}
    signed = [f"{each['meaning']}: {each['login']} ({each['account']})" for each in row[1]["signatures"]]
    return {"bundle": row[0], "signed": signed}


async def record_environment(connection: Connection, context: Context) -> None:
    """Store, in the transaction that tells it, what a database was told to be and whose seals it believes."""
    told = await declaration(connection)
    before = await earlier(connection, told)
    particulars = {
        "number": told.number,
        "environment": Changed(before.environment.value, told.environment.value),
        "trusted": Changed(sorted(before.trusted), sorted(told.trusted)),
        "by": told.by,
    }
    database_id = await connection.fetch_value(sa.select(system.platform.c.database_id))
    release = str(await current_number(connection))
    await record_event(
        connection, context, release, "environment", "clew.environment", database_id, particulars, reason=told.reason
    )


def sources_digest(sources: Mapping[str, str]) -> str:
    """SHA-256 over the canonical JSON of all files of a project: path → text."""
    return digest(dict(sources))


def policies_digest(sources: Mapping[str, str]) -> str | None:
    """The same over the files that say who may do what; None when a project has none."""
    found = {path: text for path, text in sources.items() if path.startswith(POLICIES)}
    return digest(found) if found else None
