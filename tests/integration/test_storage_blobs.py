"""Files by content: there before the row that refers to them, swept when nothing ever does, told when damaged."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from clew.storage.blobs import Blobs
from clew.storage.change import install
from clew.storage.engine import Database
from clew.storage.errors import BlobCorrupt, BlobMissing, BlobTooLarge
from clew.testing.blueprints import blueprint, entity
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def stored(folder: Path) -> list[Path]:
    return [each for each in (folder / "blobs").rglob("*") if each.is_file()]


async def opened(case: TestDatabase) -> Database:
    db = await case.open()
    await install(db, blueprint(entity("lot", [])))
    return db


async def test_put_use_read_sweep(database: TestDatabase, tmp_path: Path) -> None:
    db, blobs = await opened(database), Blobs(tmp_path / "blobs")
    used = await blobs.put(db, chunks(b"certificate ", b"of analysis"))
    unused = await blobs.put(db, chunks(b"never used"))
    assert used.sha256 == hashlib.sha256(b"certificate of analysis").hexdigest()
    assert used.size == 23
    async with db.write() as connection:
        await blobs.use(connection, used.sha256)
        assert await blobs.size(connection, used.sha256) == 23
    assert await blobs.sweep(db) == 0, "a fresh upload waits for its record"
    assert await blobs.sweep(db, grace=timedelta(seconds=-10)) == 1
    assert b"".join([each async for each in blobs.read(used.sha256)]) == b"certificate of analysis"
    with pytest.raises(BlobMissing):
        await anext(blobs.read(unused.sha256))
    with pytest.raises(BlobMissing):
        async with db.write() as connection:
            await blobs.use(connection, unused.sha256)


async def test_same_content_twice_is_one_file(database: TestDatabase, tmp_path: Path) -> None:
    db, blobs = await opened(database), Blobs(tmp_path / "blobs")
    first, second = await blobs.put(db, chunks(b"x")), await blobs.put(db, chunks(b"x"))
    assert first == second
    assert len(stored(tmp_path)) == 1


async def test_use_that_is_rolled_back_is_no_use(database: TestDatabase, tmp_path: Path) -> None:
    db, blobs = await opened(database), Blobs(tmp_path / "blobs")
    found = await blobs.put(db, chunks(b"x"))
    with pytest.raises(RuntimeError):  # noqa: PT012
        async with db.write() as connection:
            await blobs.use(connection, found.sha256)
            raise RuntimeError
    assert await blobs.sweep(db, grace=timedelta(seconds=-10)) == 1


async def test_too_large_and_cut_off_uploads_leave_nothing(database: TestDatabase, tmp_path: Path) -> None:
    db, blobs = await opened(database), Blobs(tmp_path / "blobs")
    with pytest.raises(BlobTooLarge):
        await blobs.put(db, chunks(b"12345", b"67890"), limit=9)

    async def broken() -> AsyncIterator[bytes]:
        yield b"12345"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await blobs.put(db, broken())
    assert stored(tmp_path) == []


async def test_damage_and_smuggled_paths(database: TestDatabase, tmp_path: Path) -> None:
    db, blobs = await opened(database), Blobs(tmp_path / "blobs")
    found = await blobs.put(db, chunks(b"signed record"))
    blobs.path(found.sha256).write_bytes(b"forged record")
    with pytest.raises(BlobCorrupt):
        _ = [each async for each in blobs.read(found.sha256)]
    for name in ("../../etc/passwd", "", found.sha256.upper(), found.sha256 + "/x", "0" * 63 + "\n"):
        with pytest.raises(BlobMissing):
            blobs.path(name)
