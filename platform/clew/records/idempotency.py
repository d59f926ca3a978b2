"""The ledger of idempotency keys: the same key with the same request gets the same answer, with another a conflict."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.canonical import digest
from clew.kernel.errors import BadInput
from clew.kernel.text import Bilingual
from clew.records.errors import KeyReused
from clew.storage import system
from clew.storage.engine import Connection

LONGEST_KEY = 200
_t = system.idempotency


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
    """The answer given before, or None. Raises KeyReused when the key stood for another request."""
    row = await connection.fetch_one(_FIND, {"by": person, "under": key})
    if row is None:
        return None
    if row[0] != asked:
        raise KeyReused(path=["idempotencyKey"])
    return json.loads(row[1])


async def keep_answer(connection: Connection, person: UUID, key: str, asked: str, answer: str, at: datetime) -> None:
    """Note the answer in the transaction that earned it. A rival with the same key makes one of the two start over."""
    args = {"v_person": person, "v_key": key, "v_request_digest": asked, "v_answer": answer, "v_at": at}
    await connection.execute(_ADD, args)


def _exact(value: Any) -> Any:
    """Inputs may hold floats (JSON); their text is exact enough to recognise a repetition."""
    if isinstance(value, float):
        return f"float:{value!r}"
    if isinstance(value, dict):
        return {str(key): _exact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    return value


_FIND = sa.select(_t.c.request_digest, _t.c.answer).where(
    _t.c.person == sa.bindparam("by", type_=_t.c.person.type), _t.c.key == sa.bindparam("under", type_=_t.c.key.type)
)
_ADD = sa.insert(_t).values({column.key: sa.bindparam(f"v_{column.key}", type_=column.type) for column in _t.c})
