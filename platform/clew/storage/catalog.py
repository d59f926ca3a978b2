"""Which physical table and column carries which entity and field. Stored with each release.

A rename changes the catalog, not the table. A name that was dropped and created again gets fresh tables and columns,
and so does a field whose stored form changed: what was kept aside is never inherited by accident.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from clew.metadata.blueprint import Blueprint, Entity, Field
from clew.storage.called import Called, Names, followed
from clew.storage.layout import (
    TX_FROM,
    TX_TO,
    earlier_entity,
    earlier_field,
    entity_slots,
    inherited,
    link_fields,
    same_column,
    slots_of,
)

NAME_LIMIT = 63
_TABLE_LIMIT = 52
"""Room for a partition's suffix (`_p202611`, `_default`) below PostgreSQL's 63 bytes."""
_SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "rowid", "oid", TX_FROM, TX_TO})
_SYSTEM_PREFIXES = ("clew_", "pg_", "sqlite_", "zz_")


def fit(name: str, limit: int, taken: Iterable[str] = ()) -> str:
    """`name` cut to `limit` bytes with a digest of the whole, and numbered when it is taken."""
    occupied = taken if isinstance(taken, set | frozenset | Mapping) else frozenset(taken)
    base = name if len(name) <= limit else f"{name[: limit - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    candidate, number = base, 1
    while candidate in occupied:
        number += 1
        suffix = f"_{number}"
        candidate = base[: limit - len(suffix)] + suffix
    return candidate


@dataclass(frozen=True, slots=True)
class LinkNames:
    """The tables of one many-to-many field."""

    table: str
    history: str


@dataclass(frozen=True, slots=True)
class EntityNames:
    """The physical names of one entity. `columns` goes from logical column key to physical column."""

    table: str
    history: str
    gram: str
    columns: Mapping[str, str]
    links: Mapping[str, LinkNames]
    called: Names = ()
    """What the entity was called when; empty: by its name from the beginning."""
    fields: Mapping[str, Names] = field(default_factory=lambda: MappingProxyType({}))
    """Of those fields that were not called by their name from the beginning, what they were called when."""

    def entity_called(self, entity: Entity, others: Mapping[str, Entity]) -> Names:
        """What the entity was called when."""
        return self.called or _by_hand(entity.name, entity.renamed_from, others)

    def field_called(self, field: Field, others: Mapping[str, Field]) -> Names:
        """What a field of it was called when."""
        return self.fields.get(field.name) or _by_hand(field.name, field.renamed_from, others)


def _by_hand(name: str, before: Iterable[str], others: Mapping[str, Any]) -> Names:
    """The names that the project's files tell of something that was there from the beginning."""
    return (*(Called(each) for each in before if each not in others), Called(name))


