"""The tables a Blueprint wants, as plain values: what DDL, the change plan, drift detection and `Tables` all read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from clew.metadata.blueprint import Blueprint, Entity, FieldKind, Unique
from clew.storage.catalog import NAME_LIMIT, Catalog, EntityNames, LinkNames, fit
from clew.storage.engine import DialectName
from clew.storage.layout import OWNER, TARGET, TX_FROM, TX_TO, Slot, entity_slots, link_fields, slots_of
from clew.storage.partial import condition_sql

TableKind = Literal["current", "history", "link", "link_history", "gram"]


@dataclass(frozen=True, slots=True)
class ColumnShape:
    key: str
    name: str
    form: str
    required: bool = False
    references: str | None = None
    """The physical table whose `id` this points at."""


@dataclass(frozen=True, slots=True)
class IndexShape:
    """`parts` are physical columns, or `lower(column)`. `of` says, in the analyst's words, what it serves."""

    name: str
    table: str
    parts: tuple[str, ...]
    unique: bool = False
    where: str | None = None
    of: str = ""
    once: str = ""
    """Its name in a database made before names told the condition; empty where that is the same."""

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(part.removeprefix("lower(").removesuffix(")") for part in self.parts)


@dataclass(frozen=True, slots=True)
class TableShape:
    name: str
    kind: TableKind
    entity: str
    columns: tuple[ColumnShape, ...]
    primary_key: tuple[str, ...]
    """Physical columns."""
    indexes: tuple[IndexShape, ...] = ()
    partition_by: str | None = None
    """The instant whose month decides the partition (PostgreSQL)."""

    def column(self, name: str) -> ColumnShape | None:
        return next((each for each in self.columns if each.name == name), None)


Schema = Mapping[str, TableShape]


def schema_of(blueprint: Blueprint, catalog: Catalog, dialect: DialectName) -> Schema:
    """Every table of the release by physical name."""
    tables: dict[str, TableShape] = {}
    for entity in blueprint.entities.values():
        for shape in _Shaper(blueprint, catalog, dialect, entity).tables():
            tables[shape.name] = shape
    return tables


def current_shape(blueprint: Blueprint, catalog: Catalog, dialect: DialectName, entity: str) -> TableShape:
    return _Shaper(blueprint, catalog, dialect, blueprint.entities[entity]).current()


class _Shaper:
    def __init__(self, blueprint: Blueprint, catalog: Catalog, dialect: DialectName, entity: Entity) -> None:
        self._catalog, self._dialect, self._entity = catalog, dialect, entity
        self._names: EntityNames = catalog.entities[entity.name]

    def tables(self) -> list[TableShape]:
        shapes = [self.current(), self._history()]
        if self._entity.searchable:
            shapes.append(self._gram())
        for field in link_fields(self._entity):
            shapes.extend(self._link(field.name, field.target, self._names.links[field.name]))
        return shapes

    def current(self) -> TableShape:
        names = self._names
        columns = tuple(
            ColumnShape(slot.key, names.columns[slot.key], slot.form, slot.required, self._references(slot))
            for slot in entity_slots(self._entity)
        )
        indexes = _Indexes(self._entity, names, self._dialect).all()
        return TableShape(names.table, "current", self._entity.name, columns, (names.columns["id"],), indexes)

    def _references(self, slot: Slot) -> str | None:
        return self._catalog.entities[slot.target].table if slot.target else None

    def _history(self) -> TableShape:
        names = self._names
        columns = [
            ColumnShape(slot.key, names.columns[slot.key], slot.form, slot.key == "id")
            for slot in entity_slots(self._entity)
        ]
        columns += _interval()
        return TableShape(
            names.history,
            "history",
            self._entity.name,
            tuple(columns),
            (names.columns["id"], TX_FROM),
            partition_by=TX_FROM,
        )

    def _link(self, field: str, target: str, names: LinkNames) -> tuple[TableShape, TableShape]:
        entity = self._entity.name
        pair = (
            ColumnShape(OWNER, OWNER, "id", True, self._names.table),
            ColumnShape(TARGET, TARGET, "id", True, self._catalog.entities[target].table),
        )
        back = IndexShape(fit(f"ix_{names.table}__back", NAME_LIMIT), names.table, (TARGET, OWNER), of=field)
        then = tuple(ColumnShape(each.key, each.name, each.form, True) for each in pair) + tuple(_interval())
        seen = IndexShape(fit(f"ix_{names.history}__back", NAME_LIMIT), names.history, (TARGET, TX_FROM), of=field)
        return (
            TableShape(names.table, "link", entity, pair, (OWNER, TARGET), (back,)),
            TableShape(
                names.history, "link_history", entity, then, (OWNER, TARGET, TX_FROM), (seen,), partition_by=TX_FROM
            ),
        )

    def _gram(self) -> TableShape:
        name = self._names.gram
        columns = tuple(ColumnShape(each, each, form, True) for each, form in _GRAM)
        by_record = IndexShape(fit(f"ix_{name}__id", NAME_LIMIT), name, ("id",), of="search")
        return TableShape(name, "gram", self._entity.name, columns, ("gram", "field", "id"), (by_record,))


