"""Feature: processes. Mutations for every process and step, my tasks, instances with their timeline, notices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graphql import GraphQLArgument, GraphQLField, GraphQLList

from clew.api import process_commands as commands
from clew.api import process_queries as queries
from clew.api import scalars
from clew.api.blocked import WhyBlocked
from clew.api.blocked_doers import Doers
from clew.api.build import Build, Factory, required
from clew.api.process_answers import many, object_of
from clew.api.process_shapes import shaped
from clew.api.process_steps import start_name, step_arguments, step_name, step_types, steps_told, told, worked
from clew.api.process_tasks import TasksSpec, my_tasks, page_arguments, task_order
from clew.api.process_types import members_of_types
from clew.api.process_waiting import WorkSpec, next_actors
from clew.identity.assignments import Assignments
from clew.process import words
from clew.process.engine import Processes
from clew.records.feed import Feed
from clew.records.review.desk import ReviewDesk
from clew.records.signing.proven import Prover

TYPES = (
    "ProcessTask", "ProcessIncident", "ProcessTimelineEntry", "ProcessInstance", "ProcessCommandPayload",
    "ProcessNotice", "ProcessActor", "MyWork", "ProcessFile", "ProcessRecord", "BlockedTransition", "Blocker",
    "BlockingRecord", "UnblockingAction", "MyTasksConnection", "MyTasksEdge", "TaskOrder",
)  # fmt: skip
QUERIES = (
    "myTasks", "myTasksConnection", "processInstance", "processesOf", "myProcesses", "overseenProcesses", "notices",
    "nextActors", "whyBlocked",
)  # fmt: skip


class ProcessFeature:
    """Adds to `Query` and `Mutation` where the project has workflows."""

    def __init__(
        self,
        processes: Processes,
        prover: Prover | None = None,
        feed: Feed | None = None,
        assignments: Assignments | None = None,
    ) -> None:
        """Without a feed a subscription to one's work looks now and then; without assignments `whyBlocked` names
        everybody who holds a role."""
        self._processes, self._prover, self._feed = processes, prover, feed
        doers, engine = Doers(processes.blueprint), processes.commands.engine
        desk = None
        if doers.judgement is not None and assignments is not None:
            desk = ReviewDesk(processes.database, engine, doers.judgement, assignments)
        self._why = WhyBlocked(doers, desk)

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
        yield "TaskOrder", task_order
        for name, members in members_of_types(build).items():
            yield name, object_of(build, name, members)
        yield from step_types(build)
        build.extend("Query", lambda: self._queries(build))
        build.extend("Mutation", lambda: self._mutations(build))
        build.extend("Mutation", lambda: self._steps(build))
        build.extend("Subscription", lambda: self._live(build))

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _queries(self, build: Build) -> dict[str, GraphQLField]:
        first = {"first": GraphQLArgument(scalars.INT.type, default_value=50)}
        flag = GraphQLArgument(scalars.BOOLEAN.type)
        which = {"claimed": flag, "overdue": flag, "copied": flag}
        identity = {"id": GraphQLArgument(required(scalars.ID.type))}
        tasks, instances = many(build, "ProcessTask"), many(build, "ProcessInstance")

        def field(
            type_: Any, find: queries.Find, args: Mapping[str, GraphQLArgument], zh: str, en: str
        ) -> GraphQLField:
            return build.field(type_, queries.QuerySpec(self._processes, find), build.say(zh, en), args)

        return {
            "myTasks": field(
                tasks,
                my_tasks,
                {**first, **which},
                "我的待办,最急的在前",
                "My tasks, most urgent first",
            ),
            "myTasksConnection": build.field(
                required(build.type("MyTasksConnection")),
                TasksSpec(self._processes),
                build.say("我的待办,分页", "My tasks, page by page"),
                {**page_arguments(build), **which},
            ),
            "processInstance": field(
                build.type("ProcessInstance"), queries.instance, identity, "一个流程实例", "One instance"
            ),
            "processesOf": field(
                instances,
                queries.of_record,
                {"record": GraphQLArgument(required(scalars.ID.type)), **first},
                "某条记录的流程,最新的在前",
                "The processes of a record, the newest first",
            ),
            "myProcesses": field(instances, queries.started, first, "我发起的流程", "Processes I started"),
            "overseenProcesses": field(
                instances,
                queries.overseen,
                {"workflow": GraphQLArgument(required(scalars.TEXT.type)), **first},
                "我可督办的流程实例,最新的在前",
                "Instances of a process that I oversee, the newest first",
            ),
            "nextActors": field(
                many(build, "ProcessActor"),
                next_actors,
                {"record": GraphQLArgument(required(scalars.ID.type))},
                "该记录及引用它的记录在等谁办理",
                "Whom a record waits for, and the records that refer to it",
            ),
            "whyBlocked": field(
                many(build, "BlockedTransition"),
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
                many(build, "ProcessNotice"),
                queries.notices,
                {**first, "unread": flag},
                "给我的通知",
                "What I was told",
            ),
        }

    def _live(self, build: Build) -> dict[str, GraphQLField]:
        spec = WorkSpec(self._processes, my_tasks, queries.notices, shaped, self._feed)
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

        def field(act: commands.Act, args: Mapping[str, GraphQLArgument], zh: str, en: str) -> GraphQLField:
            spec = commands.ActSpec(self._processes, self._prover, act)
            return build.field(build.type("ProcessCommandPayload"), spec, build.say(zh, en), {**args, **key})

        return {
            "startProcess": field(commands.start, start, "发起流程", "Start a process about a record"),
            "claimTask": field(commands.on_task_of(words.Claim), task, "认领", "Take a task of a group"),
            "releaseTask": field(
                commands.on_task_of(words.Unclaim), task, "退回组任务", "Give a task back to its group"
            ),
            "decideTask": field(commands.decide, decision, "办理任务", "Complete a task or cast a vote"),
            "addSigner": field(commands.add_signer, {**task, **person, "after": flag}, "加签", "Ask one person more"),
            "transferTask": field(commands.transfer(False), {**task, **person}, "转办", "Give a task to another"),
            "delegateTask": field(commands.transfer(True), {**task, **person}, "委托", "Have another act for me"),
            "sendBackTask": field(commands.send_back, {**task, **to}, "退回前面步骤", "Ask an earlier step again"),
            "urgeTask": field(commands.on_task_of(words.Urge), task, "催办", "Remind whoever has the task"),
            "withdrawStep": field(
                commands.withdraw, {**process, "comment": task["comment"]}, "撤回", "Take my last step back"
            ),
            "copyProcess": field(
                commands.copy, {**process, **people, "comment": task["comment"]}, "抄送", "Show it to people"
            ),
            "cancelProcess": field(
                commands.on_whole(words.Cancel), {**process, **reason}, "取消流程", "Cancel an instance"
            ),
            "suspendProcess": field(
                commands.on_whole(words.Suspend), {**process, **reason}, "暂停流程", "Stop its clocks"
            ),
            "resumeProcess": field(commands.on_whole(words.Resume), process, "恢复流程", "Let its clocks go on"),
            "retryIncident": field(
                commands.retry,
                {**process, "incident": GraphQLArgument(required(scalars.INT.type)), **reason},
                "重试异常",
                "Try again what an incident stopped",
            ),
            "readNotice": build.field(
                required(scalars.BOOLEAN.type),
                commands.ReadSpec(self._processes),
                build.say("标记已读", "Mark as read"),
                {"id": GraphQLArgument(identity)},
            ),
        }

    def _steps(self, build: Build) -> dict[str, GraphQLField]:
        """One mutation for starting each process and one for each of its tasks, with the step's own outcomes and
        fields. An instance of an earlier definition is served by `decideTask`."""
        identity, text = required(scalars.ID.type), scalars.TEXT.type
        found: dict[str, GraphQLField] = {}
        for workflow in worked(build):
            start = {"record": GraphQLArgument(identity), "idempotencyKey": GraphQLArgument(text)}
            spec = commands.ActSpec(self._processes, self._prover, commands.start_of(workflow.name))
            found[start_name(workflow)] = build.field(
                build.type("ProcessCommandPayload"), spec, build.text(workflow.label), start
            )
            for flow, step in steps_told(build, workflow):
                arguments = step_arguments(build, workflow, flow, step)
                spec = commands.ActSpec(self._processes, self._prover, commands.step_act(workflow, step))
                found[step_name(workflow, step)] = build.field(
                    build.type("ProcessCommandPayload"), spec, build.text(step.help, step.label), arguments
                )
        return found
