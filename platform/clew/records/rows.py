"""A record in memory and its row in the database: one mapping from field to canonical value, one from column to value.

A record holds every stored field of its entity, envelope included, keyed by field name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clew.metadata.blueprint import Entity, Field, FieldKind
from clew.records.search import sort_key
from clew.records.values import AnyRef, Money
from clew.storage.layout import entity_slots

Record = dict[str, Any]

BOOKKEEPING = frozenset({"id", "row_version", "created_at", "created_by", "updated_at", "updated_by"})
"""Envelope fields the platform keeps itself; the audit leaf has them in its header."""


class Shape:
    """How records of one entity and its rows translate into each other."""

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        self.fields: tuple[Field, ...] = tuple(each for each in entity.fields.values() if each.stored)
        self.keys: tuple[str, ...] = tuple(slot.key for slot in entity_slots(entity))
        self._at = {key: at for at, key in enumerate(self.keys)}
        self._main = tuple(
            (each.name, self._at[f"{each.name}_id" if each.kind is FieldKind.ANY else each.name])
            for each in self.fields
        )
        self._made = tuple(each for each in self.fields if each.kind in _WIDE or each.kind in _TUPLES)
        self._special = tuple(each for each in self.fields if each.sort or each.kind in _WIDE)
        self._simple = tuple(each.name for each in self.fields if each.kind not in _WIDE)
        self._none = dict.fromkeys(each.name for each in self.fields)
        self.defaults = tuple(each for each in self.fields if each.default is not None)
        self.required = tuple(each for each in self.fields if each.required)
        self.sometimes_required = tuple(each for each in self.fields if each.required_when is not None)
        self.numbers = tuple(
            each for each in self.fields if each.kind is FieldKind.NUMBER and each.coding_rule is not None
        )
        self.references = tuple(
            each.name for each in self.fields if each.kind in _REFERENCES and each.name not in _GIVEN_BY_US
        )
        """The fields whose targets are checked when they are given."""
        self.polymorphic = tuple(each.name for each in self.fields if each.kind is FieldKind.ANY)
        self.files = tuple(each for each in self.fields if each.kind is FieldKind.FILES)
        given = tuple(each for each in entity.fields.values() if each.computed is None)
        self.links = tuple(each for each in given if each.kind is FieldKind.MANY)
        self.lines = tuple(each for each in given if each.kind is FieldKind.LINES)

    def empty(self) -> Record:
        return dict(self._none)

    def columns(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Column key → value, for binding."""
        columns = {name: record[name] for name in self._simple}
        for field in self._special:
            value = record[field.name]
            if field.kind is FieldKind.MONEY:
                columns[field.name], columns[f"{field.name}_currency"] = value or (None, None)
            elif field.kind is FieldKind.ANY:
                columns[f"{field.name}_entity"], columns[f"{field.name}_id"] = value or (None, None)
            if field.sort:
                columns[f"{field.name}__sort"] = None if value is None else sort_key(value)
        return columns

    def record(self, row: Sequence[Any]) -> Record:
        """The record of a row whose columns are `keys`, in that order."""
        record: Record = {name: row[at] for name, at in self._main}
        for field in self._made:
            value = record[field.name]
            if value is None:
                continue
            if field.kind is FieldKind.MONEY:
                record[field.name] = Money(value, row[self._at[f"{field.name}_currency"]])
            elif field.kind is FieldKind.ANY:
                record[field.name] = AnyRef(row[self._at[f"{field.name}_entity"]], value)
            else:
                record[field.name] = tuple(value)
        return record


def changes(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> dict[str, tuple[Any, Any]]:
    """The fields that differ, with (old, new); bookkeeping left out."""
    names = new if new is not None else old or {}
    found: dict[str, tuple[Any, Any]] = {}
    for name in names:
        if name in BOOKKEEPING:
            continue
        was = old.get(name) if old is not None else None
        becomes = new.get(name) if new is not None else None
        if was != becomes or (becomes.__class__ in _JSON and not _alike(was, becomes)):
            found[name] = (was, becomes)
    return found


_JSON = (dict, list)


def _alike(one: Any, other: Any) -> bool:
    """Whether two equal values are the same JSON: Python takes true for 1."""
    if isinstance(one, dict):
        return all(_alike(value, other[name]) for name, value in one.items())
    if isinstance(one, list):
        return all(map(_alike, one, other))
    return isinstance(one, bool) is isinstance(other, bool)


_WIDE = frozenset({FieldKind.MONEY, FieldKind.ANY})
_REFERENCES = frozenset({FieldKind.REF, FieldKind.ANY})
_GIVEN_BY_US = frozenset({"id", "owner", "corrects", "created_by", "updated_by"})
_TUPLES = frozenset({FieldKind.CHOICES, FieldKind.FILES})
