"""What the expression checker may know about entities, read from (half-)linked ones."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from clew.expressions.tables import Table
from clew.expressions.tree import Base, Type
from clew.metadata.blueprint import Blueprint, CodeList, Entity, Field, FieldKind
from clew.metadata.decisions import DecisionTable

NO_TABLES: Mapping[str, DecisionTable] = MappingProxyType({})

_BASES = {
    FieldKind.TEXT: Base.TEXT,
    FieldKind.LONG_TEXT: Base.TEXT,
    FieldKind.NUMBER: Base.TEXT,
    FieldKind.TRANSLATED: Base.JSON,
    FieldKind.INTEGER: Base.INTEGER,
    FieldKind.DECIMAL: Base.DECIMAL,
    FieldKind.MONEY: Base.DECIMAL,
    FieldKind.BOOLEAN: Base.BOOLEAN,
    FieldKind.DATE: Base.DATE,
    FieldKind.DATETIME: Base.DATETIME,
    FieldKind.DURATION: Base.DURATION,
    FieldKind.JSON: Base.JSON,
    FieldKind.ID: Base.ID,
}


def field_type(field: Field, code_lists: Mapping[str, CodeList]) -> Type:
    """The expression type of a field. Money is its amount; files are a list of JSON objects."""
    kind = field.kind
    nullable = not field.required
    if kind is FieldKind.CHOICE:
        return Type(Base.TEXT, nullable, codes=_codes(field, code_lists))
    if kind is FieldKind.CHOICES:
        return Type(Base.LIST, element=Type(Base.TEXT, codes=_codes(field, code_lists)))
    if kind in (FieldKind.REF, FieldKind.ANY):
        return Type(Base.RECORD, nullable, entities=field.targets)
    if kind in (FieldKind.MANY, FieldKind.LINES):
        return Type(Base.LIST, element=Type(Base.RECORD, entities=field.targets))
    if kind is FieldKind.FILES:
        return Type(Base.LIST, element=Type(Base.JSON))
    scale = field.scale if kind in (FieldKind.DECIMAL, FieldKind.MONEY) else 0
    return Type(_BASES[kind], nullable, scale=scale)


def _codes(field: Field, code_lists: Mapping[str, CodeList]) -> tuple[str, ...] | None:
    found = code_lists.get(field.code_list or "")
    return tuple(found.codes) if found else None


class BlueprintSchema:
    """`expressions.tree.Schema` over entities: fields, envelope, relations forward and back."""

    def __init__(
        self,
        entities: Mapping[str, Entity],
        code_lists: Mapping[str, CodeList],
        decisions: Mapping[str, DecisionTable] = NO_TABLES,
    ) -> None:
        self._entities = entities
        self._code_lists = code_lists
        self._decisions = decisions
        self._members: dict[str, dict[str, Type]] = {}

    @classmethod
    def of(cls, blueprint: Blueprint) -> BlueprintSchema:
        return cls(blueprint.entities, blueprint.code_lists, blueprint.decisions)

    def members(self, entity: str) -> Mapping[str, Type]:
        known = self._members.get(entity)
        if known is None:
            known = self._members[entity] = self._all_members(entity)
        return known

    def states(self, entity: str) -> tuple[str, ...]:
        found = self._entities.get(entity)
        return tuple(found.states) if found else ()

    def table(self, name: str) -> Table | None:
        found = self._decisions.get(name)
        return found.table if found else None

    def tables(self) -> tuple[str, ...]:
        return tuple(self._decisions)

    def _all_members(self, name: str) -> dict[str, Type]:
        entity = self._entities.get(name)
        if entity is None:
            return {}
        members = {each.name: field_type(each, self._code_lists) for each in entity.fields.values() if _usable(each)}
        for back in entity.inverses.values():
            record = Type(Base.RECORD, nullable=True, entities=(back.source,))
            members[back.name] = (
                record if back.single else Type(Base.LIST, element=Type(Base.RECORD, entities=(back.source,)))
            )
        return members


def _usable(field: Field) -> bool:
    """False for a relation whose target could not be resolved: it has been reported already."""
    relation = field.kind in (FieldKind.REF, FieldKind.ANY, FieldKind.MANY, FieldKind.LINES)
    return not relation or bool(field.targets)
