"""Events of the trail that belong to no record version: their leaf, their subject, their transaction."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
import sqlalchemy as sa
from write_journey import context, mini

from clew.audit.leaf import entries_of, verify_leaf
from clew.audit.releases import policies_digest, release_recorder, sources_digest
from clew.audit.trail import Changed, Trail, record_event
from clew.identity.ports import SecurityEvent
from clew.storage import system
from clew.storage.change import apply, plan
from clew.storage.engine import Connection, Database
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
ACCOUNT = UUID("0190c000-0000-7000-8000-0000000000aa")
COLUMNS = ("leaf_id", "at", "action", "entity", "record_id", "row_version", "actor", "header", "fields", "digest")


async def leaves(database: Database) -> list[dict[str, object]]:
    async with database.read() as connection:
        query = sa.select(*(system.leaf.c[name] for name in COLUMNS)).order_by(system.leaf.c.leaf_id)
        return [dict(zip(COLUMNS, row, strict=True)) for row in await connection.fetch(query)]


async def pending(database: Database) -> set[UUID]:
    async with database.read() as connection:
        return {row[0] for row in await connection.fetch(sa.select(system.leaf_pending.c.leaf_id))}


async def test_an_event_is_a_leaf_of_version_zero(database: TestDatabase) -> None:
    opened = await database.installed(mini())

    async def work(connection: Connection) -> UUID:
        told = {"login": "wang", "sites": Changed(["SHA"], ["SHA", "SUZ"]), "note": None}
        return await record_event(connection, context(), "3", "assignment.change", "clew.account", ACCOUNT, told, "why")

    leaf_id = await opened.run_write(work)
    (leaf,) = await leaves(opened)
    assert leaf["leaf_id"] == leaf_id
    assert (leaf["action"], leaf["entity"]) == ("assignment.change", "clew.account")
    assert (leaf["record_id"], leaf["row_version"]) == (ACCOUNT, 0)
    assert leaf["actor"] == context().person.id
    assert verify_leaf(str(leaf["header"]), str(leaf["fields"]), str(leaf["digest"])) == ()
    entries = entries_of(str(leaf["fields"]))
    assert set(entries) == {"login", "sites"}
    assert (entries["sites"].old, entries["sites"].new) == (["SHA"], ["SHA", "SUZ"])
    assert json.loads(str(leaf["header"]))["reason"] == "why"
    assert await pending(opened) == {leaf_id}


async def test_what_is_rolled_back_was_never_told(database: TestDatabase) -> None:
    opened = await database.installed(mini())

    async def work(connection: Connection) -> None:
        await record_event(connection, context(), "1", "sign_in", "clew.account", ACCOUNT, {})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await opened.run_write(work)
    assert await leaves(opened) == []
    assert await pending(opened) == set()


async def test_a_release_that_goes_live_is_told_with_its_digests(database: TestDatabase) -> None:
    opened, blueprint = await database.open(), mini()
    found = await plan(opened, blueprint)
    release = await apply(opened, found, on_live=release_recorder(context()))
    again = await apply(opened, await plan(opened, blueprint), on_live=release_recorder(context()))
    assert again.number >= release.number
    leaf = (await leaves(opened))[0]
    assert (leaf["action"], leaf["entity"]) == ("release", "clew.release")
    told = {name: entry.new for name, entry in entries_of(str(leaf["fields"])).items()}
    assert told["number"] == release.number
    assert told["digest"] == release.digest
    assert told["sources"] == sources_digest(release.sources)
    assert json.loads(str(leaf["header"]))["release"] == str(release.number)


def test_policies_have_a_digest_of_their_own() -> None:
    sources = {"models/a.yaml": "a", "permissions/b.yaml": "b"}
    assert policies_digest({"models/a.yaml": "a"}) is None
    changed = {**sources, "models/a.yaml": "other"}
    assert policies_digest(sources) == policies_digest(changed)
    assert sources_digest(sources) != sources_digest(changed)


async def test_identity_has_its_witness_here(database: TestDatabase) -> None:
    opened = await database.installed(mini())
    event = SecurityEvent("account.disable", "account", ACCOUNT, context(), {"login": "wang"}, "left")
    await opened.run_write(lambda connection: Trail().record(connection, event))
    (leaf,) = await leaves(opened)
    assert (leaf["action"], leaf["entity"], leaf["record_id"]) == ("account.disable", "clew.account", ACCOUNT)
    header = json.loads(str(leaf["header"]))
    assert (header["release"], header["reason"]) == ("1", "left")
