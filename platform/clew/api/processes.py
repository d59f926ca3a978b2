"""Feature: processes. Mutations for every process and step, my tasks, instances with their timeline, notices."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from graphql import GraphQLArgument, GraphQLField, GraphQLList, GraphQLObjectType

from clew.api import scalars
from clew.api.blocked import WhyBlocked
from clew.api.blocked_doers import Doers
from clew.api.build import Build, Factory, required
from clew.api.inputs import given_record
from clew.api.operations import Call
from clew.api.process_shapes import shape, shaped
from clew.api.process_sight import oversees, shown
from clew.api.process_steps import start_name, step_arguments, step_name, step_types, steps_told, told
from clew.api.process_types import members_of_types
from clew.api.process_waiting import WorkSpec, next_actors
from clew.api.signing import proof_of, refuse_written_secrets
from clew.kernel.errors import BadInput
from clew.kernel.scalars import instant_text
from clew.kernel.text import Bilingual
from clew.metadata.processes import Step, Workflow
from clew.process import reading, words
from clew.process.engine import TASK, WHAT, Done, Processes
from clew.process.errors import NoSuchProcess
from clew.process.state import State
from clew.process.words import Actor, Command
from clew.records.commands import Call as CommandCall
from clew.records.signing.proven import Prover, Signing
from clew.storage.engine import Connection

_JSON: Mapping[str, Any] = {"ensure_ascii": False, "separators": (",", ":")}
_MOST = 500


TYPES = (
    "ProcessTask", "ProcessIncident", "ProcessTimelineEntry", "ProcessInstance", "ProcessCommandPayload",
    "ProcessNotice", "ProcessActor", "MyWork", "ProcessFile", "BlockedTransition", "Blocker", "BlockingRecord",
    "UnblockingAction",
)  # fmt: skip
QUERIES = (
    "myTasks", "processInstance", "processesOf", "myProcesses", "overseenProcesses", "notices", "nextActors",
    "whyBlocked",
)  # fmt: skip


class ProcessFeature:
    """Adds to `Query` and `Mutation` where the project has workflows."""

    def __init__(self, processes: Processes, prover: Prover | None = None) -> None:
        self._processes, self._prover = processes, prover
        self._why = WhyBlocked(Doers(processes.blueprint))

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        if not build.blueprint.workflows:
            return
        for name in TYPES:
            build.names.types.claim(name, "workflows")
        for name in QUERIES:
            build.names.queries.claim(name, "workflows")
        for workflow in build.blueprint.workflows.values():
            owner = f"workflow {workflow.name} ({workflow.place})"
            build.names.mutations.claim(start_name(workflow), owner)
            for _, step in workflow.walk():
                if step.kind.human:
                    build.names.mutations.claim(step_name(workflow, step), owner)
        if not any(told(build)):
            return
        for name, members in members_of_types(build).items():
            yield name, _object(build, name, members)
        yield from step_types(build)
        build.extend("Query", lambda: self._queries(build))
        build.extend("Mutation", lambda: self._mutations(build))
        build.extend("Mutation", lambda: self._steps(build))
        build.extend("Subscription", lambda: self._live(build))

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _queries(self, build: Build) -> dict[str, GraphQLField]:
        first = {"first": GraphQLArgument(scalars.INT.type, default_value=50)}
        flag = GraphQLArgument(scalars.BOOLEAN.type)
        identity = {"id": GraphQLArgument(required(scalars.ID.type))}
        tasks, instances = _many(build, "ProcessTask"), _many(build, "ProcessInstance")

        def field(type_: Any, find: Find, args: Mapping[str, GraphQLArgument], zh: str, en: str) -> GraphQLField:
            return build.field(type_, QuerySpec(self._processes, find), build.say(zh, en), args)

        return {
            "myTasks": field(
                tasks,
                _my_tasks,
                {**first, "claimed": flag, "overdue": flag},
                "我的待办,最急的在前",
                "My tasks, most urgent first",
            ),
            "processInstance": field(
                build.type("ProcessInstance"), _instance, identity, "一个流程实例", "One instance"
            ),
            "processesOf": field(
                instances,
                _of_record,
                {"record": GraphQLArgument(required(scalars.ID.type))},
                "某条记录的流程",
                "The processes of a record",
            ),
            "myProcesses": field(instances, _started, first, "我发起的流程", "Processes I started"),
            "overseenProcesses": field(
                instances,
                _overseen,
                {"workflow": GraphQLArgument(required(scalars.TEXT.type)), **first},
                "我可督办的流程实例,最新的在前",
                "Instances of a process that I oversee, the newest first",
            ),
            "nextActors": field(
                _many(build, "ProcessActor"),
                next_actors,
                {"record": GraphQLArgument(required(scalars.ID.type))},
                "该记录及引用它的记录在等谁办理",
                "Whom a record waits for, and the records that refer to it",
            ),
            "whyBlocked": field(
                _many(build, "BlockedTransition"),
                self._why,
                {
                    "entity": GraphQLArgument(required(scalars.TEXT.type)),
                    "record": GraphQLArgument(required(scalars.ID.type)),
                    "transition": GraphQLArgument(scalars.TEXT.type),
                },
                "什么妨碍该记录的状态迁移,以及使其可行的最少操作",
                "What is in the way of a record's transitions, and the fewest actions that clear it",
            ),
            "notices": field(
                _many(build, "ProcessNotice"), _notices, {**first, "unread": flag}, "给我的通知", "What I was told"
            ),
        }

    def _live(self, build: Build) -> dict[str, GraphQLField]:
        spec = WorkSpec(self._processes, _my_tasks, _notices, shaped)
        arguments = {"first": GraphQLArgument(scalars.INT.type, default_value=50)}
        say = build.say("我的待办与通知:现状与其后的变化", "My tasks and notices, now and as they change")
        return {"myWorkChanged": build.field(required(build.type("MyWork")), spec, say, arguments)}

    # ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _mutations(self, build: Build) -> dict[str, GraphQLField]:
        identity, text = required(scalars.ID.type), scalars.TEXT.type
        task = {"task": GraphQLArgument(identity), "comment": GraphQLArgument(text)}
        process = {"process": GraphQLArgument(identity)}
        person = {"person": GraphQLArgument(identity)}
        reason = {"reason": GraphQLArgument(required(text))}
        key = {"idempotencyKey": GraphQLArgument(text)}
        flag = GraphQLArgument(scalars.BOOLEAN.type, default_value=False)
        decision = {
            **task,
            "outcome": GraphQLArgument(required(text)),
            "input": GraphQLArgument(scalars.JSON.type),
            "rowVersion": GraphQLArgument(scalars.INT.type),
            "signature": GraphQLArgument(build.type("SignatureInput")),
        }
        start = {"workflow": GraphQLArgument(required(text)), "record": GraphQLArgument(identity)}
        people = {"people": GraphQLArgument(required(GraphQLList(identity)))}
        to = {"to": GraphQLArgument(required(text)), "straight": flag}

        def field(act: Act, args: Mapping[str, GraphQLArgument], zh: str, en: str) -> GraphQLField:
            spec = ActSpec(self._processes, self._prover, act)
            return build.field(build.type("ProcessCommandPayload"), spec, build.say(zh, en), {**args, **key})

        return {
            "startProcess": field(_start, start, "发起流程", "Start a process about a record"),
            "claimTask": field(_task(words.Claim), task, "认领", "Take a task of a group"),
            "releaseTask": field(_task(words.Unclaim), task, "退回组任务", "Give a task back to its group"),
            "decideTask": field(decide, decision, "办理任务", "Complete a task or cast a vote"),
            "addSigner": field(_add_signer, {**task, **person, "after": flag}, "加签", "Ask one person more"),
            "transferTask": field(_transfer(False), {**task, **person}, "转办", "Give a task to another"),
            "delegateTask": field(_transfer(True), {**task, **person}, "委托", "Have another act for me"),
            "sendBackTask": field(_send_back, {**task, **to}, "退回前面步骤", "Ask an earlier step again"),
            "urgeTask": field(_task(words.Urge), task, "催办", "Remind whoever has the task"),
            "withdrawStep": field(_withdraw, {**process, "comment": task["comment"]}, "撤回", "Take my last step back"),
            "copyProcess": field(_copy, {**process, **people, "comment": task["comment"]}, "抄送", "Show it to people"),
            "cancelProcess": field(_whole(words.Cancel), {**process, **reason}, "取消流程", "Cancel an instance"),
            "suspendProcess": field(_whole(words.Suspend), {**process, **reason}, "暂停流程", "Stop its clocks"),
            "resumeProcess": field(_whole(words.Resume), process, "恢复流程", "Let its clocks go on"),
            "retryIncident": field(
                _retry,
                {**process, "incident": GraphQLArgument(required(scalars.INT.type))},
                "重试异常",
                "Try again what an incident stopped",
            ),
            "readNotice": build.field(
                required(scalars.BOOLEAN.type),
                ReadSpec(self._processes),
                build.say("标记已读", "Mark as read"),
                {"id": GraphQLArgument(identity)},
            ),
        }

    def _steps(self, build: Build) -> dict[str, GraphQLField]:
        """One mutation for starting each process and one for each of its tasks, with the step's own outcomes and
        fields. An instance of an earlier definition is served by `decideTask`."""
        identity, text = required(scalars.ID.type), scalars.TEXT.type
        found: dict[str, GraphQLField] = {}
        for workflow in told(build):
            start = {"record": GraphQLArgument(identity), "idempotencyKey": GraphQLArgument(text)}
            spec = ActSpec(self._processes, self._prover, start_of(workflow.name))
            found[start_name(workflow)] = build.field(
                build.type("ProcessCommandPayload"), spec, build.text(workflow.label), start
            )
            for flow, step in steps_told(build, workflow):
                arguments = step_arguments(build, workflow, flow, step)
                spec = ActSpec(self._processes, self._prover, step_act(workflow, step))
                found[step_name(workflow, step)] = build.field(
                    build.type("ProcessCommandPayload"), spec, build.text(step.help, step.label), arguments
                )
        return found


Find = Callable[[Processes, Call, Connection], Awaitable[Any]]
Act = Callable[["ActSpec", Call, CommandCall], Awaitable[Done]]


@dataclass(frozen=True, slots=True)
class QuerySpec:
    """A query field answered by the process room."""

    processes: Processes
    find: Find

    async def answer(self, call: Call, connection: Connection) -> str:
        found = await self.find(self.processes, call, connection)
        return json.dumps(shape(call.planner, call.selected, found, call), **_JSON)


@dataclass(frozen=True, slots=True)
class ActSpec:
    """A mutation on an instance."""

    processes: Processes
    prover: Prover | None
    act: Act

    async def run(self, call: Call) -> str:
        done = await self.act(self, call, _command(call))
        lists = _lists(call)
        if done.instance is not None and not lists:
            instance: Any = reading.without_lists(done.instance)
        else:
            async with self.processes.database.read() as connection:
                instance = await reading.instance(connection, done.process, lists)
        answer = {"process": instance, "replayed": done.replayed}
        return json.dumps(shape(call.planner, call.selected, answer, call), **_JSON)


def _lists(call: Call) -> frozenset[str]:
    """The long lists of the instance that are selected."""
    children = call.planner.children
    inner = (each for child in children(call.selected) if child.name == "process" for each in children(child))
    return reading.LISTS & {each.name for each in inner}


@dataclass(frozen=True, slots=True)
class ReadSpec:
    processes: Processes

    async def run(self, call: Call) -> str:
        person, notice = call.caller.context.person.id, call.arguments["id"]

        async def mark(connection: Connection) -> bool:
            return await reading.read_notice(connection, person, notice)

        return json.dumps(await self.processes.database.run_write(mark))


# ── queries ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _my_tasks(processes: Processes, call: Call, connection: Connection) -> Any:
    args, person = call.arguments, call.caller.context.person.id
    claimed, overdue, limit = args.get("claimed"), bool(args.get("overdue")), _first(args)
    found = await reading.my_tasks(connection, person, claimed=claimed, overdue=overdue, limit=limit)
    known, now = {each["id"] for each in found}, instant_text(await connection.now())
    for task, lender in await processes.lent_tasks(connection, person, limit):
        lent = await reading.task(connection, task)
        if lent is None or lent["id"] in known or (overdue and not (lent["dueAt"] and lent["dueAt"] < now)):
            continue
        if claimed is None or claimed == (lent["assignee"] is not None):
            found.append({**lent, "behalf": lender})
    return found[:limit]


async def _instance(processes: Processes, call: Call, connection: Connection) -> Any:
    found = await reading.instance(connection, call.arguments["id"])
    if found is None:
        return None
    person = call.caller.context.person.id
    if await processes.takes_part(connection, UUID(found["id"]), person):
        return found
    return found if await shown(processes, call, connection, found) else None


async def _of_record(processes: Processes, call: Call, connection: Connection) -> Any:
    found = await reading.of_record(connection, call.arguments["record"])
    return [each for each in found if await shown(processes, call, connection, each)]


async def _started(processes: Processes, call: Call, connection: Connection) -> Any:
    return await reading.started_by(connection, call.caller.context.person.id, _first(call.arguments))


async def _overseen(processes: Processes, call: Call, connection: Connection) -> Any:
    workflow = call.arguments["workflow"]
    if not call.caller.decision.process(workflow).oversee.allowed:
        return []
    found = await reading.of_workflow(connection, workflow, _first(call.arguments))
    return [each for each in found if await oversees(processes, call, connection, each)]


async def _notices(processes: Processes, call: Call, connection: Connection) -> Any:
    args, locale = call.arguments, call.caller.context.locale
    found = await reading.notices(
        connection, call.caller.context.person.id, unread=bool(args.get("unread")), limit=_first(args)
    )
    return [{**each, "text": Bilingual(each["zh"] or "", each["en"] or "").to(locale) or None} for each in found]


def _first(args: Mapping[str, Any]) -> int:
    return max(0, min(int(args.get("first", 50)), _MOST))


# ── mutations ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def _start(spec: ActSpec, call: Call, command: CommandCall) -> Done:
    return await spec.processes.start(command, call.arguments["workflow"], call.arguments["record"])


def start_of(workflow: str) -> Act:
    async def act(spec: ActSpec, call: Call, command: CommandCall) -> Done:
        return await spec.processes.start(command, workflow, call.arguments["record"])

    return act


def step_act(workflow: Workflow, step: Step) -> Act:
    """Decides a task of this step; any other task is refused as if it did not exist."""

    async def act(spec: ActSpec, call: Call, command: CommandCall) -> Done:
        task = await task_asked(spec.processes, command, call.arguments["task"])
        if (task["workflow"], task["step"]) != (workflow.name, step.path):
            raise NoSuchProcess(what=TASK)
        return await _decided(spec, call, command, task)

    return act


async def decide(spec: ActSpec, call: Call, command: CommandCall) -> Done:
    task = await task_asked(spec.processes, command, call.arguments["task"])
    return await _decided(spec, call, command, task)


async def _decided(spec: ActSpec, call: Call, command: CommandCall, task: Mapping[str, Any]) -> Done:
    args = call.arguments
    refuse_written_secrets(call.selected)
    fields = filled(spec.processes, task, args.get("input"))
    if args.get("signature") is not None:
        command = replace(command, signing=await _proven(spec.prover, call))
    at = UUID(task["process"]), int(task["number"])
    return await spec.processes.decide(command, at, args["outcome"], fields, args.get("comment") or "")


async def task_asked(processes: Processes, command: CommandCall, task_id: UUID) -> Mapping[str, Any]:
    """The task, for who has a part in its instance. Raises NoSuchProcess."""
    async with processes.database.read() as connection:
        person = command.context.person.id
        found = await reading.task_asked(connection, task_id, person)
        if found is None:
            raise NoSuchProcess(what=TASK)
        task, taking_part = found
        if not taking_part and not await processes.takes_part(connection, UUID(task["process"]), person):
            raise NoSuchProcess(what=TASK)
    return task


def filled(processes: Processes, task: Mapping[str, Any], given: Any) -> Mapping[str, Any]:
    """What a task's `input` says, by the names of the fields. Raises BadInput."""
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise BadInput(path=["input"], what=Bilingual("input 须为对象。", "input must be an object."))
    entity = processes.blueprint.entities[task["entity"]]
    return given_record(processes.blueprint, entity, {str(name): value for name, value in given.items()})


