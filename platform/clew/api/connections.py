"""Feature: lists as Relay connections, at the root and behind relations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInt,
    GraphQLList,
    GraphQLObjectType,
    GraphQLString,
)

from clew.api import scalars
from clew.api.aggregates import Measured, group_fields, grouped_by, measure_items
from clew.api.build import Build, Factory, entity_type, required
from clew.api.errors import BadCursor
from clew.api.filters import where_predicate
from clew.api.ordering import orders
from clew.api.planner import Planner, Selected
from clew.api.trees import STRUCTURAL, Choice, CursorAt, Tree
from clew.metadata.blueprint import Entity, FieldKind
from clew.records.query import plan as p
from clew.records.query.listing import order_digest
from clew.records.search import query_grams

_SEARCH_ALTERNATIVES = 3


class Connections:
    """`…Connection` and `…Edge` per entity, `PageInfo`, `Voided`."""

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        yield "Voided", _voided
        yield "PageInfo", _page_info(build)
        for entity in build.entities():
            yield entity_type(entity.name, "Connection"), _connection(build, entity)
            yield entity_type(entity.name, "Edge"), _edge(build, entity)


def _voided() -> GraphQLEnumType:
    values = {"EXCLUDE": "exclude", "INCLUDE": "include", "ONLY": "only"}
    return GraphQLEnumType("Voided", values, extensions={STRUCTURAL: True})


def _page_info(build: Build) -> Any:
    def make() -> GraphQLObjectType:
        flag, cursor = required(GraphQLBoolean), scalars.CURSOR.type
        types = {"hasNextPage": flag, "hasPreviousPage": flag, "startCursor": cursor, "endCursor": cursor}
        return GraphQLObjectType("PageInfo", {name: build.field(type_, None) for name, type_ in types.items()})

    return make


def _connection(build: Build, entity: Entity) -> Any:
    def fields() -> dict[str, GraphQLField]:
        edge = build.type(entity_type(entity.name, "Edge"))
        node = build.type(entity_type(entity.name))
        found = {
            "edges": build.field(required(GraphQLList(required(edge))), None),
            "nodes": build.field(required(GraphQLList(required(node))), None),
            "pageInfo": build.field(required(build.type("PageInfo")), None),
            "totalCount": build.field(required(GraphQLInt), None),
            "aggregate": build.field(required(build.type(entity_type(entity.name, "Aggregate"))), None),
        }
        if group_fields(build, entity):
            group = build.type(entity_type(entity.name, "Group"))
            by = build.type(entity_type(entity.name, "GroupField"))
            found["groups"] = build.field(
                required(GraphQLList(required(group))),
                None,
                None,
                {
                    "by": GraphQLArgument(required(GraphQLList(required(by)))),
                    "first": GraphQLArgument(GraphQLInt),
                },
            )
        return found

    return lambda: GraphQLObjectType(entity_type(entity.name, "Connection"), fields)


def _edge(build: Build, entity: Entity) -> Any:
    def fields() -> dict[str, GraphQLField]:
        return {
            "cursor": build.field(required(scalars.CURSOR.type), None),
            "node": build.field(required(build.type(entity_type(entity.name))), None),
        }

    return lambda: GraphQLObjectType(entity_type(entity.name, "Edge"), fields)


def list_arguments(build: Build, entity: Entity, *, root: bool) -> Mapping[str, GraphQLArgument]:
    """What a list can be asked."""
    size, cursor = GraphQLArgument(GraphQLInt), GraphQLArgument(scalars.CURSOR.type)
    found = {
        "where": GraphQLArgument(build.type(entity_type(entity.name, "Where"))),
        "orderBy": GraphQLArgument(GraphQLList(required(build.type(entity_type(entity.name, "Order"))))),
        "first": size,
        "after": cursor,
        "last": size,
        "before": cursor,
        "voided": GraphQLArgument(build.type("Voided")),
    }
    if any(build.sees(entity, field.name) for field in entity.searchable):
        found["search"] = GraphQLArgument(GraphQLString)
    if root:
        found["asOf"] = GraphQLArgument(scalars.DATE_TIME.type)
    return found


@dataclass(frozen=True, slots=True)
class ManySpec:
    """A to-many relation."""

    relation: str
    entity: str

    def item(self, planner: Planner, selected: Selected) -> p.Item:
        return p.Many(selected.key, self.relation, listing(planner, selected, self.entity))


def listing(planner: Planner, selected: Selected, entity: str) -> p.Listing:
    """The listing a connection field asks for."""
    where = planner.given(selected, "where")
    conditions: list[p.Predicate] = []
    if where is not None:
        type_ = planner.build.type(entity_type(entity, "Where"))
        conditions.append(where_predicate(planner, type_, where, "where"))
    search = planner.given(selected, "search")
    if search is not None:
        conditions.append(_search(planner, search, selected.key))
    order = orders(planner, entity, planner.given(selected, "orderBy"), "orderBy")
    voided = planner.given(selected, "voided")
    return p.Listing(
        entity,
        tuple(_list_item(planner, each, entity) for each in planner.children(selected)),
        _page(planner, selected, entity, order),
        p.And(tuple(conditions)) if conditions else None,
        order,
        voided.value if isinstance(voided, Choice) else "exclude",  # type: ignore[arg-type]
    )


def _list_item(planner: Planner, selected: Selected, entity: str) -> p.ListItem:
    type_ = selected.type
    if selected.name == "__typename":
        return p.Fixed(selected.key, entity_type(entity, "Connection"))
    if selected.name == "nodes":
        return p.Nodes(selected.key, planner.items(selected))
    if selected.name == "totalCount":
        return p.TotalCount(selected.key)
    if selected.name == "pageInfo":
        members = ((each.key, _or_type(each, "PageInfo")) for each in planner.children(selected))
        return p.PageInfo(selected.key, tuple(members))
    if selected.name == "aggregate":
        return p.Aggregate(selected.key, measure_items(planner, selected, type_))
    if selected.name == "groups":
        return _groups(planner, selected, entity)
    items: list[p.EdgeNode | p.EdgeCursor | p.Fixed] = []
    for each in planner.children(selected):
        if each.name == "node":
            items.append(p.EdgeNode(each.key, planner.items(each)))
        elif each.name == "cursor":
            items.append(p.EdgeCursor(each.key))
        else:
            items.append(p.Fixed(each.key, type_.name))
    return p.Edges(selected.key, tuple(items))


def _or_type(selected: Selected, type_name: str) -> str:
    return f"={type_name}" if selected.name == "__typename" else selected.name


def _groups(planner: Planner, selected: Selected, entity: str) -> p.Groups:
    tree = planner.given(selected, "by")
    by = tuple(dict.fromkeys(each.value for each in (tree if isinstance(tree, list) else [tree])))
    items: list[p.GroupKey | p.MeasureItem] = []
    for each in planner.children(selected):
        if each.name == "key":
            _check_group_key(planner, each, by)
            items.append(p.GroupKey(each.key, planner.items(each)))
        elif isinstance(each.spec, Measured):
            items.append(each.spec.measure(planner, each))
        else:
            items.append(p.Fixed(each.key, selected.type.name))
    size = planner.size(selected) or p.Const(planner.paging.default)
    return p.Groups(selected.key, tuple(grouped_by(each) for each in by), tuple(items), size)


def _check_group_key(planner: Planner, selected: Selected, by: tuple[str, ...]) -> None:
    for each in planner.children(selected):
        if each.name != "__typename" and each.spec.member not in by:
            raise planner.refuse(f"groups.key.{each.name}", "must be one of the fields grouped by")


def _page(planner: Planner, selected: Selected, entity: str, order: tuple[p.Order, ...]) -> p.Page:
    first, last = planner.size(selected, "first"), planner.size(selected, "last")
    if first is not None and last is not None:
        raise planner.refuse("last", "cannot be combined with first")
    digest = order_digest(entity, order)
    after = _bound(planner, planner.given(selected, "after"), entity, order, digest)
    before = _bound(planner, planner.given(selected, "before"), entity, order, digest)
    size = first or last or p.Const(planner.paging.default)
    return p.Page(size, after, before, last is not None)


def _bound(planner: Planner, tree: Tree, entity: str, order: tuple[p.Order, ...], digest: str) -> p.Bound | None:
    """A cursor for this order: its values are read as the fields they came from, now or at every request."""
    if not isinstance(tree, CursorAt):
        return None
    if tree.digest != digest or len(tree.values) != len(order) + 1 or tree.nulls[-1]:
        raise BadCursor()
    parsers = [*(_cursor_parser(planner.build, entity, each) for each in order), scalars.ID.parse]
    values: list[p.Value] = []
    for value, missing, parse in zip(tree.values, tree.nulls, parsers, strict=True):
        if isinstance(value, p.Const):
            values.append(value if missing else p.Const(_read(parse, value.value)))
            continue
        values.append(value)
        if not missing:
            planner.late.append(_late_read(value.name, parse))
    return p.Bound(tuple(values), tree.nulls)


def _late_read(slot: str, parse: scalars.Parse) -> Any:
    def read(args: dict[str, Any]) -> None:
        args[slot] = _read(parse, args[slot])

    return read


def _read(parse: scalars.Parse, value: Any) -> Any:
    try:
        return parse(value)
    except (ValueError, TypeError):
        raise BadCursor() from None


def _cursor_parser(build: Build, entity: str, order: p.Order) -> scalars.Parse:
    known = build.blueprint.entities[entity]
    for step in order.path[:-1]:
        known = build.blueprint.entities[known.fields[step].target]
    field = known.fields[order.path[-1]]
    if field.kind is FieldKind.INTEGER:
        return scalars.BIG_INT.parse
    if field.kind in (FieldKind.DECIMAL, FieldKind.MONEY):
        return scalars.DECIMAL.parse
    kinds = {
        FieldKind.DATE: scalars.DATE,
        FieldKind.DATETIME: scalars.DATE_TIME,
        FieldKind.DURATION: scalars.DURATION,
        FieldKind.BOOLEAN: scalars.BOOLEAN,
        FieldKind.ID: scalars.ID,
    }
    return kinds.get(field.kind, scalars.TEXT).parse


def _search(planner: Planner, tree: Tree, key: str) -> p.Search:
    """A search text as grams: computed now for a literal, at every request for a variable."""
    if isinstance(tree, p.Const):
        found = _grams(str(tree.value))
        return p.Search(tuple((p.Const(list(each)), p.Const(len(each))) for each in found))
    slot = tree.name
    names = [(f"{slot}.grams{at}", f"{slot}.size{at}") for at in range(_SEARCH_ALTERNATIVES)]

    def prepare(args: dict[str, Any]) -> None:
        found = _grams(args[slot])
        for at, (grams, size) in enumerate(names):
            chosen = found[at] if at < len(found) else ()
            args[grams], args[size] = list(chosen), len(chosen)

    planner.late.append(prepare)
    return p.Search(tuple((p.Slot(grams), p.Slot(size)) for grams, size in names))


def _grams(text: str) -> tuple[tuple[str, ...], ...]:
    return query_grams(text)
