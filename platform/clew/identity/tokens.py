"""API tokens: long random secrets for programs, shown once, kept as digests, narrowed to roles, with an end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from clew.identity import sessions
from clew.identity.accounts import Account
from clew.identity.errors import AccountDisabled, BadPeriod, NoAssignment
from clew.identity.ports import SecurityEvent, Witness
from clew.identity.secrets import digest_of, new_token
from clew.identity.sessions import Session
from clew.kernel.context import Context
from clew.kernel.ids import uuid7
from clew.kernel.text import Bilingual
from clew.storage import identity_tables
from clew.storage.engine import Connection

PREFIX = "clew_"
"""So that a token that leaked into a file is recognised for what it is."""
LONGEST = timedelta(days=366)
_t = identity_tables.token


@dataclass(frozen=True, slots=True)
class Token:
    """What is known about a token; never the token."""

    id: UUID
    account: UUID
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


class NoToken(NoAssignment):
    code = "NO_TOKEN"
    en, zh = "There is no such open token.", "没有这个有效的令牌。"


async def create(
    connection: Connection,
    witness: Witness,
    context: Context,
    account: Account,
    *,
    name: str,
    at: datetime,
    expires_at: datetime,
    scopes: Sequence[str] = (),
) -> tuple[str, Token]:
    """A token and its secret, which is never shown again. Raises BadPeriod, AccountDisabled."""
    if not account.active:
        raise AccountDisabled(login=account.login)
    if not at < expires_at <= at + LONGEST:
        raise BadPeriod(what=Bilingual("令牌有效期须在未来一年之内", "a token ends within a year from now"))
    secret = new_token(PREFIX)
    made = Token(uuid7(), account.id, name, tuple(scopes), at, expires_at)
    values = {
        "id": made.id,
        "digest": digest_of(secret),
        "account": account.id,
        "name": name,
        "scopes": list(scopes),
        "created_by": context.person.id,
        "created_at": at,
        "expires_at": expires_at,
    }
    await connection.execute(sa.insert(_t).values(**values))
    used = Session(
        digest_of(secret), account.id, "token", account.epoch, at, at, expires_at, expires_at, ("token",), name[:200],
        made.scopes,
    )  # fmt: skip
    await sessions.put(connection, used)
    particulars = {"token": made.id, "name": name, "scopes": list(scopes), "expires_at": expires_at}
    await witness.record(connection, SecurityEvent("token.create", "account", account.id, context, particulars))
    return secret, made


async def listed(connection: Connection, account: UUID | None = None) -> list[Token]:
    """All tokens, or those of one account; ended ones too."""
    columns = (_t.c.id, _t.c.account, _t.c.name, _t.c.scopes, _t.c.created_at, _t.c.expires_at, _t.c.revoked_at)
    query = sa.select(*columns).order_by(_t.c.created_at)
    if account is not None:
        query = query.where(_t.c.account == account)
    return [Token(row[0], row[1], row[2], tuple(row[3]), *row[4:]) for row in await connection.fetch(query)]


async def revoke(connection: Connection, witness: Witness, context: Context, token: UUID, at: datetime) -> None:
    """From the next request on nobody gets in with it. Raises NoToken."""
    row = await connection.fetch_one(
        sa.select(_t.c.digest, _t.c.account).where(_t.c.id == token, _t.c.revoked_at.is_(None))
    )
    if row is None:
        raise NoToken
    await connection.execute(sa.update(_t).where(_t.c.id == token).values(revoked_at=at))
    await sessions.end(connection, row[0], at)
    await witness.record(connection, SecurityEvent("token.revoke", "account", row[1], context, {"token": token}))
