"""What a process leaves to be done by itself: timers, automatic steps, events, ends of sub-processes. Jobs.

Each job is finished in the transaction of its effect, so any number of workers, and one that dies, come to the effect
exactly once. A command runs what it has just left behind right after its commit; a worker takes what remains.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from clew.jobs import leases
from clew.jobs.leases import Job
from clew.kernel.context import PLATFORM_ID, Context, Person
from clew.kernel.errors import ClewError
from clew.kernel.ids import id_of, uuid7
from clew.kernel.scalars import instant_text
from clew.process import people, staffing, store, timers, words
from clew.process.errors import OutOfOrder, ProcessSuspended
from clew.process.state import State
from clew.process.words import Command
from clew.process.writes import TIMER
from clew.records.commands import Call
from clew.records.gathering import beside
from clew.records.unit import Unit
from clew.storage.engine import Connection
from clew.storage.errors import LeaseLost

if TYPE_CHECKING:
    from clew.process.engine import Processes

ACT, EVENT, ENDED = "process.act", "process.event", "process.ended"
PEOPLE, OFFER, RECOUNT = "process.people", "process.offer", "process.recount"
LEGAL = "process.legal"
RECORDS, TURN = "process.records", "process.turn"
KINDS = (TIMER, ACT, EVENT, ENDED, PEOPLE, OFFER, RECOUNT, LEGAL, RECORDS, TURN)
_ABOUT_NO_PROCESS = (PEOPLE, RECORDS, TURN)
SYSTEM = Person(PLATFORM_ID, "system", "System")
"""Who acts when nobody does: the platform itself."""
RIGHT_AFTER = 20
"""How many jobs a command runs after its commit; a worker takes what remains."""
TOLD_AFTER = 5
"""After how many attempts somebody is told that what the platform should do by itself fails."""
_MOST_ROUNDS = 500
_BATCH = 100
"""How many due jobs a worker looks at together."""
_PARTS = 16
"""From how many places of a long queue workers begin to look."""
_log = logging.getLogger("clew.process")


async def ask_act(unit: Unit, process: UUID, token: int) -> None:
    await _ask_now(unit, ACT, {"process": str(process), "token": token}, f"{process}:{token}")


async def ask_event(unit: Unit, process: UUID, state: State, token: int, record: UUID) -> None:
    """An event has come that ends the wait a token is at; no other one it comes to before it is told."""
    after = state.steps_of(token)
    payload = {"process": str(process), "token": token, "record": str(record), "after": after}
    await _ask_now(unit, EVENT, payload, f"{process}:{token}:{after}:{record}")


async def ask_ended(unit: Unit, process: UUID, token: int, outcome: str, *, cancelled: bool = False) -> None:
    payload = {"process": str(process), "token": token, "outcome": outcome, "cancelled": cancelled}
    await _ask_now(unit, ENDED, payload, f"{process}:{token}")


async def _ask_now(unit: Unit, kind: str, payload: Mapping[str, Any], key: str) -> None:
    """What is to be done right after the unit: it notes what it has left."""
    made = await leases.put(beside(unit.connection), kind, payload, key=key)
    if made is not None:
        unit.found.setdefault(LEFT, []).append(Job(made, kind, key, payload, unit.at, 0))


async def ask_people(connection: Connection, account: UUID, due: datetime | None = None) -> None:
    """What somebody may do has changed, or will at `due`: their tasks are to be offered anew."""
    key = None if due is None else f"{account}:{instant_text(due)}"
    await leases.put(connection, PEOPLE, {"account": str(account)}, key=key, run_at=due)


async def ask_records(connection: Connection, record: UUID, said: Mapping[str, Any]) -> None:
    """A record says something else of who may do what: tasks that it touches are to be offered anew."""
    await leases.put(connection, RECORDS, {"record": str(record), **said})


async def ask_turn(connection: Connection, since: datetime | None, due: datetime) -> None:
    """Have the tasks offered anew that time touches from one moment on; once due. One such job is open at a time. By
    then it is known where nobody was found to ask (`clew_process_unasked`)."""
    said = {"since": None if since is None else instant_text(since), "unasked": since is not None}
    payload = {"record": str(PLATFORM_ID), **said}
    await leases.put(connection, TURN, payload, key="turn", run_at=due)


async def ask_offer(connection: Connection, process: UUID, why: str, token: int | None = None) -> None:
    """Have the tasks of an instance offered anew; once, however much asks for it before that is done. `token`: have its
    step begin that found nobody to ask; by itself, so that it stands in the way of nothing else if it cannot."""
    payload, key = {"process": str(process), "why": why}, str(process)
    if token is None:
        await leases.put(connection, OFFER, payload, key=key)
    else:
        await leases.put(connection, OFFER, {**payload, "token": token}, key=f"{key}:{token}")


async def ask_legal(connection: Connection, process: UUID) -> None:
    """The record of an instance has changed, and the moments its clocks run by with it perhaps."""
    await leases.put(connection, LEGAL, {"process": str(process)}, key=str(process))


async def wake(unit: Unit, process: UUID) -> None:
    """What a process could not be told while it was suspended is told now."""
    await leases.hurry(unit.connection, (EVENT, ENDED), f"{process}:", unit.at)


# ── running them ──────────────────────────────────────────────────────────────────────────────────────────────────


async def drain(engine: Processes, most: int = _MOST_ROUNDS) -> int:
    """Do what is due now; how much it was. What fails is left for later."""
    from clew.process import republication

    if not engine.republished:
        engine.republished = await republication.publish(engine)
    count = skip = 0
    while count < most:
        async with engine.database.read() as connection:
            found = await leases.upcoming(connection, KINDS, min(_BATCH, most - count), skip)
        done = await _batch(engine, found)
        if not done and not skip:
            # Nothing is due, or others are at all of it.
            break
        count += done
        # While so much is due, workers look at different parts of it instead of meeting at its head.
        skip = random.randrange(_PARTS) * _BATCH if done and len(found) == _BATCH else 0
    return count


async def _batch(engine: Processes, found: Sequence[Job]) -> int:
    """Do these jobs; how many this worker has done."""
    if len(found) == _BATCH:
        # So much is due that other workers look at the same: each begins somewhere else, an instance as a whole.
        begin = _subject(random.choice(found))
        found = sorted(found, key=lambda each: (_subject(each) < begin, _subject(each)))
    done = 0
    for group in timers.grouped(found):
        mine = await _together(engine, group) if len(group) > 1 else None
        if mine is None:
            mine = 0
            for job in group:
                mine += await run(engine, job) is not None
        if done and not mine:
            # Another worker has come here: look again where there is something to do.
            break
        done += mine
    return done


async def _together(engine: Processes, group: Sequence[Job]) -> int | None:
    """Timers in one transaction; how many this worker has fired. None when one of them could not be fired: then none
    has been."""
    try:
        work = partial(timers.fire_together, engine, group)
        return await engine.commands.run(system_call(engine), work, elevated=True)
    except Exception as error:
        # Whose fault it is shows when they are tried by themselves.
        _log.info("%d timers are tried one by one: %s", len(group), type(error).__name__)
        return None


def _subject(job: Job) -> str:
    """The instance, the account or the record that a job is about."""
    return str(next(job.payload[each] for each in ("process", "account", "record") if each in job.payload))


async def right_after(engine: Processes, left: Sequence[Job]) -> None:
    """What a command has left, and what that leaves in turn, within bounds; a worker takes what remains."""
    waiting = list(left)
    for _ in range(RIGHT_AFTER):
        if not waiting:
            break
        waiting += await run(engine, waiting.pop(0)) or ()


LEFT = ("process", "jobs left")
"""The jobs that a unit has left to be done at once."""


def system_call(engine: Processes) -> Call:
    return Call(Context(SYSTEM, str(uuid7()), channel="process"), engine.commands.engine.process)


Work = Callable[[Unit], Awaitable[None]]


async def run(engine: Processes, job: Job) -> Sequence[Job] | None:
    """One job, finished in the transaction of its effect, and what it has left to be done; failed ones come again,
    later and later. None when another worker is at it or has done it."""
    units: list[Unit] = []

    async def whole(unit: Unit) -> None:
        units.append(unit)
        await leases.finish(unit.connection, job)
        await work(unit)

    try:
        work = await _work(engine, job)
        await engine.commands.run(system_call(engine), whole, elevated=True)
    except LeaseLost:
        return None
    except ClewError as error:
        await _failed(engine, job, error)
    except Exception as error:
        # A fault of ours or of a plugin: its trace is kept, and it stands in nobody's way.
        _log.exception("%s of %s failed", job.kind, _subject(job))
        await _failed(engine, job, OutOfOrder(what=type(error).__name__))
    else:
        found: list[Job] = units[-1].found.get(LEFT, [])
        return found
    return ()


async def _work(engine: Processes, job: Job) -> Work:
    """What a job does inside its transaction."""
    from clew.process import republication

    subject, payload = id_of(_subject(job)), job.payload
    if job.kind == TIMER:
        return partial(timers.fire, engine, subject, int(payload["timer"]))
    if job.kind == ACT:
        return partial(_act, engine, subject, int(payload["token"]))
    if job.kind == PEOPLE:
        return partial(people.changed, engine, subject)
    if job.kind == RECORDS:
        return partial(staffing.changed, engine, subject, payload)
    if job.kind == TURN:
        return partial(staffing.turn, engine, payload)
    if job.kind == OFFER:
        return partial(people.offer, engine, subject, payload)
    if job.kind == RECOUNT:
        return await republication.recount(engine, subject, int(payload["release"]), int(payload["before"]))
    if job.kind == LEGAL:
        return partial(republication.recount_moments, engine, subject)
    return partial(_told, engine, subject, job)


async def _failed(engine: Processes, job: Job, error: ClewError) -> None:
    """Try again later. An automatic step that failed often enough is an incident; of what else fails so often somebody
    is told, while it is tried again."""
    process, said = id_of(_subject(job)), error.message("en")
    if job.kind == ACT and job.attempts + 1 >= await _attempts(engine, process, job):
        failed = words.ActionFailed(job.payload["token"], said, await _now(engine))
        try:
            await _give_up(engine, job, failed)
        except Exception as problem:
            # Nor can what should follow begin: somebody must see to both.
            then = problem.message("en") if isinstance(problem, ClewError) else type(problem).__name__
            _log.warning("what follows when %s of %s fails cannot begin: %s", job.kind, process, then)
            await _give_up(engine, job, replace(failed, error=f"{said} {then}", stays=True))
        return
    _log.warning("%s of %s failed: %s", job.kind, process, error.code)
    await leases.postpone(engine.database, job, error.code)
    if (
        job.attempts + 1 == TOLD_AFTER
        and job.kind not in (ACT, PEOPLE, RECORDS, TURN)
        and not isinstance(error, ProcessSuspended)
    ):
        await engine.commands.run(system_call(engine), partial(_tell, engine, job, error), elevated=True)


async def _tell(engine: Processes, job: Job, error: ClewError, unit: Unit) -> None:
    """Something that should happen by itself cannot, time and again: who answers for it is told."""
    from clew.process.handling import Handling

    instance = await store.load(unit.connection, id_of(_subject(job)), lock=True)
    if instance is None or not instance.state.live:
        return
    state, payload = instance.state, job.payload
    timer = state.timers.get(int(payload.get("timer", 0)))
    token = state.tokens.get(timer.token if timer is not None else int(payload.get("token", 0)))
    handling = Handling(engine, unit, await engine.definitions.of(unit.connection, instance.definition), instance)
    await handling.tell_trouble(token, "held_up", error)
    await handling.write()


async def _give_up(engine: Processes, job: Job, failed: words.ActionFailed) -> None:
    """An automatic step is not tried again by itself."""

    async def finish(unit: Unit) -> None:
        await leases.finish(unit.connection, job)

    with suppress(LeaseLost):
        await engine.system(system_call(engine), id_of(_subject(job)), failed, finish)


async def _attempts(engine: Processes, process: UUID, job: Job) -> int:
    async with engine.database.read() as connection:
        instance = await store.load(connection, process)
        token = instance.state.tokens.get(job.payload.get("token", 0)) if instance is not None else None
        if instance is None or token is None:
            return 1
        definition = await engine.definitions.of(connection, instance.definition)
    return definition.step(token.step).retries + 1


async def _act(engine: Processes, process: UUID, token_id: int, unit: Unit) -> None:
    """An automatic step: its actions and its end, in one transaction. A suspended process asks for it anew once it goes
    on."""
    instance = await store.load(unit.connection, process, lock=True)
    token = instance.state.tokens.get(token_id) if instance is not None else None
    if instance is None or token is None or token.status != "working" or instance.state.status != "running":
        return
    await engine.act_by_itself(unit, instance, token_id)


async def _told(engine: Processes, process: UUID, job: Job, unit: Unit) -> None:
    """An event, or the end of a sub-process. A suspended process is told once it goes on (`wake`)."""
    instance = await store.load(unit.connection, process, lock=True)
    if instance is not None and instance.state.status == "suspended":
        raise ProcessSuspended
    if instance is not None:
        token, at = int(job.payload["token"]), instant_text(unit.at)
        if "after" in job.payload and job.payload["after"] != instance.state.steps_of(token):
            # It has gone on by another event, or because its time was up.
            return
        command: Command = words.EventArrived(token, at)
        if job.kind == ENDED:
            cancelled = bool(job.payload.get("cancelled", False))
            command = words.ChildEnded(token, str(job.payload["outcome"]), at, cancelled)
        await engine.handle(unit, instance, command)


async def _now(engine: Processes) -> str:
    async with engine.database.read() as connection:
        return instant_text(await connection.now())
