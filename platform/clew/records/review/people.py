"""Everybody who has an account, with all they were ever given and what of it is in force at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import get_args
from uuid import UUID

from clew.access.review.explain import Force, Holding
from clew.identity import accounts
from clew.identity.accounts import Account
from clew.identity.assignments import Assignment, Assignments, State
from clew.identity.people import person_with
from clew.kernel.context import Person
from clew.metadata.policies import Policies
from clew.storage.engine import Connection


@dataclass(frozen=True, slots=True)
class Known:
    """One account with its assignments. `person` is who acts at that moment, with nothing when disabled."""

    account: Account
    person: Person
    assignments: tuple[Assignment, ...]
    holdings: tuple[Holding, ...]

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles in force."""
        return tuple(dict.fromkeys(each.role for each in self.holdings if each.force == "in force"))


async def everybody(connection: Connection, assignments: Assignments, policies: Policies, at: datetime) -> list[Known]:
    """All accounts by login."""
    given: dict[UUID, list[Assignment]] = {}
    for each in await assignments.every(connection):
        given.setdefault(each.account, []).append(each)
    return [known_of(each, given.get(each.id, []), policies, at) for each in await accounts.every(connection)]


async def one(connection: Connection, assignments: Assignments, policies: Policies, login: str, at: datetime) -> Known:
    """One account by its login. Raises NoAccount."""
    found = await accounts.by_login(connection, login)
    given = await assignments.of(connection, found.id, states=get_args(State))
    return known_of(found, given, policies, at)


def known_of(account: Account, given: list[Assignment], policies: Policies, at: datetime) -> Known:
    """An account with its assignments, judged at a moment."""
    holdings = tuple(_holding(each, account, policies, at) for each in given)
    held = [each for each, holding in zip(given, holdings, strict=True) if holding.force == "in force"]
    return Known(account, person_with(account, held), tuple(given), holdings)


def _holding(given: Assignment, account: Account, policies: Policies, at: datetime) -> Holding:
    return Holding(
        given.id,
        given.role,
        given.kind,
        given.sites,
        given.families,
        given.valid_from,
        given.valid_to,
        _force(given, account, policies, at),
        given.delegator,
    )


def _force(given: Assignment, account: Account, policies: Policies, at: datetime) -> Force:
    if given.state != "active":
        return given.state
    if given.valid_from > at:
        return "not yet"
    if given.valid_to is not None and given.valid_to <= at:
        return "expired"
    if not account.active:
        return "account disabled"
    return "in force" if given.role in policies.roles else "unknown role"
