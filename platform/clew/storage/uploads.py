"""How much may be uploaded that no record refers to yet: by one person, and by all. Counted before the first byte is
taken, in one transaction, so that many uploads at once are still no more than the quota allows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.ids import uuid7
from clew.storage.blobs import GRACE, Blob
from clew.storage.engine import Connection, Database
from clew.storage.errors import UploadsFull, UploadsWaiting
from clew.storage.system import blob, upload

LEAST = 4096
"""Bytes that every upload counts for at least: a file of one byte takes a block and a name of its own."""


@dataclass(frozen=True, slots=True)
class Quota:
    """Bytes that may wait for a record to refer to them, within the time files wait (`blobs.GRACE`)."""

    person: int
    everybody: int
    lasts: timedelta
    """How long an upload may take. One that was begun longer ago has died and counts no more."""


@dataclass(frozen=True, slots=True)
class Uploads:
    """The uploads of one database."""

    database: Database
    quota: Quota

    async def begin(self, account: UUID, size: int) -> UUID:
        """Room for an upload of so many bytes. Raises UploadsWaiting (this person's), UploadsFull (everybody's)."""
        new, size = uuid7(), max(size, LEAST)

        async def reserve(connection: Connection) -> None:
            at = await connection.now()
            rows = await connection.fetch(_waiting(at, self.quota.lasts), {"of_account": account})
            theirs, all_ = (int(each or 0) for each in rows[0])
            if theirs + size > self.quota.person:
                raise UploadsWaiting(waiting=theirs, limit=self.quota.person)
            if all_ + size > self.quota.everybody:
                raise UploadsFull(limit=self.quota.everybody)
            row = {"id": new, "account": account, "sha256": None, "size": size, "at": at}
            await connection.execute(sa.insert(upload).values(**row))

        await self.database.run_write(reserve)
        return new

    async def done(self, account: UUID, mine: UUID, stored: Blob) -> None:
        """It has come. The same content uploaded before by the same person counts once."""

        async def settle(connection: Connection) -> None:
            same = upload.c.account == account, upload.c.sha256 == stored.sha256, upload.c.id != mine
            await connection.execute(sa.delete(upload).where(*same))
            change = sa.update(upload).where(upload.c.id == mine)
            await connection.execute(change.values(sha256=stored.sha256, size=max(stored.size, LEAST)))

        await self.database.run_write(settle)

    async def failed(self, mine: UUID) -> None:
        """Nothing was kept of it."""

        async def give_back(connection: Connection) -> None:
            await connection.execute(sa.delete(upload).where(upload.c.id == mine))

        await self.database.run_write(give_back)


async def came(connection: Connection, account: UUID, stored: Blob, at: datetime) -> None:
    """Note that somebody has brought a file, where none came by the door: the people of a scenario."""
    row = {"id": uuid7(), "account": account, "sha256": stored.sha256, "size": max(stored.size, LEAST), "at": at}
    await connection.execute(sa.insert(upload).values(**row))


def _waiting(at: datetime, lasts: timedelta) -> sa.Select[tuple[int, int]]:
    """Bytes that wait now: this account's, and everybody's."""
    used = sa.select(blob.c.sha256).where(blob.c.sha256 == upload.c.sha256, blob.c.used.is_(True)).exists()
    under_way = sa.and_(upload.c.sha256.is_(None), upload.c.at > at - lasts)
    # Where the clock was set back, what is from later counts no longer than what is from now.
    recent = upload.c.at.between(at - GRACE, at + GRACE)
    theirs = sa.case(
        (upload.c.account == sa.bindparam("of_account", type_=upload.c.account.type), upload.c.size), else_=0
    )
    waiting = sa.and_(recent, sa.or_(under_way, sa.and_(upload.c.sha256.is_not(None), sa.not_(used))))
    return sa.select(sa.func.sum(theirs), sa.func.sum(upload.c.size)).where(waiting)
