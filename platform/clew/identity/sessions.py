"""Sessions and API tokens in use: what a request shows to be somebody.

The secret is random and kept as its digest. A row of `clew_session` is what every read checks inside its own statement
(`records.query.compile`): same epoch, not revoked, not expired. A token in use is a session that never idles.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa

from clew.identity.errors import SessionEnded, TokenNotEnough
from clew.identity.ports import SecurityEvent, Witness
from clew.identity.secrets import digest_of, new_token
from clew.kernel.context import Context
from clew.kernel.scalars import instant_text
from clew.storage import identity_tables
from clew.storage.dialects import any_of
from clew.storage.engine import Connection, Row

SessionKind = Literal["cookie", "token"]
AHEAD = timedelta(minutes=1)
"""How far the clocks of two servers may be apart. A session that was seen later than this from now was open before the
clock was set back: nobody knows how long ago that was, so it has ended."""
_s = identity_tables.session
_COLUMNS = (_s.c.id, _s.c.account, _s.c.data, _s.c.epoch, _s.c.created_at, _s.c.seen_at, _s.c.expires_at)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session lives without a request, and at most (21 CFR 11.200(a)(1); domain F1: break = 10 min)."""

    idle: timedelta = timedelta(minutes=10)
    absolute: timedelta = timedelta(hours=12)

    @property
    def touch_after(self) -> timedelta:
        """A session is written at most this often, so the idle limit may come a tenth early, never late."""
        return self.idle / 10


@dataclass(frozen=True, slots=True)
class Session:
    """An open session. `id` is the digest of the secret, never the secret."""

    id: str
    account: UUID
    kind: SessionKind
    epoch: int
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    ends_at: datetime
    components: tuple[str, ...] = ()
    """What its holder proved at sign-in."""
    client: str = ""
    scopes: tuple[str, ...] = ()
    """Roles it is narrowed to; empty: all of the account."""
    must_change: bool = False

    def holds(self, at: datetime) -> bool:
        """Whether no limit has come; one that idles, by a clock that was not set back since."""
        return at < self.expires_at and not (self.kind == "cookie" and _ahead(self.seen_at, at))


async def open_session(
    connection: Connection,
    witness: Witness,
    context: Context,
    account: UUID,
    epoch: int,
    at: datetime,
    limits: Limits,
    *,
    components: tuple[str, ...],
    client: str = "",
    must_change: bool = False,
    replaces: str | None = None,
) -> tuple[str, Session]:
    """A fresh secret for somebody who has just proved who they are; the one they came with ends (session fixation)."""
    if replaces is not None:
        await end(connection, digest_of(replaces), at)
    secret = new_token()
    ends_at = at + limits.absolute
    made = Session(
        digest_of(secret), account, "cookie", epoch, at, at, min(at + limits.idle, ends_at), ends_at, components,
        client[:200], (), must_change,
    )  # fmt: skip
    await put(connection, made)
    particulars = {"session": made.id[:16], "components": list(components), "client": made.client}
    await witness.record(connection, SecurityEvent("session.begin", "account", account, context, particulars))
    return secret, made


async def put(connection: Connection, made: Session) -> None:
    """Store a session."""
    data = {
        "kind": made.kind,
        "ends_at": instant_text(made.ends_at),
        "components": list(made.components),
        "client": made.client,
        "scopes": list(made.scopes),
        "must_change": made.must_change,
    }
    row = {
        "id": made.id,
        "account": made.account,
        "data": data,
        "epoch": made.epoch,
        "created_at": made.created_at,
        "seen_at": made.seen_at,
        "expires_at": made.expires_at,
    }
    await connection.execute(sa.insert(_s).values(**row))


async def find(connection: Connection, session_id: str, at: datetime) -> Session:
    """The session that holds at this moment. Raises SessionEnded."""
    row = await connection.fetch_one(_OPEN, {"s_id": session_id, "s_at": at})
    found = None if row is None else _session(row)
    if found is None or not found.holds(at):
        raise SessionEnded
    return found


async def touch(connection: Connection, session: Session, at: datetime, limits: Limits) -> None:
    """Its holder is still there: the idle limit counts from now. Never beyond the absolute limit."""
    if session.kind != "cookie":
        return
    until = min(at + limits.idle, session.ends_at)
    alive = sa.update(_s).where(_s.c.id == session.id, _s.c.revoked_at.is_(None), _s.c.expires_at > at)
    await connection.execute(alive.values(seen_at=at, expires_at=until))


