"""Records made up for tests: what is said is taken, what else is required is filled in with something plausible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from clew.metadata.blueprint import Blueprint, Entity, Field, FieldKind
from clew.records.loading import BadLoad, Loader
from clew.records.values import AnyRef, Money


@dataclass
class Factory:
    """Makes records by `records.loading`: rules over a record are not asked, as for a first filling. A required
    reference that is not said points at one record of that entity, which is made once and shared."""

    loader: Loader
    blueprint: Blueprint
    at: datetime
    file: Mapping[str, Any] | None = None
    """An uploaded file, for fields that need one."""
    shared: dict[str, UUID] = field(default_factory=dict)
    made: int = 0
    _under_way: set[str] = field(default_factory=set)

    def add(self, entity: str, values: Mapping[str, Any]) -> UUID:
        """A record. Values are canonical Python values by field name."""
        known = self.blueprint.entities[entity]
        self.made += 1
        number = self.made
        given = dict(values)
        for name, each in known.fields.items():
            wanted = each.required or name == "site" or (each.min is not None and each.min > 0 and _counted(each))
            if name in given or not each.stored or not wanted:
                continue
            if name == "state" or (each.origin == "envelope" and name != "site"):
                continue
            given[name] = self._value(known, each, number)
        return self.loader.add(entity, given, at=self.at)

    def one(self, entity: str) -> UUID:
        """The record of this entity that everybody refers to who names none."""
        if entity not in self.shared:
            if entity in self._under_way:
                raise BadLoad(f"{entity} needs a record of its own kind before it: give one")
            self._under_way.add(entity)
            self.shared[entity] = self.add(entity, {})
            self._under_way.discard(entity)
        return self.shared[entity]

    def _value(self, entity: Entity, field: Field, number: int) -> Any:
        kind = field.kind
        if kind in (FieldKind.CHOICE, FieldKind.CHOICES) and field.code_list:
            first = next(iter(self.blueprint.code_lists[field.code_list].codes))
            return first if kind is FieldKind.CHOICE else [first]
        if kind is FieldKind.REF:
            return self.one(field.target) if field.target != entity.name else None
        if kind is FieldKind.ANY:
            return AnyRef(field.targets[0], self.one(field.targets[0]))
        if kind is FieldKind.MANY:
            return [self.one(field.target)]
        if kind is FieldKind.FILES:
            return [dict(self.file)] if self.file else []
        simple: dict[FieldKind, Any] = {
            FieldKind.INTEGER: int(field.min or 1),
            FieldKind.DECIMAL: Decimal(field.min or 1),
            FieldKind.MONEY: Money(Decimal(1), "CNY"),
            FieldKind.BOOLEAN: False,
            FieldKind.DATE: self.at.date(),
            FieldKind.DATETIME: self.at,
            FieldKind.DURATION: timedelta(hours=1),
            FieldKind.JSON: {},
        }
        if kind in simple:
            return simple[kind]
        if kind is FieldKind.TRANSLATED:
            return {"zh": f"{entity.name} {number}", "en": f"{entity.name} {number}"}
        text = f"{entity.name} {number}" if field.max_length is None else f"{entity.name} {number}"[-field.max_length :]
        return text.strip()


def _counted(field: Field) -> bool:
    return field.kind in (FieldKind.MANY, FieldKind.FILES)
