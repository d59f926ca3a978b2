"""The ledger of idempotency keys: the same key with the same request gets the same answer, with another a conflict.

Answers are let go after a while, by `prune`; of the key then stands only that it is spent, so that a request that comes
again too late is refused and never done twice.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from clew.kernel.canonical import digest
from clew.kernel.errors import BadInput
from clew.kernel.text import Bilingual
from clew.records.errors import KeyReused, KeySpent
from clew.storage import system
from clew.storage.engine import Connection, Database

LONGEST_KEY = 200
STEP = 500
"""Answers let go in one transaction."""
_t, _spent = system.idempotency, system.spent_key


def request_digest(verb: str, *parts: Any) -> str:
    """What makes two requests the same."""
    return digest([verb, *(_exact(part) for part in parts)])


def check_key(key: str) -> None:
    if not 1 <= len(key) <= LONGEST_KEY or not key.isprintable():
        what = Bilingual(
            f"幂等键须为 1 至 {LONGEST_KEY} 个可见字符。",
            f"An idempotency key has 1 to {LONGEST_KEY} printable characters.",
        )
        raise BadInput(path=["idempotencyKey"], what=what)


async def known_answer(connection: Connection, person: UUID, key: str, asked: str) -> Any | None:
    """The answer given before, or None. Raises KeyReused when the key stood for another request, KeySpent when nobody
    can say any more which."""
    row = await connection.fetch_one(_FIND, {"by": person, "under": key})
    if row is None:
        return None
    if row[0] is None:
        raise KeySpent(path=["idempotencyKey"])
    if row[0] != asked:
        raise KeyReused(path=["idempotencyKey"])
    return json.loads(row[1])


async def keep_answer(connection: Connection, person: UUID, key: str, asked: str, answer: str, at: datetime) -> None:
    """Note the answer in the transaction that earned it. A rival with the same key makes one of the two start over."""
    args = {"v_person": person, "v_key": key, "v_request_digest": asked, "v_answer": answer, "v_at": at}
    await connection.execute(_ADD, args)


async def prune(database: Database, kept: timedelta) -> int:
    """Let go of answers older than `kept`, the oldest first and in small steps: nobody waits for it. How many."""
    gone = 0
    while True:
        step = await database.run_write(lambda connection: _prune(connection, kept))
        gone += step
        if step < STEP:
            return gone


async def _prune(connection: Connection, kept: timedelta) -> int:
    """The key is spent in the transaction that lets its answer go: there is no moment in which it is unknown."""
    oldest = sa.select(_t.c.person, _t.c.key).where(_t.c.at < await connection.now() - kept)
    oldest = oldest.order_by(_t.c.at, _t.c.person, _t.c.key).limit(STEP)
    insert = postgresql.insert if connection.dialect == "postgresql" else sqlite.insert
    # As a subquery: SQLite takes the ON of a bare SELECT's ON CONFLICT for that of a join.
    chosen = oldest.subquery()
    spend = insert(_spent).from_select(["person", "key"], sa.select(chosen.c.person, chosen.c.key).where(sa.true()))
    await connection.execute(spend.on_conflict_do_nothing())
    return await connection.execute(sa.delete(_t).where(sa.tuple_(_t.c.person, _t.c.key).in_(oldest)))


def _exact(value: Any) -> Any:
    """Inputs may hold floats (JSON); their text is exact enough to recognise a repetition."""
    if isinstance(value, float):
        return f"float:{value!r}"
    if isinstance(value, dict):
        return {str(key): _exact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    return value


_BY, _UNDER = sa.bindparam("by", type_=_t.c.person.type), sa.bindparam("under", type_=_t.c.key.type)
_FIND = sa.union_all(
    sa.select(_t.c.request_digest, _t.c.answer).where(_t.c.person == _BY, _t.c.key == _UNDER),
    sa.select(sa.null(), sa.null()).where(_spent.c.person == _BY, _spent.c.key == _UNDER),
)
_ADD = sa.insert(_t).values({column.key: sa.bindparam(f"v_{column.key}", type_=column.type) for column in _t.c})