async def _proven(prover: Prover | None, call: Call) -> Signing:
    """What the signer gave, checked before the transaction begins."""
    given = call.arguments["signature"]
    version = call.arguments.get("rowVersion")
    if prover is None or version is None:
        raise BadInput(
            path=["rowVersion"], what=Bilingual("签名须注明所见版本。", "A signature names the version seen.")
        )
    proof = await proof_of(prover, call.caller.context, given)
    return Signing(proof, version, given["digest"], given["meaning"])


def _task(kind: Callable[..., Command]) -> Act:
    async def act(spec: ActSpec, call: Call, command: CommandCall) -> Done:
        comment = call.arguments.get("comment") or ""

        def make(number: int, actor: Actor, at: str) -> Command:
            return kind(number, actor, at, comment) if kind is words.Urge else kind(number, actor, at)

        return await _on_task(spec, call, command, make, comment)

    return act


async def _add_signer(spec: ActSpec, call: Call, command: CommandCall) -> Done:
    args = call.arguments
    where: Any = "after" if args.get("after") else "before"
    person, comment = str(args["person"]), args.get("comment") or ""
    return await _on_task(
        spec,
        call,
        command,
        lambda number, actor, at: words.AddSigner(number, person, where, actor, at, comment),
        person,
        where,
    )


