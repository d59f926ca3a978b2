"""Watches over the trail: what raises an alert, once, with its event; what does not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

import pytest
from write_journey import MINI, Plant, a_lot, context, mini, plant

from clew.audit.sealing import log
from clew.audit.trail import Trail, record_event
from clew.identity import accounts
from clew.kernel.context import Person
from clew.kernel.ids import uuid7
from clew.metadata.load import load_folder, load_sources
from clew.metadata.watches import Watch
from clew.records.watching import Watcher, alerts
from clew.storage import system
from clew.storage.engine import Connection
from clew.storage.tables import Tables
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
PACK = Path(__file__).parents[2]
GUESSES = {"of": "[prove.refuse]", "times": "3", "within_minutes": "15"}


def watches(**keys: str) -> dict[str, Watch]:
    """One watch, made the way a project makes it."""
    text = "watch: w\n" + "".join(f"{name}: {value}\n" for name, value in keys.items())
    loaded = load_sources({**mini().sources, "watches/w.yaml": text})
    assert loaded.blueprint is not None, [each.message("en") for each in loaded.diagnostics]
    return dict(loaded.blueprint.watches)


async def watched(database: TestDatabase, **keys: str) -> tuple[Plant, Watcher]:
    made = await plant(await database.open())
    blueprint = replace(made.blueprint, watches=MappingProxyType(watches(**keys)))
    tables = Tables(blueprint, made.tables.catalog, made.tables.dialect)
    return made, Watcher(made.database, lambda: tables)


async def tell(made: Plant, action: str, subject: UUID, times: int = 1) -> None:
    async def work(connection: Connection) -> None:
        for _ in range(times):
            await record_event(connection, context(), "1", action, "clew.account", subject, {"path": "login"})

    await made.database.run_write(work)


async def look(made: Plant, watcher: Watcher) -> int:
    await log.seal_all(made.database)
    if not await watcher.behind():
        return 0
    raised = await watcher.look()
    assert not await watcher.behind()
    return raised


async def test_repetition_raises_one_alert_with_its_event(database: TestDatabase) -> None:
    made, watcher = await watched(database, severity="high", **GUESSES)
    one, other = uuid7(), uuid7()
    await tell(made, "prove.refuse", one, 2)
    await tell(made, "prove.refuse", other, 2)
    await tell(made, "session.begin", one, 5)
    assert await look(made, watcher) == 0
    await tell(made, "prove.refuse", one, 4)
    assert await look(made, watcher) == 1
    await tell(made, "prove.refuse", one, 4)
    assert await look(made, watcher) == 0, "once per window"
    async with made.database.read() as connection:
        (raised,) = await alerts(connection)
    assert (raised.watch, raised.severity, raised.record_id, raised.times) == ("w", "high", one, 3)
    events = [row for row in await made.rows(system.outbox) if row["type"] == "clew.alert.raised"]
    (event,) = events
    assert json.loads(event["payload"])["data"]["index"] == raised.index
    assert event["event_id"] in {row["event_id"] for row in await made.rows(system.outbox_pending)}


async def test_hours_are_those_of_the_project(database: TestDatabase) -> None:
    made = await plant(await database.open())
    async with made.database.read() as connection:
        local = (await connection.now()).astimezone(made.commands.engine.zone)
    around = f"{local - timedelta(hours=2):%H}:00-{local + timedelta(hours=2):%H}:59"
    after = f"{local + timedelta(hours=3):%H}:00-{local + timedelta(hours=4):%H}:59"
    quiet, later = watches(of="[export]", outside=around), watches(of="[export]", outside=after)
    await tell(made, "export", uuid7())
    for found, raised in ((quiet, 0), (later, 1)):
        tables = Tables(
            replace(made.blueprint, watches=MappingProxyType(found)), made.tables.catalog, made.tables.dialect
        )
        async with made.database.write() as connection:
            await connection.execute(system.watch_cursor.delete())
        await log.seal_all(made.database)
        assert await Watcher(made.database, lambda tables=tables: tables).look() == raised  # type: ignore[misc]


def test_hours_across_midnight() -> None:
    (watch,) = watches(of="[export]", outside="22:00-06:00").values()
    night = [hour for hour in range(24) if not watch.at_this_hour(datetime(2026, 1, 1, hour, 30))]  # noqa: DTZ001
    assert night == [0, 1, 2, 3, 4, 5, 22, 23]


async def test_a_record_of_another_site_is_elsewhere(database: TestDatabase) -> None:
    made, watcher = await watched(database, of="[create, 'transition:']", per="actor", elsewhere="true")

    async def hire(connection: Connection) -> UUID:
        site = {"site": str(made.ids["SHA"])}
        at = await connection.now()
        found = await accounts.create(connection, Trail(), context(), login="li", name="李", at=at, facts=site)
        return found.id

    li = Person(await made.database.run_write(hire), "li", "李")
    mine = replace(made.call, context=replace(made.call.context, person=li))
    await made.commands.create(mine, "lot", a_lot(made))
    assert await look(made, watcher) == 0
    await made.commands.create(mine, "lot", a_lot(made, site=made.ids["SUZ"]))
    await made.commands.create(mine, "lot", a_lot(made, site=made.ids["SUZ"]))
    await made.commands.create(made.call, "lot", a_lot(made, site=made.ids["SUZ"]))
    assert await look(made, watcher) == 1
    async with made.database.read() as connection:
        (raised,) = await alerts(connection)
    assert raised.actor == li.id


async def test_two_watchers_raise_it_once(database: TestDatabase) -> None:
    made, watcher = await watched(database, **GUESSES)
    await tell(made, "prove.refuse", uuid7(), 3)
    await log.seal_all(made.database)
    other = Watcher(await database.open(), watcher.tables)
    assert await watcher.look() + await other.look() == 1


def test_the_pack_ships_three_watches() -> None:
    blueprint = load_folder(PACK).blueprint
    assert blueprint is not None
    assert set(blueprint.watches) == {"repeated_failed_sign_ins", "exports_at_night", "access_outside_own_site"}


def test_a_watch_with_a_mistake_is_a_finding() -> None:
    assert MINI.is_dir()
    for text in ("watch: w\n", "watch: w\nof: [x]\nentities: [nothing]\n", "watch: w\nof: [x]\noutside: late\n"):
        loaded = load_sources({**mini().sources, "watches/w.yaml": text})
        assert loaded.blueprint is None
        assert [each.place.file for each in loaded.diagnostics] == ["watches/w.yaml"]
