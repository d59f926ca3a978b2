"""Feature: comments on instances, by whoever may see them; `@login` tells somebody who may see it too."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from graphql import GraphQLArgument, GraphQLField, GraphQLList, GraphQLObjectType

from clew.access.decision import Decision
from clew.api import scalars
from clew.api.build import Build, Factory, required
from clew.api.exchange import Caller
from clew.api.operations import Call
from clew.api.process_shapes import lists_of, shape
from clew.api.process_sight import as_seen, takes_part_or_sees
from clew.api.process_steps import told
from clew.identity import accounts
from clew.identity.errors import NoAccount, SessionEnded
from clew.identity.people import person_of
from clew.kernel.context import Context
from clew.process import reading
from clew.process.comments import Said
from clew.process.engine import WHAT, Processes
from clew.process.errors import NoSuchProcess
from clew.records.commands import Call as CommandCall
from clew.storage.engine import Connection

MUTATION, PAYLOAD = "commentOnProcess", "ProcessCommentPayload"
MOST_MENTIONS = 20
_MENTION = re.compile(r"(?<![\w@.])@([\w][\w.+-]*(?:@[\w][\w.-]*)?)")
Decide = Callable[[Context], Decision]


@dataclass(frozen=True, slots=True)
class ProcessComments:
    """Adds `commentOnProcess` where the project has workflows. `decide` is what anybody may; without it nobody is
    told."""

    processes: Processes
    decide: Decide | None = None

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        if not build.blueprint.workflows:
            return
        build.names.types.claim(PAYLOAD, "workflows")
        build.names.mutations.claim(MUTATION, "workflows")
        if not any(told(build)):
            return
        yield PAYLOAD, lambda: GraphQLObjectType(PAYLOAD, lambda: _payload(build))
        build.extend("Mutation", lambda: {MUTATION: self._field(build)})

    def _field(self, build: Build) -> GraphQLField:
        identity, text = required(scalars.ID.type), scalars.TEXT.type
        arguments = {
            "process": GraphQLArgument(identity),
            "text": GraphQLArgument(required(text)),
            "files": GraphQLArgument(GraphQLList(required(build.type("FileInput")))),
            "idempotencyKey": GraphQLArgument(text),
        }
        say = build.say(
            "评论流程;@账号 会通知能看到该流程的人",
            "Comment on an instance; @login tells somebody who may see it",
        )
        return build.field(build.type(PAYLOAD), CommentSpec(self.processes, self.decide), say, arguments)


@dataclass(frozen=True, slots=True)
class CommentSpec:
    """The mutation."""

    processes: Processes
    decide: Decide | None

    async def run(self, call: Call) -> str:
        args, context = call.arguments, call.caller.context
        process, text = args["process"], args["text"]
        async with self.processes.database.read() as connection:
            found = await reading.instance(connection, process)
            if found is None or not await takes_part_or_sees(self.processes, call.caller, connection, found):
                raise NoSuchProcess(what=WHAT)
            logins = list(dict.fromkeys(each.rstrip(".-+") for each in _MENTION.findall(text)))[:MOST_MENTIONS]
            mentioned = [(login, await self._reached(call, connection, found, login)) for login in logins]
        files = tuple({"name": each["name"], "sha256": each["sha256"]} for each in args.get("files") or ())
        reached = tuple((account, login) for login, account in mentioned if account is not None)
        command = CommandCall(context, call.caller.decision, idempotency_key=args.get("idempotencyKey"))
        done = await self.processes.comment(command, process, Said(text, files, reached))
        async with self.processes.database.read() as connection:
            lists = lists_of(call)
            made = await reading.instance(connection, done.process, lists)
            assert made is not None
            seen = await as_seen(self.processes, call.caller, connection, made, lists)
        answer = {
            "process": seen,
            "replayed": done.replayed,
            "told": [login for _, login in reached],
            "notTold": [login for login, account in mentioned if account is None],
        }
        return json.dumps(shape(call.planner, call.selected, answer, call), ensure_ascii=False, separators=(",", ":"))

    async def _reached(self, call: Call, connection: Connection, found: Mapping[str, Any], login: str) -> UUID | None:
        """The account that is told. An unknown login and somebody who may not see the case are answered alike."""
        if self.decide is None:
            return None
        try:
            account = await accounts.by_login(connection, login)
            person = await person_of(connection, account.id, await connection.now())
        except (NoAccount, SessionEnded):
            return None
        context = Context(person, call.caller.context.request_id, channel=call.caller.context.channel)
        theirs = Caller(context, self.decide(context))
        return account.id if await takes_part_or_sees(self.processes, theirs, connection, found) else None


def _payload(build: Build) -> dict[str, GraphQLField]:
    logins = required(GraphQLList(required(scalars.TEXT.type)))
    return {
        "process": build.field(required(build.type("ProcessInstance")), None),
        "replayed": build.field(required(scalars.BOOLEAN.type), None),
        "told": build.field(logins, None, build.say("已通知的账号", "Who was told")),
        "notTold": build.field(
            logins, None, build.say("未通知:无此账号,或其无权查看", "Not told: no such account, or they may not see it")
        ),
    }
