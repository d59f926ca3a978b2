"""Feature: accounts, roles given, tokens and sessions, for whoever administers them; and what everybody may do for
themselves: stand-ins, emergencies.

Nothing here touches business data. A role is asked for by one person and granted by another.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graphql import GraphQLArgument, GraphQLField, GraphQLList, GraphQLObjectType

from clew.api import administration_acts as acts
from clew.api import administration_pairs as pairs
from clew.api.build import Build, Factory, required
from clew.api.operations import Call
from clew.api.planner import Planner, Selected
from clew.identity import sessions
from clew.identity.desk import Desk
from clew.kernel.context import Context
from clew.kernel.scalars import to_wire
from clew.storage.engine import Connection

TYPES = {**acts.TYPES, **pairs.TYPES}
QUERIES = {**acts.QUERIES, **acts.OWN_QUERIES, **pairs.QUERIES}
MUTATIONS = {**acts.ADMINISTERED, **acts.OWN, **pairs.ACTS}
IN_PERSON = frozenset(
    {
        "createUserToken", "collectUserToken", "delegateUserRole", "breakGlass", "createUserAccount",
        "resetUserPassword", "approveUserRole", "approveUserToken", "confirmUserIdentity", "reviewUserEmergency",
    }
)  # fmt: skip
"""What gives access on, shows a secret, or is the word of one person of two: no token does it, whose holder may be
anybody, whatever roles it carries."""


class Administration:
    """What there is of it depends on what the caller administers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        for name, members in TYPES.items():
            build.names.types.claim(name, "administration")
            yield name, _object(build, name, members)
        for name in QUERIES:
            build.names.queries.claim(name, "administration")
        for name in MUTATIONS:
            build.names.mutations.claim(name, "administration")
        build.extend("Query", lambda: self._queries(build))
        build.extend("Mutation", lambda: self._mutations(build))

    def _queries(self, build: Build) -> dict[str, GraphQLField]:
        found = {}
        for name, query in QUERIES.items():
            if not query.administers or query.administers & build.decision.administers:
                type_ = required(GraphQLList(required(build.type(query.type))))
                args = {key: GraphQLArgument(each) for key, each in query.args.items()}
                found[name] = build.field(type_, AskSpec(self._desk, query.find), build.text(query.says), args)
        return found

    def _mutations(self, build: Build) -> dict[str, GraphQLField]:
        found = {}
        for name, act in MUTATIONS.items():
            if not act.administers or act.administers & build.decision.administers:
                args = {key: GraphQLArgument(each) for key, each in act.args.items()}
                spec = ActSpec(self._desk, act.do, name in IN_PERSON)
                found[name] = build.field(build.type(act.type), spec, build.text(act.says), args)
        return found


@dataclass(frozen=True, slots=True)
class AskSpec:
    desk: Desk
    find: Callable[[Desk, Connection, datetime, Call], Awaitable[list[Any]]]

    async def answer(self, call: Call, connection: Connection) -> str:
        found = await self.find(self.desk, connection, self.desk.clock.now(), call)
        return json.dumps([shaped(call.planner, call.selected, each) for each in found], ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class ActSpec:
    desk: Desk
    do: Callable[[Desk, Call, Mapping[str, Any], Context], Awaitable[Any]]
    in_person: bool = False

    async def run(self, call: Call) -> str:
        if self.in_person:
            async with self.desk.database.read() as connection:
                await sessions.require_person(connection, call.caller.context, self.desk.clock.now())
        done = await self.do(self.desk, call, call.arguments, call.caller.context)
        return json.dumps(shaped(call.planner, call.selected, done), ensure_ascii=False)


def shaped(planner: Planner, selected: Selected, value: Any) -> Any:
    """What was selected of a value, in wire form."""
    children = planner.children(selected)
    found: dict[str, Any] = {}
    for each in children:
        if each.name == "__typename":
            found[each.key] = selected.type.name
            continue
        inner = value[each.name]
        if isinstance(inner, list | tuple) and inner and isinstance(inner[0], Mapping):
            found[each.key] = [shaped(planner, each, item) for item in inner]
        elif isinstance(inner, list | tuple):
            found[each.key] = [to_wire(item) for item in inner]
        else:
            found[each.key] = to_wire(inner)
    return found


def _object(build: Build, name: str, members: Mapping[str, Any]) -> Factory:
    def fields() -> dict[str, GraphQLField]:
        return {
            key: build.field(required(GraphQLList(required(build.type(each)))) if isinstance(each, str) else each, None)
            for key, each in members.items()
        }

    return lambda: GraphQLObjectType(name, fields)
