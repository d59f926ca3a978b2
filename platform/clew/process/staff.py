"""Who can be asked: the people who hold a role now, at the site of the case. A port, and identity's own staff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.ids import id_of
from clew.process.holders import NOBODY_KNOWN, Known, holders
from clew.process.roster import Roster
from clew.process.store import one_of
from clew.storage import identity_tables, process_tables
from clew.storage.engine import Connection

_account = identity_tables.account
_task, _offer = process_tables.task, process_tables.task_candidate


@dataclass(frozen=True, slots=True)
class Demand:
    """Whom a step asks: the union of holders of roles at a site, of people who are named, of managers and of those in
    positions; of these only who is trained for the course, where `trained` says so. Ids of people are employees' or
    accounts'."""

    roles: tuple[str, ...] = ()
    named: tuple[UUID, ...] = ()
    site: UUID | None = None
    least_loaded: bool = False
    managers_of: tuple[UUID, ...] = ()
    positions: tuple[str, ...] = ()
    trained: bool = False
    course: UUID | None = None
    """None where the record names no course: then nobody is trained for it."""
    among: str = ""
    """A role they all hold besides, at that site."""
    heads_of: tuple[UUID, ...] = ()
    """The heads of these people's departments, who may be themselves."""


class Staff(Protocol):
    """Finds people. The engine asks it inside the transaction of the command."""

    async def find(
        self, connection: Connection, demand: Demand, at: datetime, known: Known = NOBODY_KNOWN
    ) -> tuple[UUID, ...]:
        """Account ids of everybody who fits, in a fixed order. `known`: the holders of some roles at that moment."""
        ...

    async def known(self, connection: Connection, person: UUID) -> bool:
        """Whether somebody may be given a task at all."""
        ...

    async def holds(self, connection: Connection, person: UUID, demand: Demand, at: datetime) -> bool:
        """Whether somebody holds one of the demand's roles, and the one it is among, at its site now."""
        ...

    async def site_of(self, connection: Connection, person: UUID) -> UUID | None:
        """The site somebody works at; None where nothing says it."""
        ...


@dataclass(frozen=True, slots=True)
class AssignedStaff:
    """People by their accounts and role assignments, and by what the project's records say of them."""

    roster: Roster | None = None

    async def find(
        self, connection: Connection, demand: Demand, at: datetime, known: Known = NOBODY_KNOWN
    ) -> tuple[UUID, ...]:
        found = dict.fromkeys(await holders(connection, demand.roles, demand.site, at, known))
        named = list(demand.named)
        if self.roster is not None:
            named += await self.roster.managers(connection, demand.managers_of)
            named += await self.roster.heads(connection, demand.heads_of)
            named += await self.roster.holders(connection, demand.positions, at)
        if named:
            query = sa.select(_account.c.id).where(
                sa.or_(one_of(_account.c.id, named), one_of(_account.c.employee, named)),
                _account.c.state == "active",
            )
            for row in await connection.fetch(query.order_by(_account.c.id)):
                found[row[0]] = None
        people = tuple(found)
        if demand.among:
            members = set(await holders(connection, (demand.among,), demand.site, at, known))
            people = tuple(each for each in people if each in members)
        if demand.trained:
            people = await self._trained(connection, people, demand.course, at)
        return await _least_loaded(connection, people) if demand.least_loaded and people else people

    async def _trained(
        self, connection: Connection, people: tuple[UUID, ...], course: UUID | None, at: datetime
    ) -> tuple[UUID, ...]:
        if self.roster is None or course is None or not people:
            return ()
        trained = await self.roster.qualified(connection, course, at)
        query = sa.select(_account.c.id, _account.c.employee).where(one_of(_account.c.id, people))
        employees = {row[0]: row[1] for row in await connection.fetch(query)}
        return tuple(each for each in people if employees[each] in trained)

    async def holds(self, connection: Connection, person: UUID, demand: Demand, at: datetime) -> bool:
        needed = (demand.roles, (demand.among,)) if demand.among else (demand.roles,)
        return all([person in await holders(connection, each, demand.site, at, only=person) for each in needed])

    async def known(self, connection: Connection, person: UUID) -> bool:
        query = sa.select(_account.c.id).where(_account.c.id == person, _account.c.state == "active")
        return await connection.fetch_value(query) is not None

    async def site_of(self, connection: Connection, person: UUID) -> UUID | None:
        facts = await connection.fetch_value(sa.select(_account.c.facts).where(_account.c.id == person))
        site = (facts or {}).get("site")
        return id_of(site) if site else None


class OneOperator:
    """Everybody is the operator at this machine, while a project declares no policies."""

    def __init__(self, operator: UUID) -> None:
        self._operator = operator

    async def find(
        self, connection: Connection, demand: Demand, at: datetime, known: Known = NOBODY_KNOWN
    ) -> tuple[UUID, ...]:
        return (self._operator,)

    async def known(self, connection: Connection, person: UUID) -> bool:
        return person == self._operator

    async def site_of(self, connection: Connection, person: UUID) -> UUID | None:
        return None

    async def holds(self, connection: Connection, person: UUID, demand: Demand, at: datetime) -> bool:
        return person == self._operator


async def _least_loaded(connection: Connection, people: Sequence[UUID]) -> tuple[UUID, ...]:
    """Of these people the one with fewest open tasks; the first of equals."""
    query = (
        sa.select(_offer.c.person, sa.func.count())
        .join(_task, _task.c.id == _offer.c.task)
        .where(one_of(_offer.c.person, people), _task.c.status == "open")
        .group_by(_offer.c.person)
    )
    load = {row[0]: int(row[1]) for row in await connection.fetch(query)}
    return (min(people, key=lambda each: (load.get(each, 0), str(each))),)
