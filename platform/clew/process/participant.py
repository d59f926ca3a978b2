"""Processes take part in every write: they begin and go on with what happens, and guard what they move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from clew.kernel.ids import id_of
from clew.metadata.blueprint import Entity
from clew.metadata.processes import Start, Workflow
from clew.process import jobs, several, store
from clew.process.errors import CalledOffByYou
from clew.process.in_use import begin_where_used
from clew.records.errors import MovedByProcess
from clew.records.participants import Change
from clew.records.unit import Unit
from clew.records.values import AnyRef

if TYPE_CHECKING:
    from clew.process.engine import Processes


def awaited(workflows: Mapping[str, Workflow]) -> frozenset[tuple[str, str]]:
    """Every event (entity, verb) that some step waits for."""
    return frozenset(
        (step.wait.entity, step.wait.verb)
        for each in workflows.values()
        for _, step in each.walk()
        if step.wait is not None and step.wait.entity
    )


@dataclass(slots=True)
class ProcessParticipant:
    """The port `records.participants.Participant`. `engine` is set once both exist."""

    workflows: Mapping[str, Workflow]
    engine: Processes | None = None
    name: str = "processes"
    _lawful: frozenset[str] = field(init=False)
    """Entities whose records say when a time limit of the law begins and ends."""
    _until: dict[str, set[str]] = field(init=False)
    """Entity → the fields of its records that say when a wait is over."""
    _awaited: frozenset[tuple[str, str]] = field(init=False)
    _begun: dict[tuple[str, str], list[tuple[str, Start]]] = field(init=False)
    """What begins with an event (entity, verb)."""
    _shown: dict[str, frozenset[str]] | None = field(init=False, default=None)
    """Entity → what those who vote on it fill in; once the engine is there."""

    def __post_init__(self) -> None:
        self._awaited, self._begun = awaited(self.workflows), {}
        for workflow in self.workflows.values():
            for start in workflow.starts:
                self._begun.setdefault((start.entity, start.verb), []).append((workflow.name, start))
        self._lawful = frozenset(
            flow.entity for each in self.workflows.values() for flow, step in each.walk() if step.legal is not None
        )
        self._until = {}
        for flow, step in (found for each in self.workflows.values() for found in each.walk()):
            if step.wait is not None and step.wait.until is not None:
                self._until.setdefault(flow.entity, set()).update(path[0] for path in step.wait.until.reads)

    def wants(self, entity: Entity) -> bool:
        """Only what a workflow begins with, waits for or moves: every other write is spared."""
        if entity.moved_by in self.workflows or any(
            each.moved_by in self.workflows for each in entity.transitions.values()
        ):
            return True
        named = {start.entity for each in self.workflows.values() for start in each.starts}
        named |= self._lawful | self._until.keys()
        named |= {flow.entity for each in self.workflows.values() for flow, step in each.walk() if several.voted(step)}
        return entity.name in named or any(name == entity.name for name, _ in self._awaited)

    async def derive(self, change: Change, unit: Unit) -> Mapping[str, Any]:
        return {}

    async def check(self, change: Change, unit: Unit) -> None:
        """What a process moves nobody else moves while it runs, nor alone what it takes from several."""
        if self.engine is None:
            return
        if self._shown is None:
            self._shown = several.shown_to_votes(self.workflows, self.engine.blueprint.entities)
        names = self._shown.get(change.entity.name)
        if names:
            await several.refuse_by_hand_after_signature(change, names, self.engine, unit)
        if change.verb != "transition" or change.transition is None:
            return
        owner = change.transition.moved_by or change.entity.moved_by
        if owner is None or unit.process == owner or owner not in self.engine.blueprint.workflows:
            return
        held = await store.live_on(unit.connection, change.id, owner) is not None
        if held or await store.in_hands(unit.connection, change.id, owner):
            process = self.engine.blueprint.workflows[owner].label
            raise MovedByProcess(transition=change.transition.label, process=process)
        several.refuse_by_hand(change, self.engine.blueprint.workflows[owner], unit)
        if change.transition.sign is not None and unit.process is None:
            context = unit.context
            people = [each.id for each in (context.person, context.on_behalf_of) if each is not None]
            if await store.called_off_by(unit.connection, change.id, owner, people):
                process = self.engine.blueprint.workflows[owner].label
                raise CalledOffByYou(transition=change.transition.label, process=process)

    async def effect(self, change: Change, unit: Unit) -> None:
        """Begin what begins with this, in the same transaction; wake what waits for it, right after."""
        if self.engine is None or change.new is None:
            return
        verb = change.transition.name if change.transition is not None else change.verb
        for workflow, start in self._begun.get((change.entity.name, verb), ()):
            if start.when is not None and not await unit.judge.holds(start.when, change.entity, dict(change.new)):
                continue
            await begin_where_used(self.engine, unit, workflow, change.id, "event")
        await self._moments(change, unit)
        await self._wake(change, verb, unit)

    async def answered(self, change: Change, unit: Unit) -> None:
        return None

    async def _moments(self, change: Change, unit: Unit) -> None:
        """Clocks that run by what this record says are set by what it says now."""
        if change.verb == "create" or change.old is None or change.new is None:
            return
        lawful, fields = change.entity.name in self._lawful, self._until.get(change.entity.name, set())
        # What is computed is not in the row: it may have changed with anything.
        moved = any(each not in change.new or change.old.get(each) != change.new[each] for each in fields)
        for process in await store.concerned(unit.connection, change.id) if lawful or moved else ():
            if lawful or await self._waits(process, unit):
                await jobs.ask_legal(unit.connection, process)

    async def _waits(self, process: UUID, unit: Unit) -> bool:
        """Whether an instance waits for a moment of its record."""
        assert self.engine is not None
        instance = await store.load(unit.connection, process)
        if instance is None:
            return False
        definition = await self.engine.definitions.of(unit.connection, instance.definition)
        steps = [definition.step(each.step) for each in instance.state.tokens.values() if each.status == "open"]
        return any(each.wait is not None and each.wait.until is not None for each in steps)

    async def _wake(self, change: Change, verb: str, unit: Unit) -> None:
        assert self.engine is not None
        if (change.entity.name, verb) not in self._awaited:
            return
        assert change.new is not None
        # One record may be referred to by several fields; a thread is often its first record's own id.
        about: dict[UUID, set[str]] = {change.id: {""}}
        for name, value in change.new.items():
            if isinstance(value, UUID):
                about.setdefault(value, set()).add(name)
            elif isinstance(value, AnyRef):
                about.setdefault(value.id, set()).add(name)
        for process, token in await store.waiting(unit.connection, change.entity.name, verb, about):
            instance = await store.load(unit.connection, process)
            at = instance.state.tokens.get(token) if instance is not None else None
            if instance is None or at is None:
                continue
            definition = await self.engine.definitions.of(unit.connection, instance.definition)
            wait = definition.step(at.step).wait
            if wait is None or wait.same not in about.get(id_of(at.subject.id), ()):
                continue
            if wait.where is None or await unit.judge.holds(wait.where, change.entity, dict(change.new)):
                await jobs.ask_event(unit, process, instance.state, token, change.id)
