"""Playing a scenario: each act through GraphQL as its person, each expectation against what is stored."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from clew.extensions import load_actions
from clew.jobs import leases
from clew.kernel.diagnostics import Place
from clew.kernel.errors import ClewError
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint
from clew.metadata.scenarios import Act, Scenario
from clew.metadata.spec.scenario import INSTANCE
from clew.process import jobs, store
from clew.process.calendar import WorkingTime
from clew.process.clocks import Limit, TimeUnit, begin
from clew.process.in_use import begin_where_used
from clew.process.jobs import system_call
from clew.process.time import calendar_of
from clew.records.loading import BadLoad
from clew.records.unit import Unit
from clew.records.values import AnyRef, coerce
from clew.storage import process_tables
from clew.testing.office import Refused, one_of
from clew.testing.scenarios.expected import Expected, differs
from clew.testing.scenarios.replayed import replayed
from clew.testing.scenarios.stage import Stage, StoredBadly, Theatre

_WAIT = re.compile(r"(\d+) ?(wh|wd|cd|h)")


@dataclass(frozen=True, slots=True)
class Failure:
    """Where a scenario turned out otherwise, what was expected and what was found."""

    place: Place
    say: Bilingual


@dataclass(slots=True)
class Played:
    """How a scenario went, and what of the processes it walked: workflow → (step, outcome)."""

    scenario: Scenario
    failure: Failure | None = None
    walked: dict[str, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))
    refused: set[tuple[str, str, str]] = field(default_factory=set)
    """Steps that were refused: workflow, step, code."""


async def play_all(
    blueprint: Blueprint, scenarios: Iterable[Scenario], folder: Path, project: Path | None = None
) -> list[Played]:
    """Every scenario, each in a world of its own. `folder` is for their databases; `project` has the plugins whose
    actions automatic steps do."""
    declared = {name: each.plugin for name, each in blueprint.project.actions.items()}
    theatre = Theatre(blueprint, folder, load_actions(project, declared) if project is not None else {})
    return [await _play(theatre, each) for each in scenarios]


async def _play(theatre: Theatre, scenario: Scenario) -> Played:
    played = Played(scenario)
    if scenario.moves:
        say = replayed(theatre.blueprint, scenario)
        played.failure = Failure(scenario.place, say) if say is not None else None
        return played
    try:
        async with theatre.stage(scenario) as stage:
            for act in scenario.acts:
                say = await _one(stage, act, played)
                if say is not None:
                    played.failure = Failure(act.place, say)
                    break
            await _walked(stage, played)
    except (BadLoad, StoredBadly) as problem:
        say = Bilingual(f"所给的记录无法建立:{problem}", f"the records given cannot be made: {problem}")
        played.failure = Failure(scenario.place, say)
    return played


async def _one(stage: Stage, act: Act, played: Played) -> Bilingual | None:
    """One act; what is wrong with it, if anything."""
    if act.kind == "then":
        return await Expected(stage, act.expected).wrong()
    if act.kind == "wait":
        return await _wait(stage, act.what)
    if act.kind == "find":
        return await _find(stage, act)
    try:
        if act.kind == "do":
            await _do(stage, act, played)
        else:
            await _act(stage, act)
    except Refused as refused:
        if refused.code == act.refused:
            return None
        wanted = act.refused or "–"
        return Bilingual(
            f"{act.by} {act.kind} {act.what} 被拒绝:{refused.code} {refused.message}(预期:{wanted})",
            f"{act.by} {act.kind} {act.what} was refused: {refused.code} {refused.message} (expected: {wanted})",
        )
    if act.refused:
        return Bilingual(
            f"{act.by} {act.kind} {act.what} 应被拒绝({act.refused}),但成功了",
            f"{act.by} {act.kind} {act.what} was to be refused ({act.refused}), and was not",
        )
    return None


async def _act(stage: Stage, act: Act) -> None:
    office = stage.office
    if act.kind == "create":
        given = stage.values(act.what, act.values)
        if "site" in stage.runtime.blueprint.entities[act.what].fields and stage.site is not None:
            given.setdefault("site", stage.site)
        made = await office.creates(act.by, act.what, act.because, given)
        if act.name:
            stage.records[act.name] = act.what, made
    elif act.kind == "update":
        entity, record = stage.records[act.what]
        await office.updates(act.by, entity, record, act.because, stage.values(entity, act.values))
    elif act.kind == "move":
        entity, record = stage.records[act.of]
        await office.moves(act.by, entity, record, act.what, act.because)
    elif act.kind == "start" and act.by:
        await office.starts(act.by, act.what, stage.records[act.of][1])
    elif act.kind == "start":
        await _begun(stage, act)
    elif act.kind in INSTANCE:
        process, incidents = await _live(stage, act)
        if act.kind == "retry":
            for each in incidents:
                await office.retries(act.by, process, each, act.because)
        else:
            await office.commands(act.by, f"{act.kind}Process", process, act.because)


async def _begun(stage: Stage, act: Act) -> None:
    """A process begins by itself, as what happens to a record, the calendar or another process begins it."""
    processes = stage.runtime.processes

    async def work(unit: Unit) -> None:
        await begin_where_used(processes, unit, act.what, stage.records[act.of][1], "event")

    try:
        await processes.commands.run(system_call(processes), work, elevated=True)
    except ClewError as problem:
        raise Refused(problem.code, problem.message("en")) from problem
    await jobs.drain(processes)


async def _live(stage: Stage, act: Act) -> tuple[UUID, tuple[int, ...]]:
    """The live process of a workflow about a record, with what has stopped it. Raises Refused: there is none."""
    process = process_tables.process
    mine = process.c.workflow == act.what, process.c.record_id == stage.records[act.of][1]
    query = sa.select(process.c.id).where(*mine, process.c.status.in_(("running", "suspended")))
    async with stage.runtime.database.read() as connection:
        found = await connection.fetch_value(query)
        instance = await store.load(connection, found) if found is not None else None
    if instance is None:
        raise Refused("NO_PROCESS", f"no {act.what} of {act.of} runs")
    return instance.id, tuple(instance.state.incidents)


async def _do(stage: Stage, act: Act, played: Played) -> None:
    """A step somebody has to do; where it is refused, which one it was is kept."""
    task = one_of(await stage.office.tasks(act.by, act.what), act.by, act.what)
    fields = stage.values(task["entity"], act.values)
    try:
        await stage.office.completes(act.by, task, act.outcome, act.comment, fields)
    except Refused as refused:
        played.refused.add((task["workflow"], task["step"], refused.code))
        raise


async def _find(stage: Stage, act: Act) -> Bilingual | None:
    """The one record that has these values, by its name from here on."""
    known = stage.runtime.blueprint.entities[act.what]
    table = stage.runtime.tables.current(act.what)
    query = sa.select(table.c.id)
    today = stage.clock.now().date()
    for name, value in stage.values(act.what, act.values).items():
        canonical = isinstance(value, UUID | AnyRef)
        given = value if canonical else coerce(known.fields[name], value, [name], stage.runtime.blueprint, today)
        column = table.c[f"{name}_id"] if isinstance(given, AnyRef) else table.c[name]
        query = query.where(column == (given.id if isinstance(given, AnyRef) else given))
    async with stage.runtime.database.read() as connection:
        found = await connection.fetch(query)
    if len(found) != 1:
        return differs(f"find {act.what}", "1", str(len(found)))
    stage.records[act.name or act.what] = act.what, found[0][0]
    return None


async def _wait(stage: Stage, text: str) -> Bilingual | None:
    """Time passes, from one thing that falls due to the next, so that each happens when it is due."""
    found = _WAIT.fullmatch(text.strip())
    if found is None:
        return Bilingual(
            f"不是时间:{text},应如 4 wh、3 wd、30 cd、2 h", f"{text} is no time; write 4 wh, 3 wd, 30 cd or 2 h"
        )
    site = WorkingTime(calendar_of(stage.runtime.blueprint, None))
    try:
        running = begin(Limit(int(found[1]), TimeUnit(found[2])), stage.clock.now(), site)
        until = running.due(site) or stage.clock.now()
    except ClewError as problem:
        return Bilingual(problem.message("zh"), problem.message("en"))
    at_least = timedelta(minutes=1)
    while (left := until - stage.clock.now()) > timedelta():
        async with stage.runtime.database.read() as connection:
            following = await leases.next_at(connection, jobs.KINDS)
        step = left if following is None else max(following - stage.clock.now(), at_least)
        stage.clock.advance(min(step, left))
        await jobs.drain(stage.runtime.processes)
    return None


async def _walked(stage: Stage, played: Played) -> None:
    """What the instances of this scenario have done."""
    process = process_tables.process
    async with stage.runtime.database.read() as connection:
        ids = [row[0] for row in await connection.fetch(sa.select(process.c.id))]
        for each in ids:
            instance = await store.load(connection, each)
            if instance is None:
                continue
            walked = played.walked[instance.workflow]
            walked |= {(done.step, done.outcome) for done in instance.state.done}
            walked |= {(token.step, "") for token in instance.state.tokens.values()}
            if instance.state.status == "ended":
                walked.add(("", instance.state.outcome))


__all__ = ["Failure", "Played", "play_all"]
