"""The whole verification of the trail by itself: log, leaves, queue, keys, checkpoints inside and outside."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from clew.audit import erasures
from clew.audit.erasures import Erasure
from clew.audit.sealing import checkpoints
from clew.audit.sealing.checkpoints import Stored
from clew.audit.sealing.keys import named_keys, origin_of
from clew.audit.sealing.notes import Note
from clew.audit.verify.findings import Finding
from clew.audit.verify.notes import Keys, Outside, judge_stored, keys_of
from clew.audit.verify.walk import PAGE, Redaction, Walk, waiting
from clew.storage import system
from clew.storage.engine import Connection, Database

MOST = 10_000
"""Findings that are listed."""
SHOWN = 100
"""Rows of one kind that are listed; more than these are the same story."""
log, pending, leaf, kept = system.audit_log, system.leaf_pending, system.leaf, system.checkpoint


@dataclass(slots=True)
class Report:
    """How much was looked at. `root` is that of all `entries`, None when one of them is missing."""

    origin: str = ""
    entries: int = 0
    checkpoints: int = 0
    outside: int = 0
    root: str | None = None
    findings: list[Finding] = field(default_factory=list)
    erasures: list[Erasure] = field(default_factory=list)
    """What was erased lawfully: no finding, but told."""
    unlisted: int = 0
    """Findings beyond the first `MOST`: a log that was altered everywhere does not fill the memory."""

    def add(self, found: Iterable[Finding]) -> None:
        for each in found:
            if len(self.findings) < MOST:
                self.findings.append(each)
            else:
                self.unlisted += 1


async def verify_trail(
    database: Database,
    *,
    outside: Path | None = None,
    trusted: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Everything that can be said of the trail without looking at records.

    `outside` is a folder of checkpoints kept elsewhere, `trusted` a verifier key kept elsewhere. Raises NotACheckpoint
    for a file in that folder that is none.
    """
    report = Report()
    async with database.read() as connection:
        report.origin, _ = await origin_of(connection)
        keys = keys_of(report.origin, await named_keys(connection), trusted)
        newest = await checkpoints.newest(connection)
    report.add(keys.findings)
    elsewhere = Outside(outside, report.origin) if outside is not None else None
    walk, judge = Walk(), _Judge(report, keys, elsewhere, newest)
    async with database.read() as connection:
        stored = checkpoints.all_of(connection)
        await judge.begin(stored)
        async for size, found in walk.entries(database):
            report.add(found)
            if len(walk.redactions) >= PAGE:
                report.add(await _explained(connection, walk.taken()))
            if size >= judge.wanted:
                await judge.at(size, walk.root())
            if progress is not None and size % 1000 == 0:
                progress(size)
        report.entries = walk.size
        await judge.end(walk.size)
        report.add(await _explained(connection, walk.taken()))
        report.add([each async for each in _beside(connection)])
        async for found in waiting(database):
            report.add(found)
        report.erasures = await erasures.every(connection, MOST)
    root = walk.root()
    report.root = root.hex() if root is not None else None
    return report


class _Judge:
    """Holds the growing log against the checkpoints, each when the log has its size."""

    def __init__(self, report: Report, keys: Keys, outside: Outside | None, newest: Stored | None) -> None:
        self._report, self._keys = report, keys
        self._newest = newest.size if newest else 0
        self._notes = outside.notes() if outside else iter(())
        self._note: Note | None = next(self._notes, None)
        self._next: Stored | None = None
        self._sizes: set[int] = set()
        self._kept_outside = outside is not None
        self._broken = False
        self._vouched = self._unvouched = 0
        """The largest logs that a believed key signed, and that only a key before the trusted one did."""

    async def begin(self, stored: AsyncIterator[Stored]) -> None:
        self._stored = stored
        self._next = await anext(stored, None)

    @property
    def wanted(self) -> int:
        """The size at which there is something to compare next."""
        sizes = [self._next.size] if self._next is not None else []
        sizes += [self._note.checkpoint.size] if self._note is not None else []
        return min(sizes, default=sys.maxsize)

    async def at(self, size: int, root: bytes | None) -> None:
        while self._next is not None and self._next.size <= size:
            made = self._next
            self._report.checkpoints += 1
            if self._kept_outside:
                self._sizes.add(made.size)
            wrong = list(judge_stored(made, self._report.origin, self._keys))
            self._report.add(wrong)
            if not wrong:
                self._signed(made.key, made.size)
            self._compare(made.size, bytes.fromhex(made.root), size, root)
            self._next = await anext(self._stored, None)
        while self._note is not None and self._note.checkpoint.size <= size:
            self._outside(self._note, size, root)
        self._sizes.clear()  # whatever comes outside from here on is larger

    def _outside(self, note: Note, size: int, root: bytes | None) -> None:
        self._report.outside += 1
        if (wrong := self._keys.judge(note)) is not None:
            self._report.add([wrong])
        else:
            self._signed(note.key, note.checkpoint.size)
        if note.checkpoint.size not in self._sizes:
            self._report.add([Finding("checkpoint_missing", size=note.checkpoint.size)])
        self._compare(note.checkpoint.size, note.checkpoint.root, size, root)
        self._note = next(self._notes, None)

    def _signed(self, key: str, size: int) -> None:
        if key in self._keys.earlier:
            self._unvouched = max(self._unvouched, size)
        else:
            self._vouched = max(self._vouched, size)

    def _compare(self, expected: int, wanted: bytes, size: int, root: bytes | None) -> None:
        """Only the first checkpoint that does not fit is told: all later ones cover the same entries."""
        if expected == size and root is not None and root != wanted and not self._broken:
            self._broken = True
            self._report.add([Finding("checkpoint_broken", size=expected)])

    async def end(self, size: int) -> None:
        """Checkpoints of more entries than there are, signed before the walk began: the end is missing."""
        longest = self._newest if self._newest > size else 0
        while self._note is not None:
            longest = max(longest, self._note.checkpoint.size)
            self._report.outside += 1
            if (wrong := self._keys.judge(self._note)) is not None:
                self._report.add([wrong])
            self._note = next(self._notes, None)
        if self._unvouched > self._vouched:
            detail = "signed by a key named before the trusted one, which has not signed since"
            self._report.add([Finding("key_foreign", size=self._unvouched, detail=detail)])
        if longest > size:
            self._report.add([Finding("tail_missing", index=size, size=longest)])