@dataclass(frozen=True, slots=True)
class Catalog:
    """Physical names of one release. `retired_*` are names that once carried something and are never given again."""

    entities: Mapping[str, EntityNames]
    retired_tables: frozenset[str] = frozenset()
    retired_columns: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    """Physical table → its columns that are kept aside."""

    @classmethod
    def first(cls, blueprint: Blueprint, present: Catalog | None = None) -> Catalog:
        """The catalog of a database's first release. `present` lists names that are already taken there."""
        return _Naming(present or cls(MappingProxyType({})), None, blueprint).build()

    def evolve(self, old: Blueprint, new: Blueprint, base: int = 0) -> Catalog:
        """The catalog of `new`, when this one belongs to `old`, the release of the number `base`."""
        return _Naming(self, old, new, base).build()

    def to_json(self) -> dict[str, Any]:
        return {
            "format": 1,
            "entities": {
                name: {
                    "table": names.table,
                    "history": names.history,
                    "gram": names.gram,
                    "columns": dict(names.columns),
                    "links": {each: [link.table, link.history] for each, link in names.links.items()},
                    **_called_to_json(names),
                }
                for name, names in self.entities.items()
            },
            "retired_tables": sorted(self.retired_tables),
            "retired_columns": {table: sorted(columns) for table, columns in sorted(self.retired_columns.items())},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Catalog:
        return cls(
            MappingProxyType(
                {
                    name: EntityNames(
                        each["table"],
                        each["history"],
                        each["gram"],
                        MappingProxyType(dict(each["columns"])),
                        MappingProxyType({link: LinkNames(*pair) for link, pair in each["links"].items()}),
                        _called_of(each.get("called", ())),
                        MappingProxyType({key: _called_of(said) for key, said in each.get("fields", {}).items()}),
                    )
                    for name, each in data["entities"].items()
                }
            ),
            frozenset(data["retired_tables"]),
            MappingProxyType({table: frozenset(each) for table, each in data["retired_columns"].items()}),
        )

    def tables_of(self, entity: str) -> tuple[str, ...]:
        names = self.entities[entity]
        links = (table for link in names.links.values() for table in (link.table, link.history))
        return (names.table, names.history, names.gram, *links)


def _called_of(said: Iterable[Sequence[Any]]) -> Names:
    return tuple(Called(*each) for each in said)


def _called_to_json(names: EntityNames) -> dict[str, Any]:
    """Only what is not as it was from the beginning."""
    found: dict[str, Any] = {}
    if names.called:
        found["called"] = [each.to_json() for each in names.called]
    if names.fields:
        found["fields"] = {name: [each.to_json() for each in called] for name, called in sorted(names.fields.items())}
    return found


class _Naming:
    """Builds the next catalog out of the present one."""

    def __init__(self, present: Catalog, old: Blueprint | None, new: Blueprint, base: int = 0) -> None:
        self._present, self._old, self._new, self._base = present, old, new, base
        self._tables = set(present.retired_tables)
        for name in present.entities:
            self._tables.update(present.tables_of(name))
        self._aside = {table: set(columns) for table, columns in present.retired_columns.items()}

    def build(self) -> Catalog:
        entities = {name: self._entity(entity) for name, entity in self._new.entities.items()}
        kept: set[str] = set()
        for names in entities.values():
            kept.update((names.table, names.history, names.gram))
            kept.update(table for link in names.links.values() for table in (link.table, link.history))
        return Catalog(
            MappingProxyType(entities),
            frozenset(self._tables - kept),
            MappingProxyType({table: frozenset(columns) for table, columns in self._aside.items() if columns}),
        )

    def _entity(self, entity: Entity) -> EntityNames:
        was = earlier_entity(entity, self._old, self._new) if self._old else None
        if was is None:
            table = self._table(entity.name)
            names = EntityNames(table, self._table(f"{table}__history"), self._table(f"{table}__gram"), {}, {})
        else:
            names = self._present.entities[was.name]
        return EntityNames(
            names.table,
            names.history,
            names.gram,
            MappingProxyType(self._columns(entity, was, names)),
            MappingProxyType(self._links(entity, was, names)),
            self._entity_called(entity, was, names),
            MappingProxyType(self._fields_called(entity, was, names)),
        )

    def _entity_called(self, entity: Entity, was: Entity | None, names: EntityNames) -> Names:
        if was is None or self._old is None:
            return (Called(entity.name, self._base),) if self._base else ()
        known = followed(names.entity_called(was, self._old.entities), entity.name, self._base)
        return () if known == (Called(entity.name),) else known

    def _fields_called(self, entity: Entity, was: Entity | None, names: EntityNames) -> dict[str, Names]:
        """An entity that is new has fields that are as old as itself."""
        found: dict[str, Names] = {}
        for each in entity.fields.values() if was is not None else ():
            assert was is not None
            before = earlier_field(each, was, entity)
            if before is None:
                known: Names = (Called(each.name, self._base),)
            else:
                known = followed(names.field_called(before, was.fields), each.name, self._base)
            if known != (Called(each.name),):
                found[each.name] = known
        return found

    def _columns(self, entity: Entity, was: Entity | None, names: EntityNames) -> dict[str, str]:
        kept: dict[str, str] = {}
        for each in entity.fields.values() if was else ():
            assert was is not None
            assert self._old is not None
            before = earlier_field(each, was, entity)
            sources = inherited(before, each, self._old, self._new)
            for slot in slots_of(each):
                source = sources.get(slot.key)
                if source is not None and same_column(source, slot):
                    kept[slot.key] = names.columns[source.key]
            if before is not None and before.sort and each.sort and each.name in kept:
                kept[f"{each.name}__sort"] = names.columns[f"{before.name}__sort"]
        aside = self._aside.setdefault(names.table, set())
        aside.update(set(names.columns.values()) - set(kept.values()))
        taken = set(kept.values()) | aside | _SYSTEM_COLUMNS
        columns: dict[str, str] = {}
        for slot in entity_slots(entity):
            if slot.key in kept:
                columns[slot.key] = kept[slot.key]
                continue
            columns[slot.key] = fit(slot.key, NAME_LIMIT, taken)
            taken.add(columns[slot.key])
        return columns

    def _links(self, entity: Entity, was: Entity | None, names: EntityNames) -> dict[str, LinkNames]:
        links: dict[str, LinkNames] = {}
        for each in link_fields(entity):
            before = earlier_field(each, was, entity) if was else None
            known = names.links.get(before.name) if before else None
            if known is None or before is None or not self._same_target(before, each):
                table = self._table(f"{names.table}__{each.name}")
                known = LinkNames(table, self._table(f"{table}__history"))
            links[each.name] = known
        return links

    def _same_target(self, before: Field, now: Field) -> bool:
        """True when the target is the same entity, perhaps under a new name."""
        assert self._old is not None
        was = earlier_entity(self._new.entities[now.target], self._old, self._new)
        return was is not None and was.name == before.target

    def _table(self, name: str) -> str:
        wanted = f"e_{name}" if name.startswith(_SYSTEM_PREFIXES) else name
        physical = fit(wanted, _TABLE_LIMIT, self._tables)
        self._tables.add(physical)
        return physical
