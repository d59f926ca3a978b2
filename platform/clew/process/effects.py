"""What a process does to records: the moments of its steps and its automatic steps, as commands of `records.verbs`.

Everything runs in the unit of the command that led to it. The process acts under its own authority: what it may do is
what its definition says, which was reviewed and released.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.expressions.tree import Checked
from clew.kernel.errors import NotFound
from clew.kernel.ids import id_of
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity, FieldKind, Transition
from clew.metadata.processes import ANY, DONE, STARTED, Action, Step, Value, Workflow
from clew.process.errors import NotFinished, OutputNotAsked
from clew.process.plugins import PluginWork, run_action
from clew.process.state import Subject
from clew.process.words import Moment
from clew.records import store, verbs
from clew.records.errors import WrongState
from clew.records.participants import Change
from clew.records.rows import Record
from clew.records.sight import shown
from clew.records.unit import Unit
from clew.records.values import AnyRef
from clew.sdk.actions import Act

Start = Callable[[Unit, str, Entity, UUID], Awaitable[None]]
"""Starts a workflow about a record, inside the unit."""
Notify = Callable[[Unit, Action, Entity, Record], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Effects:
    """Carries out moments and actions of one workflow in one unit."""

    unit: Unit
    workflow: Workflow
    start: Start
    notify: Notify
    plugins: Mapping[str, Act]

    @contextmanager
    def at(self, step: str) -> Iterator[None]:
        """What is written meanwhile is written by this step: the trail says so."""
        before, self.unit.process_step = self.unit.process_step, f"{self.workflow.name}.{step}".rstrip(".")
        try:
            yield
        finally:
            self.unit.process_step = before

    async def moment(self, moment: Moment) -> None:
        """`set` of this record, then its state, then everything else."""
        with self.at(moment.step):
            await self._moment(moment)

    async def _moment(self, moment: Moment) -> None:
        step = self.workflow.step(moment.step)
        entity = self.unit.engine.blueprint.entities[moment.subject.entity]
        actions = step.effects.get(moment.moment, ()) if moment.against else step.effects_of(moment.moment)
        record = await self._record(moment.subject)
        values: dict[str, Any] = {}
        for action in actions:
            if action.kind == "set" and action.each is None and await self._holds(action, entity, record):
                values.update(await self._values(action, entity, record, None))
        chosen = step.outcomes.get(moment.moment) if step.choose else None
        codes = self.unit.engine.blueprint.code_lists
        if chosen and not chosen.against and chosen.name in codes[entity.fields[step.choose].code_list or ""].codes:
            values[step.choose] = chosen.name
        if values:
            record = await self.reasoned(
                lambda: verbs.update(self.unit, entity.name, record["id"], None, values), moment.reason, step.label
            )
        if moment.moment in step.outcomes and not moment.against:
            missing = [name for name in step.must_outputs if not await self._there(entity, record, name)]
            missing += await self._demanded(step, entity, record)
            if missing:
                labels = [entity.fields[name].label for name in missing]
                raise NotFinished(
                    path=["input", missing[0]],
                    say=Bilingual(
                        f"请填写:{'、'.join(each.to('zh') for each in labels)}",
                        f"Fill in: {', '.join(each.to('en') for each in labels)}",
                    ),
                )
        if moment.moment != STARTED and step.kind.human and step.states.get(STARTED):
            await self.answer(entity, record, self._into(entity, step.states[STARTED]))
        await self._state(step, moment, entity, record)
        for action in actions:
            if action.kind != "set" or action.each is not None:
                await self.act(action, moment.subject, moment.reason, step.sign)

    async def _demanded(self, step: Step, entity: Entity, record: Record) -> list[str]:
        """What the step's form demands of what it asks for, and is not there. What is not shown is not demanded."""
        missing = []
        for section, each in step.layout.fields() if step.layout is not None else ():
            if each.name not in step.outputs or each.read_only or each.name in step.must_outputs:
                continue
            needed = each.required or (
                each.required_when is not None and await self._answer(each.required_when, entity, record)
            )
            there = [when for when in (section.visible, each.visible) if when is not None]
            demanded = needed and all([await self._answer(when, entity, record) for when in there])
            if demanded and not await self._there(entity, record, each.name):
                missing.append(each.name)
        return missing

    async def _answer(self, when: Checked, entity: Entity, record: Record) -> bool:
        """Whether a condition of the step's form holds. One over what whoever decides does not see holds for them: no
        less is asked than there should be, and what is asked tells nothing of what is hidden."""
        unit = self.unit
        seen = await shown(unit.engine.blueprint, unit.decision, unit.judge, entity, record, when)
        return not seen or await unit.judge.holds(when, entity, record)

    async def _there(self, entity: Entity, record: Record, name: str) -> bool:
        """Whether a field is filled in; a list is when it has anything."""
        if entity.fields[name].kind in (FieldKind.MANY, FieldKind.LINES):
            return bool(await related(self.unit, entity, name, record))
        return record.get(name) not in (None, (), [])

    async def frozen(self, step: Step, entity: Entity, record: Record, given: Mapping[str, Any]) -> None:
        """Raises OutputNotAsked for what the step's form does not let anybody change now."""
        for _, each in step.layout.fields() if step.layout is not None else ():
            if each.name not in given or each.read_only_when is None:
                continue
            if await self._answer(each.read_only_when, entity, record):
                known = ", ".join(name for name in step.outputs if name != each.name)
                raise OutputNotAsked(path=["input", each.name], field=each.name, known=known or "–")

    async def _state(self, step: Step, moment: Moment, entity: Entity, record: Record) -> None:
        target = step.states.get(moment.moment)
        if target is None and moment.moment != STARTED and not moment.against:
            target = step.states.get(DONE) or step.states.get(ANY)
        if target is None or record["state"] == target:
            return
        move = next(
            (each for each in entity.transitions.values() if each.target == target and record["state"] in each.sources),
            None,
        )
        if move is None:
            states = entity.states
            raise WrongState(
                what=entity.label,
                transition=step.label,
                sources="–",
                state=states[record["state"]].label,
                current=record["state"],
            )
        before, self.unit.unanswered = self.unit.unanswered, moment.moment == STARTED
        try:
            await self.reasoned(
                lambda: verbs.transition(self.unit, entity.name, record["id"], move.name, None),
                moment.reason,
                step.label,
            )
        finally:
            self.unit.unanswered = before

    async def answer(self, entity: Entity, record: Record, moves: Iterable[Transition]) -> None:
        """Whoever acts now answers for transitions that their step made as it began, or will make if they win."""
        for move in moves:
            change = Change(entity, "transition", record["id"], record, record, move)
            for participant in self.unit.engine.participants(entity.name):
                await participant.answered(change, self.unit)

    async def vote(self, step: Step, outcome: str, subject: Subject) -> None:
        """Each vote answers for the state it votes for: the last one alone makes the move."""
        state = step.states.get(outcome) or step.states.get(DONE) or step.states.get(ANY)
        if step.approval is None or step.outcomes[outcome].against or state is None:
            return
        entity, record = self.unit.engine.blueprint.entities[subject.entity], await self._record(subject)
        here = [each for each in self._into(entity, state) if record["state"] in each.sources]
        await self.answer(entity, record, here[:1])

    def _into(self, entity: Entity, state: str) -> list[Transition]:
        """The transitions that lead to a state from another."""
        return [each for each in entity.transitions.values() if each.target == state and state not in each.sources]

    async def reasoned(self, work: Callable[[], Awaitable[Record]], reason: str, label: Bilingual) -> Record:
        """Under the reason that was given for the step, or else for the command, or else the step's own name."""
        before = self.unit.reason
        self.unit.reason = reason or before or label.to(self.unit.context.locale)
        try:
            return await work()
        finally:
            self.unit.reason = before

    # ── actions ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def act(self, action: Action, subject: Subject, reason: str = "", sign: str | None = None) -> None:
        """One action: for its record, or for each record of its relation. `sign`: what the step's signature means,
        which covers the transitions the step makes with that meaning."""
        entity = self.unit.engine.blueprint.entities[subject.entity]
        record = await self._record(subject)
        if not await self._holds(action, entity, record):
            return
        if action.each is None:
            await self._one(action, entity, record, entity, record, reason, sign)
            return
        target = self._target(entity, action.each)
        for each_id in await related(self.unit, entity, action.each, record):
            each = await self._record(Subject(target.name, str(each_id)))
            if action.where is None or await self.unit.judge.holds(action.where, target, each):
                await self._one(action, entity, record, target, each, reason, sign)

    async def _one(
        self,
        action: Action,
        entity: Entity,
        record: Record,
        target: Entity,
        each: Record,
        reason: str,
        sign: str | None,
    ) -> None:
        label = Bilingual(action.because, action.because) if action.because else self.workflow.label
        if action.kind == "set":
            values = await self._values(action, entity, record, (target, each))
            await self.reasoned(
                lambda: verbs.update(self.unit, target.name, each["id"], None, values), action.because or reason, label
            )
        elif action.kind == "create":
            values = await self._values(action, entity, record, (target, each) if action.each else None)
            made = self.unit.engine.blueprint.entities[action.entity]
            if "site" in made.fields and "site" not in values and record.get("site") is not None:
                values["site"] = record["site"]
            await verbs.create(self.unit, action.entity, values)
        elif action.kind == "move":
            move = target.transitions[action.transition]
            if each["state"] != move.target or each["state"] in move.sources:
                if sign is not None and move.sign == sign and (record["id"], sign) in self.unit.covered:
                    self.unit.covered.add((each["id"], sign))
                await self.reasoned(
                    lambda: verbs.transition(self.unit, target.name, each["id"], move.name, None),
                    action.because or reason,
                    label,
                )
        elif action.kind == "start":
            await self.start(self.unit, action.workflow, target, each["id"])
        elif action.kind == "run":
            declared = self.unit.engine.blueprint.project.actions[action.run]
            work = PluginWork(self.unit, target.name, each["id"], label, self.reasoned, declared)
            await run_action(work, action.run, self.plugins)
        else:
            await self.notify(self.unit, action, entity, record)

    async def _holds(self, action: Action, entity: Entity, record: Record) -> bool:
        return action.when is None or await self.unit.judge.holds(action.when, entity, record)

    async def _values(
        self, action: Action, entity: Entity, record: Record, each: tuple[Entity, Record] | None
    ) -> dict[str, Any]:
        written = self.unit.engine.blueprint.entities[action.entity]
        return {
            name: await self._value(value, written.fields[name].kind, entity, record, each)
            for name, value in action.values
        }

    async def _value(
        self, value: Value, kind: FieldKind, entity: Entity, record: Record, each: tuple[Entity, Record] | None
    ) -> Any:
        of, row = (entity, record) if value.of == "this" or each is None else each
        if value.expression is None:
            if kind is FieldKind.ANY:
                return AnyRef(of.name, row["id"])
            return [row["id"]] if kind is FieldKind.MANY else row["id"]
        if kind is FieldKind.ANY and len(value.expression.reads) == 1:
            # A reference of one record copied to another keeps what it refers to, not only the id.
            (path,) = value.expression.reads
            if len(path) == 1 and of.fields[path[0]].kind is FieldKind.ANY:
                return row[path[0]]
        found = await self.unit.judge.value(value.expression, of, row)
        return [found] if kind is FieldKind.MANY and found is not None else found

    def _target(self, entity: Entity, relation: str) -> Entity:
        entities = self.unit.engine.blueprint.entities
        if "." in relation:
            return entities[relation.partition(".")[0]]
        if relation in entity.fields:
            return entities[entity.fields[relation].target]
        return entities[entity.inverses[relation].source]

    async def _record(self, subject: Subject) -> Record:
        entity = self.unit.engine.blueprint.entities[subject.entity]
        return await locked(self.unit, entity, id_of(subject.id))


