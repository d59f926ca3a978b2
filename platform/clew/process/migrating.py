"""Moving live instances to another definition, mostly that of the present release: previewed one by one, then each in a
transaction of its own under its lock, where the verdict is asked again."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

import sqlalchemy as sa

from clew.audit.trail import Changed, record_event
from clew.kernel.text import Bilingual
from clew.metadata.processes import Workflow
from clew.process import jobs, store, time
from clew.process.announce import announce
from clew.process.engine import WHAT, Processes
from clew.process.errors import BadStepMapping, CannotMigrate, NoSuchProcess, UnknownDefinition
from clew.process.handling import Handling
from clew.process.migration import Verdict, verdict
from clew.process.state import State
from clew.process.store import Instance
from clew.process.writes import Writes
from clew.records.commands import Call
from clew.records.unit import Unit
from clew.storage import process_tables
from clew.storage.engine import Connection

_p, _t = process_tables.process, process_tables.task


@dataclass(frozen=True, slots=True)
class Preview:
    """One live instance that follows another definition, and whether it can move."""

    process: UUID
    entity: str
    record_id: UUID
    digest: str
    """Of the definition it follows."""
    at: tuple[str, ...]
    """Where it stands: paths of steps."""
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Definition:
    """One definition of a process."""

    digest: str
    release: str
    """The one that brought it."""
    live: int
    """How many live instances follow it."""
    present: bool
    """That of the release that is served."""


async def definitions(engine: Processes, workflow: str) -> list[Definition]:
    """The definitions of a process, the present one first. Raises NoSuchProcess."""
    present = engine.blueprint.workflows.get(workflow)
    if present is None:
        raise NoSuchProcess(what=WHAT)
    async with engine.database.read() as connection:
        stored = await store.definitions_of(connection, workflow)
    live = {digest: number for digest, _, _, number in stored}
    first = Definition(present.digest, engine.release, live.get(present.digest, 0), present=True)
    others = [Definition(each, release, number, present=False) for each, release, _, number in stored]
    return [first, *(each for each in others if each.digest != present.digest)]


async def aim(engine: Processes, workflow: str, to: str = "") -> Workflow:
    """The definition to move to: the present one, or an earlier one by the beginning of its digest, which the present
    release must still bear. Raises NoSuchProcess, UnknownDefinition, DefinitionGone."""
    known = await definitions(engine, workflow)
    found = [each for each in known if to and each.digest.startswith(to)] if to else known[:1]
    if len(found) != 1:
        raise UnknownDefinition(path=["to"], given=to, known=", ".join(each.digest[:12] for each in known))
    async with engine.database.read() as connection:
        return await engine.definitions.of(connection, found[0].digest)


@dataclass(frozen=True, slots=True)
class Migration:
    """To one definition of a workflow (`aim`)."""

    engine: Processes
    workflow: Workflow
    mapping: Mapping[str, str]
    """Old path → new path."""

    async def preview(self, only: Collection[UUID] = ()) -> list[Preview]:
        """Every live instance with another definition, or only these. Raises BadStepMapping."""
        found: list[Preview] = []
        known: set[str] = set()
        async with self.engine.database.read() as connection:
            for process in await _pinned_elsewhere(connection, self.workflow.name, self.workflow.digest):
                instance = await store.load(connection, process)
                if instance is None or (only and process not in only):
                    continue
                old = await self.engine.definitions.of(connection, instance.definition)
                known.update(step.path for _, step in old.walk())
                said = verdict(old, self.workflow, instance.state, self.mapping)
                at = tuple(sorted(each.step for each in instance.state.tokens.values()))
                found.append(Preview(process, instance.entity, instance.record_id, instance.definition, at, said))
        for here, there in self.mapping.items():
            if found and here not in known:
                raise BadStepMapping(given=f"{here}={there}", known=", ".join(sorted(known)))
        return found

    async def move(self, call: Call, process: UUID, *, passing: bool = False) -> None:
        """Move one instance; `call.reason` says why. `passing`: also past steps of people that it will never do, and to
        a present definition that demands less than its own. To an earlier one that demands less none moves: what was
        reviewed last is not got round. Raises CannotMigrate, NotAnOperator, NoSuchProcess; nothing has changed then."""

        async def work(unit: Unit) -> None:
            instance = await store.load(unit.connection, process, lock=True)
            if instance is None or instance.workflow != self.workflow.name:
                raise NoSuchProcess(what=WHAT)
            await self.engine.may_operate(unit, instance)
            said = await self._verdict(unit.connection, instance)
            present = self.workflow.digest == self.engine.blueprint.workflows[self.workflow.name].digest
            less = bool(said.loosened) and not (present and passing)
            if said.state is None or (said.missed and not passing) or less:
                raise CannotMigrate(why=why(said))
            if present:
                text = self.engine.definitions.text_of(self.workflow)
                await store.define(unit.connection, text, self.engine.release, unit.at)
            moved = await self._begin_limits(unit, instance, await _save(unit, self.workflow, instance, said.state))
            if any(step.legal is not None for _, step in self.workflow.walk()):
                # A limit of the law that the definition adds to where it stands runs from awareness as well.
                await jobs.ask_legal(unit.connection, instance.id)
            await self._told(unit, instance, said)
            announce(unit, moved, "migrated", instance.state)

        await self.engine.commands.run(call, work)

    async def _begin_limits(self, unit: Unit, before: Instance, moved: Instance) -> Instance:
        """Set the clocks of limits that are new to the steps it stands at: they begin now, as nobody was late before.
        Those of a suspended process begin as it goes on."""
        new = moved.state.timers.keys() - before.state.timers.keys()
        if not new:
            return moved
        handling = Handling(self.engine, unit, self.workflow, moved)
        for number in sorted(new):
            await time.set_timer(handling, number)
        await handling.tell_stuck()
        await handling.write()
        if moved.state.status == "suspended":
            await time.stop(handling)
            await handling.write()
        steps = [moved.state.tokens[moved.state.timers[number].token].step for number in sorted(new)]
        for step in dict.fromkeys(steps):
            await store.log(unit.connection, moved.id, unit.at, "recounted", step=step)
        return handling.instance

    async def _verdict(self, connection: Connection, instance: Instance) -> Verdict:
        old = await self.engine.definitions.of(connection, instance.definition)
        return verdict(old, self.workflow, instance.state, self.mapping)

    async def _told(self, unit: Unit, instance: Instance, said: Verdict) -> None:
        """In the timeline and in the trail."""
        person = unit.context.person.id
        await store.log(
            unit.connection, instance.id, unit.at, "migrated", actor=person, comment=unit.reason or "",
            outcome=self.workflow.digest,
        )  # fmt: skip
        particulars = {
            "workflow": instance.workflow,
            "definition": Changed(instance.definition, self.workflow.digest),
            "steps": json.dumps(dict(self.mapping), ensure_ascii=False) if self.mapping else None,
            "passed": ", ".join(said.missed) or None,
            "loosened": "; ".join(each.en for each in said.loosened) or None,
        }
        await record_event(
            unit.connection, unit.context, self.engine.release, "process:migrate", "clew.process", instance.id,
            particulars, unit.reason,
        )  # fmt: skip


async def _pinned_elsewhere(connection: Connection, workflow: str, digest: str) -> list[UUID]:
    """Live instances of a workflow that follow another definition, the oldest first."""
    mine = _p.c.workflow == workflow, _p.c.definition != digest, _p.c.status.in_(store.LIVE)
    query = sa.select(_p.c.id).where(*mine).order_by(_p.c.started_at, _p.c.id)
    return [row[0] for row in await connection.fetch(query)]


async def _save(unit: Unit, workflow: Workflow, before: Instance, state: State) -> Instance:
    """The instance's next version, by another definition; its open tasks under the names of its steps."""
    connection = unit.connection
    await connection.execute(sa.update(_p).where(_p.c.id == before.id).values(definition=state.digest))
    for number, task in state.tasks.items():
        if task.step != before.state.tasks[number].step:
            mine = _t.c.process == before.id, _t.c.number == number
            await connection.execute(sa.update(_t).where(*mine).values(step=task.step))
    return await Writes(unit, workflow, replace(before, definition=state.digest)).write(state)


def why(said: Verdict) -> Bilingual:
    """The reasons against, in one line."""
    reasons = list(said.reasons)
    if said.missed:
        steps = ", ".join(said.missed)
        reasons.append(Bilingual(f"将略过新增步骤 {steps}", f"it would never do the added steps {steps}"))
    if said.loosened:
        less = said.loosened
        zh, en = "；".join(each.zh for each in less), "; ".join(each.en for each in less)
        reasons.append(Bilingual(f"新定义要求更少({zh})", f"it would be asked for less ({en})"))
    return Bilingual("；".join(each.zh for each in reasons), "; ".join(each.en for each in reasons))


__all__ = ["Definition", "Migration", "Preview", "aim", "definitions", "why"]
