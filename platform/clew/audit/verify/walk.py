"""Going through the log entry by entry: what it holds is what was sealed, in that order, and every leaf is whole.

Memory is bounded by a page of entries, whatever the size of the log.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.audit.leaf import entries_of, leaf_digest, verify_leaf
from clew.audit.sealing.log import next_link
from clew.audit.sealing.merkle import Peaks
from clew.audit.verify.findings import Finding
from clew.kernel.scalars import instant_text
from clew.storage import system
from clew.storage.engine import Connection, Database

PAGE = 1000
_BARE = re.compile(r'\{"c":"[0-9a-f]{64}"\}')
"""A commitment without its salt: a redacted field."""
log, leaf, pending = system.audit_log, system.leaf, system.leaf_pending
_ENTRY = (log.c.index, log.c.leaf_id, log.c.digest, log.c.nodes, log.c.link)
_LEAF = ("leaf_id", "at", "action", "entity", "record_id", "row_version", "actor", "header", "fields", "digest")


@dataclass(frozen=True, slots=True)
class Redaction:
    """A field whose value is gone, to be explained by an erasure."""

    index: int
    leaf_id: UUID
    entity: str
    record_id: UUID
    name: str
    at: datetime


@dataclass(slots=True)
class Walk:
    """The state of a walk. `size` entries were seen; `root` is theirs as long as none was missing."""

    peaks: Peaks = field(default_factory=Peaks)
    size: int = 0
    broken_at: int | None = None
    """The first entry that is not there: no root can be told after it."""
    redactions: list[Redaction] = field(default_factory=list)
    """What whoever walks has not taken yet (`taken`)."""
    _links: tuple[bytes, ...] = (bytes(32),)

    async def entries(self, database: Database) -> AsyncIterator[tuple[int, list[Finding]]]:
        """Go on to the end of the log, entry by entry: (size so far, findings)."""
        async with database.read() as connection:
            while rows := await _page(connection, self.size):
                for row in rows:
                    found = list(self._entry(row[:5], row[5:]))
                    yield self.size, found

    def taken(self) -> list[Redaction]:
        """The redactions seen since they were last taken."""
        found, self.redactions = self.redactions, []
        return found

    def root(self) -> bytes | None:
        return None if self.broken_at is not None else self.peaks.root()

    def _entry(self, entry: Any, stored: Any) -> Iterator[Finding]:
        index, leaf_id, digest, nodes, link = entry
        if index != self.size:
            yield Finding("entry_missing", index=self.size, detail="" if index == self.size + 1 else f"…{index - 1}")
            self.broken_at = self.size if self.broken_at is None else self.broken_at
            self._links, self.size = (), index
        of_leaf = None if stored[0] is None else dict(zip(_LEAF, stored, strict=True))
        good = self._linked(digest, link)
        told = _digest_of(of_leaf) if of_leaf and not good else None
        if told is not None and told != digest and self._linked(told, link):
            yield Finding("entry_altered", index=index, leaf_id=leaf_id, detail="digest")
            digest = told
        elif not good:
            yield Finding("entry_altered", index=index, leaf_id=leaf_id)
        before = self._links
        try:
            exact = bytes.fromhex(digest)
            kept = bytes.fromhex(link)
        except ValueError:
            exact = kept = bytes(32)
        self._links = tuple({kept, *(next_link(each, exact) for each in before)}) if not good else (kept,)
        completed = b"".join(self.peaks.append(exact)).hex()
        if self.broken_at is None and completed != nodes and good:
            yield Finding("nodes_altered", index=index, leaf_id=leaf_id)
        if of_leaf is None:
            yield Finding("leaf_missing", index=index, leaf_id=leaf_id)
        else:
            yield from self._leaf(index, digest, of_leaf)
        self.size = index + 1

    def _linked(self, digest: str, link: str) -> bool:
        """Whether the entry's link follows from one of the links that may stand before it."""
        if not self._links:
            return True  # right after a gap: nothing to compare with
        try:
            exact = bytes.fromhex(digest)
        except ValueError:
            return False
        return any(next_link(each, exact).hex() == link for each in self._links)

    def _leaf(self, index: int, digest: str, stored: dict[str, Any]) -> Iterator[Finding]:
        wrong = faults(stored)
        if stored["digest"] != digest:
            wrong.append("digest is not the sealed one")
        if wrong:
            yield altered(stored, wrong, index)
        elif _BARE.search(stored["fields"]):
            for name, entry in entries_of(stored["fields"]).items():
                if entry.redacted:
                    of = stored["leaf_id"], stored["entity"], stored["record_id"]
                    self.redactions.append(Redaction(index, *of, name, stored["at"]))


async def waiting(database: Database) -> AsyncIterator[list[Finding]]:
    """The leaves that are not sealed yet, page by page: nothing vouches for them but themselves and their records."""
    last: UUID | None = UUID(int=0)
    async with database.read() as connection:
        while last is not None:
            rows = await connection.fetch(_WAITING, {"after": last})
            last = rows[-1][0] if rows else None
            pairs = [(stored, faults(stored)) for stored in (dict(zip(_LEAF, row, strict=True)) for row in rows)]
            yield [altered(stored, wrong) for stored, wrong in pairs if wrong]


def faults(stored: dict[str, Any]) -> list[str]:
    """What is wrong with a leaf by itself: bytes, digest, columns."""
    return list(verify_leaf(stored["header"], stored["fields"], stored["digest"], _columns(stored)))


def altered(stored: dict[str, Any], wrong: list[str], index: int | None = None) -> Finding:
    return Finding(
        "leaf_altered",
        index,
        stored["leaf_id"],
        stored["entity"],
        stored["record_id"],
        stored["row_version"],
        detail="; ".join(dict.fromkeys(wrong)),
    )


async def _page(connection: Connection, size: int) -> list[Any]:
    return list(await connection.fetch(_PAGE, {"first": size}))


def _digest_of(stored: dict[str, Any]) -> str | None:
    """The digest a leaf's own content gives."""
    try:
        pairs = [(name, entry.commitment) for name, entry in entries_of(stored["fields"]).items()]
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
    return leaf_digest(stored["header"].encode(), pairs)


def _columns(stored: dict[str, Any]) -> dict[str, Any]:
    """The columns that were taken from the header, as it says them."""
    actor = stored["actor"]
    return {
        "leaf_id": str(stored["leaf_id"]),
        "at": instant_text(stored["at"]),
        "action": stored["action"],
        "entity": stored["entity"],
        "record_id": str(stored["record_id"]),
        "row_version": stored["row_version"],
        "actor": None if actor is None else str(actor),
    }


_PAGE = (
    sa.select(*_ENTRY, *(leaf.c[name] for name in _LEAF))
    .select_from(log.outerjoin(leaf, sa.and_(leaf.c.leaf_id == log.c.leaf_id, leaf.c.at == log.c.at)))
    .where(log.c.index >= sa.bindparam("first", type_=log.c.index.type))
    .order_by(log.c.index)
    .limit(PAGE)
)
_WAITING = (
    sa.select(*(leaf.c[name] for name in _LEAF))
    .select_from(pending.join(leaf, sa.and_(leaf.c.leaf_id == pending.c.leaf_id, leaf.c.at == pending.c.at)))
    .where(pending.c.leaf_id > sa.bindparam("after", type_=pending.c.leaf_id.type))
    .order_by(pending.c.leaf_id)
    .limit(PAGE)
)
