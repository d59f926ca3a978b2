"""Feature: forms as JSON: a JSON Schema of the data and the layout, both of what the caller may see only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from graphql import GraphQLArgument, GraphQLField

from clew.api import scalars
from clew.api.build import Build, Factory, required
from clew.api.form_data import DIALECT, data_schema
from clew.api.inputs import filled_fields, input_fields
from clew.api.operations import Call
from clew.expressions.tree import Checked
from clew.kernel.errors import NotFound
from clew.kernel.text import Bilingual
from clew.metadata import naming
from clew.metadata.blueprint import Entity
from clew.metadata.form_defaults import record_form, step_form
from clew.metadata.forms import Form, FormField
from clew.metadata.processes import Step
from clew.process import reading, store
from clew.process.engine import TASK, Processes
from clew.process.errors import NoSuchProcess
from clew.records.judge import Judge
from clew.records.sight import shown as sees
from clew.records.truths import truths
from clew.storage.engine import Connection

_WHAT = Bilingual("表单", "form")
Answer = bool | None | Literal["closed"]
Answers = Mapping[int, Answer]
"""What conditions are of one record now, by their identity; None where it is not known. `closed`: the caller does not
see all that it reads, so that it holds for them, whatever it says (`process.effects` takes it the same way)."""


class Forms:
    """`form`, `recordForm`, and `taskForm` where there are processes."""

    def __init__(self, processes: Processes | None) -> None:
        self._processes = processes

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        build.extend("Query", lambda: self._queries(build))
        return ()

    def _queries(self, build: Build) -> dict[str, GraphQLField]:
        text, identity, answer = required(scalars.TEXT.type), required(scalars.ID.type), required(scalars.JSON.type)
        by_name, by_entity = build.say("一张表单", "A form"), build.say("新建记录的表单", "The form of a new record")
        spec = FormSpec(self._processes)
        found = {
            "form": build.field(answer, spec, by_name, {"name": GraphQLArgument(text)}),
            "recordForm": build.field(answer, spec, by_entity, {"entity": GraphQLArgument(text)}),
        }
        if self._processes is not None and build.blueprint.workflows:
            of_task = build.say("一项任务的表单", "The form of a task")
            found["taskForm"] = build.field(answer, spec, of_task, {"task": GraphQLArgument(identity)})
        return found


@dataclass(frozen=True, slots=True)
class FormSpec:
    processes: Processes | None

    async def answer(self, call: Call, connection: Connection) -> str:
        build = call.planner.build
        if call.selected.name == "taskForm":
            found = await self._task(call, connection)
        elif call.selected.name == "form":
            form = build.blueprint.forms.get(call.arguments["name"])
            if form is None or not build.sees_entity(form.entity):
                raise NotFound(what=_WHAT)
            entity = build.blueprint.entities[form.entity]
            found = shown(build, form, (each.name for each in input_fields(build, entity, creating=False)))
        else:
            name = next(
                (each.name for each in build.entities() if call.arguments["entity"] in (each.name, _type(each))), None
            )
            if name is None:
                raise NotFound(what=_WHAT)
            entity = build.blueprint.entities[name]
            asked = [each.name for each in input_fields(build, entity, creating=True)]
            found = shown(build, record_form(entity), asked)
        return json.dumps(found, ensure_ascii=False)

    async def _task(self, call: Call, connection: Connection) -> dict[str, Any]:
        """The form of a task, by the definition its instance began with, of its record as it is now."""
        processes, person = self.processes, call.caller.context.person
        task = await reading.task(connection, call.arguments["task"]) if processes is not None else None
        if (
            processes is None
            or task is None
            or not await processes.takes_part(connection, UUID(task["process"]), person.id)
        ):
            raise NoSuchProcess(what=TASK)
        instance = await store.load(connection, UUID(task["process"]))
        assert instance is not None
        flow, step = (await processes.definitions.of(connection, instance.definition)).place_of(task["step"])
        entity = processes.blueprint.entities[flow.entity]
        conditions = list(conditions_of(form_of(step, entity)))
        known = await self._answers(processes, call, connection, entity, UUID(task["recordId"]), conditions)
        if step.layout is None:
            # Nobody has laid it out: what it says of its fields is theirs, and a write tells what they demand.
            known = {each: None if answer == "closed" else answer for each, answer in known.items()}
        return step_shown(call.planner.build, step, entity, known)

    async def _answers(
        self,
        processes: Processes,
        call: Call,
        connection: Connection,
        entity: Entity,
        record: UUID,
        conditions: Sequence[Checked],
    ) -> Answers:
        """What each condition is of the record, as far as the caller sees what it reads."""
        engine, person, now = processes.commands.engine, call.caller.context.person, await connection.now()
        statements = engine.statements.of(entity.name)
        row = (
            await connection.fetch_one(statements.select.where(statements.current.c.id == record))
            if conditions
            else None
        )
        if row is None:
            return {}
        facts = statements.shape.record(row)
        judge = Judge(engine, connection, person, now, now.astimezone(engine.zone).date())
        decision, answers = call.caller.decision, dict[int, Answer]()
        seen = []
        for each in conditions:
            if await sees(processes.blueprint, decision, judge, entity, facts, each):
                seen.append(each)
            else:
                answers[id(each)] = "closed"
        said = await truths(engine, connection, person, entity, record, seen)
        return {**answers, **{id(each): answer for each, answer in zip(seen, said, strict=True)}}


def form_of(step: Step, entity: Entity) -> Form:
    """The form a step declares, or the one that is made for it."""
    return step.layout or step_form(entity, step.name, step.inputs, step.outputs, step.must_outputs)


def step_shown(build: Build, step: Step, entity: Entity, answers: Answers | None = None) -> dict[str, Any]:
    """The form of a step: whoever is asked may fill in all that it asks for."""
    asked = [each.name for each in filled_fields(build, entity, step.outputs)]
    return shown(build, form_of(step, entity), asked, step.must_outputs, answers)


def conditions_of(form: Form) -> Iterable[Checked]:
    """Every condition of a form."""
    for section in form.sections:
        if section.visible is not None:
            yield section.visible
        for each in section.fields:
            yield from (when for when in (each.visible, each.required_when, each.read_only_when) if when is not None)


def shown(
    build: Build, form: Form, asked: Iterable[str], must: Sequence[str] = (), answers: Answers | None = None
) -> dict[str, Any]:
    """A form as JSON. `asked` are the fields that may be filled in; what the caller may not see is left out."""
    entity, given = build.blueprint.entities[form.entity], set(asked)
    sections, offered, needed = [], [], []
    for section in form.sections:
        fields = []
        for each in section.fields:
            known = entity.fields.get(each.name)
            if each.name not in given and (known is None or not build.sees(entity, each.name)):
                continue
            filled = each.name in given and not each.read_only and known is not None
            if filled and known is not None:
                offered.append(known)
                if each.required or each.name in must:
                    needed.append(each.name)
            fields.append(_field(build, entity, each, filled, each.name in must, answers))
        if fields:
            sections.append(
                {
                    "title": build.text(section.title),
                    "help": build.text(section.help),
                    "columns": section.columns,
                    "folded": section.folded,
                    "visible": _condition(build, entity, section.visible, answers, usually=True),
                    "fields": fields,
                }
            )
    # What is demanded only while it is shown cannot be demanded by a schema that knows no conditions.
    always = [each.name for section, each in form.fields() if section.visible is None and each.visible is None]
    return {
        "name": form.name,
        "label": build.text(form.label) or build.text(entity.label),
        "help": build.text(form.help),
        "entity": _type(entity),
        "phone": form.phone,
        "schema": {
            "$schema": DIALECT,
            **data_schema(build, entity, offered, (each for each in needed if each in always)),
        },
        "ui": {"sections": sections},
    }


def _type(entity: Entity) -> str:
    return naming.type_name(entity.name)


def _field(
    build: Build, entity: Entity, field: FormField, filled: bool, must: bool, answers: Answers | None
) -> dict[str, Any]:
    known = entity.fields.get(field.name)
    label = field.label or (known.label if known is not None else entity.inverses[field.name].label)
    help_ = field.help or (known.help if known is not None else Bilingual())
    found: dict[str, Any] = {
        "field": naming.field_name(field.name),
        "widget": field.widget if filled else "readout",
        "label": build.text(label),
        "help": build.text(help_),
        "width": field.width,
        "visible": _condition(build, entity, field.visible, answers, usually=True),
        "readOnly": _condition(build, entity, field.read_only_when, answers, usually=False) if filled else True,
        "required": filled
        and (field.required or must or _condition(build, entity, field.required_when, answers, usually=False)),
    }
    if field.accept:
        found["accept"] = list(field.accept)
    if field.columns:
        found["columns"] = [naming.field_name(each) for each in field.columns]
    if field.default is not None and filled and _seen(build, entity, field.default):
        found["default"] = field.default.source
    return found


def _condition(
    build: Build, entity: Entity, when: Checked | None, answers: Answers | None, *, usually: bool
) -> bool | dict[str, Any]:
    """True or false, or the condition with what it is now. Its text only where the caller sees everything it reads."""
    if when is None:
        return usually
    now = answers.get(id(when)) if answers is not None else None
    if now == "closed":
        return True
    found: dict[str, Any] = {"now": now}
    if _seen(build, entity, when):
        found["when"] = when.source
        found["live"] = "browser" in when.runs_in
    return found


def _seen(build: Build, entity: Entity, given: Checked) -> bool:
    """Whether the caller sees all that an expression reads, here and in other records."""
    for path in given.reads:
        at: Entity | None = entity
        for name in path:
            if at is None or name.startswith("@"):
                return False
            if name not in at.fields and name not in at.inverses:
                return False
            if not build.sees(at, name):
                return False
            field = at.fields.get(name)
            target = field.targets[0] if field is not None and len(field.targets) == 1 else ""
            if field is None:
                target = at.inverses[name].source
            at = build.blueprint.entities.get(target)
    return True
