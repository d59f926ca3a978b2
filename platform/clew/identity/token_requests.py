"""A token of a service reads what the service may read: one person asks for it, another agrees, then it is made, once.

A service has no person behind it who could be asked, so whoever holds its token acts as it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import sqlalchemy as sa

from clew.identity import accounts, independence, tokens
from clew.identity.accounts import Account
from clew.identity.errors import AccountDisabled, BadPeriod, NotYourself, WrongKind
from clew.identity.ports import SecurityEvent, Witness
from clew.identity.tokens import NoToken, Token
from clew.kernel.context import Context
from clew.kernel.ids import uuid7
from clew.kernel.text import Bilingual
from clew.storage import identity_tables
from clew.storage.engine import Connection

State = Literal["requested", "approved", "refused", "collected"]
COLLECT_WITHIN = timedelta(days=7)
"""What was agreed to and nobody took is not valid for ever."""
APPROVE = Bilingual("批准令牌", "approve a token")
COLLECT = Bilingual("领取令牌", "collect a token")
_t = identity_tables.token_request
_COLUMNS = (
    _t.c.id, _t.c.account, _t.c.name, _t.c.scopes, _t.c.expires_at, _t.c.reason, _t.c.state, _t.c.requested_by,
    _t.c.requested_at, _t.c.decided_by, _t.c.decided_at, _t.c.token,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token somebody asks for on behalf of a service."""

    id: UUID
    account: UUID
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime
    reason: str
    state: State
    requested_by: UUID
    requested_at: datetime
    decided_by: UUID | None = None
    decided_at: datetime | None = None
    token: UUID | None = None


async def request(
    connection: Connection,
    witness: Witness,
    context: Context,
    account: Account,
    *,
    name: str,
    at: datetime,
    expires_at: datetime,
    scopes: Sequence[str] = (),
    reason: str = "",
) -> TokenRequest:
    """Ask for a token of a service. Raises WrongKind, AccountDisabled, BadPeriod."""
    if account.kind != "service":
        raise WrongKind(role="token", wanted="service", kind=account.kind)
    if not account.active:
        raise AccountDisabled(login=account.login)
    if not at < expires_at <= at + tokens.LONGEST:
        raise BadPeriod(what=Bilingual("令牌有效期须在未来一年之内", "a token ends within a year from now"))
    made = TokenRequest(
        uuid7(), account.id, name, tuple(scopes), expires_at, reason, "requested", context.person.id, at
    )
    values = {
        "id": made.id,
        "account": account.id,
        "name": name,
        "scopes": list(scopes),
        "expires_at": expires_at,
        "reason": reason,
        "state": made.state,
        "requested_by": made.requested_by,
        "requested_at": at,
    }
    await connection.execute(sa.insert(_t).values(**values))
    await _tell(connection, witness, context, "token.request", made, reason)
    return made


async def one(connection: Connection, identifier: UUID) -> TokenRequest:
    """Raises NoToken."""
    row = await connection.fetch_one(sa.select(*_COLUMNS).where(_t.c.id == identifier))
    if row is None:
        raise NoToken
    return _loaded(row)


async def listed(connection: Connection, states: Sequence[State] = ("requested", "approved")) -> list[TokenRequest]:
    query = sa.select(*_COLUMNS).where(_t.c.state.in_(list(states))).order_by(_t.c.requested_at, _t.c.id)
    return [_loaded(row) for row in await connection.fetch(query)]


async def approve(
    connection: Connection, witness: Witness, context: Context, identifier: UUID, at: datetime, why: str
) -> TokenRequest:
    """Agree, for a reason, that this service gets a token. Raises NoToken, NotYourself (who asked, or their deputy)."""
    asked = await _in(connection, identifier, "requested")
    by = context.person.id
    await independence.require_another(connection, by, asked.requested_by, asked.requested_at, at, APPROVE)
    return await _decide(connection, witness, context, asked, "approved", at, "token.approve", why)


async def refuse(
    connection: Connection, witness: Witness, context: Context, identifier: UUID, at: datetime, why: str
) -> TokenRequest:
    """Say no, also to what was agreed to and has not been collected."""
    asked = await one(connection, identifier)
    if asked.state not in ("requested", "approved"):
        raise NoToken
    return await _decide(connection, witness, context, asked, "refused", at, "token.refuse", why)


async def collect(
    connection: Connection, witness: Witness, context: Context, identifier: UUID, at: datetime
) -> tuple[str, Token]:
    """Who asked takes the token, once; its secret is never shown again.

    Raises NoToken (not agreed to, taken already, too late), NotYourself (somebody else asked for it), AccountDisabled.
    """
    asked = await _in(connection, identifier, "approved")
    assert asked.decided_at is not None
    if at > asked.decided_at + COLLECT_WITHIN:
        raise NoToken
    if context.person.id != asked.requested_by:
        raise NotYourself(action=COLLECT)
    account = await accounts.find(connection, asked.account)
    assert account is not None
    secret, made = await tokens.create(
        connection, witness, context, account, name=asked.name, at=at, expires_at=asked.expires_at, scopes=asked.scopes
    )
    taken = sa.update(_t).where(_t.c.id == asked.id, _t.c.state == "approved")
    if await connection.execute(taken.values(state="collected", token=made.id)) != 1:
        raise NoToken
    return secret, made


async def _in(connection: Connection, identifier: UUID, state: State) -> TokenRequest:
    asked = await one(connection, identifier)
    if asked.state != state:
        raise NoToken
    return asked


async def _decide(
    connection: Connection,
    witness: Witness,
    context: Context,
    asked: TokenRequest,
    state: State,
    at: datetime,
    action: str,
    why: str,
) -> TokenRequest:
    by = context.person.id
    moved = sa.update(_t).where(_t.c.id == asked.id, _t.c.state == asked.state)
    if await connection.execute(moved.values(state=state, decided_by=by, decided_at=at)) != 1:
        raise NoToken
    await _tell(connection, witness, context, action, asked, why)
    return await one(connection, asked.id)


async def _tell(
    connection: Connection, witness: Witness, context: Context, action: str, about: TokenRequest, why: str
) -> None:
    particulars = {
        "request": about.id,
        "name": about.name,
        "scopes": list(about.scopes),
        "expires_at": about.expires_at,
        "requested_by": about.requested_by,
    }
    event = SecurityEvent(action, "account", about.account, context, particulars, why or None)
    await witness.record(connection, event)


def _loaded(row: Sequence[object]) -> TokenRequest:
    values = list(row)
    values[3] = tuple(values[3])  # type: ignore[arg-type]
    return TokenRequest(*values)  # type: ignore[arg-type]
