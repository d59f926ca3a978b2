"""The limit: a bare Starlette + asyncpg handler that runs hand-written SQL returning JSON text."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

BY_ID = """
SELECT row_to_json(t)::text FROM (
  SELECT id, lot_no AS "lotNo", state, qty::text AS qty, mfg_on AS "mfgOn", exp_on AS "expOn",
         row_version AS "rowVersion", cost::text AS cost
  FROM lot WHERE id = $1) t
"""

LIST = """
SELECT json_agg(row_to_json(t))::text FROM (
  SELECT id, lot_no AS "lotNo", state, qty::text AS qty, mfg_on AS "mfgOn", exp_on AS "expOn",
         row_version AS "rowVersion", cost::text AS cost
  FROM lot WHERE supplier = $1 AND state = 'released' ORDER BY exp_on, id LIMIT 50) t
"""

NESTED = """
SELECT json_agg(row_to_json(t))::text FROM (
  SELECT l.id, l.lot_no AS "lotNo", l.state, l.exp_on AS "expOn",
    (SELECT row_to_json(s) FROM (SELECT code, name FROM supplier WHERE id = l.supplier) s) AS supplier,
    (SELECT row_to_json(i) FROM (
       SELECT it.item_no AS "itemNo", it.name,
         (SELECT coalesce(json_agg(row_to_json(n)), '[]') FROM (
            SELECT il.position, il.qty::text AS qty,
              (SELECT row_to_json(c)
               FROM (SELECT item_no AS "itemNo", name FROM item WHERE id = il.component) c) AS component
            FROM item_line il WHERE il.owner = it.id ORDER BY il.position, il.id LIMIT 50) n) AS lines
       FROM item it WHERE it.id = l.item) i) AS item,
    (SELECT coalesce(json_agg(row_to_json(q)), '[]') FROM (
       SELECT code, severity FROM nonconformance WHERE lot = l.id ORDER BY code, id LIMIT 50) q) AS nonconformances
  FROM lot l WHERE l.supplier = $1 ORDER BY l.exp_on, l.id LIMIT 20) t
"""

INSERT = """
INSERT INTO lot (id, thread_id, row_version, created_at, created_by, updated_at, updated_by,
                 lot_no, item, supplier, plant, qty, cost, mfg_on, exp_on, state)
VALUES (gen_random_uuid(), gen_random_uuid(), 1, now(), $1, now(), $1, $2, $3, $4, $5, $6, $7, $8, $9, 'quarantine')
RETURNING id::text
"""


def answer(text: str) -> Response:
    return Response('{"data":' + text + "}", media_type="application/json")


async def read(request: Request, sql: str, name: str) -> Response:
    body = json.loads(await request.body())
    return answer(await request.app.state.pool.fetchval(sql, UUID(body[name])) or "null")


async def by_id(request: Request) -> Response:
    return await read(request, BY_ID, "id")


async def listing(request: Request) -> Response:
    return await read(request, LIST, "supplier")


async def nested(request: Request) -> Response:
    return await read(request, NESTED, "supplier")


async def insert(request: Request) -> Response:
    body: dict[str, Any] = json.loads(await request.body())
    created = await request.app.state.pool.fetchval(
        INSERT,
        UUID(int=1),
        body["lotNo"],
        UUID(body["item"]),
        UUID(body["supplier"]),
        UUID(body["plant"]),
        Decimal(body["qty"]),
        Decimal(body["cost"]),
        date.fromisoformat(body["mfgOn"]),
        date.fromisoformat(body["expOn"]),
    )
    return answer(f'"{created}"')


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["BENCH_DATABASE_URL"], min_size=16, max_size=16) as pool:
        app.state.pool = pool
        yield


app = Starlette(
    routes=[
        Route("/by_id", by_id, methods=["POST"]),
        Route("/list", listing, methods=["POST"]),
        Route("/nested", nested, methods=["POST"]),
        Route("/insert", insert, methods=["POST"]),
    ],
    lifespan=lifespan,
)
