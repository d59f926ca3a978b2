"""The log: leaves in their final order, appended by one sealer at a time, with all that proofs need.

Writers only ever insert into the pending queue; the sealer takes from it what it finds, whatever its age, so a late
commit is never skipped. One batch is one transaction: after a crash at any statement the leaves are still pending.
Entry `i` carries the hashes of the perfect subtrees it completes: node (level, number) stands with entry
`(number + 1) * 2**level - 1`. Its `link` is SHA-256(0x02 ‖ link before ‖ digest), so that the first entry which is not
as it was sealed can be named even where no checkpoint is near.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TypeVar
from uuid import UUID

import sqlalchemy as sa

from clew.audit.sealing.merkle import Node, Peaks, consistency_proof, inclusion_proof, peaks_of, root
from clew.storage import system
from clew.storage.dialects import any_of
from clew.storage.engine import Connection, Database

BATCH = 500
"""Leaves sealed in one transaction: on SQLite writers wait that long."""
_SEALER_LOCK = 0x636C_6577_5EA1
_HEX = 64
T = TypeVar("T")
log, pending, leaf = system.audit_log, system.leaf_pending, system.leaf


@dataclass(frozen=True, slots=True)
class Proved:
    """An answer and the size of the log it was given for."""

    size: int
    root: bytes
    proof: tuple[bytes, ...]


async def seal_all(database: Database, most: int = BATCH) -> int:
    """Seal what is pending, batch after batch, until less than a batch is left; how many."""
    sealed = 0
    while True:
        count = await seal(database, most)
        sealed += count
        if count < most:
            return sealed


async def seal(database: Database, most: int = BATCH) -> int:
    """Append up to `most` pending leaves to the log; how many. None while another sealer is at work."""

    async def work(connection: Connection) -> int:
        if not await _only_sealer(connection):
            return 0
        rows = await connection.fetch(_waiting(most))
        if not rows:
            return 0
        size = await size_of(connection)
        peaks = Peaks.of(size, await read_nodes(connection, peaks_of(size)))
        link, at = await _last_link(connection, size), await connection.now()
        entries = []
        for leaf_id, leaf_at, digest in rows:
            entry, index = bytes.fromhex(digest), peaks.size
            nodes = b"".join(peaks.append(entry)).hex()
            link = next_link(link, entry)
            entries.append((index, leaf_id, leaf_at, at, digest, nodes, link.hex()))
        await connection.copy_in(log, log.c.keys(), entries)
        await connection.execute(_TAKEN, {"ids": [row[0] for row in rows]})
        return len(rows)

    return await database.run_write(work)


@cache
def _waiting(most: int) -> sa.Select[tuple[UUID, datetime, str]]:
    """The first leaves of the queue.

    They are taken before anything is joined to them, and their number is written out: not knowing how few are wanted,
    PostgreSQL joins the whole of a long queue (after an outage, say) for each batch.
    """
    number = sa.literal_column(str(int(most)), sa.Integer())
    first = sa.select(pending.c.leaf_id, pending.c.at).order_by(pending.c.leaf_id).limit(number).subquery()
    return (
        sa.select(first.c.leaf_id, first.c.at, leaf.c.digest)
        .join_from(first, leaf, sa.and_(leaf.c.leaf_id == first.c.leaf_id, leaf.c.at == first.c.at))
        .order_by(first.c.leaf_id)
    )


async def _only_sealer(connection: Connection) -> bool:
    """On PostgreSQL also leaves serializability: nothing here depends on what writers write meanwhile, and a sealer
    that reads their queue must not be a reason to refuse them."""
    if connection.dialect == "sqlite":
        return True
    await connection.run_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    return bool(await connection.fetch_value(_LOCK, {"key": _SEALER_LOCK}))


def next_link(link: bytes, entry: bytes) -> bytes:
    """The link of the entry after the one with `link`."""
    return hashlib.sha256(b"\x02" + link + entry).digest()


async def size_of(connection: Connection) -> int:
    """How many entries the log has."""
    last = await connection.fetch_value(_LAST)
    return 0 if last is None else int(last) + 1


async def _last_link(connection: Connection, size: int) -> bytes:
    if not size:
        return bytes(32)
    return bytes.fromhex(await connection.fetch_value(_LINK, {"last": size - 1}))


async def root_of(connection: Connection, size: int) -> bytes:
    """The root over the first `size` entries, from stored nodes."""
    return await _with_nodes(connection, lambda node: root(size, node))


async def prove_inclusion(connection: Connection, index: int, size: int) -> Proved:
    """That entry `index` is in the log of `size` entries. Raises ValueError when it is not."""
    path = await _with_nodes(connection, lambda node: inclusion_proof(index, size, node))
    return Proved(size, await root_of(connection, size), tuple(path))


async def prove_consistency(connection: Connection, old: int, new: int) -> Proved:
    """That the log of `new` entries begins with that of `old`. Raises ValueError when it is shorter."""
    path = await _with_nodes(connection, lambda node: consistency_proof(old, new, node))
    return Proved(new, await root_of(connection, new), tuple(path))


async def index_of(connection: Connection, leaf_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Where leaves stand in the log; those that are not sealed yet are left out."""
    found = await connection.fetch(_WHERE, {"ids": list(leaf_ids)})
    return {row[0]: row[1] for row in found}


async def read_nodes(connection: Connection, wanted: Sequence[tuple[int, int]]) -> Node:
    """The stored hashes of these perfect subtrees, read at once. Raises NodeMissing for one that is not there."""
    places = {(level, number): ((number + 1) << level) - 1 for level, number in wanted}
    rows = await connection.fetch(_NODES, {"places": sorted(set(places.values()))}) if places else []
    stored: Mapping[int, tuple[str, str]] = {row[0]: (row[1], row[2]) for row in rows}

    def node(level: int, number: int) -> bytes:
        digest, nodes = stored.get(places[level, number], ("", ""))
        found = digest if level == 0 else nodes[(level - 1) * _HEX : level * _HEX]
        if len(found) != _HEX:
            raise NodeMissing(places[level, number])
        return bytes.fromhex(found)

    return node


class NodeMissing(Exception):
    """An entry of the log, or what it should carry, is not there: the log was tampered with. `index` says where."""

    def __init__(self, index: int) -> None:
        self.index = index
        super().__init__(index)


async def _with_nodes(connection: Connection, ask: Callable[[Node], T]) -> T:
    """Run a pure computation twice: once to learn which nodes it reads, then with them."""
    wanted: list[tuple[int, int]] = []

    def note(level: int, number: int) -> bytes:
        wanted.append((level, number))
        return b""

    ask(note)
    return ask(await read_nodes(connection, wanted))


_TAKEN = sa.delete(pending).where(any_of(pending.c.leaf_id, "ids"))
_LOCK = sa.select(sa.func.pg_try_advisory_xact_lock(sa.bindparam("key", type_=sa.BigInteger())))
_LAST = sa.select(sa.func.max(log.c.index))
_LINK = sa.select(log.c.link).where(log.c.index == sa.bindparam("last", type_=log.c.index.type))
_WHERE = sa.select(log.c.leaf_id, log.c.index).where(any_of(log.c.leaf_id, "ids"))
_NODES = sa.select(log.c.index, log.c.digest, log.c.nodes).where(any_of(log.c.index, "places"))
