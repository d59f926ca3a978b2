"""Whether a database can read what a project computes: SQLite's parser holds a hundred open symbols and gives up.

The SQL of each computed field is put to the parser, inside as many brackets as the statement around it may need. Tables
that are not there stop it only afterwards, so none has to be made.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import sqlalchemy as sa

from clew.expressions.functions import SQL
from clew.metadata.blueprint import Blueprint, Entity, Field, FieldKind
from clew.metadata.link.nesting import Spread
from clew.storage.catalog import Catalog
from clew.storage.dialects import compile_statement
from clew.storage.expressions import Rows, value_sql
from clew.storage.tables import Tables

_AROUND, _AROUND_NUMBERS = 31, 39
"""Open symbols that a list of records, ordered by the field and with cursors, needs around it; a test measures them."""
_FEW = 8
"""Parts of a field that is read by any database."""
_REFUSED = "parser stack overflow"


def unreadable(blueprint: Blueprint) -> Iterator[tuple[Entity, Field]]:
    """Computed fields that are too deep for the parser of a database, with all that they read."""
    tables, spread = Tables(blueprint, Catalog.first(blueprint), "sqlite"), Spread(blueprint.entities)
    connection = sqlite3.connect(":memory:")
    try:
        for entity in blueprint.entities.values():
            for field in entity.fields.values():
                computed = field.computed
                if computed is None or SQL not in computed.runs_in or spread.field(entity, field) < _FEW:
                    continue
                around = _AROUND_NUMBERS if field.kind in (FieldKind.DECIMAL, FieldKind.MONEY) else _AROUND
                if _refuses(connection, _sql(tables, entity, field), around):
                    yield entity, field
    finally:
        connection.close()


def _sql(tables: Tables, entity: Entity, field: Field) -> str:
    assert field.computed is not None
    this = tables.current(entity.name).alias("this")
    value = value_sql(field.computed, Rows(tables, tables.blueprint, entity.name, this, tables.dialect))
    return compile_statement(sa.select(value), tables.dialect).sql


def _refuses(connection: sqlite3.Connection, sql: str, around: int) -> bool:
    try:
        connection.execute(f"EXPLAIN SELECT {'(' * around}{sql.removeprefix('SELECT ')}")
    except sqlite3.Error as error:
        return _REFUSED in str(error)
    return False
