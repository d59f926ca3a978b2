"""Feature: many tasks decided by one request, each in a transaction of its own, with a report row by row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLArgument, GraphQLField, GraphQLInputObjectType, GraphQLList, GraphQLObjectType

from clew.api import scalars
from clew.api.build import Build, Factory, required
from clew.api.operations import Call
from clew.api.process_commands import filled, task_asked
from clew.api.process_shapes import lists_of, shape
from clew.api.process_sight import as_seen
from clew.api.process_steps import told
from clew.api.signing import proof_of, refuse_written_secrets
from clew.kernel.errors import BadInput, ClewError
from clew.kernel.text import Bilingual
from clew.process import reading
from clew.process.engine import Processes
from clew.records.commands import Call as CommandCall
from clew.records.errors import SignatureRequired
from clew.records.signing.proven import COMPONENTS, Proof, Prover, Signing
from clew.records.spoken import spoken

MOST = 50
"""Rows of one request: each locks, decides and commits, and one proof of who signs is good for two minutes."""
MUTATION = "decideTasks"
TYPES = ("TaskDecisionInput", "TaskSignatureInput", "DecidedTask", "DecideTasksPayload")


@dataclass(frozen=True, slots=True)
class ProcessBatches:
    """Adds `decideTasks` where the project has workflows."""

    processes: Processes
    prover: Prover | None = None

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        if not build.blueprint.workflows:
            return
        for name in TYPES:
            build.names.types.claim(name, "workflows")
        build.names.mutations.claim(MUTATION, "workflows")
        if not any(told(build)):
            return
        yield "TaskDecisionInput", lambda: _decision(build)
        yield "TaskSignatureInput", lambda: _signature(build)
        yield "DecidedTask", lambda: GraphQLObjectType("DecidedTask", lambda: _decided(build))
        yield "DecideTasksPayload", lambda: GraphQLObjectType("DecideTasksPayload", lambda: _payload(build))
        build.extend("Mutation", lambda: {MUTATION: self._field(build)})

    def _field(self, build: Build) -> GraphQLField:
        arguments = {
            "tasks": GraphQLArgument(required(GraphQLList(required(build.type("TaskDecisionInput"))))),
            "signature": GraphQLArgument(build.type("TaskSignatureInput")),
        }
        say = build.say(
            f"批量办理任务,每项各自成功或失败,至多 {MOST} 项",
            f"Decide several tasks, each by itself: one that is refused stops no other; at most {MOST}",
        )
        return build.field(build.type("DecideTasksPayload"), BatchSpec(self.processes, self.prover), say, arguments)


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """The mutation."""

    processes: Processes
    prover: Prover | None

    async def run(self, call: Call) -> str:
        """Row after row, in the order given; who signs is proven once, before the first."""
        refuse_written_secrets(call.selected)
        rows, signature = call.arguments["tasks"], call.arguments.get("signature")
        if not 0 < len(rows) <= MOST:
            what = Bilingual(f"一次可办理 1 至 {MOST} 项任务。", f"One request decides 1 to {MOST} tasks.")
            raise BadInput(path=["tasks"], what=what)
        proof = None
        if signature is not None:
            if self.prover is None:
                raise SignatureRequired(transition=MUTATION, meaning="–")
            proof = await proof_of(self.prover, call.caller.context, signature)
        children = call.planner.children(call.selected)
        lists = frozenset[str]().union(*(lists_of(call, each) for each in children if each.name == "rows"))
        report = [await self._row(call, index, row, proof, lists) for index, row in enumerate(rows)]
        done = sum(each["code"] is None for each in report)
        answer = {"rows": report, "decided": done, "refused": len(report) - done}
        return json.dumps(shape(call.planner, call.selected, answer, call), ensure_ascii=False, separators=(",", ":"))

    async def _row(
        self, call: Call, index: int, row: Mapping[str, Any], proof: Proof | None, lists: frozenset[str]
    ) -> dict[str, Any]:
        found: dict[str, Any] = {
            "index": index,
            "task": str(row["task"]),
            "process": None,
            "replayed": False,
            **dict.fromkeys(("code", "message", "hint")),
        }
        locale = call.caller.context.locale
        try:
            command = CommandCall(
                call.caller.context,
                call.caller.decision,
                idempotency_key=row.get("idempotencyKey"),
                signing=_signing(row, proof),
            )
            place = await task_asked(self.processes, command, row["task"])
            fields = filled(self.processes, place, row.get("input"))
            comment = spoken(row.get("comment"), "comment")
            done = await self.processes.decide(command, place, row["outcome"], fields, comment)
            async with self.processes.database.read() as connection:
                made = await reading.instance(connection, done.process, lists)
                assert made is not None
                found["process"] = await as_seen(self.processes, call.caller, connection, made, lists)
            found["replayed"] = done.replayed
        except ClewError as error:
            found |= {"code": error.code, "message": error.message(locale), "hint": error.hint(locale) or None}
        return found


def _signing(row: Mapping[str, Any], proof: Proof | None) -> Signing | None:
    """What this row's signature covers: never less than one that is given alone says of itself."""
    digest, version, meaning = (row.get(name) for name in ("digest", "rowVersion", "meaning"))
    if proof is None or digest is None:
        return None
    if version is None or meaning is None:
        what = Bilingual("签名须注明所见版本与含义。", "A signature names the version seen and what it means.")
        raise BadInput(path=["rowVersion"], what=what)
    return Signing(proof, version, digest, meaning)


# ── types ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _decision(build: Build) -> GraphQLInputObjectType:
    text, needed = scalars.TEXT.type, required(scalars.TEXT.type)
    shown = build.say("签名时:signable 所示的摘要", "For a signature: what signable.digest said when it was shown")
    version = build.say("签名时:所见版本", "For a signature: the version seen")
    meaning = build.say("签名时:向签名人展示的含义", "For a signature: the meaning that was shown")
    key = build.say("同一键重复提交只执行一次", "The same key twice is done once")
    fields = {
        "task": build.input(required(scalars.ID.type)),
        "outcome": build.input(needed),
        "comment": build.input(text),
        "input": build.input(scalars.JSON.type),
        "rowVersion": build.input(scalars.INT.type, None, version),
        "digest": build.input(text, None, shown),
        "meaning": build.input(text, None, meaning),
        "idempotencyKey": build.input(text, None, key),
    }
    return GraphQLInputObjectType("TaskDecisionInput", fields)


def _signature(build: Build) -> GraphQLInputObjectType:
    say = build.say(
        "签名人的身份要素,给出一次;每项任务各写明所签内容。机密只能以变量传入。",
        "Who signs, proven once; each task names what is signed. Secrets come as variables only.",
    )
    fields = {name: build.input(scalars.TEXT.type) for name in COMPONENTS}
    return GraphQLInputObjectType("TaskSignatureInput", fields, description=say)


def _decided(build: Build) -> dict[str, GraphQLField]:
    text = scalars.TEXT.type
    members = {
        "index": required(scalars.INT.type),
        "task": required(scalars.ID.type),
        "process": build.type("ProcessInstance"),
        "replayed": required(scalars.BOOLEAN.type),
        "code": text,
        "message": text,
        "hint": text,
    }
    return {name: build.field(type_, None) for name, type_ in members.items()}


def _payload(build: Build) -> dict[str, GraphQLField]:
    number = required(scalars.INT.type)
    return {
        "rows": build.field(required(GraphQLList(required(build.type("DecidedTask")))), None),
        "decided": build.field(number, None, build.say("已办理的项数", "How many were decided")),
        "refused": build.field(number, None, build.say("被拒绝的项数", "How many were refused")),
    }
