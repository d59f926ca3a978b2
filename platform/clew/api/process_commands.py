"""What is said to processes: each mutation is one command of the engine, by somebody who has a part in the instance."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from clew.api.inputs import given_record
from clew.api.operations import Call
from clew.api.process_answers import JSON
from clew.api.process_shapes import lists_of, shape
from clew.api.process_sight import as_seen, shown
from clew.api.signing import proof_of, refuse_written_secrets
from clew.identity import accounts
from clew.kernel.errors import BadInput
from clew.kernel.text import Bilingual
from clew.metadata.processes import Step, Workflow
from clew.process import reading, words
from clew.process.ahead import Place
from clew.process.engine import TASK, WHAT, Done, Processes
from clew.process.errors import NoSuchProcess, NotToBeShown
from clew.process.state import State
from clew.process.words import Actor, Command
from clew.records.commands import Call as CommandCall
from clew.records.signing.proven import Prover, Signing
from clew.records.spoken import spoken, why
from clew.storage.engine import Connection

MOST_COPIES = 100
_STOPPING = Bilingual("取消或暂停流程", "a process is stopped")
_RETRYING = Bilingual("重试异常", "what stopped a process is tried again")
Act = Callable[["ActSpec", Call, CommandCall], Awaitable[Done]]


@dataclass(frozen=True, slots=True)
class ActSpec:
    """A mutation on an instance."""

    processes: Processes
    prover: Prover | None
    act: Act

    async def run(self, call: Call) -> str:
        done = await self.act(self, call, _command(call))
        lists = lists_of(call)
        if done.instance is not None and not lists:
            instance: Any = reading.without_lists(done.instance)
        else:
            async with self.processes.database.read() as connection:
                instance = await reading.instance(connection, done.process, lists)
                if instance is not None:
                    instance = await as_seen(self.processes, call.caller, connection, instance, lists)
        answer = {"process": instance, "replayed": done.replayed}
        return json.dumps(shape(call.planner, call.selected, answer, call), **JSON)


@dataclass(frozen=True, slots=True)
class ReadSpec:
    processes: Processes

    async def run(self, call: Call) -> str:
        person, notice = call.caller.context.person.id, call.arguments["id"]

        async def mark(connection: Connection) -> bool:
            return await reading.read_notice(connection, person, notice)

        return json.dumps(await self.processes.database.run_write(mark))


async def start(spec: ActSpec, call: Call, command: CommandCall) -> Done:
    return await spec.processes.start(command, call.arguments["workflow"], call.arguments["record"])


def start_of(workflow: str) -> Act:
    async def act(spec: ActSpec, call: Call, command: CommandCall) -> Done:
        return await spec.processes.start(command, workflow, call.arguments["record"])

    return act


def step_act(workflow: Workflow, step: Step) -> Act:
    """Decides a task of this step; any other task is refused as if it did not exist."""

    entity = workflow.place_of(step.path)[0].entity

    async def act(spec: ActSpec, call: Call, command: CommandCall) -> Done:
        place = Place(call.arguments["task"], workflow.name, step.path, entity, seen=False)
        return await _decided(spec, call, command, place)

    return act


async def decide(spec: ActSpec, call: Call, command: CommandCall) -> Done:
    return await _decided(spec, call, command, await task_asked(spec.processes, command, call.arguments["task"]))


async def _decided(spec: ActSpec, call: Call, command: CommandCall, place: Place) -> Done:
    args = call.arguments
    refuse_written_secrets(call.selected)
    fields = filled(spec.processes, place, args.get("input"))
    if args.get("signature") is not None:
        command = replace(command, signing=await _proven(spec.prover, call))
    return await spec.processes.decide(command, place, args["outcome"], fields, spoken(args.get("comment"), "comment"))


async def task_asked(processes: Processes, command: CommandCall, task_id: UUID) -> Place:
    """Where the task stands, for who has a part in its instance. Raises NoSuchProcess."""
    async with processes.database.read() as connection:
        person = command.context.person.id
        found = await reading.task_asked(connection, task_id, person)
        if found is None:
            raise NoSuchProcess(what=TASK)
        task, asked = found
        if not asked and not await processes.takes_part(connection, UUID(task["process"]), person):
            raise NoSuchProcess(what=TASK)
    return Place(task_id, task["workflow"], task["step"], task["entity"])


def filled(processes: Processes, place: Place, given: Any) -> Mapping[str, Any]:
    """What a task's `input` says, by the names of the fields. Raises BadInput."""
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise BadInput(path=["input"], what=Bilingual("input 须为对象。", "input must be an object."))
    entity = processes.blueprint.entities[place.entity]
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


