"""The database as the rest of the platform sees it: raw-driver speed, one shape on SQLite and PostgreSQL.

SQL is built with SQLAlchemy Core and compiled once per statement (`storage.dialects.compile_statement`); execution goes
straight to the driver, because per-query ORM and pool machinery costs more than a bare request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar

from sqlalchemy import Table
from sqlalchemy.sql import ClauseElement

DialectName = Literal["sqlite", "postgresql"]
Row = Sequence[Any]
T = TypeVar("T")


def for_driver(values: Iterable[Any], converters: Iterable[Any]) -> list[Any]:
    """Canonical values as the driver takes them, each by its converter. None is None everywhere."""
    return [
        value if convert is None or value is None else convert(value)
        for value, convert in zip(values, converters, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement ready for the driver. `slots` lists, in driver order, the bind names to pick from the arguments;
    `constants` holds the values of binds that were literals in the statement. Binding converters are applied per slot
    (a Decimal to a scaled integer on SQLite, a UUID to text …). `results` converts the result columns, by their place,
    that are not canonical Python values as the driver gives them."""

    sql: str
    slots: tuple[str, ...]
    constants: Mapping[str, Any]
    converters: tuple[Any, ...]
    results: tuple[tuple[int, Any], ...] = ()

    def bind(self, args: Mapping[str, Any]) -> list[Any]:
        """Driver arguments in order. A missing name raises KeyError: a statement never runs half-bound."""
        known = {**self.constants, **args} if self.constants else args
        try:
            return for_driver(map(known.__getitem__, self.slots), self.converters)
        except KeyError as missing:
            raise KeyError(f"the statement needs a value for {missing.args[0]!r}") from None

    def convert(self, rows: Sequence[Row]) -> list[Row]:
        """Driver rows as canonical Python values; the rows themselves when no column needs it."""
        if not self.results:
            return list(rows)
        converted: list[Row] = []
        for row in rows:
            values = list(row)
            for at, change in self.results:
                if values[at] is not None:
                    values[at] = change(values[at])
            converted.append(tuple(values))
        return converted


class Connection(Protocol):
    """One connection inside a unit of work. Statements are Core constructs (compiled and cached) or `Compiled`."""

    dialect: DialectName

    async def fetch(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = ...) -> list[Row]: ...

    async def fetch_one(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = ...) -> Row | None: ...

    async def fetch_value(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = ...) -> Any: ...

    async def fetch_text(self, compiled: Compiled, args: Mapping[str, Any] = ...) -> list[Row]:
        """Rows as the driver gives them, unconverted: the path of hot reads whose one column is JSON text."""
        ...

    async def fetch_last(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = ...) -> list[Row]:
        """The last statement of a unit of work. If it is the only one, it is the whole transaction by itself, and is
        committed when it returns."""
        ...

    async def execute(self, statement: ClauseElement | Compiled, args: Mapping[str, Any] = ...) -> int:
        """Run a statement for its effect; the number of rows it touched."""
        ...

    async def execute_many(self, statement: ClauseElement | Compiled, rows: Sequence[Mapping[str, Any]]) -> None: ...

    async def copy_in(self, table: Table, keys: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """Bulk-load rows of canonical values in the order of `keys` (logical column names). COPY on PostgreSQL."""
        ...

    async def run_sql(self, sql: str) -> None:
        """DDL or other literal SQL that takes no arguments. Never built from request data."""
        ...

    async def now(self) -> datetime:
        """Database time: the server's clock on PostgreSQL, `kernel.clock` on embedded SQLite. One moment per unit."""
        ...


class Database(Protocol):
    """A pool. `write` opens a unit of work: BEGIN IMMEDIATE on SQLite, SERIALIZABLE on PostgreSQL.

    `run_write(work)` opens one, runs `work(connection)`, commits, and retries the whole of it when the database reports
    a serialization failure or deadlock (PostgreSQL 40001, 40P01; SQLite busy), up to a bound, then raises
    `DatabaseBusy`.
    """

    dialect: DialectName
    url: str

    def read(self) -> AbstractAsyncContextManager[Connection]:
        """A connection for reading; each statement sees its own snapshot."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Connection]:
        """A connection for reading whose statements all see the moment of the first."""
        ...

    def write(self) -> AbstractAsyncContextManager[Connection]: ...

    def migrate(self, *, rows_only: bool = False) -> AbstractAsyncContextManager[Connection]:
        """A unit of work for schema changes: one at a time per database, no statement timeout; foreign keys are off
        before it begins and checked before it commits on SQLite. `rows_only`: no table is made or changed, so there
        they stay on."""
        ...

    async def run_write(self, work: Callable[[Connection], Awaitable[T]]) -> T: ...

    async def close(self) -> None: ...
