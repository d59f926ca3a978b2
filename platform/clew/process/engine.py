"""The engine: each command of a process is one transaction with everything it does to records, or nothing.

idempotency key → instance locked → facts → machine → record effects, tasks, clocks, timeline, leaf → commit. What the
machine asks to be run by itself (automatic steps, what follows an event) becomes a job of the same transaction; it is
run right after the commit, and by any worker if this one dies first.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from clew.kernel.canonical import digest
from clew.kernel.ids import id_of, uuid7
from clew.kernel.scalars import instant_text
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint, Entity
from clew.metadata.processes import Workflow
from clew.process import comments, jobs, loading, machine, reading, store, words
from clew.process.ahead import Ahead, Place, ahead
from clew.process.behalf import Standing, standing
from clew.process.definitions import Definitions
from clew.process.effects import locked
from clew.process.errors import AlreadyRunning, NoSuchProcess, NotAnOperator, NotAStarter
from clew.process.handling import Handling
from clew.process.in_place import stand_in
from clew.process.in_use import require_in_use
from clew.process.staff import Staff
from clew.process.state import Subject
from clew.process.store import Instance
from clew.process.words import Actor, Command
from clew.process.writes import STORED
from clew.records import idempotency
from clew.records.commands import Call, Commands
from clew.records.gathering import beside
from clew.records.unit import Unit
from clew.sdk.actions import Act
from clew.storage.engine import Connection, Database

WHAT = Bilingual("流程", "process")
TASK = Bilingual("任务", "task")


@dataclass(frozen=True, slots=True)
class Done:
    """What a command came to."""

    process: UUID
    status: str
    replayed: bool = False
    instance: Instance | None = None
    """As the command has left it, where nothing ran after it."""


Make = Callable[[Instance, Actor, str], Command]
"""Makes the machine's command, given the instance, who acts, and when."""


