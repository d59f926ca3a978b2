"""Whether two accounts are two people who decide by themselves: what every act that takes two asks first.

The same account, the same employee behind two accounts, and a deputy of the other are one hand (21 CFR 11.300,
domain F1: two persons).
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from clew.identity import accounts
from clew.identity.errors import NotYourself
from clew.kernel.text import Bilingual
from clew.storage import identity_tables
from clew.storage.engine import Connection

_t = identity_tables.assignment


async def require_another(
    connection: Connection, one: UUID, other: UUID, since: datetime, at: datetime, action: Bilingual
) -> None:
    """Raises NotYourself unless `one` and `other` have been two independent people from `since` to `at`."""
    if not await independent(connection, one, other, since, at):
        raise NotYourself(action=action)


async def independent(connection: Connection, one: UUID, other: UUID, since: datetime, at: datetime) -> bool:
    """Whether `one`, who decides, is a person, another than `other`, and neither was the other's deputy in that
    time."""
    if one == other:
        return False
    first, second = await accounts.find(connection, one), await accounts.find(connection, other)
    if first is not None and first.kind != "person":
        # A program is its token, and who holds that may be anybody.
        return False
    if first is not None and second is not None and first.employee is not None and first.employee == second.employee:
        return False
    stood_in = sa.select(_t.c.id).where(
        sa.or_(
            sa.and_(_t.c.delegator == one, _t.c.account == other),
            sa.and_(_t.c.delegator == other, _t.c.account == one),
        ),
        _t.c.granted_at <= at,
        sa.or_(_t.c.ended_at.is_(None), _t.c.ended_at >= since),
        sa.or_(_t.c.valid_to.is_(None), _t.c.valid_to >= since),
    )
    return await connection.fetch_value(stood_in.limit(1)) is None
