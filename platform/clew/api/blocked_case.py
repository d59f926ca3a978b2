"""One record whose transitions are in question: what the caller sees of it, and the deeds that would help.

Everything is read on the caller's own read path: what they do not see is neither told nor counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from clew.api.blocked_doers import Doers
from clew.api.blocked_needs import Need, Other, Reach, Related, Value, admitted, need_of, route
from clew.api.blocked_words import Words
from clew.api.kept_plans import read_kept
from clew.api.operations import Call
from clew.expressions.functions import SQL
from clew.expressions.tree import Checked
from clew.expressions.way_out import Atom
from clew.metadata.blueprint import SCALARS, Blueprint, Entity, Field, FieldKind, Origin
from clew.metadata.processes import Step
from clew.process import waiting
from clew.process.engine import Processes
from clew.records.judge import Judge, in_memory
from clew.records.query import plan as p
from clew.records.sight import always_shown
from clew.records.unit import frozen
from clew.storage.engine import Connection

T = TypeVar("T")
MOST = 20
"""Related records that are looked at, and told, for one part of a condition."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One action. Two are the same when kind, record and name are; how they are told is beside the point."""

    kind: str
    entity: str
    record: str | None
    name: str = ""
    """A field, a transition, a step's path, the meaning of a signature."""
    text: str = field(default="", compare=False)
    roles: tuple[str, ...] = field(default=(), compare=False)
    people: tuple[str, ...] | None = field(default=None, compare=False, hash=False)
    """Whom a step asks; None where the roles say it."""
    workflow: str | None = field(default=None, compare=False)
    step: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Seen:
    """A related record as the caller sees it."""

    entity: str
    record: str
    title: str
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """What one false atom takes. `deeds` None: nothing helps."""

    deeds: frozenset[Deed] | None
    records: tuple[Seen, ...] = ()
    whole: bool = True
    """False when there may be more records than were looked at, or more to do on them."""
    field: str | None = None


