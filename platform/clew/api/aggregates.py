"""Feature: aggregates. `aggregate { count sum { qty } }`, `groups(by: [state]) { key { state } count }`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from graphql import GraphQLEnumType, GraphQLEnumValue, GraphQLField, GraphQLInt, GraphQLNamedType, GraphQLObjectType

from clew.api import scalars
from clew.api.build import Build, Factory, entity_type, required
from clew.api.leaves import LeafSpec, leaf_field, scalar_type
from clew.api.planner import Planner, Selected
from clew.api.trees import STRUCTURAL
from clew.metadata.blueprint import Entity, FieldKind
from clew.records.query import plan as p
from clew.records.query.aggregates import GROUPABLE, PERIODIC, measurable

_FUNCTIONS = {"min": "Min", "max": "Max", "sum": "Sum", "avg": "Avg", "countDistinct": "Distinct"}
_FIRST_DAY = ("该时段的第一天(项目时区)", "The first day of the period, in the project's time zone")
_PLAN_NAMES = {"countDistinct": "count_distinct"}


class Measured:
    """Base of specs that give a measure."""

    def measure(self, planner: Planner, selected: Selected) -> p.MeasureItem:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class CountSpec(Measured):
    """The number of records."""

    def measure(self, planner: Planner, selected: Selected) -> p.MeasureItem:
        return p.Measure(selected.key, "count")


@dataclass(frozen=True, slots=True)
class FunctionSpec(Measured):
    """One function over several fields."""

    function: str

    def measure(self, planner: Planner, selected: Selected) -> p.MeasureItem:
        items: list[p.Measure | p.Fixed] = []
        for each in planner.children(selected):
            if each.name == "__typename":
                items.append(p.Fixed(each.key, selected.type.name))
            else:
                items.append(p.Measure(each.key, self.function, each.spec.field))
        return p.Measures(selected.key, tuple(items))


@dataclass(frozen=True, slots=True)
class PeriodSpec:
    """The first day of a group's period."""

    field: str
    unit: p.Unit

    @property
    def member(self) -> str:
        return f"{self.field}:{self.unit}"

    def item(self, planner: Planner, selected: Selected) -> p.Item:
        return p.Leaf(selected.key, self.field, self.unit)


def grouped_by(value: str) -> str | p.Period:
    """What an enum value of `…GroupField` stands for."""
    field, _, unit = value.partition(":")
    return p.Period(field, cast(p.Unit, unit)) if unit else field


def measure_items(planner: Planner, selected: Selected, type_: GraphQLNamedType) -> tuple[p.MeasureItem, ...]:
    """The measures selected inside an `aggregate`."""
    return tuple(
        p.Fixed(each.key, type_.name) if each.name == "__typename" else each.spec.measure(planner, each)
        for each in planner.children(selected)
    )


class Aggregates:
    """`…Aggregate`, one type per function, `…Group`, `…GroupKey`, `…GroupField`."""

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        for entity in build.entities():
            yield entity_type(entity.name, "Aggregate"), _aggregate(build, entity)
            for function, suffix in _FUNCTIONS.items():
                if _any(build, entity, partial(measurable, entity, _PLAN_NAMES.get(function, function))):
                    yield entity_type(entity.name, suffix), _function_type(build, entity, function, suffix)
            if _any(build, entity, partial(groupable, entity)):
                yield entity_type(entity.name, "Group"), _group(build, entity)
                yield entity_type(entity.name, "GroupKey"), _group_key(build, entity)
                yield entity_type(entity.name, "GroupField"), _group_field(build, entity)


def _any(build: Build, entity: Entity, fits: Callable[[str], bool]) -> bool:
    """Whether the caller sees a fitting member: the first one tells, so few are asked about."""
    return any(fits(name) and build.sees(entity, name) for name in build.names.members[entity.name].values())


def groupable(entity: Entity, name: str) -> bool:
    """Whether a list can be grouped by this member."""
    known = entity.fields.get(name)
    return known is not None and known.kind in GROUPABLE and not known.computed


