"""What somebody else has set opens nothing: a second person confirms, face to face, that its owner is who holds it.

Whoever makes an account, resets a password or takes a code generator away knows enough to come in as its owner. So
what such a credential opens sleeps until a code that only its holder's own screen shows has been given, in person, to
another person, who is not the one that set it (21 CFR 11.100(b), 11.300(c); domain F1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from clew.identity import accounts, independence
from clew.identity.accounts import Account
from clew.identity.errors import NothingToConfirm, WrongConfirmation
from clew.identity.ports import SecurityEvent, Witness
from clew.identity.secrets import Vault, same
from clew.kernel.context import Context
from clew.kernel.ids import uuid7
from clew.kernel.text import Bilingual
from clew.storage import identity_tables
from clew.storage.engine import Connection

ISSUED_LASTS = timedelta(hours=72)
"""How long a password that somebody else has set can be used to come in for the first time."""
CONFIRM = Bilingual("确认身份", "confirm an identity")
_t = identity_tables.confirmation
_COLUMNS = (_t.c.id, _t.c.account, _t.c.what, _t.c.issued_by, _t.c.issued_at, _t.c.confirmed_by, _t.c.confirmed_at)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A credential set by somebody else. `confirmed_at` None: it waits."""

    id: UUID
    account: UUID
    what: str
    issued_by: UUID
    issued_at: datetime
    confirmed_by: UUID | None = None
    confirmed_at: datetime | None = None


async def issued(connection: Connection, account: UUID, what: str, by: UUID, at: datetime) -> Confirmation:
    """Somebody else has set a credential: what it opens sleeps from the next request on."""
    made = Confirmation(uuid7(), account, what, by, at)
    values = {"id": made.id, "account": account, "what": what, "issued_by": by, "issued_at": at}
    await connection.execute(sa.insert(_t).values(**values))
    await accounts.raise_epoch(connection, account)
    return made


async def waiting(connection: Connection, account: UUID | None = None) -> list[Confirmation]:
    """What is not confirmed yet, the oldest first."""
    query = sa.select(*_COLUMNS).where(_t.c.confirmed_at.is_(None)).order_by(_t.c.issued_at, _t.c.id)
    if account is not None:
        query = query.where(_t.c.account == account)
    return [Confirmation(*row) for row in await connection.fetch(query)]


def code_of(vault: Vault, given: Sequence[Confirmation]) -> str:
    """What the holder's screen shows for what waits; another one after every further setting."""
    proof = vault.sign("confirmation " + " ".join(str(each.id) for each in given))
    return f"{proof[:4]}-{proof[4:8]}"


async def confirm(
    connection: Connection,
    witness: Witness,
    vault: Vault,
    context: Context,
    account: Account,
    code: str,
    at: datetime,
    *,
    alone: bool = False,
) -> list[Confirmation]:
    """`context.person` has seen, in person, that the account's owner holds what was set; it opens from now on.

    `alone`: while an installation is being set up, its operator, who is there alone, may confirm what the operator has
    set. Raises NothingToConfirm, WrongConfirmation, NotYourself: neither the holder nor who set any of it confirms.
    """
    open_ = await waiting(connection, account.id)
    if not open_:
        raise NothingToConfirm(login=account.login)
    by = context.person.id
    if not alone:
        for other in (account.id, *dict.fromkeys(each.issued_by for each in open_)):
            await independence.require_another(connection, by, other, open_[0].issued_at, at, CONFIRM)
    if not same(code_of(vault, open_), code.strip().lower()):
        raise WrongConfirmation
    await settle(connection, account.id, by, at)
    particulars = {
        "what": [each.what for each in open_],
        "issued_by": [each.issued_by for each in open_],
        "alone": alone,
    }
    event = SecurityEvent("identity.confirm", "account", account.id, context, particulars)
    await witness.record(connection, event)
    return open_


async def settle(connection: Connection, account: UUID, by: UUID, at: datetime) -> None:
    """Nothing waits any more; sessions are read anew."""
    query = sa.update(_t).where(_t.c.account == account, _t.c.confirmed_at.is_(None))
    await connection.execute(query.values(confirmed_by=by, confirmed_at=at))
    await accounts.raise_epoch(connection, account)