async def _explained(connection: Connection, redactions: list[Redaction]) -> list[Finding]:
    """A value that is gone must have been erased, after it was written: an event names the record and its fields."""
    known = await erasures.of_records(connection, (each.record_id for each in redactions))
    return [
        Finding("leaf_unexplained_redaction", each.index, each.leaf_id, each.entity, each.record_id, detail=each.name)
        for each in redactions
        if not any(one.explains(each.name, each.at, each.index) for one in known.get(each.record_id, ()))
    ]


async def _beside(connection: Connection) -> AsyncIterator[Finding]:
    """Leaves outside the log: they wait in the queue, each once, and nothing else does."""
    for row in await connection.fetch(_UNQUEUED):
        yield Finding("leaf_unqueued", leaf_id=row[0], entity=row[1], record_id=row[2], row_version=row[3])
    for row in await connection.fetch(_LEAFLESS):
        yield Finding("queue_altered", leaf_id=row[0], detail="no such leaf")
    for row in await connection.fetch(_REQUEUED):
        yield Finding("queue_altered", leaf_id=row[0], index=row[1], detail="already sealed")
    for row in await connection.fetch(_TWICE):
        yield Finding("entry_twice", leaf_id=row[0], index=row[1])
    for row in await connection.fetch(_SAME_VERSION):
        yield Finding("leaf_altered", entity=row[0], record_id=row[1], row_version=row[2], detail="twice")


_UNQUEUED = (
    sa.select(leaf.c.leaf_id, leaf.c.entity, leaf.c.record_id, leaf.c.row_version)
    .where(~sa.exists().where(log.c.leaf_id == leaf.c.leaf_id), ~sa.exists().where(pending.c.leaf_id == leaf.c.leaf_id))
    .limit(SHOWN)
)
_LEAFLESS = (
    sa.select(pending.c.leaf_id)
    .where(~sa.exists().where(leaf.c.leaf_id == pending.c.leaf_id, leaf.c.at == pending.c.at))
    .limit(SHOWN)
)
_REQUEUED = sa.select(pending.c.leaf_id, log.c.index).join(log, log.c.leaf_id == pending.c.leaf_id).limit(SHOWN)
_TWICE = (
    sa.select(log.c.leaf_id, sa.func.max(log.c.index)).group_by(log.c.leaf_id).having(sa.func.count() > 1).limit(SHOWN)
)
_DOUBLED = (
    sa.select(leaf.c.record_id, leaf.c.row_version)
    .where(leaf.c.row_version > 0)
    .group_by(leaf.c.record_id, leaf.c.row_version)
    .having(sa.func.count() > 1)
    .limit(SHOWN)
    .subquery()
)
"""In the order of the index on leaves: nothing is sorted, so memory does not grow with their number."""
_SAME_VERSION = (
    sa.select(sa.func.min(leaf.c.entity), leaf.c.record_id, leaf.c.row_version)
    .join(_DOUBLED, sa.and_(_DOUBLED.c.record_id == leaf.c.record_id, _DOUBLED.c.row_version == leaf.c.row_version))
    .group_by(leaf.c.record_id, leaf.c.row_version)
)
