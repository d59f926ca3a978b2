"""SQL text of tables, columns and indexes, for both engines. The only place that writes CREATE and ALTER."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from clew.storage.catalog import NAME_LIMIT, fit
from clew.storage.dialects import sa_dialect
from clew.storage.engine import DialectName
from clew.storage.layout import column_type
from clew.storage.schema import ColumnShape, IndexShape, TableShape

MONTHS_AHEAD = 2
_FILLED = 90
"""Percent of a page that new records fill: a row that changes where no index looks stays on its page."""


class Ddl:
    """Writes DDL for one engine."""

    def __init__(self, dialect: DialectName) -> None:
        self.dialect: DialectName = dialect
        self._sa = sa_dialect(dialect)
        self._forms: dict[str, str] = {}

    def quote(self, name: str) -> str:
        """A name as it stands in SQL; always quoted, so that no word is reserved."""
        return '"' + name.replace('"', '""') + '"'

    def form(self, form: str) -> str:
        """The column type of a stored form."""
        known = self._forms.get(form)
        if known is None:
            known = self._forms[form] = str(column_type(form).compile(dialect=self._sa))
        return known

    def column(self, column: ColumnShape, *, required: bool) -> str:
        return f"{self.quote(column.name)} {self.form(column.form)}{' NOT NULL' if required else ''}"

    def create_table(self, shape: TableShape, at: datetime, *, references: bool) -> list[str]:
        """The table with its indexes and first partitions. `references` writes foreign keys inside (SQLite)."""
        lines = [self.column(each, required=each.required) for each in shape.columns]
        lines.append(f"PRIMARY KEY ({self._names(shape.primary_key)})")
        if references:
            lines += [self._foreign_key(each) for each in shape.columns if each.references]
        partitioned = shape.partition_by if self.dialect == "postgresql" else None
        tail = f" PARTITION BY RANGE ({self.quote(partitioned)})" if partitioned else ""
        if self.dialect == "sqlite" and shape.kind in ("gram", "link"):
            tail = " WITHOUT ROWID"
        if self.dialect == "postgresql" and shape.kind == "current":
            tail = f" WITH (fillfactor = {_FILLED})"
        body = ",\n  ".join(lines)
        statements = [f"CREATE TABLE {self.quote(shape.name)} (\n  {body}\n){tail}"]
        if partitioned:
            statements += self.partitions(shape.name, months(at))
            statements.append(
                f"CREATE TABLE {self.quote(default_partition(shape.name))} PARTITION OF"
                f" {self.quote(shape.name)} DEFAULT"
            )
        statements += [self.create_index(each) for each in shape.indexes]
        return statements

    def partitions(self, table: str, month_starts: Iterable[tuple[int, int]]) -> list[str]:
        return [
            f"CREATE TABLE IF NOT EXISTS {self.quote(partition_name(table, year, month))} PARTITION OF"
            f" {self.quote(table)} FOR VALUES FROM ('{year:04d}-{month:02d}-01T00:00:00Z')"
            f" TO ('{_next(year, month)[0]:04d}-{_next(year, month)[1]:02d}-01T00:00:00Z')"
            for year, month in month_starts
        ]

    def foreign_keys(self, shape: TableShape) -> list[str]:
        """References added after all tables exist (PostgreSQL)."""
        return [
            f"ALTER TABLE {self.quote(shape.name)} ADD CONSTRAINT {self.quote(foreign_key_name(shape.name, each.name))}"
            f" {self._foreign_key(each)}"
            for each in shape.columns
            if each.references
        ]

    def add_column(self, table: str, column: ColumnShape) -> str:
        """A new column, always nullable at first: a release that does not know it must be able to insert."""
        statement = f"ALTER TABLE {self.quote(table)} ADD COLUMN {self.column(column, required=False)}"
        if column.references and self.dialect == "sqlite":
            statement += f' REFERENCES {self.quote(column.references)} ("id") DEFERRABLE'
        return statement

    def add_reference(self, table: str, column: ColumnShape) -> str:
        return (
            f"ALTER TABLE {self.quote(table)} ADD CONSTRAINT {self.quote(foreign_key_name(table, column.name))}"
            f" {self._foreign_key(column)}"
        )

    def create_index(self, index: IndexShape) -> str:
        parts = ", ".join(
            f"lower({self.quote(part[6:-1])})" if part.startswith("lower(") else self.quote(part)
            for part in index.parts
        )
        where = f" WHERE {index.where}" if index.where else ""
        unique = "UNIQUE " if index.unique else ""
        return f"CREATE {unique}INDEX {self.quote(index.name)} ON {self.quote(index.table)} ({parts}){where}"

    def drop_index(self, name: str) -> str:
        return f"DROP INDEX IF EXISTS {self.quote(name)}"

    def set_required(self, table: str, column: str, *, required: bool) -> str:
        """PostgreSQL only; SQLite rebuilds the table (`storage.rebuild`)."""
        word = "SET" if required else "DROP"
        return f"ALTER TABLE {self.quote(table)} ALTER COLUMN {self.quote(column)} {word} NOT NULL"

    def rename_table(self, old: str, new: str) -> str:
        return f"ALTER TABLE {self.quote(old)} RENAME TO {self.quote(new)}"

    def _names(self, names: Iterable[str]) -> str:
        return ", ".join(self.quote(name) for name in names)

    def _foreign_key(self, column: ColumnShape) -> str:
        # Deferrable but immediate: errors show at the statement, and a bulk load may ask to defer.
        assert column.references is not None
        target = self.quote(column.references)
        return f'FOREIGN KEY ({self.quote(column.name)}) REFERENCES {target} ("id") DEFERRABLE INITIALLY IMMEDIATE'


def months(at: datetime, ahead: int = MONTHS_AHEAD) -> list[tuple[int, int]]:
    """The month of `at` and the next `ahead` ones."""
    found = [(at.year, at.month)]
    for _ in range(ahead):
        found.append(_next(*found[-1]))
    return found


def partition_name(table: str, year: int, month: int) -> str:
    return f"{table}_p{year:04d}{month:02d}"


def default_partition(table: str) -> str:
    return f"{table}_default"


def foreign_key_name(table: str, column: str) -> str:
    return fit(f"fk_{table}__{column}", NAME_LIMIT)


def _next(year: int, month: int) -> tuple[int, int]:
    return (year + 1, 1) if month == 12 else (year, month + 1)
