"""Who can be asked: the people who hold a role now, at the site of the case. A port, and identity's own staff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import sqlalchemy as sa

from clew.process.store import one_of
from clew.storage import process_tables, system
from clew.storage.engine import Connection

_account, _assignment = system.account, system.assignment
_task, _offer = process_tables.task, process_tables.task_candidate


@dataclass(frozen=True, slots=True)
class Demand:
    """Whom a step asks: holders of roles at a site, and named people. `person` ids are employees' or accounts'."""

    roles: tuple[str, ...] = ()
    named: tuple[UUID, ...] = ()
    site: UUID | None = None
    least_loaded: bool = False


class Staff(Protocol):
    """Finds people. The engine asks it inside the transaction of the command."""

    async def find(self, connection: Connection, demand: Demand, at: datetime) -> tuple[UUID, ...]:
        """Account ids of everybody who fits, in a fixed order."""
        ...

    async def known(self, connection: Connection, person: UUID) -> bool:
        """Whether somebody may be given a task at all."""
        ...


class AssignedStaff:
    """People by their accounts and role assignments."""

    async def find(self, connection: Connection, demand: Demand, at: datetime) -> tuple[UUID, ...]:
        found: dict[UUID, None] = {}
        if demand.roles:
            query = (
                sa.select(_account.c.id, _assignment.c.sites)
                .join(_assignment, _assignment.c.account == _account.c.id)
                .where(
                    _assignment.c.role.in_(demand.roles),
                    _assignment.c.state == "active",
                    _assignment.c.valid_from <= at,
                    sa.or_(_assignment.c.valid_to.is_(None), _assignment.c.valid_to > at),
                    _account.c.state == "active",
                )
                .order_by(_account.c.id)
            )
            for person, sites in await connection.fetch(query):
                if sites is None or demand.site is None or str(demand.site) in sites:
                    found[person] = None
        if demand.named:
            query = sa.select(_account.c.id).where(
                sa.or_(one_of(_account.c.id, demand.named), one_of(_account.c.employee, demand.named)),
                _account.c.state == "active",
            )
            for row in await connection.fetch(query.order_by(_account.c.id)):
                found[row[0]] = None
        people = tuple(found)
        return await _least_loaded(connection, people) if demand.least_loaded and people else people

    async def known(self, connection: Connection, person: UUID) -> bool:
        query = sa.select(_account.c.id).where(_account.c.id == person, _account.c.state == "active")
        return await connection.fetch_value(query) is not None


class OneOperator:
    """Everybody is the operator at this machine, while a project declares no policies."""

    def __init__(self, operator: UUID) -> None:
        self._operator = operator

    async def find(self, connection: Connection, demand: Demand, at: datetime) -> tuple[UUID, ...]:
        return (self._operator,)

    async def known(self, connection: Connection, person: UUID) -> bool:
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
