"""Being let in no more: nobody acts in that person's place. Leaving: nothing they held goes on, and what nobody else
holds now is named as an open handover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from clew.identity import accounts
from clew.identity.accounts import Account
from clew.identity.assignments import Assignments
from clew.identity.errors import NoAssignment
from clew.identity.ports import SecurityEvent
from clew.kernel.context import Context
from clew.kernel.ids import uuid7
from clew.storage import identity_tables
from clew.storage.engine import Connection

_h, _t = identity_tables.handover, identity_tables.assignment


@dataclass(frozen=True, slots=True)
class Handover:
    """Something a leaver did that somebody must take over: `role:qa_manager`, `position:QC-01`."""

    id: UUID
    account: UUID
    what: str
    opened_at: datetime
    closed_at: datetime | None = None
    to_account: UUID | None = None


async def disable(
    assignments: Assignments, connection: Connection, context: Context, account: Account, at: datetime, reason: str
) -> None:
    """Disable an account. What it has delegated ends with it: nobody acts in the place of somebody who may not act
    themselves; being let in again brings none of it back."""
    await _end_lent(assignments, connection, context, account, at, reason)
    await accounts.disable(connection, assignments.witness, context, account, at, reason)


async def leave(
    assignments: Assignments,
    connection: Connection,
    context: Context,
    account: Account,
    at: datetime,
    reason: str,
    also: Sequence[str] = (),
) -> list[Handover]:
    """End roles, delegations both ways, sessions and tokens; disable the account. What is open now is named.

    `also` names further things to hand over, from rooms that know them (positions).
    """
    held = await assignments.of(connection, account.id, states=("active",))
    for each in held:
        await assignments.end(connection, context, each.id, at, reason)
    for each in await assignments.of(connection, account.id, states=("requested",)):
        await assignments.refuse(connection, context, each.id, at, reason)
    await disable(assignments, connection, context, account, at, reason)
    orphaned = [each.role for each in held if each.kind == "permanent" and not await _held(connection, each.role, at)]
    named = [*(f"role:{role}" for role in dict.fromkeys(orphaned)), *also]
    opened = [Handover(uuid7(), account.id, what, at) for what in named]
    for open_ in opened:
        values = {"id": open_.id, "account": open_.account, "what": open_.what, "opened_at": at}
        await connection.execute(sa.insert(_h).values(**values))
    particulars = {"roles": [each.role for each in held], "handovers": named}
    event = SecurityEvent("account.leave", "account", account.id, context, particulars, reason)
    await assignments.witness.record(connection, event)
    return opened


async def open_handovers(connection: Connection, account: UUID | None = None) -> list[Handover]:
    """What nobody has taken over yet."""
    columns = (_h.c.id, _h.c.account, _h.c.what, _h.c.opened_at, _h.c.closed_at, _h.c.to_account)
    query = sa.select(*columns).where(_h.c.closed_at.is_(None)).order_by(_h.c.opened_at, _h.c.id)
    if account is not None:
        query = query.where(_h.c.account == account)
    return [Handover(*row) for row in await connection.fetch(query)]


async def close_handover(
    assignments: Assignments, connection: Connection, context: Context, handover: UUID, to: Account, at: datetime
) -> None:
    """Say who has taken it over. Raises NoAssignment."""
    done = sa.update(_h).where(_h.c.id == handover, _h.c.closed_at.is_(None))
    values = {"closed_at": at, "closed_by": context.person.id, "to_account": to.id}
    if await connection.execute(done.values(**values)) != 1:
        raise NoAssignment
    event = SecurityEvent("handover.close", "account", to.id, context, {"handover": handover, "to": to.login})
    await assignments.witness.record(connection, event)


async def _end_lent(
    assignments: Assignments, connection: Connection, context: Context, account: Account, at: datetime, reason: str
) -> None:
    """Delegations that this person gave or that are asked for in their name."""
    given = sa.select(_t.c.id, _t.c.state).where(_t.c.delegator == account.id, _t.c.state.in_(("requested", "active")))
    for delegation, state in await connection.fetch(given.order_by(_t.c.id)):
        close = assignments.end if state == "active" else assignments.refuse
        await close(connection, context, delegation, at, reason)


async def _held(connection: Connection, role: str, at: datetime) -> bool:
    query = sa.select(_t.c.id).where(_t.c.role == role, _t.c.state == "active")
    query = query.where(sa.or_(_t.c.valid_to.is_(None), _t.c.valid_to > at)).limit(1)
    return await connection.fetch_value(query) is not None
