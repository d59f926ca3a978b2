"""One counter of tries per account over every way in: sign-in, signing, tokens, batches, parallel requests (threat 25).

A try is counted before it is judged, by the same statement that decides whether it may be made; so twenty guesses at
once are still only as many as the limit allows. Success sets the counter back.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from clew.storage import identity_tables
from clew.storage.engine import Connection, Database

_t = identity_tables.throttle
_STRANGERS = 1024


@dataclass(frozen=True, slots=True)
class Try:
    """A try that may be made. `last`: it was the last one before the lock, which success takes away again."""

    number: int
    last: bool


async def take(database: Database, account: UUID, at: datetime, *, limit: int, lock: timedelta) -> Try | None:
    """Count a try; None when the account is locked at this moment."""
    insert = postgresql.insert if database.dialect == "postgresql" else sqlite.insert
    over = sa.and_(_t.c.locked_until.is_not(None), _t.c.locked_until <= at)
    number = sa.case((over, 1), else_=_t.c.tries + 1)
    until = at + lock
    first_lock = until if limit <= 1 else None
    statement = (
        insert(_t)
        .values(account=account, tries=1, locked_until=first_lock, at=at)
        .on_conflict_do_update(
            index_elements=["account"],
            set_={
                "tries": number,
                "locked_until": sa.case((number >= limit, sa.literal(until, _t.c.locked_until.type)), else_=None),
                "at": at,
            },
            where=sa.or_(_t.c.locked_until.is_(None), _t.c.locked_until <= at),
        )
        .returning(_t.c.tries)
    )

    async def count(connection: Connection) -> Try | None:
        rows = await connection.fetch_last(statement)
        return Try(rows[0][0], rows[0][0] >= limit) if rows else None

    return await database.run_write(count)


async def clear(connection: Connection, account: UUID) -> None:
    """A try was right: all of them are forgotten."""
    await connection.execute(sa.update(_t).where(_t.c.account == account).values(tries=0, locked_until=None))


async def locked_until(connection: Connection, account: UUID, at: datetime) -> datetime | None:
    found: datetime | None = await connection.fetch_value(sa.select(_t.c.locked_until).where(_t.c.account == account))
    return found if found is not None and found > at else None


def stranger(login: str) -> UUID:
    """The counter of a login nobody has: the same work is done, and however many are tried, the rows are bounded."""
    number = int.from_bytes(hashlib.sha256(login.encode()).digest()[:8], "big") % _STRANGERS
    return UUID(int=number + 1)
