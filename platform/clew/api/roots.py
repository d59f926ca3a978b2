"""Feature: the query roots: one record by id or key, lists, `node`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLArgument, GraphQLField, GraphQLObjectType

from clew.api import scalars
from clew.api.build import Build, Factory, entity_type, required
from clew.api.connections import list_arguments, listing
from clew.api.leaves import scalar_type
from clew.api.planner import Planner, Selected
from clew.api.records import branches
from clew.metadata import naming
from clew.metadata.blueprint import Entity, Field, FieldKind
from clew.records.query import plan as p


@dataclass(frozen=True, slots=True)
class RecordSpec:
    """One record by the fields given as arguments."""

    entity: str
    by: tuple[tuple[str, str], ...]
    """(argument, field)."""

    def item(self, planner: Planner, selected: Selected) -> p.Root:
        by = tuple((field, planner.given(selected, argument)) for argument, field in self.by)
        return p.RecordRoot(selected.key, self.entity, by, planner.items(selected), planner.given(selected, "asOf"))


@dataclass(frozen=True, slots=True)
class ListSpec:
    """A list of an entity's records."""

    entity: str

    def item(self, planner: Planner, selected: Selected) -> p.Root:
        return p.ListRoot(selected.key, listing(planner, selected, self.entity), planner.given(selected, "asOf"))


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """The record with an id, whatever its entity."""

    entities: tuple[str, ...]

    def item(self, planner: Planner, selected: Selected) -> p.Root:
        found = branches(planner, selected, self.entities)
        return p.NodeRoot(selected.key, planner.given(selected, "id"), found, planner.given(selected, "asOf"))


class Roots:
    """The type `Query`."""

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        yield "Query", lambda: GraphQLObjectType("Query", lambda: {**_fields(build), **build.further("Query")})


def _fields(build: Build) -> dict[str, GraphQLField]:
    identity, moment = GraphQLArgument(required(scalars.ID.type)), GraphQLArgument(scalars.DATE_TIME.type)
    found: dict[str, GraphQLField] = {}
    names: list[str] = []
    for entity in build.entities():
        names.append(entity.name)
        type_ = build.type(entity_type(entity.name))
        description = build.text(entity.help, entity.label)
        found[naming.one_query(entity.name)] = build.field(
            type_, RecordSpec(entity.name, (("id", "id"),)), description, {"id": identity, "asOf": moment}
        )
        by = _key(build, entity)
        if by is not None:
            arguments = {naming.field_name(name): argument for name, argument in by.items()}
            spec = RecordSpec(entity.name, tuple((naming.field_name(name), name) for name in by))
            arguments["asOf"] = moment
            found[naming.key_query(entity.name, entity.key)] = build.field(type_, spec, description, arguments)
        connection = required(build.type(entity_type(entity.name, "Connection")))
        found[naming.list_query(entity.plural)] = build.field(
            connection, ListSpec(entity.name), description, list_arguments(build, entity, root=True)
        )
    found["node"] = build.field(build.type("Node"), NodeSpec(tuple(names)), None, {"id": identity, "asOf": moment})
    return found


def _key(build: Build, entity: Entity) -> dict[str, GraphQLArgument] | None:
    """The arguments of the lookup by key; None when the caller does not see all of the key."""
    if not entity.key or not all(name in entity.fields and build.sees(entity, name) for name in entity.key):
        return None
    types = {name: _key_type(build, entity, entity.fields[name]) for name in entity.key}
    return None if None in types.values() else {name: GraphQLArgument(required(each)) for name, each in types.items()}


def _key_type(build: Build, entity: Entity, field: Field) -> Any:
    if field.kind is FieldKind.REF:
        return scalars.ID.type
    if field.kind in (FieldKind.ANY, FieldKind.MANY, FieldKind.LINES, FieldKind.TRANSLATED, FieldKind.FILES):
        return None
    return scalar_type(build, entity, field)
