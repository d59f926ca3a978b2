"""Gathering evidence: the sealed leaves about a record and its lines, or of a period, each with its inclusion proof."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.audit.erasures import SUBJECT as ERASURE
from clew.audit.leaf import redact
from clew.audit.sealing.keys import SUBJECT as LOG
from clew.audit.sealing.log import read_nodes
from clew.audit.sealing.merkle import inclusion_proof
from clew.metadata.blueprint import Blueprint
from clew.storage import system
from clew.storage.dialects import any_of
from clew.storage.engine import Connection
from clew.storage.layout import OWNER
from clew.storage.tables import Tables

PAGE = 200
"""Entries whose proofs are read together."""
RELEASE = "clew.release"
log, leaf = system.audit_log, system.leaf


@dataclass(frozen=True, slots=True)
class About:
    """What evidence is wanted: one record, or everything from `begin` (inclusive) to `end` (exclusive)."""

    entity: str | None = None
    record_id: UUID | None = None
    begin: datetime | None = None
    end: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        return {"entity": self.entity, "record_id": self.record_id, "from": self.begin, "to": self.end}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log with its leaf and the proof that it is in the log of the checkpoint."""

    index: int
    leaf_id: UUID
    header: Mapping[str, Any]
    header_text: str
    fields: str
    digest: str
    proof: tuple[bytes, ...]

    def values(self) -> dict[str, Any]:
        """Field → what is kept of it: `o`, `n` unless redacted."""
        found: dict[str, Any] = json.loads(self.fields)
        return found


async def subjects(connection: Connection, tables: Tables, about: About) -> dict[str, list[UUID]]:
    """Entity → ids: the record and every line it ever had, lines of lines included."""
    assert about.entity is not None
    assert about.record_id is not None
    found: dict[str, list[UUID]] = {about.entity: [about.record_id]}
    waiting = [about.entity]
    while waiting:
        owner = waiting.pop()
        for line in _lines_of(tables.blueprint, owner):
            history = tables.history(line)
            query = sa.select(history.c.id).where(any_of(history.c[OWNER], "owners")).distinct()
            ids = sorted(row[0] for row in await connection.fetch(query, {"owners": found[owner]}))
            if ids and line not in found:
                found[line] = ids
                waiting.append(line)
    return found


def _lines_of(blueprint: Blueprint, owner: str) -> list[str]:
    return [each.name for each in blueprint.entities.values() if each.part_of == owner]


async def entries(
    connection: Connection,
    about: About,
    ids: Sequence[UUID],
    size: int,
    hidden: frozenset[str],
) -> AsyncIterator[Entry]:
    """The entries below `size`, in the order of the log. The log's keys and its releases always come along, and of a
    period what was erased since."""
    always = sa.or_(leaf.c.entity == LOG, leaf.c.entity == RELEASE)
    if about.record_id is None:
        since = leaf.c.at >= about.begin if about.begin else sa.true()
        always = sa.or_(always, sa.and_(leaf.c.entity == ERASURE, since))
    wanted = sa.or_(_wanted(about), sa.and_(leaf.c.row_version == 0, always))
    query = (
        sa.select(log.c.index, leaf.c.leaf_id, leaf.c.header, leaf.c.fields, leaf.c.digest)
        .join_from(log, leaf, sa.and_(leaf.c.leaf_id == log.c.leaf_id, leaf.c.at == log.c.at))
        .where(wanted, log.c.index > sa.bindparam("after", type_=log.c.index.type), log.c.index < size)
        .order_by(log.c.index)
        .limit(PAGE)
    )
    after = -1
    while rows := await connection.fetch(query, {"after": after, "ids": list(ids)}):
        after = rows[-1][0]
        proofs = await _proofs(connection, [row[0] for row in rows], size)
        for index, leaf_id, header, fields, digest in rows:
            said = json.loads(header)
            present = hidden & json.loads(fields).keys() if _holds_values(said) else None
            kept = redact(fields, present) if present else fields
            yield Entry(index, leaf_id, said, header, kept, digest, proofs[index])


def _holds_values(header: Mapping[str, Any]) -> bool:
    """Whether a leaf may hold values of records. Those that name keys, releases, erasures and signatures hold none, and
    without them nothing else in the bundle is proven, whatever a record's own fields are called."""
    return header["entity"] not in (LOG, RELEASE, ERASURE) and not str(header["action"]).startswith("sign:")


def _wanted(about: About) -> sa.ColumnElement[bool]:
    if about.record_id is not None:
        return any_of(leaf.c.record_id, "ids")
    period = [leaf.c.at >= about.begin] if about.begin else []
    period += [leaf.c.at < about.end] if about.end else []
    return sa.and_(sa.true(), *period)


async def _proofs(connection: Connection, indexes: Sequence[int], size: int) -> dict[int, tuple[bytes, ...]]:
    """The inclusion proofs of some entries, their nodes read at once."""
    wanted: dict[tuple[int, int], None] = {}

    def note(level: int, number: int) -> bytes:
        wanted[level, number] = None
        return b""

    for index in indexes:
        inclusion_proof(index, size, note)
    node = await read_nodes(connection, list(wanted))
    return {index: tuple(inclusion_proof(index, size, node)) for index in indexes}


async def unsealed(connection: Connection, about: About, ids: Sequence[UUID], size: int) -> int:
    """How many leaves belong to the evidence and are not in the log of the checkpoint yet."""
    within = sa.exists().where(log.c.leaf_id == leaf.c.leaf_id, log.c.index < size)
    query = sa.select(sa.func.count()).select_from(leaf).where(_wanted(about), ~within)
    return int(await connection.fetch_value(query, {"ids": list(ids)}))