async def end(connection: Connection, session_id: str, at: datetime) -> bool:
    """Log out. False when it was not open."""
    open_ = sa.update(_s).where(_s.c.id == session_id, _s.c.revoked_at.is_(None))
    return await connection.execute(open_.values(revoked_at=at)) == 1


async def end_all(connection: Connection, account: UUID, at: datetime, *, but: str | None = None) -> int:
    """Every cookie session of an account, `but` one; how many. Tokens have a life of their own."""
    ended = 0
    for each in await of(connection, account, at):
        if each.kind == "cookie" and each.id != but:
            ended += await end(connection, each.id, at)
    return ended


async def of(connection: Connection, account: UUID, at: datetime) -> list[Session]:
    """What is open for an account, newest first."""
    alive = sa.select(*_COLUMNS).where(_s.c.account == account, _s.c.revoked_at.is_(None), _s.c.expires_at > at)
    return [_session(row) for row in await connection.fetch(alive.order_by(_s.c.created_at.desc()))]


async def holding(connection: Connection, ids: list[str], at: datetime) -> dict[str, int]:
    """Of these sessions, those that hold, with their epoch: for connections that live long (threat 14)."""
    rows = await connection.fetch(_HOLDING, {"ids": ids, "s_at": at})
    return {
        name: epoch for name, epoch, seen_at, data in rows if data.get("kind") != "cookie" or not _ahead(seen_at, at)
    }


KEPT = timedelta(days=30)
"""How long a session that is over stays to be looked at; its beginning and end stand in the trail for ever."""


async def sweep(connection: Connection, at: datetime) -> int:
    """Take away sessions that ended long ago; how many. Their tokens stay known."""
    return await connection.execute(sa.delete(_s).where(_s.c.expires_at < at - KEPT))


def holds(session_id: Any, epoch: Any, now: Any) -> sa.ColumnElement[bool]:
    """Whether the session is still the one the facts were read from: same epoch, not revoked, not expired."""
    return sa.exists(
        sa.select(sa.literal_column("1"))
        .select_from(_s)
        .where(_s.c.id == session_id, _s.c.epoch == epoch, _s.c.expires_at > now, _s.c.revoked_at.is_(None))
    )


async def require(connection: Connection, context: Context, at: datetime) -> None:
    """For what is written: the caller's session holds in this very transaction. Raises SessionEnded."""
    if context.session is None:
        return
    if not await connection.fetch_value(_HOLDS, asked(context, at)):
        raise SessionEnded


async def require_person(connection: Connection, context: Context, at: datetime) -> None:
    """For what passes access on: a person has signed in, and no token was shown. The operator has no session.

    Raises TokenNotEnough, SessionEnded.
    """
    if context.session is not None and (await find(connection, context.session, at)).kind == "token":
        raise TokenNotEnough


def asked(context: Context, at: datetime) -> dict[str, Any]:
    """The arguments of `HELD`."""
    return {"s_id": context.session, "s_epoch": context.epoch, "s_at": at}


_HOLDING_NOW = holds(
    sa.bindparam("s_id", type_=_s.c.id.type),
    sa.bindparam("s_epoch", type_=_s.c.epoch.type),
    sa.bindparam("s_at", type_=_s.c.expires_at.type),
)
_HOLDS = sa.select(_HOLDING_NOW)
HELD = sa.case((_HOLDING_NOW, 1), else_=0)
"""1 while the caller's session holds, else 0: for a statement that also writes."""
_OPEN = sa.select(*_COLUMNS).where(
    _s.c.id == sa.bindparam("s_id", type_=_s.c.id.type),
    _s.c.revoked_at.is_(None),
    _s.c.expires_at > sa.bindparam("s_at", type_=_s.c.expires_at.type),
)
_HOLDING = sa.select(_s.c.id, _s.c.epoch, _s.c.seen_at, _s.c.data).where(
    any_of(_s.c.id, "ids"), _s.c.revoked_at.is_(None), _s.c.expires_at > sa.bindparam("s_at", type_=_s.c.seen_at.type)
)


def _ahead(seen_at: datetime, at: datetime) -> bool:
    return seen_at > at + AHEAD


def _session(row: Row) -> Session:
    session_id, account, data, epoch, created_at, seen_at, expires_at = row
    return Session(
        session_id,
        account,
        data["kind"],
        epoch,
        created_at,
        seen_at,
        expires_at,
        datetime.fromisoformat(data["ends_at"]),
        tuple(data["components"]),
        data["client"],
        tuple(data["scopes"]),
        data["must_change"],
    )
