"""The facts a request is decided by: who the account's person is and which roles they hold at this moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

import sqlalchemy as sa

from clew.identity import accounts
from clew.identity.accounts import Account
from clew.identity.assignments import COLUMNS, Assignment, loaded
from clew.identity.errors import SessionEnded
from clew.kernel.context import Person, Scope, united
from clew.storage import identity_tables
from clew.storage.engine import Connection

_t = identity_tables.assignment


@dataclass(frozen=True, slots=True)
class Facts:
    """A person, and until when these facts hold if nobody changes anything (an assignment begins or ends by itself)."""

    person: Person
    account: Account
    until: datetime | None


async def person_of(connection: Connection, account: UUID, at: datetime) -> Person:
    """The person behind an account with the roles and scopes in force at `at`. Raises SessionEnded (disabled, gone)."""
    return (await facts_of(connection, account, at)).person


async def facts_of(connection: Connection, account: UUID, at: datetime, only: tuple[str, ...] = ()) -> Facts:
    """As `person_of`; `only` narrows to some of the roles (a token's scopes)."""
    found = await accounts.find(connection, account)
    if found is None or not found.active:
        raise SessionEnded
    query = sa.select(*COLUMNS).where(_t.c.account == account, _t.c.state == "active").order_by(_t.c.role, _t.c.id)
    given = [loaded(row) for row in await connection.fetch(query)]
    given = [each for each in given if each.valid_to is None or each.valid_to > at]
    held = [each for each in given if each.valid_from <= at and (not only or each.role in only)]
    changes = [each.valid_from for each in given if each.valid_from > at]
    changes += [each.valid_to for each in given if each.valid_to is not None]
    return Facts(person_with(found, held), found, min(changes, default=None))


def person_with(account: Account, held: list[Assignment]) -> Person:
    scopes: dict[str, Scope] = {}
    for each in held:
        given = Scope(each.sites, each.families)
        # What cannot be united is refused when it is granted; were it there all the same, it gives nothing more.
        scopes[each.role] = united(scopes[each.role], given) or scopes[each.role] if each.role in scopes else given
    sites = dict.fromkeys(site for scope in scopes.values() for site in scope.sites or ())
    own = account.fact("site")
    if own is not None:
        sites[own] = None
    families = dict.fromkeys(family for scope in scopes.values() for family in scope.families or ())
    return Person(
        id=account.id,
        login=account.login,
        name=account.name,
        roles=tuple(scopes),
        sites=tuple(sites),
        site=own,
        department=account.fact("department"),
        employee=account.employee,
        families=tuple(families),
        party=account.fact("party"),
        scopes=MappingProxyType(scopes),
    )
