"""Files by content: stored under their SHA-256 before the transaction that refers to them, swept when none ever does.

A file that any committed version of a record refers to stays for ever, because history does.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from clew.storage.engine import Connection, Database
from clew.storage.errors import BlobCorrupt, BlobMissing, BlobTooLarge
from clew.storage.system import blob, upload

GRACE = timedelta(hours=24)
"""How long an uploaded file may wait for a record to refer to it."""
_CHUNK = 1 << 18
_NAME = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored file's identity: lower-case hex SHA-256 and size in bytes."""

    sha256: str
    size: int


class Blobs:
    """The files of one database, below one folder that all nodes share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        """Where a file lies. Raises BlobMissing for anything that is not a SHA-256, so no path can be smuggled in."""
        if not _NAME.fullmatch(sha256):
            raise BlobMissing(sha256=sha256[:80])
        return self._folder / sha256[:2] / sha256[2:4] / sha256

    async def put(self, database: Database, content: AsyncIterable[bytes], *, limit: int | None = None) -> Blob:
        """Store a file: temporary name, fsync, rename, then its row. Putting the same content again is harmless.

        Raises BlobTooLarge when it is longer than `limit` bytes; nothing is kept then.
        """
        found = await self._write(content, limit)

        async def note(connection: Connection) -> None:
            await _note(connection, found)

        await database.run_write(note)
        if not self.path(found.sha256).exists():
            # A sweep of the same content ran between our rename and our row. Rare, and harmless to try again.
            raise BlobMissing(sha256=found.sha256)
        return found

    async def use(self, connection: Connection, sha256: str) -> None:
        """Say, inside the transaction that refers to it, that a file is in use. Raises BlobMissing."""
        statement = sa.update(blob).where(blob.c.sha256 == sa.bindparam("of", type_=blob.c.sha256.type))
        touched = await connection.execute(statement.values(used=True), {"of": sha256})
        if not touched or not self.path(sha256).exists():
            raise BlobMissing(sha256=sha256)

    async def came_from(self, connection: Connection, account: UUID, sha256: str) -> bool:
        """Whether somebody has uploaded a file themselves, within the time files wait. Who only knows its SHA-256, from
        a page or a report, has not."""
        mine = sa.select(upload.c.id).where(upload.c.account == account, upload.c.sha256 == sha256).limit(1)
        return await connection.fetch_value(mine) is not None

    async def size(self, connection: Connection, sha256: str) -> int:
        """Bytes of a stored file. Raises BlobMissing."""
        found = await connection.fetch_value(sa.select(blob.c.size).where(blob.c.sha256 == sha256))
        if found is None:
            raise BlobMissing(sha256=sha256)
        return int(found)

    async def read(self, sha256: str) -> AsyncIterator[bytes]:
        """The content, chunk by chunk. Raises BlobMissing, or BlobCorrupt at the end when it is not what it was."""
        running = hashlib.sha256()
        try:
            file = await asyncio.to_thread(self.path(sha256).open, "rb")
        except FileNotFoundError:
            raise BlobMissing(sha256=sha256) from None
        with file:
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                running.update(chunk)
                yield chunk
        if running.hexdigest() != sha256:
            raise BlobCorrupt(sha256=sha256)

    async def sweep(self, database: Database, *, grace: timedelta = GRACE) -> int:
        """Remove files nothing has ever referred to and that are older than `grace`; how many."""
        async with database.read() as connection:
            before = await connection.now() - grace
            query = sa.select(blob.c.sha256).where(blob.c.used.is_(False), blob.c.put_at < before)
            names = [row[0] for row in await connection.fetch(query)]
        removed = 0
        for name in names:
            # The file goes inside the transaction that holds its row: sweep and reference wait for each other.
            async with database.write() as connection:
                gone = sa.delete(blob).where(blob.c.sha256 == name, blob.c.used.is_(False), blob.c.put_at < before)
                if await connection.execute(gone):
                    self.path(name).unlink(missing_ok=True)
                    removed += 1
        async with database.write() as connection:
            await connection.execute(sa.delete(upload).where(upload.c.at < before))
        await asyncio.to_thread(self._sweep_temporary, grace)
        return removed

    async def _write(self, content: AsyncIterable[bytes], limit: int | None) -> Blob:
        temporary = self._folder / "tmp" / secrets.token_hex(16)
        temporary.parent.mkdir(parents=True, exist_ok=True)
        running, size = hashlib.sha256(), 0
        try:
            with temporary.open("xb") as file:
                async for chunk in content:
                    size += len(chunk)
                    if limit is not None and size > limit:
                        raise BlobTooLarge(limit=limit)
                    running.update(chunk)
                    await asyncio.to_thread(file.write, chunk)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
            found = Blob(running.hexdigest(), size)
            place = self.path(found.sha256)
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(place)
            await asyncio.to_thread(_sync_folder, place.parent)
        finally:
            temporary.unlink(missing_ok=True)
        return found

    def _sweep_temporary(self, grace: timedelta) -> None:
        """Leftovers of uploads that were cut off."""
        folder = self._folder / "tmp"
        if not folder.is_dir():
            return
        newest = max((each.stat().st_mtime for each in folder.iterdir()), default=0.0)
        for each in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if each.stat().st_mtime < newest - grace.total_seconds():
                    each.unlink()


async def _note(connection: Connection, found: Blob) -> None:
    insert = postgresql.insert if connection.dialect == "postgresql" else sqlite.insert
    at = await connection.now()
    statement = insert(blob).values(sha256=found.sha256, size=found.size, put_at=at, used=False)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["sha256"], set_={"put_at": statement.excluded.put_at})
    )


def _sync_folder(folder: Path) -> None:
    """The new name itself must survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
