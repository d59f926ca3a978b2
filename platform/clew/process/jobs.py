"""What a process leaves to be done by itself: timers, automatic steps, events, ends of sub-processes. Leased jobs.

Each job is finished in the transaction of its effect, so any number of workers, and one that dies, come to the effect
exactly once. A command runs what it has just left behind right after its commit; a worker takes what remains.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from clew.jobs import leases
from clew.kernel.context import Context, Person
from clew.kernel.errors import ClewError
from clew.kernel.ids import uuid7
from clew.kernel.scalars import instant_text
from clew.process import people, store, words
from clew.process.words import Actor, Command
from clew.records.commands import Call
from clew.records.unit import Unit
from clew.storage import process_tables, system
from clew.storage.engine import Connection
from clew.storage.errors import LeaseLost

if TYPE_CHECKING:
    from clew.process.engine import Processes

TIMER, ACT, EVENT, ENDED, STOP = "process.timer", "process.act", "process.event", "process.ended", "process.stop"
PEOPLE, OFFER, RECOUNT = "process.people", "process.offer", "process.recount"
KINDS = (TIMER, ACT, EVENT, ENDED, STOP, PEOPLE, OFFER, RECOUNT)
SYSTEM = Person(UUID("00000000-0000-7000-8000-000000000002"), "system", "System")
"""Who acts when nobody does: the platform itself."""
RIGHT_AFTER = 20
"""How many jobs a command runs after its commit; a worker takes what remains."""
_MOST_ROUNDS = 500
_log = logging.getLogger("clew.process")


async def ask_timer(connection: Connection, process: UUID, timer: int, due: datetime) -> None:
    key = f"{process}:{timer}"
    if await leases.put(connection, TIMER, {"process": str(process), "timer": timer}, key=key, run_at=due) is None:
        job = system.job
        mine = sa.and_(job.c.kind == TIMER, job.c.key == key, job.c.state == "ready")
        await connection.execute(sa.update(job).where(mine).values(run_at=due))


async def ask_act(connection: Connection, process: UUID, token: int) -> None:
    await leases.put(connection, ACT, {"process": str(process), "token": token}, key=f"{process}:{token}")


async def ask_event(connection: Connection, process: UUID, token: int, record: UUID) -> None:
    payload = {"process": str(process), "token": token, "record": str(record)}
    await leases.put(connection, EVENT, payload, key=f"{process}:{token}:{record}")


async def ask_ended(connection: Connection, process: UUID, token: int, outcome: str) -> None:
    payload = {"process": str(process), "token": token, "outcome": outcome}
    await leases.put(connection, ENDED, payload, key=f"{process}:{token}")


async def ask_stop(connection: Connection, process: UUID, token: int, reason: str) -> None:
    payload = {"process": str(process), "token": token, "reason": reason}
    await leases.put(connection, STOP, payload, key=f"{process}:{token}")


async def ask_people(connection: Connection, account: UUID, due: datetime | None = None) -> None:
    """What somebody may do has changed, or will at `due`: their tasks are to be offered anew."""
    key = None if due is None else f"{account}:{instant_text(due)}"
    await leases.put(connection, PEOPLE, {"account": str(account)}, key=key, run_at=due)


async def ask_offer(connection: Connection, process: UUID) -> None:
    await leases.put(connection, OFFER, {"process": str(process)})


# ── running them ──────────────────────────────────────────────────────────────────────────────────────────────────


async def drain(engine: Processes, most: int = _MOST_ROUNDS) -> int:
    """Do what is due now; how much it was. What fails is left for later."""
    from clew.process import republication

    if not engine.republished:
        engine.republished = await republication.publish(engine)
    count = 0
    for _ in range(most):
        found = await leases.claim(engine.database, f"process-{uuid7()}", KINDS, most=1)
        if not found:
            break
        for job in found:
            await run(engine, job)
            count += 1
    return count


LEFT = ("process", "jobs left")
"""Noted in a unit that has left something to be done at once."""


def system_call(engine: Processes) -> Call:
    from clew.access.decision import permit_all

    context = Context(SYSTEM, str(uuid7()), channel="process")
    return Call(context, permit_all(engine.blueprint))


async def run(engine: Processes, job: leases.Job) -> None:
    """One job, finished in the transaction of its effect; failed ones come again, later and later."""
    process = UUID(job.payload.get("process", job.payload.get("account")))
    call = system_call(engine)
    from clew.process import republication

    async def finish(unit: Unit) -> None:
        await leases.complete(unit.connection, job)

    try:
        if job.kind == TIMER:
            await _timer(engine, call, process, job)
        elif job.kind == ACT:
            await _act(engine, call, process, job)
        elif job.kind == STOP:
            await _stop(engine, call, process, job)
        elif job.kind == PEOPLE:
            await people.changed(engine, call, process, job)
        elif job.kind == OFFER:
            await people.offer(engine, call, process, job)
        elif job.kind == RECOUNT:
            await republication.recount(engine, call, process, job)
        else:
            await engine.system(call, process, _command(job.kind, job.payload, await _now(engine)), finish)
    except LeaseLost:
        return
    except ClewError as error:
        await _failed(engine, call, process, job, error)


async def _failed(engine: Processes, call: Call, process: UUID, job: leases.Job, error: ClewError) -> None:
    """Try again later. An automatic step that failed often enough is an incident."""
    most = await _attempts(engine, process, job)
    if job.kind == ACT and job.attempts >= most:
        failed = words.ActionFailed(job.payload["token"], error.message("en"), await _now(engine))

        async def finish(unit: Unit) -> None:
            await leases.complete(unit.connection, job)

        with suppress(LeaseLost):
            await engine.system(call, process, failed, finish)
        return
    _log.warning("%s of process %s failed: %s", job.kind, process, error.code)
    with suppress(LeaseLost):
        await leases.fail(engine.database, job, error.code, most_attempts=1_000_000)


async def _attempts(engine: Processes, process: UUID, job: leases.Job) -> int:
    async with engine.database.read() as connection:
        instance = await store.load(connection, process)
        token = instance.state.tokens.get(job.payload.get("token", 0)) if instance is not None else None
        if instance is None or token is None:
            return 1
        definition = await engine.definitions.of(connection, instance.definition)
    return definition.step(token.step).retries + 1


async def _timer(engine: Processes, call: Call, process: UUID, job: leases.Job) -> None:
    """Fire a timer that is due by its clock; one that is not (paused, moved) waits for its moment."""
    number = int(job.payload["timer"])

    async def work(unit: Unit) -> None:
        instance = await store.load(unit.connection, process, lock=True)
        clock = None
        if instance is not None:
            clock = next((each for each in await store.clocks(unit.connection, process) if each.number == number), None)
        if instance is None or clock is None or clock.due_at is None:
            await leases.complete(unit.connection, job)
            return
        if clock.due_at > unit.at:
            await leases.complete(unit.connection, job)
            await ask_timer(unit.connection, process, number, clock.due_at)
            return
        await leases.complete(unit.connection, job)
        await store.drop_clock(unit.connection, process, number)
        await engine.handle(unit, instance, words.TimerFired(number, instant_text(unit.at)))

    await engine.commands.run(call, work, elevated=True)


async def _act(engine: Processes, call: Call, process: UUID, job: leases.Job) -> None:
    """An automatic step: its actions and its end, in one transaction."""
    token_id = int(job.payload["token"])

    async def work(unit: Unit) -> None:
        await leases.complete(unit.connection, job)
        instance = await store.load(unit.connection, process, lock=True)
        token = instance.state.tokens.get(token_id) if instance is not None else None
        if instance is None or token is None or token.status != "working" or not instance.state.live:
            return
        await engine.act_by_itself(unit, instance, token_id)

    await engine.commands.run(call, work, elevated=True)


async def _stop(engine: Processes, call: Call, process: UUID, job: leases.Job) -> None:
    """The sub-process of a step that was called off."""

    async def work(unit: Unit) -> None:
        await leases.complete(unit.connection, job)
        p = process_tables.process
        mine = sa.and_(p.c.parent == process, p.c.parent_token == job.payload["token"], p.c.status.in_(store.LIVE))
        for row in await unit.connection.fetch(sa.select(p.c.id).where(mine)):
            instance = await store.load(unit.connection, row[0], lock=True)
            if instance is not None:
                cancel = words.Cancel(Actor(str(SYSTEM.id)), instant_text(unit.at), str(job.payload["reason"]))
                await engine.handle(unit, instance, cancel)

    await engine.commands.run(call, work, elevated=True)


def _command(kind: str, payload: Mapping[str, Any], at: str) -> Command:
    token = int(payload["token"])
    if kind == EVENT:
        return words.EventArrived(token, at)
    return words.ChildEnded(token, str(payload["outcome"]), at)


async def _now(engine: Processes) -> str:
    async with engine.database.read() as connection:
        return instant_text(await connection.now())
