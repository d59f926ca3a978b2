"""Words of somebody's own for comments, beside those that a process offers to everybody. They are nobody else's."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from clew.kernel.errors import BadInput
from clew.kernel.ids import uuid7
from clew.kernel.text import Bilingual
from clew.storage import process_tables
from clew.storage.engine import Connection

LONGEST = 200
"""Characters of one."""
MOST = 100
"""How many somebody keeps."""
_p = process_tables.personal_phrase


async def mine(connection: Connection, person: UUID) -> list[dict[str, Any]]:
    """What somebody keeps, the oldest first."""
    query = sa.select(_p.c.id, _p.c.text).where(_p.c.person == person).order_by(_p.c.at, _p.c.id)
    return [{"id": str(number), "text": text} for number, text in await connection.fetch(query)]


async def keep(connection: Connection, person: UUID, text: str) -> dict[str, Any]:
    """Keep words; the same words are kept once. Raises BadInput."""
    text = text.strip()
    if not text or len(text) > LONGEST:
        what = Bilingual(f"常用语须为 1 至 {LONGEST} 字。", f"A phrase has 1 to {LONGEST} characters.")
        raise BadInput(path=["text"], what=what)
    known = await mine(connection, person)
    if len(known) >= MOST and all(each["text"] != text for each in known):
        what = Bilingual(f"最多保存 {MOST} 条常用语。", f"At most {MOST} phrases are kept.")
        raise BadInput(path=["text"], what=what)
    insert = (postgresql.insert if connection.dialect == "postgresql" else sqlite.insert)(_p)
    row = insert.values(id=uuid7(), person=person, text=text, at=await connection.now())
    await connection.execute(row.on_conflict_do_nothing())
    return next(each for each in await mine(connection, person) if each["text"] == text)


async def drop(connection: Connection, person: UUID, number: UUID) -> bool:
    """Keep it no more; whether it was somebody's own."""
    return bool(await connection.execute(sa.delete(_p).where(_p.c.id == number, _p.c.person == person)))