@dataclass(slots=True)
class Processes:
    """The processes of one release on one database."""

    database: Database
    blueprint: Blueprint
    commands: Commands
    staff: Staff
    release: str = ""
    plugins: Mapping[str, Act] = field(default_factory=dict)
    """What plugins do in automatic steps, by name."""
    definitions: Definitions = field(init=False)
    earlier: dict[int, Blueprint] = field(default_factory=dict)
    """Earlier releases by whose calendars open clocks were counted."""
    republished: bool = False
    """Whether the calendars of this release have reached the clocks."""

    def __post_init__(self) -> None:
        self.definitions = Definitions(self.blueprint, self.release)

    # ── commands ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self, call: Call, workflow: str, record_id: UUID) -> Done:
        """A person starts a process about a record. Raises NotAStarter, NotInUse, AlreadyRunning, NoSuchProcess."""
        definition = self.blueprint.workflows.get(workflow)
        if definition is None:
            raise NoSuchProcess(what=WHAT)

        asked = ["start", workflow, str(record_id)]

        async def work(unit: Unit) -> tuple[UUID, list[Any]]:
            entity = unit.entity(definition.entity)
            record = await unit.lock(entity, record_id)
            if record is None or not await self._visible(call, unit, entity, record):
                raise NoSuchProcess(what=entity.label)
            if not await unit.judge.granted(unit.decision.process(workflow).start, entity, record):
                raise NotAStarter(workflow=definition.label)
            await require_in_use(unit, definition, record)
            if await store.live_on(unit.connection, record_id, workflow) is not None:
                raise AlreadyRunning
            return await self.begin(unit, definition, record_id), asked

        return await self._run(call, asked, work)

    async def act(
        self,
        call: Call,
        process: UUID,
        make: Make,
        asked: list[Any],
        given: Mapping[str, Any] | None = None,
        *,
        operates: bool = False,
    ) -> Done:
        """One command of a person on an instance. `asked` is what makes two requests the same; `given` are values for
        the fields that the step fills in. `operates`: only who answers for the process may (NotAnOperator)."""
        said = ["act", str(process), *asked]

        async def work(unit: Unit) -> tuple[UUID, list[Any]]:
            instance, stands = await loading.load_for(unit, process)
            if instance is None:
                raise NoSuchProcess(what=WHAT)
            if operates:
                await self.may_operate(unit, instance)
            await self._give(unit, instance, stands, make, given)
            return process, said

        return await self._run(call, said, work)

    async def _give(
        self, unit: Unit, instance: Instance, stands: Standing, make: Make, given: Mapping[str, Any] | None
    ) -> None:
        """A person's command, by whoever they stand in for."""
        actor = Actor(str(unit.context.person.id))
        command = make(instance, actor, instant_text(unit.at))
        number = getattr(command, "task", None)
        if number is not None:
            definition = await self.definitions.of(unit.connection, instance.definition)
            behalf = await stand_in(unit, definition, self.staff, instance, number, stands)
            if behalf is not None:
                command = make(instance, replace(actor, behalf=behalf), instant_text(unit.at))
        await self.handle(unit, instance, command, given)

    async def decide(
        self,
        call: Call,
        task: UUID | Place,
        outcome: str,
        given: Mapping[str, Any] | None = None,
        comment: str = "",
    ) -> Done:
        """Complete a task, or cast a vote. `task`: its id, or where it stands if that is known. Raises NoSuchProcess
        where it stands elsewhere, or the caller may not know of it."""
        place = await self._place(task) if isinstance(task, UUID) else task
        looked, fields = self._ahead(place, outcome), dict(given or {})

        async def work(unit: Unit) -> tuple[UUID, list[Any]]:
            found = await loading.load_task(unit, place, looked)
            if found is None:
                raise NoSuchProcess(what=TASK)
            instance, number, stands = found
            if not place.seen and not await self._sees(unit, instance, number):
                raise NoSuchProcess(what=TASK)

            def make(_instance: Instance, actor: Actor, at: str) -> Command:
                return words.Decide(number, outcome, actor, at, comment)

            await self._give(unit, instance, stands, make, given)
            return instance.id, ["act", str(instance.id), "decide", number, outcome, comment, fields]

        return await self._run(call, ["decide", str(place.id), outcome, comment, fields], work)

    async def _sees(self, unit: Unit, instance: Instance, number: int) -> bool:
        """Whether the caller is asked by a task, or has another part in its instance."""
        task, person = instance.state.tasks.get(number), unit.context.person.id
        asked = task is not None and task.status in ("open", "held") and str(person) in task.candidates
        return asked or await self.takes_part(unit.connection, instance.id, person)

    def _ahead(self, place: Place, outcome: str) -> Ahead | None:
        """What a decision will ask for; None where the release cannot tell."""
        workflow = self.blueprint.workflows.get(place.workflow)
        if workflow is None or place.entity != workflow.entity:
            return None
        try:
            return ahead(workflow, place.step, outcome, self.blueprint.entities[workflow.entity])
        except KeyError:  # a step of an earlier definition
            return None

    async def comment(self, call: Call, process: UUID, said: comments.Said) -> Done:
        """A comment of somebody who may see the instance, which the caller of this room has made sure of."""

        asked = ["comment", str(process), said.text, list(said.files)]

        async def work(unit: Unit) -> tuple[UUID, list[Any]]:
            await comments.write(unit, process, said)
            return process, asked

        return await self._run(call, asked, work)

    async def _place(self, task: UUID) -> Place:
        async with self.database.read() as connection:
            found = await loading.place_of(connection, task)
        if found is None:
            raise NoSuchProcess(what=TASK)
        return found

    async def find_task(self, task: UUID) -> tuple[UUID, int]:
        """The instance of a task and the task's number in it. Raises NoSuchProcess."""
        async with self.database.read() as connection:
            found = await loading.number_of(connection, task)
        if found is None:
            raise NoSuchProcess(what=TASK)
        return found

    async def system(self, call: Call, process: UUID, command: Command, finish: Finish | None = None) -> None:
        """A command of the platform itself: a timer, an event, the end of an automatic step."""

        async def work(unit: Unit) -> None:
            if finish is not None:
                await finish(unit)
            instance = await store.load(unit.connection, process, lock=True)
            if instance is not None:
                await self.handle(unit, instance, command)

        await self.commands.run(call, work, elevated=True)

    # ── inside a unit ─────────────────────────────────────────────────────────────────────────────────────────────

    async def begin(
        self,
        unit: Unit,
        definition: Workflow,
        record_id: UUID,
        parent: tuple[UUID, int] | None = None,
    ) -> UUID:
        """A new instance about a record, in the caller's unit."""
        entity = unit.engine.blueprint.entities[definition.entity]
        record = await locked(unit, entity, record_id)
        await store.define(unit.connection, self.definitions.text_of(definition), self.release, unit.at)
        starter = unit.context.person.id
        instance = Instance(
            uuid7(),
            definition.name,
            definition.digest,
            entity.name,
            record_id,
            record.get("thread_id"),
            record.get("site"),
            starter,
            machine.new(definition, Subject(entity.name, str(record_id)), str(starter)),
            0,
            parent[0] if parent else None,
            parent[1] if parent else None,
            unit.at,
        )
        await store.create(unit.connection, instance, unit.at)
        await self.handle(unit, instance, words.Begin(instant_text(unit.at)), first=True)
        return instance.id

    async def handle(
        self,
        unit: Unit,
        instance: Instance,
        command: Command,
        given: Mapping[str, Any] | None = None,
        *,
        first: bool = False,
    ) -> None:
        """One command of an instance, in the caller's unit."""
        definition = await self.definitions.of(unit.connection, instance.definition)
        with _acting(unit, definition, instance):
            handling = Handling(self, unit, definition, instance)
            if first:
                for action in definition.at_start:
                    await handling.effects.act(action, instance.state.subject)
            await handling.run(command, given or {})

    async def act_by_itself(self, unit: Unit, instance: Instance, token: int) -> None:
        """The actions of an automatic step, and its end."""
        definition = await self.definitions.of(unit.connection, instance.definition)
        at = instance.state.tokens[token]
        with _acting(unit, definition, instance):
            handling = Handling(self, unit, definition, instance)
            with handling.effects.at(at.step):
                for action in definition.step(at.step).actions:
                    await handling.effects.act(action, at.subject)
            await handling.run(words.ActionDone(token, instant_text(unit.at)), {})

    async def lent_tasks(self, connection: Connection, person: UUID, limit: int) -> list[tuple[UUID, str]]:
        """Open tasks that somebody may do in another's place: task and whose it is."""
        stands = await standing(connection, person, await connection.now())
        found: list[tuple[UUID, str]] = []
        for process, number, task_id in await reading.open_tasks_of(connection, stands.lenders):
            instance = await store.load(connection, process)
            if instance is None or len(found) == limit:
                break
            task = instance.state.tasks[number]
            step = (await self.definitions.of(connection, instance.definition)).step(task.step)
            lender = stands.behalf(str(person), task, step, instance.site)
            if lender is not None:
                found.append((task_id, lender))
        return found

    async def takes_part(self, connection: Connection, process: UUID, person: UUID) -> bool:
        """Whether somebody started an instance, acted in it, is asked in it, or stands in for somebody who is."""
        if await reading.takes_part(connection, process, person):
            return True
        instance = await store.load(connection, process)
        if instance is None:
            return False
        stands = await standing(connection, person, await connection.now())
        if not stands.lenders:
            return False
        definition = await self.definitions.of(connection, instance.definition)
        return any(
            stands.behalf(str(person), task, definition.step(task.step), instance.site) is not None
            for task in instance.state.tasks.values()
            if task.status in ("open", "held")
        )

    # ── around it ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _run(
        self, call: Call, asked: list[Any], work: Callable[[Unit], Awaitable[tuple[UUID, list[Any]]]]
    ) -> Done:
        """`asked` is what makes two requests the same; the work tells its instance, and what the trail keeps."""
        key, person, known = call.idempotency_key, call.context.person.id, ""
        if key is not None:
            idempotency.check_key(key)
            known = digest(_exact(asked))

        units: list[Unit] = []

        async def whole(unit: Unit) -> Done:
            units.append(unit)
            if key is not None:
                kept = await idempotency.known_answer(unit.connection, person, key, known)
                if kept is not None:
                    return Done(id_of(kept["process"]), kept["status"], replayed=True)
            process, told = await work(unit)
            # What became of it in this unit is known without asking again; nothing has changed it otherwise.
            instance = unit.found.get(STORED, {}).get(process) or await store.load(unit.connection, process)
            assert instance is not None
            done = Done(process, instance.state.status, instance=instance)
            said = {"workflow": instance.workflow, "asked": json.dumps(_exact(told), ensure_ascii=False)}
            unit.tell(f"process:{told[0]}", "clew.process", process, said)
            if key is not None:
                answer = json.dumps({"process": str(process), "status": done.status})
                await idempotency.keep_answer(beside(unit.connection), person, key, known, answer, unit.at)
            return done

        done = await self.commands.run(call, whole, looks=True)
        left = units[-1].found.get(jobs.LEFT, ())
        await jobs.right_after(self, left)
        return replace(done, instance=None) if left else done

    async def _visible(self, call: Call, unit: Unit, entity: Entity, record: Mapping[str, Any]) -> bool:
        return await unit.visible(entity, dict(record))

    async def may_operate(self, unit: Unit, instance: Instance) -> None:
        """Asked of the decision, about the record. A process that is in the release no more is its owner's."""
        definition = await self.definitions.of(unit.connection, instance.definition)
        if instance.workflow in self.blueprint.workflows:
            entity = self.blueprint.entities[instance.entity]
            record = await locked(unit, entity, instance.record_id)
            if await unit.judge.granted(unit.decision.process(instance.workflow).cancel, entity, record):
                return
        elif self.blueprint.policies is None or definition.owner in unit.context.person.roles:
            return
        raise NotAnOperator(workflow=definition.label)


@contextmanager
def _acting(unit: Unit, definition: Workflow, instance: Instance) -> Iterator[None]:
    """The unit acts for the process: under its authority, on its thread."""
    before = unit.elevated, unit.process, unit.process_step, unit.thread, unit.filling, unit.touched
    unit.touched = set()
    unit.elevated, unit.process, unit.process_step = True, definition.name, definition.name
    unit.thread, unit.filling = instance.thread_id, False
    try:
        yield
    finally:
        unit.elevated, unit.process, unit.process_step, unit.thread, unit.filling, unit.touched = before


Finish = Callable[[Unit], Awaitable[None]]


def _exact(value: Any) -> Any:
    """Floats and other odd values by their text, so that a repetition is recognised."""
    if isinstance(value, Mapping):
        return {str(key): _exact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    return value if value is None or isinstance(value, str | int | bool) else str(value)