@dataclass(slots=True)
class Case:
    processes: Processes
    call: Call
    connection: Connection
    doers: Doers
    entity: Entity
    record: Mapping[str, Any]
    judge: Judge
    now: datetime
    _steps: dict[UUID, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def blueprint(self) -> Blueprint:
        return self.processes.blueprint

    @property
    def id(self) -> UUID:
        return UUID(str(self.record["id"]))

    def words(self, source: str = "") -> Words:
        return Words(self.blueprint, self.call.caller.context.locale, source)

    def say(self, zh: str, en: str) -> str:
        return self.words().of(zh, en)

    # ── what the caller sees ──────────────────────────────────────────────────────────────────────────────────────

    def shows(self, condition: Checked, of: Entity | None = None) -> bool:
        """Whether everything a condition reads is there for the caller, on every record they see."""
        entity = of or self.entity
        if SQL not in condition.runs_in and not in_memory(condition, entity):
            return False
        decision = self.call.caller.decision
        return all(always_shown(self.blueprint, decision, entity.name, path) for path in condition.reads)

    def _targets(self, entity: str, name: str) -> tuple[str, ...]:
        known = self.blueprint.entities[entity]
        if name in known.inverses:
            return (known.inverses[name].source,)
        return known.fields[name].targets if name in known.fields else ()

    async def truths(self, asked: list[Atom]) -> dict[Atom, bool]:
        """Each atom as the caller sees the record; one that reads what they do not see is not true for them."""
        found = dict.fromkeys(asked, False)
        shown = [each for each in asked if self.shows(each.condition)]
        by_sql = [each for each in shown if SQL in each.condition.runs_in]
        for each in shown:
            if each not in by_sql:
                found[each] = await self.judge.holds(each.condition, self.entity, self.record)

        def roots() -> Iterator[p.Root]:
            for at, each in enumerate(by_sql):
                where = p.And((p.Compare("id", "eq", p.Slot("id")), p.Holds(each.condition)))
                listing = p.Listing(self.entity.name, (p.TotalCount("n"),), p.Page(p.Const(1)), where, voided="include")
                yield p.ListRoot(f"a{at}", listing)

        if by_sql:
            conditions = [each.condition for each in by_sql]
            answer = await self._read(("truths", self.entity.name, *map(id, conditions)), roots, conditions)
            for at, each in enumerate(by_sql):
                found[each] = int(answer[f"a{at}"]["n"]) == 1
        return found

    def remembered(self, what: str, about: Any, build: Callable[[], T]) -> T:
        """What is made of a part of the project alone: once for the release."""
        return self.processes.commands.engine.remember((what, id(about)), build, about)

    async def _read(
        self, key: tuple[Any, ...], roots: Callable[[], Iterable[p.Root]], keep: Any = None
    ) -> dict[str, Any]:
        """Of this record, as the caller sees it."""
        return await read_kept(
            self.processes.commands.engine, self.call.caller, self.connection, self.now, key,
            lambda: p.Plan(tuple(roots())), {"id": self.id}, keep=keep,
        )  # fmt: skip

    async def _record(self, key: tuple[Any, ...], items: tuple[p.Item, ...], keep: Any = None) -> Any:
        root = p.RecordRoot("r", self.entity.name, (("id", p.Slot("id")),), items)
        return (await self._read((*key, self.entity.name), lambda: (root,), keep))["r"]

    def _leaves(self, entity: Entity) -> tuple[p.Item, ...]:
        access = self.call.caller.decision.on(entity.name)
        names = [each.name for each in entity.fields.values() if each.kind is FieldKind.NUMBER]
        named = [*names, *(each for each in entity.key if each not in names)]
        plain = [each for each in named if entity.fields[each].kind in SCALARS and access.sees(each)]
        state = [p.Leaf("state", "state")] if entity.states and access.sees("state") else []
        return (p.Leaf("id", "id"), *state, *(p.Leaf(f"k_{each}", each) for each in plain))

    def _seen(self, entity: Entity, found: Mapping[str, Any]) -> Seen:
        named = [str(value) for key, value in found.items() if key.startswith("k_") and value is not None]
        return Seen(
            entity.name, found["id"], " ".join([entity.label.to(self.words().locale), *named]), found.get("state")
        )

    async def at(self, path: tuple[str, ...]) -> Seen | None:
        """The record at the end of a way over to-one relations; None where there is none the caller sees."""
        target = self.entity
        for name in path:
            targets = self._targets(target.name, name)
            if len(targets) != 1:
                return None
            target = self.blueprint.entities[targets[0]]
        items = self._leaves(target)
        for name in reversed(path):
            items = (p.One("there", name, items),)
        found = await self._record(("at", *path), items)
        for _ in path:
            found = found["there"] if found is not None else None
        return None if found is None else self._seen(target, found)

    async def related(self, need: Related) -> tuple[list[Seen], bool]:
        """The records of a relation, those its condition is about; and whether these are all."""
        there = self.blueprint.entities[need.entity]
        where = p.Holds(need.condition) if need.condition is not None and not need.some else None
        listing = p.Listing(
            there.name,
            (p.Nodes("nodes", self._leaves(there)), p.TotalCount("n")),
            p.Page(p.Const(MOST)),
            where,
        )
        items: tuple[p.Item, ...] = (p.Many("list", need.path[-1], listing),)
        for name in reversed(need.path[:-1]):
            items = (p.One("there", name, items),)
        found = await self._record(("related", id(need)), items, need)
        for _ in need.path[:-1]:
            found = found["there"] if found is not None else None
        if found is None:
            return [], True
        seen = [self._seen(there, each) for each in found["list"]["nodes"]]
        return seen, len(seen) == int(found["list"]["n"])

    # ── what would help ───────────────────────────────────────────────────────────────────────────────────────────

    async def way(self, atom: Atom) -> Way:
        """What makes a false atom true."""
        if not self.shows(atom.condition):
            hidden = self.say("须满足一项您看不到的条件", "Something must hold that you may not see")
            return Way(frozenset({Deed("hidden", self.entity.name, str(self.id), text=hidden)}))
        text = self.text(atom)
        states = {name: tuple(each.states) for name, each in self.blueprint.entities.items()}
        need: Need = self.remembered(f"need {atom.negated}", atom.node, lambda: need_of(atom, states))
        match need:
            case Value():
                return await self._value(need, text)
            case Reach():
                return await self._reach(need)
            case Related(some=True):
                return await self._some(need, text)
            case Related():
                return await self._none(need, text)
            case Other(kind=kind):
                deed = Deed(kind, self.entity.name, str(self.id), atom.condition.source, self._other(kind, text))
                return Way(frozenset({deed}), whole=kind != "unknown")

    def text(self, atom: Atom) -> str:
        """An atom in words. The text that its spans are places in is filled up to where it begins."""
        return self.words(" " * atom.node.span.start + atom.condition.source).say(atom.node, atom.negated)

    def _other(self, kind: str, text: str) -> str:
        if kind == "wait":
            return self.say(f"等到:{text}", f"Wait until: {text}")
        if kind == "other_person":
            return self.say(f"由另一人办理:{text}", f"Somebody else does it, so that: {text}")
        return self.say(f"使其满足:{text}", f"See to it that: {text}")

    async def _value(self, need: Value, text: str) -> Way:
        subject = await self.at(need.path[:-1]) if len(need.path) > 1 else None
        if len(need.path) > 1 and subject is None:
            return await self._value(Value(need.path[:-1], True), text)
        entity = self.blueprint.entities[subject.entity] if subject is not None else self.entity
        known = entity.fields.get(need.path[-1])
        if known is None:
            return Way(frozenset({Deed("unknown", entity.name, str(self.id), text, self._other("unknown", text))}))
        if subject is not None:
            return Way(self._filling(entity, known, subject, subject.state, need.fill, text), (subject,))
        empty = known.name in self.record and self.record[known.name] is None
        mine = self._filling(entity, known, None, self.record.get("state"), need.fill or empty, text)
        return await self._by_step(Way(mine, field=known.name), known.name)

    async def filled(self, known: Field) -> Way:
        """What it takes that a field of this record has a value."""
        return await self._value(Value((known.name,), True), "")

    def _filling(
        self, entity: Entity, known: Field, subject: Seen | None, state: str | None, fill: bool, text: str
    ) -> frozenset[Deed] | None:
        if known.computed is not None or known.origin is not Origin.DECLARED or (known.immutable and not fill):
            return None
        if frozen(entity, state):
            return None
        label, of = known.label.to(self.words().locale), f"{subject.title}: " if subject is not None else ""
        said = (
            self.say(f"{of}填写{label}", f"{of}Fill in {label}")
            if fill
            else self.say(f"{of}更改{label},使{text}", f"{of}Change {label}, so that {text}")
        )
        record = subject.record if subject is not None else str(self.id)
        roles = self.doers.writing(entity.name, known.name)
        return frozenset({Deed("fill" if fill else "alter", entity.name, record, known.name, said, roles)})

    async def _by_step(self, way: Way, name: str) -> Way:
        """A field that an open step about this record fills in is filled in there."""
        if way.deeds is None:
            return way
        for each in await self.open_steps(self.id):
            step = self.step_of(each)
            if step is not None and name in step.outputs and each["incident"] is None:
                return Way(frozenset({self.step_deed(each)}), way.records, way.whole, way.field)
        return way

    async def _reach(self, need: Reach) -> Way:
        subject = await self.at(need.path)
        if subject is None or subject.state is None:
            if need.path:
                return await self._value(Value(need.path, True), "")
            return Way(None)
        deed = await self.moving(subject, need.states)
        return Way(None if deed is None else frozenset({deed}), (subject,) if need.path else ())

    async def _none(self, need: Related, text: str) -> Way:
        """Of these records none may be so: each must leave the states in which it is."""
        if need.condition is None:
            deed = Deed("unknown", self.entity.name, str(self.id), text, self._other("unknown", text))
            return Way(frozenset({deed}), whole=False)
        there = self.blueprint.entities[need.entity]
        wrong, whole = await self.related(need)
        goal = frozenset(there.states) - admitted(need.condition.root, tuple(there.states))
        deeds: set[Deed] = set()
        for each in wrong:
            found = await self.moving(each, goal) if goal else self._changed(each, text)
            if found is None:
                return Way(None, tuple(wrong), whole)
            deeds.add(found)
        return Way(frozenset(deeds), tuple(wrong), whole)

    async def _some(self, need: Related, text: str) -> Way:
        """One of these records must be so: the one that is nearest, or a new one."""
        there = self.blueprint.entities[need.entity]
        known, whole = await self.related(need)
        states = tuple(there.states)
        goal = admitted(need.condition.root, states) if need.condition is not None else frozenset(states)
        if there.states and goal != frozenset(states):
            ways = [(len(way), each) for each in known if each.state and (way := route(there, each.state, goal))]
            if ways:
                deed = await self.moving(min(ways, key=lambda each: each[0])[1], goal, text)
                if deed is not None:
                    return Way(frozenset({deed}), tuple(known), whole)
        label = there.label.to(self.words().locale)
        said = self.say(f"建立{label},使{text}", f"Make a {label}, so that {text}")
        deed = Deed("create", there.name, None, text, said, self.doers.creating(there.name))
        return Way(frozenset({deed}), tuple(known), whole)

    def _changed(self, each: Seen, text: str) -> Deed:
        said = self.say(f"{each.title}:使{text}", f"{each.title}: see to it that {text}")
        return Deed("unknown", each.entity, each.record, text, said)

    async def moving(self, subject: Seen, goal: frozenset[str], so_that: str = "") -> Deed | None:
        """The first transition on the shortest way to one of these states; the process's step where that moves it."""
        entity = self.blueprint.entities[subject.entity]
        way = route(entity, subject.state or "", goal)
        if not way:
            return None
        first = way[0]
        owner = first.moved_by or entity.moved_by
        for each in await self.open_steps(UUID(subject.record)) if owner is not None else ():
            if each["workflow"] == owner:
                return self.step_deed(each)
        locale = self.words().locale
        moves = " → ".join(each.label.to(locale) for each in way)
        said = self.say(f"{subject.title}:{moves}", f"{subject.title}: {moves}")
        if so_that:
            said = self.say(f"{said},使{so_that}", f"{said}, so that {so_that}")
        roles = self.doers.moving(entity.name, first.name, first.sign)
        return Deed("move", entity.name, subject.record, first.name, said, roles)

    # ── processes ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def open_steps(self, record: UUID) -> list[dict[str, Any]]:
        """The open steps and incidents of the live processes about a record the caller sees."""
        found = self._steps.get(record)
        if found is None:
            live = await waiting.about(self.connection, record)
            found = [step for each in live for step in await waiting.open_steps(self.connection, each)]
            self._steps[record] = found = [each for each in found if each["workflow"] in self.blueprint.workflows]
        return found

    def step_of(self, said: Mapping[str, Any]) -> Step | None:
        """The step of today's definition; None for one that it has no more."""
        try:
            return self.blueprint.workflows[said["workflow"]].step(said["step"])
        except KeyError:
            return None

    def step_deed(self, said: Mapping[str, Any]) -> Deed:
        """Doing an open step, or trying again what an incident stopped."""
        locale, step, workflow = self.words().locale, self.step_of(said), self.blueprint.workflows[said["workflow"]]
        label, process = step.label.to(locale) if step is not None else said["step"], workflow.label.to(locale)
        common = {"workflow": said["workflow"], "step": said["step"]}
        if said["incident"] is not None:
            text = self.say(f"{process}:处理「{label}」的异常", f"{process}: see to the incident at {label}")
            roles = self.doers.operating(workflow.name)
            return Deed("retry", said["entity"], said["recordId"], said["step"], text, roles, **common)
        text = self.say(f"{process}:办理「{label}」", f"{process}: do {label}")
        asked = (said["post"],) if said["post"] else step.who.roles if step is not None and step.who is not None else ()
        return Deed(
            "step", said["entity"], said["recordId"], said["step"], text, asked, tuple(said["people"]), **common
        )

    def ending_deed(self, said: Mapping[str, Any]) -> Deed:
        """Cancelling a process that never makes the transition and forbids it to others."""
        workflow = self.blueprint.workflows[said["workflow"]]
        label = workflow.label.to(self.words().locale)
        text = self.say(f"取消流程「{label}」,它不会作此迁移", f"Cancel {label}: it never makes this transition")
        roles = self.doers.operating(workflow.name)
        return Deed("cancel", said["entity"], said["recordId"], workflow.name, text, roles, workflow=workflow.name)
