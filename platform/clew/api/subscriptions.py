"""Feature: `lotChanged(id, where)` and the like: what happened, and the record as its subscriber may see it now.

An event carries no values. Each subscriber reads the record again through the same read path, under its own decision,
so a subscription can never show more than a query would.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from graphql import GraphQLArgument, GraphQLField, GraphQLInt, GraphQLObjectType, GraphQLString

from clew.api import scalars
from clew.api.build import Build, Factory, entity_type, required
from clew.api.filters import where_predicate
from clew.api.operations import READ_ID, Call
from clew.kernel.scalars import instant_text
from clew.metadata import naming
from clew.metadata.blueprint import Entity
from clew.records.feed import Feed
from clew.records.outbox import Event
from clew.records.query import plan as p
from clew.storage.engine import Database

RECORD = "record"


class Subscriptions:
    """The type `Subscription`, and `…Change` per entity."""

    def __init__(self, feed: Feed, database: Database) -> None:
        self._feed = feed
        self._database = database

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        if not any(not entity.part_of for entity in build.entities()):
            return
        yield (
            "Subscription",
            lambda: GraphQLObjectType("Subscription", lambda: {**self._fields(build), **build.further("Subscription")}),
        )
        for entity in build.entities():
            if not entity.part_of:
                yield entity_type(entity.name, "Change"), _change(build, entity)

    def _fields(self, build: Build) -> dict[str, GraphQLField]:
        found: dict[str, GraphQLField] = {}
        for entity in build.entities():
            if entity.part_of:
                continue
            args = {
                "id": GraphQLArgument(scalars.ID.type),
                "where": GraphQLArgument(build.type(entity_type(entity.name, "Where"))),
            }
            spec = ChangedSpec(entity.name, self._feed, self._database)
            label = build.text(entity.label) or entity.name
            found[naming.one_query(entity.name) + "Changed"] = build.field(
                required(build.type(entity_type(entity.name, "Change"))),
                spec,
                build.say(f"{label}发生变化", f"{label} changed"),
                args,
            )
        return found


def _change(build: Build, entity: Entity) -> Factory:
    def fields() -> dict[str, GraphQLField]:
        say = build.say
        return {
            "id": build.field(required(scalars.ID.type), None),
            "action": build.field(
                required(GraphQLString),
                None,
                say("create、update、void 或流转名", "create, update, void or a transition"),
            ),
            "rowVersion": build.field(required(GraphQLInt), None),
            "at": build.field(required(scalars.DATE_TIME.type), None),
            RECORD: build.field(
                build.type(entity_type(entity.name)), None, say("该记录现在的样子", "the record as it is now")
            ),
        }

    return lambda: GraphQLObjectType(entity_type(entity.name, "Change"), fields)


@dataclass(frozen=True, slots=True)
class ChangedSpec:
    """One subscription field."""

    entity: str
    feed: Feed
    database: Database

    async def events(self, call: Call) -> AsyncIterator[str]:
        """The payload of each change of a record that the caller may see and that matches `where`."""
        read = call.read(self._plan(call))
        wanted = call.arguments.get("id")
        async with self.feed.listen(self.entity) as listener:
            while True:
                event = await listener.next()
                if wanted is not None and event.record_id != wanted:
                    continue
                async with self.database.read() as connection:
                    text = await read(connection, {READ_ID: event.record_id})
                found = msgspec.json.decode(text, type=dict[str, _Nodes])
                if found["seen"].n:
                    yield _payload(call, event, found)

    def _plan(self, call: Call) -> p.Plan:
        """The record, once for every place that selects it; none when it is hidden or does not match."""
        planner = call.planner
        where: tuple[p.Predicate, ...] = (p.Compare("id", "eq", p.Slot(READ_ID)),)
        tree = planner.given(call.selected, "where")
        if tree is not None:
            condition = planner.build.type(entity_type(self.entity, "Where"))
            where = (*where, where_predicate(planner, condition, tree, "where"))

        def root(key: str, items: tuple[p.Item, ...]) -> p.ListRoot:
            page = p.Page(p.Const(1))
            return p.ListRoot(key, p.Listing(self.entity, (p.Nodes("n", items),), page, p.And(where), voided="include"))

        type_ = planner.build.type(entity_type(self.entity))
        roots = [root("seen", (p.Leaf("id", "id"),))]
        for at, child in enumerate(planner.children(call.selected)):
            if child.name == RECORD:
                roots.append(root(f"r{at}", planner.items(child, type_)))
        return p.Plan(tuple(roots))


class _Nodes(msgspec.Struct):
    n: list[msgspec.Raw]


def _payload(call: Call, event: Event, found: dict[str, _Nodes]) -> str:
    members: dict[str, Any] = {}
    for at, child in enumerate(call.planner.children(call.selected)):
        if child.name == RECORD:
            nodes = found[f"r{at}"].n
            members[child.key] = nodes[0] if nodes else None
        elif child.name == "__typename":
            members[child.key] = entity_type(event.entity, "Change")
        else:
            members[child.key] = _MEMBERS[child.name](event)
    return msgspec.json.encode(members).decode()


_MEMBERS: dict[str, Callable[[Event], Any]] = {
    "id": lambda event: str(event.record_id),
    "action": lambda event: event.type.rpartition(".")[2],
    "rowVersion": lambda event: event.row_version,
    "at": lambda event: instant_text(event.at),
}