_GRAM = (("gram", "text"), ("field", "text"), ("id", "id"))


def _interval() -> list[ColumnShape]:
    return [ColumnShape(TX_FROM, TX_FROM, "datetime", True), ColumnShape(TX_TO, TX_TO, "datetime", True)]


class _Indexes:
    """The indexes of an entity's own table. The site leads those that serve lists."""

    def __init__(self, entity: Entity, names: EntityNames, dialect: DialectName) -> None:
        self._entity, self._names, self._dialect = entity, names, dialect
        self._found: dict[tuple[tuple[str, ...], bool, str | None], IndexShape] = {}

    def all(self) -> tuple[IndexShape, ...]:
        entity = self._entity
        for field in entity.fields.values():
            if field.unique and field.stored:
                self._add((field.name,), unique=True, of=field.name)
        for unique in entity.uniques:
            self._unique(unique)
        if entity.key and all(self._stored(name) for name in entity.key):
            self._add(entity.key, unique=True, of="key")
        for field in entity.fields.values():
            if field.kind in (FieldKind.REF, FieldKind.ANY) and field.stored:
                parts = (f"{field.name}_id",) if field.kind is FieldKind.ANY else (field.name,)
                self._keys(tuple(self._names.columns[key] for key in parts), of=field.name)
        for listed in entity.indexes:
            if all(self._stored(name) for name in listed):
                self._add(self._scoped(listed), of=", ".join(listed))
        # None on the state of itself: what no index holds is changed in place. Else each transition makes an entry in
        # every index of the table, and units on records of the same age fail each other over the pages of the key.
        if self._stored("created_at"):
            self._add(self._scoped(("created_at", "id")), of="created_at")
        return tuple(self._found.values())

    def _stored(self, name: str) -> bool:
        field = self._entity.fields.get(name)
        return field is not None and field.stored

    def _scoped(self, fields: tuple[str, ...]) -> tuple[str, ...]:
        if not self._entity.site_scoped or not self._stored("site"):
            return fields
        return ("site", *(each for each in fields if each != "site"))

    def _unique(self, unique: Unique) -> None:
        if not all(self._stored(name) for name in unique.fields):
            return
        where = condition_sql(unique.while_, self._names.columns, self._dialect) if unique.while_ else None
        self._add(unique.fields, unique=True, where=where, lower=unique.ignore_case, of=", ".join(unique.fields))

    def _add(
        self,
        fields: tuple[str, ...],
        *,
        unique: bool = False,
        where: str | None = None,
        lower: bool = False,
        of: str,
    ) -> None:
        parts: list[str] = []
        for name in fields:
            for slot in slots_of(self._entity.fields[name]):
                if slot.key.endswith(("__sort", "_currency")) and slot.key != name:
                    continue
                column = self._names.columns[slot.key]
                parts.append(f"lower({column})" if lower and slot.form == "text" else column)
        self._keys(tuple(parts), unique=unique, where=where, of=of)

    def _keys(self, parts: tuple[str, ...], *, unique: bool = False, where: str | None = None, of: str) -> None:
        signature = (parts, unique, where)
        if signature in self._found or (not unique and (parts, True, None) in self._found):
            return
        words = [part.replace("(", "_").replace(")", "") for part in parts]
        taken = {each.name for each in self._found.values()}
        wanted = f"{'ux' if unique else 'ix'}_{self._names.table}__{'_'.join(words)}"
        once = ""
        if where:  # an index with another condition is another index
            once = fit(wanted, NAME_LIMIT, {each.once or each.name for each in self._found.values()})
            wanted = f"{wanted}__{hashlib.sha256(where.encode()).hexdigest()[:8]}"
        name = fit(wanted, NAME_LIMIT, taken)
        self._found[signature] = IndexShape(name, self._names.table, parts, unique, where, of, once)
