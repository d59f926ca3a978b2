"""SQLAlchemy tables of one Blueprint under one Catalog. Columns are keyed by their logical names."""

from __future__ import annotations

import sqlalchemy as sa

from clew.metadata.blueprint import Blueprint
from clew.storage.catalog import Catalog
from clew.storage.engine import DialectName
from clew.storage.layout import OWNER, TARGET, TX_FROM, TX_TO, column_type, entity_slots
from clew.storage.types import Id, Instant, StoredType, Text


class Tables:
    """The tables of a release, built when first asked for. The catalog decides their physical names."""

    def __init__(self, blueprint: Blueprint, catalog: Catalog, dialect: DialectName) -> None:
        self.blueprint, self.catalog, self.dialect = blueprint, catalog, dialect
        self.metadata = sa.MetaData()
        self._built: dict[tuple[str, ...], sa.Table] = {}
        self._known: dict[str, list[tuple[str, str, StoredType]]] = {}

    def current(self, entity: str) -> sa.Table:
        """The present rows."""
        names = self.catalog.entities[entity]
        return self._table(("current", entity), names.table, self._columns(entity), ("id",))

    def history(self, entity: str) -> sa.Table:
        """Every version, with `tx_from` and `tx_to`."""
        names = self.catalog.entities[entity]
        columns = [*self._columns(entity), *_INTERVAL]
        return self._table(("history", entity), names.history, columns, ("id", TX_FROM))

    def link(self, entity: str, field: str) -> sa.Table:
        """The present pairs of a `many` field."""
        names = self.catalog.entities[entity].links[field]
        return self._table(("link", entity, field), names.table, _PAIR, (OWNER, TARGET))

    def link_history(self, entity: str, field: str) -> sa.Table:
        names = self.catalog.entities[entity].links[field]
        columns = [*_PAIR, *_INTERVAL]
        return self._table(("link_history", entity, field), names.history, columns, (OWNER, TARGET, TX_FROM))

    def grams(self, entity: str) -> sa.Table:
        """Search grams of an entity's `search` fields."""
        names = self.catalog.entities[entity]
        return self._table(("grams", entity), names.gram, _GRAM, ("gram", "field", "id"))

    def gram_field(self, entity: str, field: str) -> str:
        """How grams name a field: by its column, which keeps its name when the field gets another."""
        return self.catalog.entities[entity].columns[field]

    def _columns(self, entity: str) -> list[tuple[str, str, StoredType]]:
        known = self._known.get(entity)
        if known is None:
            physical = self.catalog.entities[entity].columns
            known = self._known[entity] = [
                (slot.key, physical[slot.key], column_type(slot.form))
                for slot in entity_slots(self.blueprint.entities[entity])
            ]
        return known

    def _table(
        self,
        which: tuple[str, ...],
        name: str,
        columns: list[tuple[str, str, StoredType]],
        primary_key: tuple[str, ...],
    ) -> sa.Table:
        built = self._built.get(which)
        if built is None:
            built = self._built[which] = sa.Table(
                name,
                self.metadata,
                *(sa.Column(column, type_, key=key, primary_key=key in primary_key) for key, column, type_ in columns),
            )
        return built


_PAIR: list[tuple[str, str, StoredType]] = [(OWNER, OWNER, Id()), (TARGET, TARGET, Id())]
_INTERVAL: list[tuple[str, str, StoredType]] = [(TX_FROM, TX_FROM, Instant()), (TX_TO, TX_TO, Instant())]
_GRAM: list[tuple[str, str, StoredType]] = [("gram", "gram", Text()), ("field", "field", Text()), ("id", "id", Id())]
