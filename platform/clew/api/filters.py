"""Feature: filters. `{expOn: {lt: …}, supplier: {name: {startsWith: …}}, nonconformances: {some: {…}}}`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLBoolean, GraphQLInputField, GraphQLInputObjectType, GraphQLList

from clew.api import scalars
from clew.api.build import Build, Factory, entity_type, required, spec_of
from clew.api.leaves import code_type
from clew.api.planner import Planner
from clew.api.trees import Tree
from clew.metadata import naming
from clew.metadata.blueprint import Entity, Field, FieldKind
from clew.records.query.plan import And, Compare, Const, Not, Or, Predicate, Slot, Through

OPS: Mapping[str, str] = {
    "eq": "eq",
    "ne": "ne",
    "in": "in",
    "notIn": "not_in",
    "lt": "lt",
    "lte": "le",
    "gt": "gt",
    "gte": "ge",
    "startsWith": "starts_with",
    "endsWith": "ends_with",
    "contains": "contains",
    "eqIgnoreCase": "eq_fold",
    "startsWithIgnoreCase": "starts_with_fold",
    "containsIgnoreCase": "contains_fold",
    "has": "has",
}
_EQUAL = ("eq", "ne", "in", "notIn")
_ORDERED = (*_EQUAL, "lt", "lte", "gt", "gte")
_TEXT = (*_ORDERED, "startsWith", "endsWith", "contains", "eqIgnoreCase", "startsWithIgnoreCase", "containsIgnoreCase")
_LISTS = ("in", "notIn")
_SCALAR_FILTERS: Mapping[str, tuple[scalars.Scalar, tuple[str, ...]]] = {
    "TextFilter": (scalars.TEXT, _TEXT),
    "IdFilter": (scalars.ID, _EQUAL),
    "IntFilter": (scalars.INT, _ORDERED),
    "BigIntFilter": (scalars.BIG_INT, _ORDERED),
    "DecimalFilter": (scalars.DECIMAL, _ORDERED),
    "DateFilter": (scalars.DATE, _ORDERED),
    "DateTimeFilter": (scalars.DATE_TIME, _ORDERED),
    "DurationFilter": (scalars.DURATION, _ORDERED),
    "BooleanFilter": (scalars.BOOLEAN, ("eq", "ne")),
}
_BY_KIND: Mapping[FieldKind, str] = {
    FieldKind.TEXT: "TextFilter",
    FieldKind.LONG_TEXT: "TextFilter",
    FieldKind.NUMBER: "TextFilter",
    FieldKind.DECIMAL: "DecimalFilter",
    FieldKind.MONEY: "MoneyFilter",
    FieldKind.BOOLEAN: "BooleanFilter",
    FieldKind.DATE: "DateFilter",
    FieldKind.DATETIME: "DateTimeFilter",
    FieldKind.DURATION: "DurationFilter",
    FieldKind.TRANSLATED: "TranslatedFilter",
    FieldKind.JSON: "PresenceFilter",
    FieldKind.FILES: "PresenceFilter",
    FieldKind.ID: "IdFilter",
}


# ── specs: how each input field becomes a condition ───────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ValueSpec:
    """Operators on a value of the record."""

    field: str
    parts: tuple[tuple[str, str], ...] = ()
    """For money and translated text: (input key, part)."""

    def predicate(self, planner: Planner, type_: Any, tree: Mapping[str, Tree], where: str) -> Predicate:
        parts = dict(self.parts)
        found: list[Predicate] = []
        for key, value in tree.items():
            path = f"{where}.{key}"
            if key in parts:
                inner = _object(planner, value, path)
                found.append(And(tuple(_operators(planner, self.field, inner, path, parts[key]))))
            else:
                found += _operators(planner, self.field, {key: value}, path, "")
        return And(tuple(found))


@dataclass(frozen=True, slots=True)
class OneSpec:
    """A condition on the one related record."""

    relation: str

    def predicate(self, planner: Planner, type_: Any, tree: Mapping[str, Tree], where: str) -> Predicate:
        return _related(planner, type_, self.relation, tree, where)


@dataclass(frozen=True, slots=True)
class AnySpec:
    """A condition on the record an `any` field points at, by entity."""

    relation: str
    entities: tuple[tuple[str, str], ...]

    def predicate(self, planner: Planner, type_: Any, tree: Mapping[str, Tree], where: str) -> Predicate:
        entities = dict(self.entities)
        found: list[Predicate] = []
        for key, value in tree.items():
            if key == "isNull":
                present = Or(tuple(Through(self.relation, "one", None, each) for each in entities.values()))
                found.append(Not(present) if _flag(planner, value, f"{where}.isNull") else present)
            else:
                path, branch = f"{where}.{key}", type_.fields[key].type
                inner = _object(planner, value, path)
                found.append(_related(planner, branch, self.relation, inner, path, entities[key]))
        return And(tuple(found))


@dataclass(frozen=True, slots=True)
class ManySpec:
    """A condition on related records: some, every, none."""

    relation: str

    def predicate(self, planner: Planner, type_: Any, tree: Mapping[str, Tree], where: str) -> Predicate:
        found: list[Predicate] = []
        for quantifier, value in tree.items():
            path = f"{where}.{quantifier}"
            inner = where_predicate(planner, type_.fields[quantifier].type, _object(planner, value, path), path)
            found.append(Through(self.relation, quantifier, inner))  # type: ignore[arg-type]
        return And(tuple(found))


def where_predicate(planner: Planner, type_: Any, tree: Mapping[str, Tree], where: str) -> Predicate:
    """The condition of a where object: all its keys together."""
    found: list[Predicate] = []
    for key, value in tree.items():
        planner.condition()
        path = f"{where}.{key}"
        if key in ("and", "or"):
            if not isinstance(value, list) or any(not isinstance(each, Mapping) for each in value):
                raise planner.refuse(path, "must be a list of conditions")
            inner = tuple(where_predicate(planner, type_, each, f"{path}.{at}") for at, each in enumerate(value))
            found.append(And(inner) if key == "and" else Or(inner))
        elif key == "not":
            found.append(Not(where_predicate(planner, type_, _object(planner, value, path), path)))
        elif key == "isNull":
            # Only a reference can be missing; the record itself is there.
            found.append(Or(()) if _flag(planner, value, path) else And(()))
        else:
            known = type_.fields[key]
            found.append(spec_of(known).predicate(planner, known.type, _object(planner, value, path), path))
    return And(tuple(found))


def _related(
    planner: Planner, type_: Any, relation: str, tree: Mapping[str, Tree], where: str, entity: str | None = None
) -> Predicate:
    rest = dict(tree)
    found: list[Predicate] = []
    if "isNull" in rest:
        missing = _flag(planner, rest.pop("isNull"), f"{where}.isNull")
        present = Through(relation, "one", None, entity)
        found.append(Not(present) if missing else present)
    if rest:
        inner = where_predicate(planner, type_, rest, where)
        found.append(Through(relation, "one", inner, entity))
    return And(tuple(found))


def _operators(planner: Planner, field: str, tree: Mapping[str, Tree], where: str, part: str) -> list[Predicate]:
    found: list[Predicate] = []
    for key, value in tree.items():
        if key == "isNull":
            found.append(Compare(field, "is_null", Const(_flag(planner, value, where)), part))
        elif value is None and key in ("eq", "ne"):
            found.append(Compare(field, "is_null", Const(key == "eq"), part))
        elif isinstance(value, list):
            anyone = Or(tuple(Compare(field, "eq", each, part) for each in value))
            found.append(anyone if key == "in" else Not(anyone))
        elif isinstance(value, Slot | Const):
            found.append(Compare(field, OPS[key], value, part))
        else:
            raise planner.refuse(where, "must not be null")
    return found


def _object(planner: Planner, tree: Tree, where: str) -> Any:
    if not isinstance(tree, Mapping):
        raise planner.refuse(where, "must not be null")
    return tree


def _flag(planner: Planner, tree: Tree, where: str) -> bool:
    if isinstance(tree, Const) and isinstance(tree.value, bool):
        return tree.value
    raise planner.refuse(where, "must be true or false")


# ── types ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Filters:
    """One `…Where` and one `…Some` per entity; operator types shared."""

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        for name, (scalar, ops) in _SCALAR_FILTERS.items():
            yield name, _operator_type(build, name, scalar.type, ops)
        yield "PresenceFilter", _operator_type(build, "PresenceFilter", GraphQLBoolean, ())
        yield "MoneyFilter", _parts_type(build, "MoneyFilter", {"amount": "DecimalFilter", "currency": "TextFilter"})
        yield "TranslatedFilter", _parts_type(build, "TranslatedFilter", {"zh": "TextFilter", "en": "TextFilter"})
        for codes in build.blueprint.code_lists:
            yield from _enum_filters(build, naming.enum_name(codes))
        for entity in build.entities():
            if entity.states:
                yield from _enum_filters(build, entity_type(entity.name, "State"))
            yield entity_type(entity.name, "Where"), _where_type(build, entity)
            yield entity_type(entity.name, "Some"), _some_type(build, entity)
            for field in entity.fields.values():
                if field.kind is FieldKind.ANY and build.sees(entity, field.name):
                    yield _any_name(entity, field), _any_type(build, entity, field)


def _any_name(entity: Entity, field: Field) -> str:
    return entity_type(entity.name, naming.type_name(field.name) + "Where")


def _enum_filters(build: Build, name: str) -> Iterable[tuple[str, Factory]]:
    def one() -> GraphQLInputObjectType:
        found: GraphQLInputObjectType = _operator_type(build, f"{name}Filter", build.type(name), _EQUAL)()
        return found

    def many() -> GraphQLInputObjectType:
        found: GraphQLInputObjectType = _operator_type(build, f"{name}sFilter", build.type(name), ("has",))()
        return found

    yield f"{name}Filter", one
    yield f"{name}sFilter", many


def _operator_type(build: Build, name: str, type_: Any, ops: tuple[str, ...]) -> Any:
    def fields() -> dict[str, GraphQLInputField]:
        found = {op: build.input(GraphQLList(required(type_)) if op in _LISTS else type_) for op in ops}
        found["isNull"] = build.input(GraphQLBoolean)
        return found

    return lambda: GraphQLInputObjectType(name, fields)


def _parts_type(build: Build, name: str, parts: Mapping[str, str]) -> Any:
    def fields() -> dict[str, GraphQLInputField]:
        found = {key: build.input(build.type(each)) for key, each in parts.items()}
        found["isNull"] = build.input(GraphQLBoolean)
        return found

    return lambda: GraphQLInputObjectType(name, fields)


def _where_type(build: Build, entity: Entity) -> Any:
    name = entity_type(entity.name, "Where")

    def fields() -> dict[str, GraphQLInputField]:
        this = build.type(name)
        found = {
            "and": build.input(GraphQLList(required(this))),
            "or": build.input(GraphQLList(required(this))),
            "not": build.input(this),
            "isNull": build.input(
                GraphQLBoolean, None, build.say("引用是否为空", "Whether the reference to this record is missing")
            ),
        }
        for api, member in build.members(entity):
            made = _member(build, entity, member)
            if made is not None:
                found[api] = made
        return found

    return lambda: GraphQLInputObjectType(name, fields)


def _some_type(build: Build, entity: Entity) -> Any:
    def fields() -> dict[str, GraphQLInputField]:
        where = build.type(entity_type(entity.name, "Where"))
        return {quantifier: build.input(where) for quantifier in ("some", "every", "none")}

    return lambda: GraphQLInputObjectType(entity_type(entity.name, "Some"), fields)


def _any_type(build: Build, entity: Entity, field: Field) -> Any:
    def fields() -> dict[str, GraphQLInputField]:
        found = {
            naming.field_name(name): build.input(build.type(entity_type(name, "Where")))
            for name in build.targets(field)
        }
        found["isNull"] = build.input(GraphQLBoolean)
        return found

    return lambda: GraphQLInputObjectType(_any_name(entity, field), fields)


def _member(build: Build, entity: Entity, member: str) -> GraphQLInputField | None:
    known = entity.fields.get(member)
    if known is None:
        inverse = entity.inverses[member]
        suffix, spec = ("Where", OneSpec(member)) if inverse.single else ("Some", ManySpec(member))
        return build.input(build.type(entity_type(inverse.source, suffix)), spec, build.text(inverse.label))
    description = build.text(known.label)
    if known.kind is FieldKind.REF:
        return build.input(build.type(entity_type(known.target, "Where")), OneSpec(member), description)
    if known.kind is FieldKind.ANY:
        entities = tuple((naming.field_name(name), name) for name in build.targets(known))
        return build.input(build.type(_any_name(entity, known)), AnySpec(member, entities), description)
    if known.kind in (FieldKind.MANY, FieldKind.LINES):
        return build.input(build.type(entity_type(known.target, "Some")), ManySpec(member), description)
    values = ValueSpec(member, _PARTS.get(known.kind, ()))
    return build.input(build.type(filter_name(build, entity, known)), values, description)


_PARTS: Mapping[FieldKind, tuple[tuple[str, str], ...]] = {
    FieldKind.MONEY: (("amount", ""), ("currency", "currency")),
    FieldKind.TRANSLATED: (("zh", "zh"), ("en", "en")),
}


def filter_name(build: Build, entity: Entity, field: Field) -> str:
    """The operator type of a field."""
    if field.kind in (FieldKind.CHOICE, FieldKind.CHOICES):
        codes = code_type(build, entity, field)
        if codes is None:
            return "TextFilter" if field.kind is FieldKind.CHOICE else "PresenceFilter"
        return f"{codes.name}Filter" if field.kind is FieldKind.CHOICE else f"{codes.name}sFilter"
    if field.kind is FieldKind.INTEGER:
        return "BigIntFilter" if field.big else "IntFilter"
    return _BY_KIND[field.kind]
