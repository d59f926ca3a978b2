"""Feature: moving running processes to another definition: its definitions, a preview, and the move, one by one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from graphql import GraphQLArgument, GraphQLField, GraphQLInputObjectType, GraphQLList

from clew.api import scalars
from clew.api.build import Build, Factory, required
from clew.api.operations import Call
from clew.api.process_answers import JSON, many, object_of
from clew.api.process_shapes import shape
from clew.api.process_sight import oversees, takes_part_or_sees
from clew.api.process_steps import told
from clew.kernel.errors import BadInput, ClewError
from clew.kernel.text import Bilingual
from clew.process import reading
from clew.process.engine import WHAT, Processes
from clew.process.errors import NoSuchProcess, NotAnOperator
from clew.process.migrating import Migration, Preview, aim, definitions
from clew.records.commands import Call as CommandCall
from clew.records.spoken import why
from clew.storage.engine import Connection

MOST = 100
"""Instances of one request: each is a transaction of its own."""
TYPES = ("ProcessDefinition", "ProcessMove", "MovedProcess", "MigrateProcessesPayload", "StepMoveInput")
QUERIES, MUTATION = ("processDefinitions", "processMoves"), "migrateProcesses"


@dataclass(frozen=True, slots=True)
class ProcessMigrations:
    """Adds to `Query` and `Mutation` where the project has workflows."""

    processes: Processes

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        if not build.blueprint.workflows:
            return
        for name in TYPES:
            build.names.types.claim(name, "workflows")
        for name in QUERIES:
            build.names.queries.claim(name, "workflows")
        build.names.mutations.claim(MUTATION, "workflows")
        if not any(told(build)):
            return
        for name, members in _members(build).items():
            yield name, object_of(build, name, members)
        yield "StepMoveInput", lambda: _step(build)
        build.extend("Query", lambda: self._queries(build))
        build.extend("Mutation", lambda: {MUTATION: self._mutation(build)})

    def _queries(self, build: Build) -> dict[str, GraphQLField]:
        workflow = {"workflow": GraphQLArgument(required(scalars.TEXT.type))}
        one = build.say("一个流程的各个定义,现行的在前", "The definitions of a process, the present one first")
        two = build.say(
            "哪些在办流程可改按另一定义办理,及不可的原因",
            "Which running instances can go on by another definition, and why others cannot",
        )
        return {
            "processDefinitions": build.field(
                many(build, "ProcessDefinition"), DefinitionsSpec(self.processes), one, workflow
            ),
            "processMoves": build.field(
                many(build, "ProcessMove"), MovesSpec(self.processes), two, {**workflow, **_how(build)}
            ),
        }

    def _mutation(self, build: Build) -> GraphQLField:
        text, identity = required(scalars.TEXT.type), required(scalars.ID.type)
        arguments = {
            "workflow": GraphQLArgument(text),
            "processes": GraphQLArgument(required(GraphQLList(identity))),
            **_how(build),
            "passingNewSteps": GraphQLArgument(scalars.BOOLEAN.type, default_value=False),
            "reason": GraphQLArgument(text),
        }
        say = build.say(
            f"使在办流程改按另一定义办理,各自成功或失败,至多 {MOST} 个",
            f"Move running instances to another definition, each by itself; at most {MOST}",
        )
        return build.field(build.type("MigrateProcessesPayload"), MigrateSpec(self.processes), say, arguments)


@dataclass(frozen=True, slots=True)
class DefinitionsSpec:
    processes: Processes

    async def answer(self, call: Call, connection: Connection) -> str:
        workflow = call.arguments["workflow"]
        found = []
        if call.caller.decision.process(workflow).oversee.allowed:
            found = [
                {"digest": each.digest, "release": each.release, "live": each.live, "present": each.present}
                for each in await definitions(self.processes, workflow)
            ]
        return json.dumps(shape(call.planner, call.selected, found, call), **JSON)


@dataclass(frozen=True, slots=True)
class MovesSpec:
    """Of the instances that the caller oversees."""

    processes: Processes

    async def answer(self, call: Call, connection: Connection) -> str:
        workflow, found = call.arguments["workflow"], []
        if call.caller.decision.process(workflow).oversee.allowed:
            for each in await (await _migration(self.processes, call)).preview():
                about = {"workflow": workflow, "entity": each.entity, "recordId": str(each.record_id)}
                if await oversees(self.processes, call.caller, connection, about):
                    found.append(_preview(call, each))
        return json.dumps(shape(call.planner, call.selected, found, call), **JSON)


@dataclass(frozen=True, slots=True)
class MigrateSpec:
    processes: Processes

    async def run(self, call: Call) -> str:
        """One after the other; one that is refused stops no other. Only who may cancel an instance moves it."""
        wanted: list[UUID] = list(dict.fromkeys(call.arguments["processes"]))
        if not 0 < len(wanted) <= MOST:
            what = Bilingual(f"一次可迁移 1 至 {MOST} 个流程。", f"One request moves 1 to {MOST} processes.")
            raise BadInput(path=["processes"], what=what)
        reason = why(call.arguments["reason"], Bilingual("迁移流程", "processes are moved to another definition"))
        workflow = call.arguments["workflow"]
        if not call.caller.decision.process(workflow).cancel.allowed:
            raise NotAnOperator(workflow=workflow)
        migration = await _migration(self.processes, call)
        command = CommandCall(call.caller.context, call.caller.decision, reason)
        locale, rows = call.caller.context.locale, []
        for each in wanted:
            row: dict[str, Any] = {"process": str(each), "code": None, "message": None}
            try:
                await self._seen(call, each)
                await migration.move(command, each, passing=bool(call.arguments.get("passingNewSteps")))
            except ClewError as error:
                row |= {"code": error.code, "message": error.message(locale)}
            rows.append(row)
        moved = sum(each["code"] is None for each in rows)
        answer = {"rows": rows, "moved": moved, "refused": len(rows) - moved}
        return json.dumps(shape(call.planner, call.selected, answer, call), **JSON)

    async def _seen(self, call: Call, process: UUID) -> None:
        async with self.processes.database.read() as connection:
            found = await reading.instance(connection, process)
            if found is None or not await takes_part_or_sees(self.processes, call.caller, connection, found):
                raise NoSuchProcess(what=WHAT)


async def _migration(processes: Processes, call: Call) -> Migration:
    args = call.arguments
    mapping = {each["from"]: each["to"] for each in args.get("steps") or ()}
    return Migration(processes, await aim(processes, args["workflow"], args.get("to") or ""), mapping)


def _preview(call: Call, found: Preview) -> Mapping[str, Any]:
    locale = call.caller.context.locale
    return {
        "process": str(found.process),
        "entity": found.entity,
        "recordId": str(found.record_id),
        "definition": found.digest,
        "at": list(found.at),
        "can": found.verdict.state is not None,
        "reasons": [each.to(locale) for each in found.verdict.reasons],
        "missed": list(found.verdict.missed),
        "loosened": [each.to(locale) for each in found.verdict.loosened],
    }


# ── types ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _how(build: Build) -> dict[str, GraphQLArgument]:
    to = build.say("目标定义(摘要开头),缺省为现行定义", "The beginning of a definition's digest; left out: the present")
    steps = build.say("步骤的新路径", "New paths of steps")
    return {
        "to": GraphQLArgument(scalars.TEXT.type, description=to),
        "steps": GraphQLArgument(GraphQLList(required(build.type("StepMoveInput"))), description=steps),
    }


def _step(build: Build) -> GraphQLInputObjectType:
    text = required(scalars.TEXT.type)
    return GraphQLInputObjectType("StepMoveInput", {"from": build.input(text), "to": build.input(text)})


def _members(build: Build) -> dict[str, dict[str, Any]]:
    text, identity, number = required(scalars.TEXT.type), required(scalars.ID.type), required(scalars.INT.type)
    flag, texts = required(scalars.BOOLEAN.type), required(GraphQLList(text))
    return {
        "ProcessDefinition": {"digest": text, "release": text, "live": number, "present": flag},
        "ProcessMove": {
            "process": identity, "entity": text, "recordId": identity, "definition": text, "at": texts, "can": flag,
            "reasons": texts, "missed": texts, "loosened": texts,
        },
        "MovedProcess": {"process": identity, "code": scalars.TEXT.type, "message": scalars.TEXT.type},
        "MigrateProcessesPayload": {"rows": "MovedProcess", "moved": number, "refused": number},
    }  # fmt: skip
