"""A calendar published anew: open clocks go on by it, once for each release, however many servers run.

Which releases were looked at is written with the jobs they give rise to, in one transaction; each job is one instance,
finished in the transaction of its effect. What a clock had used up when the release went live was counted by the
calendar of then and stays used up; the rest is counted by the new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from clew.audit.trail import record_event
from clew.jobs import leases
from clew.metadata.blueprint import Blueprint
from clew.process import jobs, store, time
from clew.process.handling import Handling
from clew.records.unit import Unit
from clew.storage import nodes, process_tables, releases, system
from clew.storage.engine import Connection

if TYPE_CHECKING:
    from clew.process.engine import Processes

_done, _timer = process_tables.calendar_publication, process_tables.process_timer


async def publish(engine: Processes) -> bool:
    """Ask for the recount of every instance whose clocks a release may move. True when nothing is left to ask for;
    False while another server still counts by an earlier release."""
    if not engine.release.isdigit():
        return True
    number = int(engine.release)
    async with engine.database.read() as connection:
        pending = await _pending(connection, number)
        if not pending:
            return True
        if await nodes.behind(connection, number):
            return False
    for each, base in pending:
        await _publish(engine, each, base)
    return True


async def _pending(connection: Connection, number: int) -> list[tuple[int, int]]:
    """Live releases up to this one that were not looked at, with the release before each; oldest first."""
    last = await connection.fetch_value(sa.select(sa.func.max(_done.c.release)))
    after = number - 1 if last is None else last
    found = system.release
    query = sa.select(found.c.number, found.c.base).where(
        found.c.number > after, found.c.number <= number, found.c.state.in_(("live", "settled"))
    )
    return [(row[0], row[1]) for row in await connection.fetch(query.order_by(found.c.number))]


async def _publish(engine: Processes, number: int, base: int) -> None:
    now = await releases.numbered(engine.database, number)
    changed = base > 0
    if changed:
        before = await releases.numbered(engine.database, base)
        changed = _calendars(before.sources) != _calendars(now.sources)

    async def ask(connection: Connection) -> None:
        insert = (postgresql.insert if connection.dialect == "postgresql" else sqlite.insert)(_done)
        row = insert.values(release=number, at=await connection.now()).on_conflict_do_nothing()
        if not await connection.execute(row) or not changed:
            return
        running = sa.and_(_timer.c.since.is_not(None), sa.or_(_timer.c.working, _timer.c.trouble != ""))
        for row_ in await connection.fetch(sa.select(_timer.c.process).where(running).distinct()):
            payload = {"process": str(row_[0]), "release": number, "before": base}
            await leases.put(connection, jobs.RECOUNT, payload, key=f"{row_[0]}:{number}")

    await engine.database.run_write(ask)


def _calendars(sources: Mapping[str, str]) -> dict[str, str]:
    """Every text that may say something of a calendar or of the project's zone."""
    return {file: text for file, text in sources.items() if file == "clew.yaml" or "calendar" in text}


async def recount(engine: Processes, process: UUID, release: int, before: int) -> Callable[[Unit], Awaitable[None]]:
    """What counts the clocks of one instance by the calendar of the release that is served, inside a unit."""
    at = await _live_at(engine, release)
    earlier = await _blueprint(engine, before)

    async def work(unit: Unit) -> None:
        instance = await store.load(unit.connection, process, lock=True)
        if instance is None or not instance.state.live:
            return
        definition = await engine.definitions.of(unit.connection, instance.definition)
        moved = await time.republish(Handling(engine, unit, definition, instance), earlier, at)
        for step in moved:
            await store.log(unit.connection, process, unit.at, "recounted", step=step)
        if moved:
            particulars = {"workflow": instance.workflow, "steps": ", ".join(moved)}
            await record_event(
                unit.connection, unit.context, engine.release, "process:recount", "clew.process", process, particulars
            )

    return work


async def recount_moments(engine: Processes, process: UUID, unit: Unit) -> None:
    """The law's time limits of one instance, and its waits for a moment, by what its record says now."""
    instance = await store.load(unit.connection, process, lock=True)
    if instance is None or not instance.state.live:
        return
    definition = await engine.definitions.of(unit.connection, instance.definition)
    for step in await time.recount_moments(Handling(engine, unit, definition, instance)):
        await store.log(unit.connection, process, unit.at, "recounted", step=step)


async def _live_at(engine: Processes, number: int) -> datetime:
    async with engine.database.read() as connection:
        found: datetime = await connection.fetch_value(
            sa.select(system.release.c.live_at).where(system.release.c.number == number)
        )
    return found


async def _blueprint(engine: Processes, number: int) -> Blueprint:
    """An earlier release, compiled once for all instances."""
    found = engine.earlier.get(number)
    if found is None:
        stored = await releases.numbered(engine.database, number)
        found = engine.earlier[number] = await asyncio.to_thread(releases.stored_blueprint, stored.sources)
    return found