async def locked(unit: Unit, entity: Entity, record_id: UUID) -> Record:
    """A record of a case, held until the end of the unit."""
    record = await unit.lock(entity, record_id)
    if record is None:
        raise NotFound(what=entity.label)
    return record


async def related(unit: Unit, entity: Entity, relation: str, record: Record) -> list[UUID]:
    """The ids of a relation's records, forward or back, in a fixed order."""
    if "." in relation:
        return await _referring(unit, entity, relation, record)
    field = entity.fields.get(relation)
    if field is not None and field.kind is FieldKind.REF:
        found = record.get(relation)
        return [] if found is None else [found]
    if field is not None and field.kind is FieldKind.MANY:
        return sorted(await store.link_targets(unit, entity, relation, record["id"]))
    back = entity.inverses.get(relation)
    source, column = (field.target, "owner") if field is not None else (back.source, back.field)  # type: ignore[union-attr]
    origin = unit.engine.blueprint.entities[source].fields.get(column)
    if origin is not None and origin.kind is FieldKind.MANY:
        link = unit.engine.tables.link(source, column)
        query = sa.select(link.c.owner).where(link.c.target == record["id"]).order_by(link.c.owner)
    else:
        table = unit.engine.tables.current(source)
        query = sa.select(table.c.id).where(table.c[column] == record["id"]).order_by(table.c.id)
        if "voided_at" in table.c:
            query = query.where(table.c.voided_at.is_(None))
    return [row[0] for row in await unit.connection.fetch(query)]


async def _referring(unit: Unit, entity: Entity, relation: str, record: Record) -> list[UUID]:
    """`inventory_hold.cause`: the records whose field refers to this one."""
    source, _, column = relation.partition(".")
    known, table = unit.engine.blueprint.entities[source], unit.engine.tables.current(source)
    if known.fields[column].kind is FieldKind.MANY:
        link = unit.engine.tables.link(source, column)
        query = sa.select(link.c.owner).where(link.c.target == record["id"]).order_by(link.c.owner)
    elif known.fields[column].kind is FieldKind.ANY:
        mine = sa.and_(table.c[f"{column}_entity"] == entity.name, table.c[f"{column}_id"] == record["id"])
        query = sa.select(table.c.id).where(mine, table.c.voided_at.is_(None)).order_by(table.c.id)
    else:
        query = sa.select(table.c.id).where(table.c[column] == record["id"]).order_by(table.c.id)
    return [row[0] for row in await unit.connection.fetch(query)]


def asked_for(step: Step, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a person filled in, if the step asks for it. Raises OutputNotAsked."""
    for name in given:
        if name not in step.outputs:
            raise OutputNotAsked(path=["input", name], field=name, known=", ".join(step.outputs) or "–")
    return given