def _transfer(delegated: bool) -> Act:
    async def act(spec: ActSpec, call: Call, command: CommandCall) -> Done:
        person, comment = str(call.arguments["person"]), call.arguments.get("comment") or ""
        return await _on_task(
            spec,
            call,
            command,
            lambda number, actor, at: words.Transfer(number, person, actor, at, delegated, comment),
            person,
            delegated,
        )

    return act


async def _send_back(spec: ActSpec, call: Call, command: CommandCall) -> Done:
    args = call.arguments
    to, straight, comment = args["to"], bool(args.get("straight")), args.get("comment") or ""
    return await _on_task(
        spec,
        call,
        command,
        lambda number, actor, at: words.SendBack(number, to, straight, actor, at, comment),
        to,
        straight,
        comment,
    )


async def _withdraw(spec: ActSpec, call: Call, command: CommandCall) -> Done:
    comment = call.arguments.get("comment") or ""

    def make(state: State, actor: Actor, at: str) -> Command:
        mine = [each.token for each in state.done if actor.person in each.actors and each.token in state.tokens]
        return words.Withdraw(mine[-1] if mine else 0, actor, at, comment)

    return await _on_process(spec, call, command, make, "withdraw")


async def _copy(spec: ActSpec, call: Call, command: CommandCall) -> Done:
    people = tuple(str(each) for each in call.arguments["people"])
    comment = call.arguments.get("comment") or ""

    def make(state: State, actor: Actor, at: str) -> Command:
        root = next((each.id for each in state.tokens.values() if each.parent is None), 0)
        return words.Copy(root, people, actor, at, comment)

    return await _on_process(spec, call, command, make, "copy", *people)