def group_fields(build: Build, entity: Entity) -> list[tuple[str, str]]:
    """(API name, field) of what a list can be grouped by."""
    return [(api, name) for api, name in build.members(entity) if groupable(entity, name)]


def group_periods(build: Build, entity: Entity) -> list[tuple[str, str, p.Unit]]:
    """(API name, field, unit) of the periods a list can be grouped by: `createdAtMonth`."""
    taken = set(build.names.members[entity.name])
    return [
        (api + unit.capitalize(), name, unit)
        for api, name in group_fields(build, entity)
        if entity.fields[name].kind in PERIODIC
        for unit in p.PERIODS
        if api + unit.capitalize() not in taken
    ]


def _measured_fields(build: Build, entity: Entity, function: str) -> list[tuple[str, str]]:
    plain = _PLAN_NAMES.get(function, function)
    return [(api, name) for api, name in build.members(entity) if measurable(entity, plain, name)]


def _measure_fields(build: Build, entity: Entity) -> dict[str, GraphQLField]:
    found = {"count": build.field(required(GraphQLInt), CountSpec())}
    for function, suffix in _FUNCTIONS.items():
        name = entity_type(entity.name, suffix)
        if build.has(name):
            spec = FunctionSpec(_PLAN_NAMES.get(function, function))
            found[function] = build.field(required(build.type(name)), spec)
    return found


def _aggregate(build: Build, entity: Entity) -> Any:
    return lambda: GraphQLObjectType(entity_type(entity.name, "Aggregate"), lambda: _measure_fields(build, entity))


def _function_type(build: Build, entity: Entity, function: str, suffix: str) -> Any:
    def fields() -> dict[str, GraphQLField]:
        found: dict[str, GraphQLField] = {}
        for api, name in _measured_fields(build, entity, function):
            known = entity.fields[name]
            if function == "countDistinct":
                type_: Any = required(GraphQLInt)
            elif function == "avg":
                type_ = scalars.DECIMAL.type
            elif function == "sum" and known.kind is FieldKind.INTEGER:
                type_ = scalars.BIG_INT.type
            else:
                type_ = scalar_type(build, entity, known)
            found[api] = build.field(type_, LeafSpec(name), build.text(known.label))
        return found

    return lambda: GraphQLObjectType(entity_type(entity.name, suffix), fields)


def _group(build: Build, entity: Entity) -> Any:
    def fields() -> dict[str, GraphQLField]:
        key = build.type(entity_type(entity.name, "GroupKey"))
        return {"key": build.field(required(key), None), **_measure_fields(build, entity)}

    return lambda: GraphQLObjectType(entity_type(entity.name, "Group"), fields)


def _group_key(build: Build, entity: Entity) -> Any:
    def fields() -> dict[str, GraphQLField]:
        from clew.api.records import relation_field

        found: dict[str, GraphQLField] = {}
        for api, name in group_fields(build, entity):
            known = entity.fields[name]
            if known.kind in (FieldKind.REF, FieldKind.ANY):
                found[api] = relation_field(build, entity, name)
            else:
                found[api] = leaf_field(build, entity, known)
        for api, name, unit in group_periods(build, entity):
            found[api] = build.field(scalars.DATE.type, PeriodSpec(name, unit), build.say(*_FIRST_DAY))
        return found

    return lambda: GraphQLObjectType(entity_type(entity.name, "GroupKey"), fields)


def _group_field(build: Build, entity: Entity) -> Any:
    def make() -> GraphQLEnumType:
        values = {api: GraphQLEnumValue(name) for api, name in group_fields(build, entity)}
        for api, name, unit in group_periods(build, entity):
            values[api] = GraphQLEnumValue(f"{name}:{unit}")
        return GraphQLEnumType(entity_type(entity.name, "GroupField"), values, extensions={STRUCTURAL: True})

    return make
