"""The change the journey tests make: a rename and a newly required field over many lots. Also run as a script, by the
test that kills it: `change_case.py URL KILL_AT`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.expressions.tree import Base, Checked, Literal, Span, Type
from clew.kernel.clock import SystemClock
from clew.kernel.scalars import FAR_FUTURE
from clew.metadata.blueprint import Blueprint
from clew.storage import releases
from clew.storage.catalog import Catalog
from clew.storage.change import apply, install, plan, resume
from clew.storage.engine import Connection, Database
from clew.storage.open import open_database
from clew.storage.tables import Tables
from clew.testing.blueprints import Shelf, blueprint, entity, field

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
BETWEEN = datetime(2026, 2, 1, tzinfo=UTC)
SECOND = datetime(2026, 3, 1, tzinfo=UTC)


def constant(value: str) -> Checked:
    node = Literal(value, Type(Base.TEXT), Span(0, len(value)))
    return Checked(repr(value), node, "lot", frozenset(), frozenset(), frozenset({"memory"}))


def old_project() -> Blueprint:
    fields = [
        field("number", "number", unique=True),
        field("supplier_lot"),
        field("qty", "decimal", scale=4, required=True),
        field("item", "ref", targets=("item",)),
    ]
    return blueprint(entity("lot", fields), entity("item", [field("name")]))


def new_project() -> Blueprint:
    fields = [
        field("number", "number", unique=True),
        field("vendor_lot", renamed_from=("supplier_lot",)),
        field("qty", "decimal", scale=4),
        field("item", "ref", targets=("item",)),
        field("grade", required=True, default=constant("A"), max_length=10),
    ]
    return blueprint(entity("lot", fields), entity("item", [field("name")]))


SHELF = Shelf(old_project(), new_project())


@dataclass(frozen=True)
class Node:
    """One server: its release's view of the shared database."""

    database: Database
    tables: Tables

    @classmethod
    def of(cls, database: Database, blueprint: Blueprint, catalog: Catalog) -> Node:
        return cls(database, Tables(blueprint, catalog, database.dialect))

    async def lots(self, *keys: str, as_of: datetime | None = None) -> list[tuple[Any, ...]]:
        """Lots by number, now or as of a moment."""
        return await self.lots_of(*keys, as_of=as_of, by="number")

    async def lots_of(self, *keys: str, as_of: datetime | None = None, by: str = "id") -> list[tuple[Any, ...]]:
        table = self.tables.current("lot") if as_of is None else self.tables.history("lot")
        query = sa.select(*(table.c[key] for key in keys)).order_by(table.c[by])
        if as_of is not None:
            query = query.where(table.c.tx_from <= as_of, table.c.tx_to > as_of)
        async with self.database.read() as connection:
            return [tuple(row) for row in await connection.fetch(query)]

    async def create(self, values: dict[str, Any]) -> None:
        async with self.database.write() as connection:
            await self.insert(connection, values, await connection.now())

    async def insert(self, connection: Connection, values: dict[str, Any], at: datetime) -> None:
        row = {"row_version": 1, "created_at": at, "updated_at": at} | values
        await connection.execute(sa.insert(self.tables.current("lot")).values(**row))
        await connection.execute(sa.insert(self.tables.history("lot")).values(**row, tx_from=at, tx_to=FAR_FUTURE))

    async def update(self, lot: UUID, changes: dict[str, Any]) -> None:
        async with self.database.write() as connection:
            await self.write(connection, lot, changes)

    async def write(self, connection: Connection, lot: UUID, changes: dict[str, Any]) -> None:
        """As the write path does it: the present row by its known columns, the old version closed, a new one."""
        current, history = self.tables.current("lot"), self.tables.history("lot")
        await connection.execute(sa.update(current).where(current.c.id == lot).values(**changes))
        at = await connection.now()
        open_version = sa.update(history).where(history.c.id == lot, history.c.tx_to == FAR_FUTURE)
        await connection.execute(open_version.values(tx_to=at))
        row = await connection.fetch_one(sa.select(*current.c).where(current.c.id == lot))
        assert row is not None
        values = dict(zip(current.c.keys(), row, strict=True))
        await connection.execute(sa.insert(history).values(**values, tx_from=at, tx_to=FAR_FUTURE))


async def seeded(database: Database, count: int) -> Node:
    """The old release with `count` lots; each had another supplier lot until `SECOND`."""
    release = await install(database, old_project())
    node = Node.of(database, old_project(), release.catalog)
    async with database.write() as connection:
        for start in range(0, count, 50_000):
            rows = [_lot(at) for at in range(start, min(count, start + 50_000))]
            await _load(connection, node.tables, rows)
    return node


def lot_id(at: int) -> UUID:
    return UUID(int=(0x01900000 << 96) | (7 << 76) | (2 << 62) | at)


_KEYS = ["id", "row_version", "created_at", "updated_at", "number", "supplier_lot", "qty"]


def _lot(at: int) -> list[Any]:
    return [lot_id(at), 2, LONG_AGO, SECOND, f"L{at:07d}", f"供应商批号 {at}", Decimal(at) / 4]


async def _load(connection: Connection, tables: Tables, rows: Sequence[list[Any]]) -> None:
    await connection.copy_in(tables.current("lot"), _KEYS, rows)
    before = [[*row[:1], 1, LONG_AGO, LONG_AGO, row[4], "?", row[6], LONG_AGO, SECOND] for row in rows]
    present = [[*row, SECOND, FAR_FUTURE] for row in rows]
    await connection.copy_in(tables.history("lot"), [*_KEYS, "tx_from", "tx_to"], [*before, *present])


async def change(database: Database, **options: Any) -> releases.Release:
    made = await plan(database, new_project(), load=SHELF)
    return await apply(database, made, load=SHELF, batch=options.pop("batch", 500), **options)


async def finish(database: Database) -> releases.Release:
    """What an operator does after a crash: resume what is there, or apply again when nothing had begun."""
    await resume(database, load=SHELF, batch=500)
    found = await releases.current(database)
    return found if found.blueprint_digest == new_project().digest else await change(database)


async def _killed(url: str, kill_at: int) -> None:
    count = 0

    def on_step(_label: str) -> None:
        nonlocal count
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    database = await open_database(url, clock=SystemClock())
    await change(database, on_step=on_step, batch=4)


LATER = timedelta(days=1)

if __name__ == "__main__":
    asyncio.run(_killed(sys.argv[1], int(sys.argv[2])))
