"""A fresh sign-on at the identity provider as the secret component of one signature.

Who signs in elsewhere has no password here. So the provider asks them again, now (`prompt=login`, `max_age=0`), and
what it vouches for counts once, in the session that asked, for a short time (21 CFR 11.200(a); domain F1).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from clew.storage import identity_tables
from clew.storage.engine import Connection

FRESH_LASTS = timedelta(minutes=5)
"""From the provider's answer to the signature: time to read once more what one signs."""
_AHEAD = timedelta(minutes=1)
"""How far clocks may be apart: one from later than this was given before the clock was set back."""
_t = identity_tables.sign_on


async def keep(connection: Connection, session: str, account: UUID, at: datetime) -> None:
    """The provider has asked the session's holder again. It takes the place of an earlier one."""
    await connection.execute(sa.delete(_t).where(_t.c.session == session))
    row = {"session": session, "account": account, "at": at}
    await connection.execute(sa.insert(_t).values(**row))


async def is_there(connection: Connection, session: str | None, account: UUID, at: datetime) -> bool:
    """Whether the session has one that was not used."""
    if session is None:
        return False
    return await connection.fetch_value(sa.select(_t.c.session).where(_fresh(session, account, at))) is not None


async def use(connection: Connection, session: str | None, account: UUID, at: datetime) -> bool:
    """Use it up. False when there is none, or somebody was quicker."""
    if session is None:
        return False
    return await connection.execute(sa.delete(_t).where(_fresh(session, account, at))) == 1


def _fresh(session: str, account: UUID, at: datetime) -> sa.ColumnElement[bool]:
    mine = _t.c.session == session, _t.c.account == account
    return sa.and_(*mine, _t.c.at > at - FRESH_LASTS, _t.c.at <= at + _AHEAD)
