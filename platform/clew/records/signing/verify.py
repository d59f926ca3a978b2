"""Whether signatures still hold: everything each of them stands on is read again and compared with what was signed.

A signature holds while its bytes, columns and leaf agree, the version in the history is the content that was signed,
the files are what their digests say, and the release it was signed under is stored unchanged. Personal values that were
erased since are gone from the history and stand in the signed bytes alone: as far as an erasure of the trail explains
it, the signature holds, and says so. Nothing here trusts a flag; nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.audit import erasures, signatures
from clew.audit.emptied import emptied, ids_in
from clew.audit.erasures import Erasure
from clew.audit.signatures import Signature
from clew.audit.trail import PLATFORM
from clew.kernel.canonical import digest
from clew.records.engine import Engine
from clew.records.signing.content import Content, present_content, version_content
from clew.storage import releases, system
from clew.storage.blobs import Blobs
from clew.storage.catalog import Catalog
from clew.storage.engine import Connection, Database
from clew.storage.errors import BlobCorrupt, BlobMissing, ReleaseUnreadable
from clew.storage.tables import Tables

_KEPT = 8
_PAGE = 200


def sources_digest(engine: Engine) -> str:
    """The digest of the project's files as the engine was made from them; signed with every record."""
    found: str = engine.remember("sources digest", lambda: digest(dict(engine.blueprint.sources)))
    return found


@dataclass(frozen=True, slots=True)
class Broken:
    """A signature of which there is something to say: why it does not hold, or that values it was given over were
    erased since (it holds all the same)."""

    signature: Signature
    problems: tuple[str, ...]
    erased: Erasure | None = None


class Verifier:
    """Verifies for one release, and for those before it as far as their signatures reach back."""

    def __init__(self, engine: Engine, blobs: Blobs | None = None) -> None:
        """Without `blobs` the content of files is not read; their digests are part of the record anyway."""
        self.engine = engine
        self.blobs = blobs
        self._earlier: dict[str, Engine | None] = {}
        self._files: dict[tuple[str, int, int, int], bool] = {}

    def inspect(self, connection: Connection) -> Inspection:
        """Verification over one connection; what several signatures share is read once."""
        return Inspection(self, connection)

    async def broken(self, database: Database) -> AsyncIterator[Broken]:
        """Every signature of the database that does not hold, in the order they were given."""
        async for each in self.judged(database):
            if each.problems:
                yield each

    async def judged(self, database: Database) -> AsyncIterator[Broken]:
        """The same, and those over values that were erased since."""
        last: UUID | None = None
        while True:
            async with database.snapshot() as connection:
                ids = await signatures.every_id(connection, last, _PAGE)
                inspection = self.inspect(connection)
                for signature_id in ids:
                    found = await signatures.one(connection, signature_id)
                    if found is None:
                        continue
                    problems, erased = await inspection.problems(found), await inspection.erased(found)
                    if problems or erased is not None:
                        yield Broken(found, problems, erased)
            if len(ids) < _PAGE:
                return
            last = ids[-1]

    async def engine_of(self, blueprint: str, rows: Sequence[Any]) -> Engine | None:
        """The engine of the release a record was signed under; None when it no longer compiles."""
        if blueprint == self.engine.blueprint.digest:
            return self.engine
        if blueprint not in self._earlier:
            if len(self._earlier) >= _KEPT:
                self._earlier.clear()
            self._earlier[blueprint] = self._compiled(rows)
        return self._earlier[blueprint]

    def _compiled(self, rows: Sequence[Any]) -> Engine | None:
        try:
            known = releases.stored_blueprint(rows[-1][1])
        except ReleaseUnreadable:
            return None
        tables = Tables(known, Catalog.from_json(rows[-1][2]), self.engine.tables.dialect)
        return Engine(known, tables, str(rows[-1][0]))

    async def file_holds(self, sha256: str) -> bool:
        """Whether a stored file has the content its name says. A file that has not been touched is read once."""
        if self.blobs is None:
            return True
        try:
            state = self.blobs.path(sha256).stat()
        except (BlobMissing, OSError):
            return False
        key = (sha256, state.st_mtime_ns, state.st_size, state.st_ino)
        if key not in self._files:
            if len(self._files) > 10_000:
                self._files.clear()
            self._files[key] = await self._reads_well(sha256)
        return self._files[key]

    async def _reads_well(self, sha256: str) -> bool:
        assert self.blobs is not None
        try:
            async for _ in self.blobs.read(sha256):
                pass
        except (BlobMissing, BlobCorrupt):
            return False
        return True