def on_task_of(kind: Callable[..., Command]) -> Act:
    async def act(spec: ActSpec, call: Call, command: CommandCall) -> Done:
        comment = spoken(call.arguments.get("comment"), "comment")

        def make(number: int, actor: Actor, at: str) -> Command:
            return kind(number, actor, at, comment) if kind is words.Urge else kind(number, actor, at)

        return await _on_task(spec, call, command, make, comment)

    return act


async def add_signer(spec: ActSpec, call: Call, command: CommandCall) -> Done:
    args = call.arguments
    where: Any = "after" if args.get("after") else "before"
    person, comment = str(args["person"]), spoken(args.get("comment"), "comment")
    return await _on_task(
        spec,
        call,
        command,
        lambda number, actor, at: words.AddSigner(number, person, where, actor, at, comment),
        person,
        where,
    )


def transfer(delegated: bool) -> Act:
    async def act(spec: ActSpec, call: Call, command: CommandCall) -> Done:
        person, comment = str(call.arguments["person"]), spoken(call.arguments.get("comment"), "comment")
        return await _on_task(
            spec,
            call,
            command,
            lambda number, actor, at: words.Transfer(number, person, actor, at, delegated, comment),
            person,
            delegated,
        )

    return act


async def send_back(spec: ActSpec, call: Call, command: CommandCall) -> Done:
    args = call.arguments
    to, straight, comment = args["to"], bool(args.get("straight")), spoken(args.get("comment"), "comment")
    return await _on_task(
        spec,
        call,
        command,
        lambda number, actor, at: words.SendBack(number, to, straight, actor, at, comment),
        to,
        straight,
        comment,
    )


async def withdraw(spec: ActSpec, call: Call, command: CommandCall) -> Done:
    comment = spoken(call.arguments.get("comment"), "comment")

    def make(state: State, actor: Actor, at: str) -> Command:
        mine = [each.token for each in state.done if actor.person in each.actors and each.token in state.tokens]
        return words.Withdraw(mine[-1] if mine else 0, actor, at, comment)

    return await _on_process(spec, call, command, make, "withdraw")


async def copy(spec: ActSpec, call: Call, command: CommandCall) -> Done:
    people = tuple(dict.fromkeys(str(each) for each in call.arguments["people"]))
    await _house(spec, people)
    comment = spoken(call.arguments.get("comment"), "comment")

    def make(state: State, actor: Actor, at: str) -> Command:
        root = next((each.id for each in state.tokens.values() if each.parent is None), 0)
        return words.Copy(root, people, actor, at, comment)

    return await _on_process(spec, call, command, make, "copy", *people)


async def _house(spec: ActSpec, people: Sequence[str]) -> None:
    """A case is shown to people of the house who can come in: not to programs, nor to who acts for somebody outside.
    Raises BadInput, NotToBeShown; an account that is not there is answered alike."""
    if not 0 < len(people) <= MOST_COPIES:
        what = Bilingual(f"一次抄送 1 至 {MOST_COPIES} 人。", f"One request shows it to 1 to {MOST_COPIES} people.")
        raise BadInput(path=["people"], what=what)
    async with spec.processes.database.read() as connection:
        for at, each in enumerate(people):
            account = await accounts.find(connection, UUID(each))
            if account is None or not account.active or account.kind != "person":
                raise NotToBeShown(path=["people", at])


def on_whole(kind: Callable[..., Command]) -> Act:
    async def act(spec: ActSpec, call: Call, command: CommandCall) -> Done:
        reason = [why(call.arguments["reason"], _STOPPING)] if "reason" in call.arguments else []

        def make(state: State, actor: Actor, at: str) -> Command:
            return kind(actor, at, *reason)

        return await _on_process(spec, call, command, make, kind.__name__, *reason, operates=True)

    return act


async def retry(spec: ActSpec, call: Call, command: CommandCall) -> Done:
    incident, reason = call.arguments["incident"], why(call.arguments["reason"], _RETRYING)
    return await _on_process(
        spec,
        call,
        command,
        lambda state, actor, at: words.RetryIncident(incident, actor, at, reason),
        "retry",
        incident,
        reason,
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
    return found is not None and await shown(spec.processes, call.caller, connection, found)


def _command(call: Call) -> CommandCall:
    args = call.arguments
    return CommandCall(call.caller.context, call.caller.decision, args.get("reason"), args.get("idempotencyKey"))
