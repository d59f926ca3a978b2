"""Feature: scalar values of a record, with their output types."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLEnumType, GraphQLEnumValue, GraphQLField, GraphQLList, GraphQLNamedType, GraphQLObjectType

from clew.api import scalars
from clew.api.build import Build, Factory, entity_type, required
from clew.api.planner import Planner, Selected
from clew.metadata import naming
from clew.metadata.blueprint import CodeList, Entity, Field, FieldKind
from clew.records.query.plan import Elements, Item, Leaf, Nested

KINDS: dict[FieldKind, scalars.Scalar] = {
    FieldKind.TEXT: scalars.TEXT,
    FieldKind.LONG_TEXT: scalars.TEXT,
    FieldKind.NUMBER: scalars.TEXT,
    FieldKind.DECIMAL: scalars.DECIMAL,
    FieldKind.BOOLEAN: scalars.BOOLEAN,
    FieldKind.DATE: scalars.DATE,
    FieldKind.DATETIME: scalars.DATE_TIME,
    FieldKind.DURATION: scalars.DURATION,
    FieldKind.JSON: scalars.JSON,
    FieldKind.ID: scalars.ID,
}
NEVER_NULL = frozenset({"id", "row_version"})
FILE_MEMBERS = {"name": scalars.TEXT, "sha256": scalars.TEXT, "size": scalars.INT, "mediaType": scalars.TEXT}
_STORED = {"mediaType": "media_type"}


@dataclass(frozen=True, slots=True)
class LeafSpec:
    """A scalar field."""

    field: str
    part: str = ""

    @property
    def member(self) -> str:
        return self.field

    def item(self, planner: Planner, selected: Selected) -> Item:
        return Leaf(selected.key, self.field, self.part)


@dataclass(frozen=True, slots=True)
class PartsSpec:
    """A field whose value is an object of parts: money, translated text."""

    field: str

    def item(self, planner: Planner, selected: Selected) -> Item:
        parts = [
            each if each.name == "__typename" else Selected(each.key, each.name, each.definition, each.nodes)
            for each in planner.children(selected)
        ]
        items = tuple(
            planner.item(each, selected.type)
            if each.name == "__typename"
            else Leaf(each.key, self.field, _PARTS[each.name] if each.name != "text" else planner.build.locale)
            for each in parts
        )
        return Nested(selected.key, self.field, items)


_PARTS = {"amount": "", "currency": "currency", "zh": "zh", "en": "en"}


@dataclass(frozen=True, slots=True)
class FilesSpec:
    """The attachments of a field."""

    field: str

    def item(self, planner: Planner, selected: Selected) -> Item:
        members = tuple(
            (each.key, "=File" if each.name == "__typename" else _STORED.get(each.name, each.name))
            for each in planner.children(selected)
        )
        return Elements(selected.key, self.field, members)


def code_type(build: Build, entity: Entity, field: Field) -> GraphQLEnumType | None:
    """The enum of a choice: a code list's, or the entity's states; None for an open text."""
    if field.name == "state" and entity.states:
        found: GraphQLEnumType = build.type(entity_type(entity.name, "State"))
        return found
    listed = field.code_list is not None and field.code_list in build.blueprint.code_lists
    return build.type(naming.enum_name(field.code_list or "")) if listed else None


def scalar_type(build: Build, entity: Entity, field: Field) -> Any:
    """The scalar or enum type of a field's plain value (the amount, for money)."""
    if field.kind is FieldKind.INTEGER:
        return (scalars.BIG_INT if field.big else scalars.INT).type
    if field.kind in (FieldKind.CHOICE, FieldKind.CHOICES):
        return code_type(build, entity, field) or scalars.TEXT.type
    if field.kind is FieldKind.MONEY:
        return scalars.DECIMAL.type
    return KINDS[field.kind].type


def leaf_field(build: Build, entity: Entity, field: Field) -> GraphQLField:
    """The output field of a scalar field."""
    description = build.text(field.help, field.label)
    if field.kind is FieldKind.MONEY:
        return build.field(build.type("Money"), PartsSpec(field.name), description)
    if field.kind is FieldKind.TRANSLATED:
        return build.field(build.type("Translated"), PartsSpec(field.name), description)
    if field.kind is FieldKind.FILES:
        return build.field(GraphQLList(required(build.type("File"))), FilesSpec(field.name), description)
    type_: Any = scalar_type(build, entity, field)
    if field.kind is FieldKind.CHOICES:
        type_ = GraphQLList(required(type_))
    return build.field(required(type_) if field.name in NEVER_NULL else type_, LeafSpec(field.name), description)


class Leaves:
    """Types of scalar values: Money, Translated, File, one enum per code list and per set of states."""

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        for scalar in scalars.SCALARS.values():
            yield scalar.type.name, _given(scalar.type)
        yield "Money", lambda: _object(build, "Money", {"amount": scalars.DECIMAL, "currency": scalars.TEXT})
        members = {"zh": scalars.TEXT, "en": scalars.TEXT, "text": scalars.TEXT}
        yield "Translated", lambda: _object(build, "Translated", members)
        yield "File", lambda: _object(build, "File", FILE_MEMBERS)
        for codes in build.blueprint.code_lists.values():
            yield naming.enum_name(codes.name), _code_enum(build, codes)
        for entity in build.entities():
            if entity.states:
                yield entity_type(entity.name, "State"), _state_enum(build, entity)


def _given(type_: GraphQLNamedType) -> Factory:
    return lambda: type_


def _object(build: Build, name: str, members: dict[str, scalars.Scalar]) -> GraphQLObjectType:
    return GraphQLObjectType(name, {key: build.field(each.type, None) for key, each in members.items()})


def _code_enum(build: Build, codes: CodeList) -> Callable[[], GraphQLEnumType]:
    def make() -> GraphQLEnumType:
        values = {
            code.value: GraphQLEnumValue(code.value, description=build.text(code.label))
            for code in codes.codes.values()
        }
        return GraphQLEnumType(naming.enum_name(codes.name), values, description=build.text(codes.label))

    return make


def _state_enum(build: Build, entity: Entity) -> Callable[[], GraphQLEnumType]:
    def make() -> GraphQLEnumType:
        values = {
            state.name: GraphQLEnumValue(state.name, description=build.text(state.label))
            for state in entity.states.values()
        }
        return GraphQLEnumType(entity_type(entity.name, "State"), values, description=build.text(entity.label))

    return make
