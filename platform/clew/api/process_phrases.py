"""Feature: somebody's own words for comments: `myPhrases`, `keepPhrase`, `dropPhrase`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLArgument, GraphQLField

from clew.api import scalars
from clew.api.build import Build, Factory, required
from clew.api.operations import Call
from clew.api.process_answers import JSON, many, object_of
from clew.api.process_shapes import shape
from clew.api.process_steps import told
from clew.process import phrases
from clew.storage.engine import Connection, Database

TYPE = "PersonalPhrase"
QUERY, MUTATIONS = "myPhrases", ("keepPhrase", "dropPhrase")


@dataclass(frozen=True, slots=True)
class Phrases:
    """Adds to `Query` and `Mutation` where the project has workflows."""

    database: Database

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        if not build.blueprint.workflows:
            return
        build.names.types.claim(TYPE, "workflows")
        build.names.queries.claim(QUERY, "workflows")
        for name in MUTATIONS:
            build.names.mutations.claim(name, "workflows")
        if not any(told(build)):
            return
        yield TYPE, object_of(build, TYPE, {"id": required(scalars.ID.type), "text": required(scalars.TEXT.type)})
        build.extend("Query", lambda: {QUERY: self._query(build)})
        build.extend("Mutation", lambda: self._mutations(build))

    def _query(self, build: Build) -> GraphQLField:
        say = build.say("我的意见常用语", "My own words for comments")
        return build.field(many(build, TYPE), MineSpec(), say)

    def _mutations(self, build: Build) -> dict[str, GraphQLField]:
        text, identity = GraphQLArgument(required(scalars.TEXT.type)), GraphQLArgument(required(scalars.ID.type))
        keep, drop = build.say("保存常用语", "Keep words"), build.say("删除常用语", "Keep them no more")
        return {
            "keepPhrase": build.field(
                required(build.type(TYPE)), WriteSpec(self.database, _keep), keep, {"text": text}
            ),
            "dropPhrase": build.field(
                required(scalars.BOOLEAN.type), WriteSpec(self.database, _drop), drop, {"id": identity}
            ),
        }


@dataclass(frozen=True, slots=True)
class MineSpec:
    async def answer(self, call: Call, connection: Connection) -> str:
        found = await phrases.mine(connection, call.caller.context.person.id)
        return json.dumps(shape(call.planner, call.selected, found, call), **JSON)


@dataclass(frozen=True, slots=True)
class WriteSpec:
    database: Database
    act: Callable[[Call, Connection], Awaitable[Any]]

    async def run(self, call: Call) -> str:
        found = await self.database.run_write(lambda connection: self.act(call, connection))
        return json.dumps(shape(call.planner, call.selected, found, call), **JSON)


async def _keep(call: Call, connection: Connection) -> Any:
    return await phrases.keep(connection, call.caller.context.person.id, call.arguments["text"])


async def _drop(call: Call, connection: Connection) -> Any:
    return await phrases.drop(connection, call.caller.context.person.id, call.arguments["id"])
