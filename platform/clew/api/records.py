"""Feature: one object type per entity: values, relations both ways, history and audit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLObjectType,
    GraphQLUnionType,
)

from clew.api import scalars
from clew.api.build import Build, Factory, entity_type, required
from clew.api.connections import ManySpec, list_arguments
from clew.api.leaves import leaf_field
from clew.api.planner import Planner, Selected
from clew.api.signatures import record_fields
from clew.metadata import naming
from clew.metadata.blueprint import Entity, FieldKind
from clew.records.query import plan as p


@dataclass(frozen=True, slots=True)
class OneSpec:
    """A to-one relation."""

    relation: str

    @property
    def member(self) -> str:
        return self.relation

    def item(self, planner: Planner, selected: Selected) -> p.Item:
        return p.One(selected.key, self.relation, planner.items(selected))


@dataclass(frozen=True, slots=True)
class OneOfSpec:
    """A reference to a record of one of several entities: a union."""

    relation: str
    entities: tuple[str, ...]

    @property
    def member(self) -> str:
        return self.relation

    def item(self, planner: Planner, selected: Selected) -> p.Item:
        return p.OneOf(selected.key, self.relation, branches(planner, selected, self.entities))


def branches(planner: Planner, selected: Selected, entities: Iterable[str]) -> tuple[p.Branch, ...]:
    """What is selected on each concrete type of a union or interface."""
    return tuple(p.Branch(name, planner.items(selected, planner.build.type(entity_type(name)))) for name in entities)


@dataclass(frozen=True, slots=True)
class VersionsSpec:
    """The versions of the record."""

    def item(self, planner: Planner, selected: Selected) -> p.Item:
        items = tuple(_version_item(planner, each, selected) for each in planner.children(selected))
        return p.Versions(selected.key, items, _some(planner, selected))


@dataclass(frozen=True, slots=True)
class TrailSpec:
    """The audit leaves of the record."""

    def item(self, planner: Planner, selected: Selected) -> p.Item:
        items = tuple(_version_item(planner, each, selected) for each in planner.children(selected))
        return p.Trail(selected.key, items, _some(planner, selected))


_MEMBERS = {"txFrom": "tx_from", "txTo": "tx_to", "rowVersion": "row_version"}


def _some(planner: Planner, selected: Selected) -> p.Value:
    return planner.size(selected) or p.Const(planner.paging.default)


def _version_item(planner: Planner, selected: Selected, parent: Selected) -> p.VersionItem:
    if selected.name == "__typename":
        return p.VersionItem(selected.key, "text", text=parent.type.name)
    if selected.name == "record":
        return p.VersionItem(selected.key, "record", items=planner.items(selected))
    if selected.name == "changes":
        members = tuple(_version_item(planner, each, selected) for each in planner.children(selected))
        return p.VersionItem(selected.key, "changes", members=members)
    return p.VersionItem(selected.key, _MEMBERS.get(selected.name, selected.name))


class Records:
    """`Lot`, `LotVersion`, unions of polymorphic references, `Node`, `AuditEntry`."""

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        yield "Node", lambda: GraphQLInterfaceType("Node", {"id": GraphQLField(required(scalars.ID.type))})
        yield "AuditEntry", _audit_entry(build)
        yield "AuditChange", _audit_change(build)
        for entity in build.entities():
            yield entity_type(entity.name), _object(build, entity)
            if build.access(entity.name).audit.allowed:
                yield entity_type(entity.name, "Version"), _version(build, entity)
            for field in entity.fields.values():
                if field.kind is FieldKind.ANY and build.sees(entity, field.name):
                    yield _union_name(entity, field.name), _union(build, entity, field.name)


def _object(build: Build, entity: Entity) -> Any:
    def fields() -> dict[str, GraphQLField]:
        found = {api: member_field(build, entity, name) for api, name in build.members(entity)}
        found.update(record_fields(build, entity))
        if build.access(entity.name).audit.allowed:
            first = {"first": GraphQLArgument(GraphQLInt)}
            version, entry = build.type(entity_type(entity.name, "Version")), build.type("AuditEntry")
            found["history"] = build.field(
                required(GraphQLList(required(version))),
                VersionsSpec(),
                build.say("所有历史版本,最新在前", "Every version, newest first"),
                first,
            )
            found["audit"] = build.field(
                required(GraphQLList(required(entry))),
                TrailSpec(),
                build.say("审计条目,最新在前", "The audit trail, newest first"),
                first,
            )
        return found

    name = entity_type(entity.name)
    return lambda: GraphQLObjectType(
        name, fields, interfaces=[build.type("Node")], description=build.text(entity.help, entity.label)
    )


def member_field(build: Build, entity: Entity, name: str) -> GraphQLField:
    """The output field of a field or way back."""
    known = entity.fields.get(name)
    if known is None or known.kind in (FieldKind.REF, FieldKind.MANY, FieldKind.LINES, FieldKind.ANY):
        return relation_field(build, entity, name)
    return leaf_field(build, entity, known)


def relation_field(build: Build, entity: Entity, name: str) -> GraphQLField:
    """The output field of a relation."""
    known = entity.fields.get(name)
    if known is None:
        inverse = entity.inverses[name]
        description = build.text(inverse.label)
        if inverse.single:
            return build.field(build.type(entity_type(inverse.source)), OneSpec(name), description)
        return _many(build, name, inverse.source, description)
    description = build.text(known.help, known.label)
    if known.kind is FieldKind.REF:
        return build.field(build.type(entity_type(known.target)), OneSpec(name), description)
    if known.kind is FieldKind.ANY:
        return build.field(build.type(_union_name(entity, name)), OneOfSpec(name, build.targets(known)), description)
    return _many(build, name, known.target, description)


def _many(build: Build, relation: str, target: str, description: str | None) -> GraphQLField:
    arguments = list_arguments(build, build.blueprint.entities[target], root=False)
    type_ = build.type(entity_type(target, "Connection"))
    return build.field(required(type_), ManySpec(relation, target), description, arguments)


def _union_name(entity: Entity, field: str) -> str:
    return entity_type(entity.name, naming.type_name(field) + "Target")


def _union(build: Build, entity: Entity, field: str) -> Any:
    def make() -> GraphQLUnionType:
        names = build.targets(entity.fields[field])
        return GraphQLUnionType(_union_name(entity, field), lambda: [build.type(entity_type(name)) for name in names])

    return make


def _version(build: Build, entity: Entity) -> Any:
    def fields() -> dict[str, GraphQLField]:
        instant, text = scalars.DATE_TIME.type, scalars.TEXT.type
        return {
            "txFrom": build.field(required(instant), None),
            "txTo": build.field(instant, None),
            "rowVersion": build.field(required(scalars.INT.type), None),
            "by": build.field(scalars.ID.type, None),
            "action": build.field(text, None),
            "reason": build.field(text, None),
            "record": build.field(build.type(entity_type(entity.name)), None),
        }

    return lambda: GraphQLObjectType(entity_type(entity.name, "Version"), fields)


def _audit_entry(build: Build) -> Any:
    def fields() -> dict[str, GraphQLField]:
        text, identity = scalars.TEXT.type, scalars.ID.type
        return {
            "id": build.field(required(identity), None),
            "at": build.field(required(scalars.DATE_TIME.type), None),
            "rowVersion": build.field(required(scalars.INT.type), None),
            "by": build.field(identity, None),
            "action": build.field(required(text), None),
            "reason": build.field(text, None),
            "channel": build.field(text, None),
            "release": build.field(text, None),
            "digest": build.field(required(text), None),
            "changes": build.field(required(GraphQLList(required(build.type("AuditChange")))), None),
        }

    return lambda: GraphQLObjectType("AuditEntry", fields)


def _audit_change(build: Build) -> Any:
    json = scalars.JSON.type
    fields = {
        "field": build.field(required(scalars.TEXT.type), None),
        "old": build.field(json, None),
        "new": build.field(json, None),
    }
    return lambda: GraphQLObjectType("AuditChange", fields)
