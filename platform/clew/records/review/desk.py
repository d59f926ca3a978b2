"""What all reviews of one release work with: its policies judged, its tables, the rooms that know people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from clew.access.decision import ALWAYS, NEVER, Decision, Grant
from clew.access.judgement import Judgement
from clew.access.review.matrix import FIELD_VERBS, asked_action, connectors_in
from clew.access.review.processes import (
    DECIDE,
    process_of,
    processes_about,
    step_meant,
    step_of,
    step_question,
    steps_asking,
)
from clew.access.unite import Unite, held_by
from clew.identity.assignments import Assignments
from clew.kernel.diagnostics import nearest
from clew.kernel.errors import BadInput, Conflict, NotFound
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity
from clew.metadata.naming import human
from clew.metadata.policies import CONNECTOR, CONNECTOR_ACTIONS, DO, PROCESS_ACTIONS, Policies, process_question
from clew.metadata.processes import SEPARATOR, Workflow
from clew.records.engine import Engine
from clew.records.judge import Judge
from clew.records.review.people import Known, everybody, one
from clew.records.rows import Record
from clew.storage.engine import Connection, Database


class NoPolicies(Conflict):
    """The release says nothing of who may do what, so there is nothing to review."""

    code = "NO_POLICIES"
    en = "This release declares no policies: there is nothing to review."
    zh = "该发布未声明任何权限策略,无可复核内容。"
    hint_en, hint_zh = "Declare roles in permissions/*.yaml", "请在 permissions/*.yaml 中声明角色"


class UnknownAction(BadInput):
    """An action that the entity does not have."""

    code = "UNKNOWN_ACTION"
    en, zh = "{entity} has no action {name}: use {known}.", "{entity} 没有操作 {name},可用:{known}。"


class UnknownThing(BadInput):
    """A role, entity, field or release that does not exist."""

    code = "UNKNOWN_IN_REVIEW"
    en, zh = "There is no {kind} {name}.{near}", "没有{kind} {name}。{near}"


class SeveralRecords(BadInput):
    """A part of a key that several records have."""

    code = "SEVERAL_RECORDS"
    en = "Several records ({what}) are called {given}."
    zh = "有多条记录({what})名为 {given}。"
    hint_en, hint_zh = "Give the whole key: {key}", "请给出完整的键:{key}"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: an action on an entity or on a process about it, deciding a step of one, or `see`, `update`,
    `create`, `correct` of one of its fields."""

    entity: Entity
    action: str
    field: str = ""

    @property
    def rows(self) -> str:
        """The action on the record itself."""
        return FIELD_VERBS[self.action] if self.field else self.action

    @property
    def process(self) -> tuple[str, str] | None:
        """The process and the action on it, when the question is about one."""
        return process_of(self.action)

    @property
    def step(self) -> tuple[str, str] | None:
        """The process and the path of the step, when the question is who decides one."""
        return step_of(self.action)


@dataclass(frozen=True, slots=True)
class ConnectorQuestion:
    """What is asked of a connector, which is about no record: one of CONNECTOR_ACTIONS. `*` is every connector that no
    role names."""

    connector: str
    action: str


