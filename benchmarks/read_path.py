"""Micro-benchmark of the read path: the GraphQL engine against the same connection running hand-written SQL.

Prints ratios only. Run: python benchmarks/read_path.py [postgresql://…]; without an address a throw-away server starts.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.access.decision import ALWAYS, Decision, EntityAccess, FieldAccess, Grant, permit_all
from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.expressions.check import check
from clew.kernel.clock import SystemClock
from clew.kernel.context import Context, Person
from clew.kernel.scalars import FAR_FUTURE
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_folder
from clew.metadata.schema import BlueprintSchema
from clew.storage import identity_tables
from clew.storage.change.install import install
from clew.storage.engine import Database
from clew.storage.open import open_database
from clew.storage.tables import Tables
from clew.testing.databases import PostgresServer

MINI = Path(__file__).parents[1] / "tests" / "projects" / "mini"
BORN = datetime(2026, 1, 1, tzinfo=UTC)
SITE, ITEM, SUPPLIER = UUID(int=1), UUID(int=2), UUID(int=3)
PERSON = Person(UUID(int=9), "bench", "Bench", ("reader",), (SITE,), SITE)
ROWS = 20_000

BY_ID = "query($id: ID!) { lot(id: $id) { id number qty state expOn supplierLot createdAt supplier { name } } }"
LIST = """query($q: Decimal!) {
  lots(where: {qty: {gte: $q}, state: {eq: released}}, orderBy: [{number: ASC}], first: 50) {
  nodes { id number qty state expOn } } }"""
NESTED = """query { lots(orderBy: [{number: ASC}], first: 20) { nodes { number
  item { itemNo name lots(first: 10) { nodes { number supplier { name } } } } supplier { name } } } }"""
INSTANT = "to_char(l.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
SESSION = "EXISTS (SELECT 1 FROM clew_session WHERE id = $1 AND epoch = $2 AND expires_at > now())"
BARE = {
    "by id": f"""SELECT {SESSION}, (SELECT row_to_json(x)::text FROM (SELECT l.id, l.number, l.qty::text AS qty,
        l.state, l.exp_on AS "expOn", l.supplier_lot AS "supplierLot", {INSTANT} AS "createdAt",
        (SELECT row_to_json(s) FROM (SELECT name FROM supplier WHERE id = l.supplier) s) AS supplier
        FROM lot l WHERE l.id = $3 AND l.site = ANY($4)) x)""",
    "50 rows": f"""SELECT {SESSION}, (SELECT json_agg(x)::text FROM (SELECT l.id, l.number, l.qty::text AS qty, l.state,
        l.exp_on AS "expOn" FROM lot l WHERE l.qty >= $3 AND l.state = 'released' AND l.site = ANY($4)
        AND l.voided_at IS NULL ORDER BY l.number, l.id LIMIT 50) x)""",
    "nested": f"""SELECT {SESSION}, (SELECT json_agg(x)::text FROM (SELECT l.number,
        (SELECT row_to_json(i) FROM (SELECT item_no AS "itemNo", name, (SELECT json_agg(y) FROM (SELECT m.number,
            (SELECT row_to_json(s) FROM (SELECT name FROM supplier WHERE id = m.supplier) s) AS supplier
            FROM lot m WHERE m.item = item.id AND m.site = ANY($3) AND m.voided_at IS NULL
            ORDER BY m.id LIMIT 10) y) AS lots FROM item WHERE id = l.item) i) AS item,
        (SELECT row_to_json(s) FROM (SELECT name FROM supplier WHERE id = l.supplier) s) AS supplier
        FROM lot l WHERE l.site = ANY($3) AND l.voided_at IS NULL ORDER BY l.number, l.id LIMIT 20) x)""",
}


def reader_of(blueprint: Blueprint) -> Decision:
    """A site-scoped reader with a masked field."""
    schema = BlueprintSchema.of(blueprint)
    entities = dict(permit_all(blueprint).entities)
    lot = entities["lot"]
    masked = FieldAccess(Grant(True, (check("state != 'rejected'", schema, "lot"),)))
    fields = MappingProxyType({**lot.fields, "supplier_lot": masked})
    scoped = Grant(True, (check("site in user.sites", schema, "lot"),))
    entities["lot"] = EntityAccess(read=scoped, fields=fields, audit=ALWAYS)
    return Decision("bench-reader", MappingProxyType(entities))


async def fill(database: Database, tables: Tables) -> list[UUID]:
    """One site, item and supplier, and many lots."""
    common = {"row_version": 1, "created_at": BORN, "created_by": SITE, "updated_at": BORN, "updated_by": SITE}
    ids = [UUID(int=(7 << 64) | at) for at in range(ROWS)]
    singles: dict[str, dict[str, Any]] = {
        "site": {"id": SITE, "code": "SHA", "name": "上海", "name__sort": "s"},
        "item": {
            "id": ITEM, "item_no": "I-1", "name": "注射器", "name__sort": "z", "kind": "raw", "base_uom": "pcs",
            "sterile": True,
        },
        "supplier": {"id": SUPPLIER, "number": "S1", "name": "安泰", "name__sort": "a", "state": "active"},
    }  # fmt: skip
    async with database.write() as connection:
        for entity, values in singles.items():
            table = tables.current(entity)
            row = dict.fromkeys(table.c.keys()) | common | values | {"thread_id": values["id"]}
            await connection.execute(sa.insert(table), row)
        lot = tables.current("lot")
        rows = [
            dict.fromkeys(lot.c.keys()) | common
            | {"id": id, "thread_id": id, "number": f"L{at:06}", "item": ITEM, "site": SITE, "supplier": SUPPLIER,
               "qty": Decimal(at % 1000), "state": "released" if at % 2 else "quarantine", "supplier_lot": "A",
               "legal_hold": False}
            for at, id in enumerate(ids)
        ]  # fmt: skip
        await connection.execute_many(sa.insert(lot), rows)
        session = {"id": "token", "account": SITE, "data": {}, "epoch": 1, "created_at": BORN, "seen_at": BORN,
                   "expires_at": FAR_FUTURE, "revoked_at": None}  # fmt: skip
        await connection.execute(sa.insert(identity_tables.session), session)
        history = tables.history("lot")
        await connection.execute_many(
            sa.insert(history), [row | {"tx_from": BORN, "tx_to": FAR_FUTURE} for row in rows[:100]]
        )
        await connection.run_sql("ANALYZE")
    return ids


async def timed(work: Callable[[int], Awaitable[Any]], count: int) -> float:
    started = perf_counter()
    for at in range(count):
        await work(at)
    return (perf_counter() - started) / count


async def measure(url: str) -> None:
    import asyncpg

    loaded = load_folder(MINI)
    assert loaded.blueprint is not None
    blueprint = loaded.blueprint
    database = await open_database(url, clock=SystemClock())
    release = await install(database, blueprint)
    tables = Tables(blueprint, release.catalog, database.dialect)
    ids = await fill(database, tables)
    engine = GraphQLEngine(blueprint, tables, database, SystemClock())
    caller = Caller(Context(PERSON, "bench", session="token", epoch=1), reader_of(blueprint))
    pool = await asyncpg.create_pool(url, min_size=1, max_size=4)
    cases: dict[str, tuple[str, Callable[[int], dict[str, Any]], Callable[[int], list[Any]], int]] = {
        "by id": (BY_ID, lambda at: {"id": str(ids[at % ROWS])}, lambda at: [ids[at % ROWS], [SITE]], 2000),
        "50 rows": (LIST, lambda at: {"q": str(at % 500)}, lambda at: [Decimal(at % 500), [SITE]], 200),
        "nested": (NESTED, lambda at: {}, lambda at: [[SITE]], 200),
    }
    for name, (document, variables, values, count) in cases.items():

        async def ours(at: int, document: str = document, variables: Any = variables) -> None:
            answer = await engine.execute(Question(document, None, variables(at)), caller)
            assert b'"errors"' not in answer.body, answer.body[:300]

        async def bare(at: int, name: str = name, values: Any = values) -> None:
            async with pool.acquire() as connection:
                row = await connection.fetchrow(BARE[name], "token", 1, *values(at))
                assert row[0]
                (b'{"data":' + row[1].encode() + b"}")

        ratios: list[float] = []
        for _ in range(5):
            limit = await timed(bare, count)
            ratios.append(limit / await timed(ours, count))
        rounds = ", ".join(f"{each:.2f}" for each in ratios)
        print(f"{name:8} {sorted(ratios)[2]:5.2f} x the bare handler   (rounds: {rounds})")
    await pool.close()
    await database.close()


def main() -> None:
    """Measure against the address given, or a throw-away server."""
    if len(sys.argv) > 1:
        asyncio.run(measure(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory(prefix="clew-bench-", ignore_cleanup_errors=True) as folder:
        asyncio.run(measure(PostgresServer.start(Path(folder)).create()))


if __name__ == "__main__":
    main()
