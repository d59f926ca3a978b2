"""What the database really holds: read only to detect drift and constraints that are still to be tightened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import sqlalchemy as sa

from clew.storage.catalog import NAME_LIMIT, fit
from clew.storage.ddl import Ddl
from clew.storage.engine import Connection
from clew.storage.schema import IndexShape, Schema, TableShape

_SQLITE_COLUMNS = """
SELECT m.name, c.name, upper(c.type), c."notnull" OR c.pk > 0
FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY 1, c.cid
"""
_POSTGRES_COLUMNS = """
SELECT r.relname::text, a.attname::text, upper(format_type(a.atttypid, a.atttypmod)), a.attnotnull
FROM pg_class r JOIN pg_attribute a ON a.attrelid = r.oid
WHERE r.relnamespace = 'public'::regnamespace AND r.relkind IN ('r', 'p') AND NOT r.relispartition
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY 1, a.attnum
"""
_SQLITE_INDEXES = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
_POSTGRES_INDEXES = "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'public'"


@dataclass(frozen=True, slots=True)
class FoundColumn:
    type: str
    required: bool


@dataclass(frozen=True, slots=True)
class Found:
    """Tables with their columns, and the names of all indexes."""

    tables: Mapping[str, Mapping[str, FoundColumn]]
    indexes: frozenset[str]


async def reflect(connection: Connection) -> Found:
    """Read the catalogue of the database."""
    sqlite = connection.dialect == "sqlite"
    tables: dict[str, dict[str, FoundColumn]] = {}
    for table, column, type_, required in await connection.fetch(
        sa.text(_SQLITE_COLUMNS if sqlite else _POSTGRES_COLUMNS)
    ):
        tables.setdefault(table, {})[column] = FoundColumn(type_, bool(required))
    rows = await connection.fetch(sa.text(_SQLITE_INDEXES if sqlite else _POSTGRES_INDEXES))
    return Found(MappingProxyType(tables), frozenset(row[0] for row in rows))


def as_made(expected: Schema, found: Found) -> Schema:
    """What is expected, with indexes under the names that an earlier version of the platform gave them: the next change
    makes them anew, since their condition may be an earlier one too."""

    wanted = {each.name for shape in expected.values() for each in shape.indexes}
    others = [name for name in found.indexes if name not in wanted and name[-10:-8] == "__"]

    def under_its_name(index: IndexShape) -> IndexShape:
        if index.name in found.indexes or not index.once:
            return index
        # Named by its condition, which an earlier version wrote in other words.
        same = [name for name in others if name[:-10] == index.name[:-10]]
        name = index.once if index.once in found.indexes else same[0] if len(same) == 1 else index.name
        return replace(index, name=name)

    def indexes(shape: TableShape) -> tuple[IndexShape, ...]:
        earlier = (each for each in _on_state(shape) if each.name in found.indexes and each.name not in wanted)
        return (*map(under_its_name, shape.indexes), *earlier)

    return {name: replace(shape, indexes=indexes(shape)) for name, shape in expected.items()}


def _on_state(shape: TableShape) -> Iterator[IndexShape]:
    """The index on states that an earlier version made for every entity."""
    names = {each.key: each.name for each in shape.columns}
    if shape.kind != "current" or "state" not in names:
        return
    for keys in (("state", "id"), ("site", "state", "id")):
        parts = tuple(names.get(key, key) for key in keys)
        name = fit(f"ix_{shape.name}__{'_'.join(parts)}", NAME_LIMIT)
        yield IndexShape(name, shape.name, parts, of="state")


def drift(expected: Schema, found: Found, ddl: Ddl) -> tuple[str, ...]:
    """Where the database lacks or contradicts what its release says. Additions are not drift."""
    differences: list[str] = []
    for shape in expected.values():
        columns = found.tables.get(shape.name)
        if columns is None:
            differences.append(f"table {shape.name} is gone")
            continue
        for column in shape.columns:
            present = columns.get(column.name)
            wanted = ddl.form(column.form).partition(" COLLATE")[0].upper()
            if present is None:
                differences.append(f"column {shape.name}.{column.name} is gone")
            elif present.type.replace(", ", ",") != wanted.replace(", ", ","):
                differences.append(f"column {shape.name}.{column.name} is {present.type}, not {wanted}")
        differences += [f"index {each.name} is gone" for each in shape.indexes if each.name not in found.indexes]
    return tuple(differences)