class ReviewDesk:
    """Reviews of one release on one database."""

    def __init__(
        self, database: Database, engine: Engine, judgement: Judgement | None, assignments: Assignments
    ) -> None:
        if judgement is None:
            raise NoPolicies
        self.database, self.engine, self.judgement, self.assignments = database, engine, judgement, assignments
        self.unite = Unite(judgement)

    @property
    def policies(self) -> Policies:
        return self.judgement.policies

    # ── what is meant ─────────────────────────────────────────────────────────────────────────────────────────────

    def entity(self, name: str) -> Entity:
        """Raises UnknownThing."""
        found = self.engine.blueprint.entities.get(name)
        if found is None:
            raise unknown(Bilingual("实体", "entity"), name, self.engine.blueprint.entities)
        return found

    def subject(self, name: str) -> str:
        """An entity, or `connector:<name>` for a connector that some role names. Raises UnknownThing."""
        if not name.startswith(CONNECTOR):
            return self.entity(name).name
        known = dict.fromkeys(connectors_in(self.judgement))
        if name not in known:
            raise unknown(Bilingual("连接器", "connector"), name, known)
        return name

    def role(self, name: str) -> str:
        """Raises UnknownThing."""
        if name not in self.policies.roles:
            raise unknown(Bilingual("角色", "role"), name, self.policies.roles)
        return name

    def asked(self, action: str, thing: str) -> Question | ConnectorQuestion:
        """A question about records, or `run connector:erp`. Raises UnknownThing, UnknownAction."""
        if not thing.startswith(CONNECTOR):
            return self.question(action, thing)
        name = self.subject(thing)
        if action not in CONNECTOR_ACTIONS:
            raise UnknownAction(entity=name, name=action, known=", ".join(CONNECTOR_ACTIONS))
        return ConnectorQuestion(name.removeprefix(CONNECTOR), action)

    async def asked_about(
        self, connection: Connection, question: Question | ConnectorQuestion, record: str | None
    ) -> Record | None:
        """The record the question is about; None for none. Raises NotFound, SeveralRecords, UnknownThing."""
        if not record:
            return None
        if isinstance(question, ConnectorQuestion):
            raise unknown(Bilingual("连接器", "connector"), f"{question.connector}/{record}", {})
        return await self.record(connection, question.entity, record)

    def question(self, action: str, entity: str) -> Question:
        """`read lot`, `release lot`, `see lot.price`, `update lot.price`, `handling.start nonconformance`,
        `start handling` or `decide handling.board`. Raises UnknownThing, UnknownAction."""
        name, _, field = entity.partition(".")
        process = self.engine.blueprint.workflows.get(name)
        if process is not None and action == DECIDE:
            return self._step(process, field)
        if process is not None and name not in self.engine.blueprint.entities and not field:
            if action not in PROCESS_ACTIONS:
                raise UnknownAction(entity=name, name=action, known=", ".join((*PROCESS_ACTIONS, DECIDE)))
            return Question(self.entity(process.entity), process_question(name, action))
        found = self.entity(name)
        if field:
            if field not in found.fields and field not in found.inverses:
                raise unknown(Bilingual("字段", "field"), field, found.fields)
            verb = "see" if action == "read" else action
            if verb not in FIELD_VERBS:
                raise UnknownAction(entity=entity, name=action, known=", ".join(FIELD_VERBS))
            return Question(found, verb, field)
        question = asked_action(self.engine.blueprint, found, action)
        if question is None:
            begun = [f"{each.name}.{PROCESS_ACTIONS[0]}" for each in processes_about(self.engine.blueprint, found)]
            known = (*FIELD_VERBS.values(), "void", "export", "audit", *found.transitions, *begun)
            raise UnknownAction(entity=name, name=action, known=", ".join(dict.fromkeys(known)))
        return Question(found, question)

    def _step(self, process: Workflow, given: str) -> Question:
        """Of the records that the step itself is about, which in a step done for each of several are those."""
        step = step_meant(process, given)
        if step is None:
            known = ", ".join(path.replace(SEPARATOR, ".") for path in steps_asking(process))
            raise UnknownAction(entity=process.name, name=f"{DECIDE} {given}", known=known)
        return Question(self.entity(process.place_of(step.path)[0].entity), step_question(process.name, step.path))

    async def record(self, connection: Connection, entity: Entity, given: str) -> Record:
        """A record by its id or by its business key (parts joined by `/`); the last part by itself is enough where only
        one record has it. Raises NotFound, SeveralRecords."""
        statements = self.engine.statements.of(entity.name)
        row = None
        try:
            identifier = UUID(given)
        except ValueError:
            found = await self._by_key(connection, entity, given) or await self._by_last(connection, entity, given)
            if len(found) > 1:
                key = "/".join(human(each) for each in entity.key)
                raise SeveralRecords(what=entity.label, given=given, key=key) from None
            for chosen in found:
                row = await connection.fetch_one(statements.select.where(statements.current.c.id == chosen))
        else:
            row = await connection.fetch_one(statements.select.where(statements.current.c.id == identifier))
        if row is None:
            raise NotFound(what=entity.label)
        return statements.shape.record(row)

    async def _by_key(self, connection: Connection, entity: Entity, given: str) -> Sequence[UUID]:
        """Ids of records whose business key reads like this; a reference in a key is given by its own key's text."""
        statements = self.engine.statements.of(entity.name)
        parts = given.split("/") if len(entity.key) > 1 else [given]
        if not entity.key or len(parts) != len(entity.key):
            return ()
        chosen = statements.select.with_only_columns(statements.current.c.id)
        for name, part in zip(entity.key, parts, strict=True):
            field = entity.fields[name]
            value: Any = part
            if field.targets:
                target = await self.record(connection, self.entity(field.target), part)
                value = target["id"]
            chosen = chosen.where(statements.current.c[name] == value)
        return [row[0] for row in await connection.fetch(chosen.limit(1))]

    async def _by_last(self, connection: Connection, entity: Entity, given: str) -> Sequence[UUID]:
        """Ids of records whose last key field, or number, reads like this; two of them say that it is not enough."""
        name = entity.key[-1] if entity.key else "number"
        field = entity.fields.get(name)
        if field is None or field.targets or not field.stored:
            return ()
        statements = self.engine.statements.of(entity.name)
        chosen = statements.select.with_only_columns(statements.current.c.id)
        return [row[0] for row in await connection.fetch(chosen.where(statements.current.c[name] == given).limit(2))]

    # ── people ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def everybody(self, connection: Connection, at: datetime) -> list[Known]:
        return await everybody(connection, self.assignments, self.policies, at)

    async def one(self, connection: Connection, login: str, at: datetime) -> Known:
        return await one(connection, self.assignments, self.policies, login, at)

    def decision(self, known: Known) -> Decision:
        return self.unite.decision(held_by(known.person, self.policies))

    def judge(self, connection: Connection, known: Known, at: datetime) -> Judge:
        return Judge(self.engine, connection, known.person, at, at.astimezone(self.engine.zone).date())


def grant_for(decision: Decision, question: Question) -> tuple[Grant, Grant]:
    """The grant on the record, and on the field where one is asked for."""
    access = decision.on(question.entity.name)
    rows = question.rows
    if question.process is not None:
        workflow, action = question.process
        grant: Grant = getattr(decision.process(workflow), action)
        return grant, ALWAYS
    record = access.transitions.get(rows.removeprefix(DO), NEVER) if rows.startswith(DO) else getattr(access, rows)
    if not question.field:
        return record, ALWAYS
    found = access.fields.get(question.field)
    if found is None:
        return record, NEVER
    return record, found.read if question.action == "see" else found.giving(question.action)


def unknown(kind: Bilingual, name: str, known: Mapping[str, object]) -> UnknownThing:
    near = nearest(name, known)
    hint = Bilingual(f"是否指 {near}?", f" Did you mean {near}?") if near else Bilingual()
    return UnknownThing(kind=kind, name=name, near=hint)
