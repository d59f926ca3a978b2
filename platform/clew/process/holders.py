"""Who holds a role now, and at which sites."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from clew.kernel.ids import id_of
from clew.records.gathering import beside
from clew.storage import identity_tables
from clew.storage.dialects import any_of
from clew.storage.engine import Connection
from clew.storage.types import Json

_account, _assignment = identity_tables.account, identity_tables.assignment

Holder = tuple[UUID, Sequence[str] | None]
"""An account, and the sites it holds a role at; None: everywhere."""
Known = Mapping[str, Sequence[Holder]]
"""The holders of some roles at this moment."""
NOBODY_KNOWN: Known = MappingProxyType({})


async def holders(
    connection: Connection,
    roles: Sequence[str],
    site: UUID | None,
    at: datetime,
    known: Known = NOBODY_KNOWN,
    only: UUID | None = None,
) -> list[UUID]:
    """Whose account holds one of these roles at a site now, in the order of their ids; `only`: asked of this account
    alone. What is `known` is not asked again."""
    if not roles:
        return []
    if all(role in known for role in roles):
        found = [each for role in roles for each in known[role] if only is None or each[0] == only]
        found.sort(key=_account_of)
        rows: Iterable[Sequence[Any]] = found
    else:
        args = {"asked_roles": list(roles), "held_at": at, "of_account": only}
        # Roles never wait: whoever gives or takes one writes it at once.
        rows = await beside(connection).fetch(_HOLDERS if only is None else _HOLDER, args)
    return [person for person, sites in rows if sites is None or site is None or str(site) in sites]


def _account_of(holder: Holder) -> UUID:
    return holder[0]


def known_of(roles: Iterable[str], rows: Iterable[Sequence[Any]]) -> Known:
    """What the database answered to `HOLDERS`, asked of these roles."""
    found: dict[str, list[Holder]] = {role: [] for role in roles}
    for role, account, sites in rows:
        found[role].append((id_of(account), sites))
    return found


_AT = sa.bindparam("held_at", type_=_assignment.c.valid_from.type)
_HOLDERS = (
    sa.select(_account.c.id, _assignment.c.sites)
    .join(_assignment, _assignment.c.account == _account.c.id)
    .where(
        any_of(_assignment.c.role, "asked_roles"),
        _assignment.c.state == "active",
        _assignment.c.valid_from <= _AT,
        sa.or_(_assignment.c.valid_to.is_(None), _assignment.c.valid_to > _AT),
        _account.c.state == "active",
    )
    .order_by(_account.c.id)
)
_HOLDER = _HOLDERS.where(_account.c.id == sa.bindparam("of_account", type_=_account.c.id.type))
_ROW: Any = postgresql.aggregate_order_by(
    sa.func.jsonb_build_array(_assignment.c.role, _account.c.id, _assignment.c.sites), _account.c.id
)
HOLDERS = (
    _HOLDERS.with_only_columns(sa.func.jsonb_agg(_ROW, type_=Json())).order_by(None).scalar_subquery().label("holders")
)
"""The rows of role, account and sites within another question, on PostgreSQL; null for nobody's. Its arguments are
`asked_roles` and `held_at`."""