class Inspection:
    """Verification over one connection."""

    def __init__(self, verifier: Verifier, connection: Connection) -> None:
        self._verifier, self._connection = verifier, connection
        self._releases: dict[str, tuple[Sequence[Any], frozenset[str]]] = {}
        self._erased: dict[UUID, Erasure] = {}
        self._looked_at: set[UUID] = set()

    async def problems(self, signature: Signature) -> tuple[str, ...]:
        """What the signature does not agree with; empty when it holds."""
        self._looked_at.add(signature.signature_id)
        wrong = list(await signatures.disagreements(self._connection, signature))
        if wrong and wrong[0] == "the signed bytes cannot be read":
            return tuple(wrong)
        said = signature.signed()
        if signature.entity.startswith(PLATFORM):
            # A statement is its own content: nothing else is to agree with it.
            return tuple(wrong)
        rows, sources = await self.release(str(said.get("blueprint")))
        if said.get("sources") not in sources:
            wrong.append("the definition it was signed under is not stored unchanged")
        engine = await self._verifier.engine_of(str(said.get("blueprint")), rows) if rows else None
        if engine is None:
            return (*wrong, "the release it was signed under cannot be read")
        return (*wrong, *await self._against_record(signature, said, engine))

    async def _against_record(self, signature: Signature, said: dict[str, Any], engine: Engine) -> list[str]:
        entity = engine.blueprint.entities.get(signature.entity)
        if entity is None:
            return ["there is no such kind of record"]
        connection, wrong = self._connection, []
        of = signature.record_id, signature.row_version, signature.signed_at
        content = await version_content(connection, engine, entity, *of)
        if content is None:
            return ["the version that was signed was not in the history then"]
        if content.value != said.get("content"):
            wrong += await self._unless_erased(signature, content, said.get("content"))
        if entity.name in self._verifier.engine.blueprint.entities:
            wrong += await self._against_present(signature)
        for sha256 in sorted(content.files):
            if not await self._verifier.file_holds(sha256):
                wrong.append(f"file {sha256} is missing or changed")
        return wrong

    async def _unless_erased(self, signature: Signature, content: Content, signed: Any) -> list[str]:
        """The history differs from what was signed: only by values that were erased since, or it was altered."""
        known = await erasures.of_records(self._connection, ids_in(content.value))
        gone = {id: [each for each in some if each.at >= content.since] for id, some in known.items()}
        if emptied(signed, gone) != emptied(content.value, gone, only_gone=True):
            return ["the version in the history is not what was signed"]
        for each in sorted((each for some in gone.values() for each in some), key=_moment):
            self._erased[signature.signature_id] = each
        return []

    async def erased(self, signature: Signature) -> Erasure | None:
        """The last erasure that took values out of what was signed; None when there was none."""
        if signature.signature_id not in self._looked_at:
            await self.problems(signature)
        return self._erased.get(signature.signature_id)

    async def _against_present(self, signature: Signature) -> list[str]:
        """While the record is still at the version signed, the present rows must say the same as the history."""
        engine = self._verifier.engine
        entity = engine.blueprint.entities[signature.entity]
        present = await present_content(self._connection, engine, entity, signature.record_id)
        if present is None:
            return ["the record is gone"]
        if present.row_version != signature.row_version:
            return []
        history = await version_content(self._connection, engine, entity, signature.record_id, present.row_version)
        same = history is not None and history.value == present.value
        return [] if same else ["the present rows are not what the history says"]

    async def release(self, blueprint: str) -> tuple[Sequence[Any], frozenset[str]]:
        """The releases with this blueprint: their rows, and the digests of their stored sources."""
        if blueprint not in self._releases:
            table = system.release
            statement = (
                sa.select(table.c.number, table.c.sources, table.c.catalog)
                .where(table.c.blueprint_digest == sa.bindparam("of_blueprint", type_=table.c.blueprint_digest.type))
                .order_by(table.c.number)
            )
            rows = await self._connection.fetch(statement, {"of_blueprint": blueprint})
            self._releases[blueprint] = rows, frozenset(digest(dict(row[1])) for row in rows)
        return self._releases[blueprint]


def _moment(erasure: Erasure) -> datetime:
    return erasure.at
