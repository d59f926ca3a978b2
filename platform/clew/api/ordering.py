"""Feature: ordering. `orderBy: [{expOn: ASC}, {supplier: {name: DESC}}]`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graphql import GraphQLEnumType, GraphQLInputField, GraphQLInputObjectType

from clew.api.build import Build, Factory, entity_type, spec_of
from clew.api.planner import Planner
from clew.api.trees import STRUCTURAL, Choice, Tree
from clew.metadata.blueprint import Entity, FieldKind
from clew.records.query.ordering import order_field
from clew.records.query.plan import Order

MAX_TERMS = 8


class Ordering:
    """One `…Order` per entity: its own scalars and those of the records it refers to."""

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        yield "SortDirection", _direction
        for entity in build.entities():
            yield entity_type(entity.name, "Order"), _order_type(build, entity)


def _direction() -> GraphQLEnumType:
    return GraphQLEnumType("SortDirection", {"ASC": "ASC", "DESC": "DESC"}, extensions={STRUCTURAL: True})


def _order_type(build: Build, entity: Entity) -> Any:
    def fields() -> dict[str, GraphQLInputField]:
        found: dict[str, GraphQLInputField] = {}
        for api, member in build.members(entity):
            known = entity.fields.get(member)
            if known is None:
                continue
            if known.kind is FieldKind.REF:
                found[api] = build.input(build.type(entity_type(known.target, "Order")), member)
            elif order_field(entity, member):
                found[api] = build.input(build.type("SortDirection"), member, build.text(known.label))
        return found

    return lambda: GraphQLInputObjectType(entity_type(entity.name, "Order"), fields)


def orders(planner: Planner, entity: str, tree: Tree, where: str) -> tuple[Order, ...]:
    """The ordering terms of an `orderBy` argument."""
    if tree is None:
        return ()
    found: list[Order] = []
    type_ = planner.build.type(entity_type(entity, "Order"))
    for at, each in enumerate(tree if isinstance(tree, list) else [tree]):
        if not isinstance(each, Mapping) or len(each) != 1:
            raise planner.refuse(f"{where}.{at}", "must name exactly one field")
        found.append(_order(planner, type_, entity, each, (), f"{where}.{at}"))
    if len(found) > MAX_TERMS:
        raise planner.refuse(where, f"must have at most {MAX_TERMS} terms")
    return tuple(found)


def _order(
    planner: Planner, type_: Any, entity: str, tree: Mapping[str, Tree], path: tuple[str, ...], where: str
) -> Order:
    ((key, value),) = tree.items()
    known = type_.fields[key]
    member = spec_of(known)
    where = f"{where}.{key}"
    if isinstance(value, Choice):
        field = planner.build.blueprint.entities[entity].fields[member]
        part = planner.build.locale if field.kind is FieldKind.TRANSLATED else ""
        return Order((*path, member), value.value == "DESC", part)
    if not isinstance(value, Mapping) or len(value) != 1 or len(path) > 6:
        raise planner.refuse(where, "must name exactly one field")
    target = planner.build.blueprint.entities[entity].fields[member].target
    return _order(planner, known.type, target, value, (*path, member), where)
