"""Signing what the log is: checkpoints, each shown to continue the one before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clew.audit.errors import LogNotContinued
from clew.audit.sealing import log
from clew.audit.sealing.keys import origin_of
from clew.audit.sealing.merkle import proves_consistency
from clew.audit.sealing.notes import Checkpoint, key_hash
from clew.kernel.text import Bilingual
from clew.storage import system
from clew.storage.engine import Connection, Database

table = system.checkpoint
AT_ONCE = timedelta(0)
INSIDE = Bilingual("数据库内", "in the database")


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint as the database keeps it. `key` is the signing key's hash."""

    size: int
    root: str
    at: datetime
    key: str
    note: str


async def sign(database: Database, key: Ed25519PrivateKey, every: timedelta = AT_ONCE) -> Stored | None:
    """Sign a checkpoint if the log has grown and the last is `every` old. None when there is nothing to sign.

    Raises LogNotContinued when the log no longer begins with what was signed last: then nothing is signed.
    """

    async def work(connection: Connection) -> Stored | None:
        size, before, at = await log.size_of(connection), await newest(connection), await connection.now()
        if before is not None:
            if size == before.size or (size > before.size and at - before.at < every):
                return None
            await continues(connection, before.size, bytes.fromhex(before.root), size, INSIDE)
        elif size == 0:
            return None
        origin, _ = await origin_of(connection)
        root = await log.root_of(connection, size)
        public = key.public_key().public_bytes_raw()
        made = Stored(
            size, root.hex(), at, key_hash(origin, public).hex(), Checkpoint(origin, size, root, at).signed(key)
        )
        values = {"size": size, "root": made.root, "at": at, "key": made.key, "note": made.note}
        await connection.execute(sa.insert(table), values)
        return made

    return await database.run_write(work)


async def continues(connection: Connection, size: int, root: bytes, now: int, place: Bilingual) -> None:
    """The log of `now` entries begins with the one of `size` under `root`, by a consistency proof from stored nodes.

    Raises LogNotContinued.
    """
    if now < size:
        what = Bilingual(f"现仅有 {now} 条", f"there are only {now} now")
        raise LogNotContinued(size=size, place=place, what=what)
    try:
        given = await log.prove_consistency(connection, size, now)
        good = proves_consistency(size, now, root, given.root, given.proof)
    except log.NodeMissing as problem:
        what = Bilingual(f"缺少第 {problem.index} 条", f"entry {problem.index} is missing")
        raise LogNotContinued(size=size, place=place, what=what) from None
    if not good:
        what = Bilingual("较早条目已被更改", "earlier entries were altered")
        raise LogNotContinued(size=size, place=place, what=what)


async def newest(connection: Connection) -> Stored | None:
    """The checkpoint of the largest log."""
    row = await connection.fetch_one(_COLUMNS.order_by(table.c.size.desc()).limit(1))
    return Stored(*row) if row else None


async def at_size(connection: Connection, size: int) -> Stored | None:
    """The checkpoint of exactly so many entries."""
    row = await connection.fetch_one(_COLUMNS.where(table.c.size == size))
    return Stored(*row) if row else None


async def covering(connection: Connection, size: int) -> Stored | None:
    """The earliest checkpoint of at least so many entries."""
    row = await connection.fetch_one(_COLUMNS.where(table.c.size >= size).order_by(table.c.size).limit(1))
    return Stored(*row) if row else None


async def since(connection: Connection, size: int, most: int = 100) -> list[Stored]:
    """The checkpoints of more than `size` entries, in order."""
    return [
        Stored(*row)
        for row in await connection.fetch(_COLUMNS.where(table.c.size > size).order_by(table.c.size).limit(most))
    ]


async def all_of(connection: Connection) -> AsyncIterator[Stored]:
    """Every checkpoint in order, some at a time."""
    size = -1
    while page := await since(connection, size, 500):
        for each in page:
            yield each
        size = page[-1].size


_COLUMNS = sa.select(table.c.size, table.c.root, table.c.at, table.c.key, table.c.note)
