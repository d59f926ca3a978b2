"""What the machine must know of the world: conditions, people and records, read in the transaction of the command."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

from clew.expressions.problems import Undecidable
from clew.expressions.tree import Checked
from clew.kernel.ids import id_of
from clew.metadata.blueprint import Entity
from clew.metadata.processes import Step, StepKind, Who, Workflow
from clew.process import store
from clew.process.effects import locked, related
from clew.process.holders import NOBODY_KNOWN
from clew.process.in_use import in_use
from clew.process.loading import ROLES
from clew.process.staff import Demand, Staff
from clew.process.state import State, Subject
from clew.process.words import Facts, Wanted
from clew.records.rows import Record
from clew.records.unit import Unit


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Answers for one instance in one unit."""

    unit: Unit
    workflow: Workflow
    state: State
    staff: Staff
    site: UUID | None

    async def facts(self, wanted: Wanted, person: str | None = None) -> Facts:
        """The facts of a step's beginning or end. `person` is somebody who is to be given a part in it."""
        step = self.workflow.step(wanted.step)
        entity = self.unit.engine.blueprint.entities[wanted.subject.entity]
        record = await locked(self.unit, entity, id_of(wanted.subject.id))
        if wanted.moment == "exit":
            people = dict(await self.people(step, entity, record, anyone=True)) if person is not None else {}
            if person is not None and await self.staff.known(self.unit.connection, id_of(person)):
                people["*"] = (person,)
            holds = step.exit is None or await self._holds(step.exit.when, entity, record)
            return Facts(exit=holds, people=MappingProxyType(people))
        if wanted.moment == "offer":
            asked = await self.people(step, entity, record)
            able = await self.people(step, entity, record, anyone=True) if step.who and step.who.least_loaded else asked
            also = await self._also(step, entity, record)
            return Facts(people=MappingProxyType(asked), able=MappingProxyType(able), also=also)
        return await self._entry(step, entity, record)

    async def _entry(self, step: Step, entity: Entity, record: Record) -> Facts:
        approval = step.approval
        enough, also, everybody = None, frozenset[str](), False
        if approval is not None:
            also = await self._also(step, entity, record)
            everybody = approval.all_when is not None and await self._holds(approval.all_when, entity, record)
            if approval.enough_of is not None:
                enough = await self._value(approval.enough_of, entity, record)
        elements: tuple[Subject, ...] = ()
        about: Subject | None = None
        used, busy = True, False
        if step.kind is StepKind.EACH:
            kind = step.flows["each"].entity
            found = await related(self.unit, entity, step.each, record)
            elements = tuple(Subject(kind, str(each)) for each in found)
        elif step.kind is StepKind.CALL:
            called, target = self.unit.engine.blueprint.workflows[step.call], record
            if step.about:
                found = await related(self.unit, entity, step.about, record)
                about = Subject(called.entity, str(found[0])) if found else None
            at = id_of(about.id) if about is not None else record["id"]
            busy = await store.live_on(self.unit.connection, at, called.name) is not None
            if called.active is not None:
                if about is not None:
                    of = self.unit.engine.blueprint.entities[called.entity]
                    target = await locked(self.unit, of, id_of(about.id))
                used = await in_use(self.unit, called, target)
        return Facts(
            entry=step.entry is None or await self._holds(step.entry.when, entity, record),
            people=MappingProxyType(dict(await self.people(step, entity, record))),
            also=also,
            all_agree=everybody,
            enough=enough,
            conditions=tuple(
                [each.when is None or await self._holds(each.when, entity, record) for each in step.branches]
            ),
            elements=elements,
            about=about,
            in_use=used,
            busy=busy,
        )

    async def _also(self, step: Step, entity: Entity, record: Record) -> frozenset[str]:
        """The further posts whose condition holds."""
        also = step.approval.also if step.approval is not None else ()
        return frozenset([post for post, when in also if await self._holds(when, entity, record)])

    async def people(
        self, step: Step, entity: Entity, record: Record, *, anyone: bool = False
    ) -> dict[str, tuple[str, ...]]:
        """Whom a step asks, by post."""
        if step.approval is not None:
            posts = (*step.approval.posts, *(post for post, _ in step.approval.also))
            among = step.approval.among
            return {post: await self._find(Demand((post,), site=self.site, among=among)) for post in posts}
        if step.who is not None:
            return {"": await self.whom(step.who, entity, record, anyone=anyone)}
        return {}

    async def whom(self, who: Who, entity: Entity, record: Record, *, anyone: bool = False) -> tuple[str, ...]:
        """Everybody a `who` names; `anyone`: also those who are busier, who may be given it by hand."""
        named = await self._named(who.person, entity, record)
        if who.starter:
            named.append(id_of(self.state.starter))
        if who.actor_of is not None:
            done = [each for each in self.state.done if each.step.split("/")[-1] == who.actor_of and each.actors]
            # Of a step that is done for each record, whoever did it for this one.
            mine = [each for each in done if each.subject.id == str(record["id"])] or done
            named += [id_of(mine[-1].actors[0])] if mine else []
        course = await self._named(who.qualified_for, entity, record)
        return await self._find(
            Demand(
                who.roles,
                tuple(named),
                self.site,
                who.least_loaded and not anyone,
                tuple(await self._named(who.manager_of, entity, record)),
                who.positions,
                who.qualified_for is not None,
                course[0] if course else None,
            )
        )

    async def still_asks(self, number: int, person: UUID, behalf: UUID | None) -> bool:
        """Whether a task's step asks its doer still by what records say now, before anybody has offered it anew: a
        position, manager or training that is lost takes its tasks along at once. Training is that of whoever does it,
        also in another's place."""
        task = self.state.tasks.get(number)
        token = self.state.tokens.get(task.token) if task is not None else None
        who = self.workflow.step(task.step).who if task is not None and task.kind == "task" else None
        if token is None or who is None or not who.by_records:
            return True
        entity = self.unit.engine.blueprint.entities[token.subject.entity]
        record = await locked(self.unit, entity, id_of(token.subject.id))
        found = await self.whom(who, entity, record, anyone=True)
        return str(person) in found or (who.qualified_for is None and str(behalf) in found)

    async def _named(self, expression: Checked | None, entity: Entity, record: Record) -> list[UUID]:
        """The record an expression names, if any."""
        found = await self._value(expression, entity, record) if expression is not None else None
        return [found] if isinstance(found, UUID) else []

    async def _find(self, demand: Demand) -> tuple[str, ...]:
        known = self.unit.found.get(ROLES, NOBODY_KNOWN)
        found = await self.staff.find(self.unit.connection, demand, self.unit.at, known)
        return tuple(str(each) for each in found)

    async def _holds(self, condition: Checked, entity: Entity, record: Record) -> bool:
        return await self.unit.judge.holds(condition, entity, record)

    async def _value(self, expression: Checked, entity: Entity, record: Record) -> Any:
        try:
            return await self.unit.judge.value(expression, entity, record)
        except Undecidable:
            return None
