"""A file that has been uploaded, for records that must refer to one."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from clew.storage.blobs import Blobs
from clew.storage.engine import Connection, Database

CONTENT = b"a certificate"
A_FILE: Mapping[str, Any] = {
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "name": "certificate.pdf",
    "size": len(CONTENT),
    "media_type": "application/pdf",
}


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="clew-files-")


class _Everybodys(Blobs):
    """Whoever names a file has uploaded it."""

    async def came_from(self, connection: Connection, account: UUID, sha256: str) -> bool:
        return True


async def uploaded(database: Database) -> Blobs:
    """A file store in which `A_FILE` lies, uploaded by everybody."""
    blobs = _Everybodys(Path(_folder().name))

    async def content() -> AsyncIterator[bytes]:
        yield CONTENT

    await blobs.put(database, content())
    return blobs