def _whole(kind: Callable[..., Command]) -> Act:
    async def act(spec: ActSpec, call: Call, command: CommandCall) -> Done:
        reason = [call.arguments["reason"]] if "reason" in call.arguments else []

        def make(state: State, actor: Actor, at: str) -> Command:
            return kind(actor, at, *reason)

        return await _on_process(spec, call, command, make, kind.__name__, *reason, operates=True)

    return act


async def _retry(spec: ActSpec, call: Call, command: CommandCall) -> Done:
    incident = call.arguments["incident"]
    return await _on_process(
        spec,
        call,
        command,
        lambda state, actor, at: words.RetryIncident(incident, actor, at),
        "retry",
        incident,
        operates=True,
    )


async def _on_task(
    spec: ActSpec, call: Call, command: CommandCall, make: Callable[[int, Actor, str], Command], *asked: Any
) -> Done:
    process, number = await spec.processes.find_task(call.arguments["task"])
    async with spec.processes.database.read() as connection:
        if not await spec.processes.takes_part(connection, process, command.context.person.id):
            raise NoSuchProcess(what=TASK)
    name = call.selected.name
    return await spec.processes.act(
        command, process, lambda instance, actor, at: make(number, actor, at), [name, number, *asked]
    )


async def _on_process(
    spec: ActSpec,
    call: Call,
    command: CommandCall,
    make: Callable[[State, Actor, str], Command],
    *asked: Any,
    operates: bool = False,
) -> Done:
    process = call.arguments["process"]
    async with spec.processes.database.read() as connection:
        seen = await spec.processes.takes_part(connection, process, command.context.person.id)
        if not seen and not (operates and await _may_see(spec, call, connection, process)):
            raise NoSuchProcess(what=WHAT)
    return await spec.processes.act(
        command, process, lambda instance, actor, at: make(instance.state, actor, at), list(asked), operates=operates
    )


async def _may_see(spec: ActSpec, call: Call, connection: Connection, process: UUID) -> bool:
    found = await reading.instance(connection, process)
    return found is not None and await shown(spec.processes, call, connection, found)


def _command(call: Call) -> CommandCall:
    args = call.arguments
    return CommandCall(call.caller.context, call.caller.decision, args.get("reason"), args.get("idempotencyKey"))


# ── types ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _object(build: Build, name: str, members: Mapping[str, Any]) -> Factory:
    def fields() -> dict[str, GraphQLField]:
        found = {}
        for key, type_ in members.items():
            if isinstance(type_, str):
                inner = build.type(type_.lstrip("!"))
                type_ = required(inner) if type_.startswith("!") else required(GraphQLList(required(inner)))
            found[key] = build.field(type_, None)
        return found

    return lambda: GraphQLObjectType(name, fields)


def _many(build: Build, name: str) -> Any:
    return required(GraphQLList(required(build.type(name))))
