"""Timers that are due, fired: one, or those of several instances together.

A timer mostly tells somebody something: its own commit would cost more than all it does. Those that are due at the same
look are fired in one transaction, in which the job of each is finished and its instance held, so that each still comes
exactly once. If one of them cannot be fired, none has been, and they are tried one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from clew.jobs import leases
from clew.jobs.leases import Job
from clew.kernel.ids import id_of
from clew.kernel.scalars import instant_text
from clew.process import store, words
from clew.process.store import Clock, Instance
from clew.process.writes import STORED, TIMER
from clew.records.unit import Unit
from clew.storage.engine import Connection

if TYPE_CHECKING:
    from clew.process.engine import Processes

TOGETHER = 20
"""How many timers are fired in one transaction: as long as one person's command may have to wait for it."""


async def ask_timer(connection: Connection, process: UUID, timer: int, due: datetime) -> None:
    """Have a timer ring at a moment; if it was to ring at another, at this one instead."""
    key = f"{process}:{timer}"
    if await leases.put(connection, TIMER, {"process": str(process), "timer": timer}, key=key, run_at=due) is None:
        await leases.move(connection, TIMER, key, due)


async def fire(engine: Processes, process: UUID, number: int, unit: Unit) -> None:
    """Fire a timer, if it is due."""
    instance = await store.load(unit.connection, process, lock=True)
    clock = None if instance is None else await store.clock(unit.connection, process, number)
    await _fire(engine, unit, instance, clock)


async def fire_together(engine: Processes, jobs: Sequence[Job], unit: Unit) -> int:
    """Fire the timers of these jobs that nobody else is at, in the order given; how many these were."""
    mine = await leases.finish_several(unit.connection, jobs)
    due = [(id_of(each.payload["process"]), int(each.payload["timer"])) for each in jobs if each.id in mine]
    if not due:
        return 0
    # All are held at once and in one order, before anything else is: two workers cannot wait for each other.
    instances = await store.load_several(unit.connection, {process for process, _ in due})
    clocks = await store.clocks_of_several(unit.connection, instances)
    for process, number in due:
        known: dict[UUID, Instance] = unit.found.get(STORED, {})
        await _fire(engine, unit, known.get(process) or instances.get(process), clocks.get((process, number)))
    return len(due)


async def _fire(engine: Processes, unit: Unit, instance: Instance | None, clock: Clock | None) -> None:
    """By its clock; one that is not due (paused, moved) waits for its moment."""
    if instance is None or clock is None or clock.due_at is None:
        return
    if clock.due_at > unit.at:
        await ask_timer(unit.connection, instance.id, clock.number, clock.due_at)
        return
    await engine.handle(unit, instance, words.TimerFired(clock.number, instant_text(unit.at)))


def grouped(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs in their order, with timers that follow each other together."""
    groups: list[list[Job]] = []
    for job in jobs:
        last = groups[-1] if groups else []
        if job.kind == TIMER and last and last[0].kind == TIMER and len(last) < TOGETHER:
            last.append(job)
        else:
            groups.append([job])
    return groups
