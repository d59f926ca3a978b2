"""People come and go: who is asked follows the roles they hold now, whoever gave or took them, and when.

Identity tells its witness of every change, in the change's own transaction; from there jobs find the open tasks that it
touches and ask each instance to offer them anew. An assignment that begins or ends by itself leaves a job for that
moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from clew.identity.ports import SecurityEvent, Witness
from clew.kernel.scalars import instant_text
from clew.metadata.processes import Workflow
from clew.process import affected, jobs, store, words
from clew.storage import identity_tables, process_tables
from clew.storage.engine import Connection

if TYPE_CHECKING:
    from clew.process.engine import Processes
    from clew.records.unit import Unit

_a, _c = identity_tables.assignment, process_tables.task_candidate
_p, _t, _u = process_tables.process, process_tables.task, process_tables.process_unasked
_account = identity_tables.account
_FORESEEN = timedelta(days=2)
_TOUCHING = frozenset({"assignment", "account", "break_glass"})


class OfferingWitness:
    """A witness that also has the tasks offered anew of whoever gains or loses a role. Implements identity's port."""

    def __init__(self, inner: Witness) -> None:
        self._inner = inner

    async def record(self, connection: Connection, event: SecurityEvent) -> None:
        await self._inner.record(connection, event)
        if event.subject == "account" and event.action.partition(".")[0] in _TOUCHING:
            await jobs.ask_people(connection, event.subject_id)


async def changed(engine: Processes, account: UUID, unit: Unit) -> None:
    """Find the instances whose tasks this person has, could have, or can have now; also where nobody was found."""
    connection, workflows = unit.connection, await affected.definitions_in_use(engine, unit)
    by_records = await affected.Affected(unit, [*affected.asking(workflows)]).of_person(account)
    for process in sorted(by_records | await _touched(connection, workflows, account, unit.at)):
        await jobs.ask_offer(connection, process, "roles")
    for moment in await _turns(connection, account, unit.at):
        await jobs.ask_people(connection, account, moment)


async def foresee(engine: Processes) -> None:
    """Ask for what is to be done when assignments begin or end by themselves within the next days, where nobody has, or
    where it was done already by a clock that was ahead."""

    async def ask(connection: Connection) -> None:
        at = await connection.now()
        soon = at, at + _FORESEEN
        query = sa.select(_a.c.account, _a.c.valid_from, _a.c.valid_to).where(
            _a.c.state == "active", sa.or_(_a.c.valid_from.between(*soon), _a.c.valid_to.between(*soon))
        )
        for account, *moments in await connection.fetch(query):
            for moment in moments:
                if moment is not None and soon[0] < moment <= soon[1]:
                    await jobs.ask_people(connection, account, moment)

    await engine.database.run_write(ask)


async def offer(engine: Processes, process: UUID, said: Mapping[str, Any], unit: Unit) -> None:
    """Offer the open tasks of an instance to whoever can do them now; where a step found nobody to ask, have that one
    looked at by itself. `said`: why, and which step that is (`jobs.ask_offer`)."""
    instance = await store.load(unit.connection, process, lock=True)
    if instance is None or not instance.state.live:
        return
    why, alone = str(said.get("why", "")), said.get("token")
    for token in list(instance.state.tokens) if alone is None else [int(alone)]:
        fresh = await store.load(unit.connection, process)
        if fresh is None:
            continue
        if alone is None and token in fresh.state.unasked():
            await jobs.ask_offer(unit.connection, process, why, token)
        else:
            await engine.handle(unit, fresh, words.Reoffer(token, instant_text(unit.at), why))


async def _touched(connection: Connection, workflows: Sequence[Workflow], account: UUID, at: datetime) -> set[UUID]:
    offered = sa.select(_t.c.process).join(_c, _c.c.task == _t.c.id).where(_c.c.person == account)
    held = sa.select(_t.c.process).join(_p, _p.c.id == _t.c.process)
    held = held.where(_p.c.status.in_(store.LIVE), _t.c.assignee == account, _t.c.status.in_(store.OPEN))
    found = {row[0] for query in (offered, held) for row in await connection.fetch(query)}
    by_role = asking(workflows, await _roles(connection, account, at))
    for workflow, step in by_role:
        query = sa.select(_t.c.process).join(_p, _p.c.id == _t.c.process)
        query = query.where(
            _p.c.status.in_(store.LIVE), _p.c.workflow == workflow, _t.c.status.in_(store.OPEN), _t.c.step == step
        )
        found |= {row[0] for row in await connection.fetch(query)}
    asked = by_role | _asking_those_of_before(workflows)
    unasked = await connection.fetch(sa.select(_u.c.process, _u.c.workflow, _u.c.step))
    return found | {process for process, *step in unasked if tuple(step) in asked}


def _asking_those_of_before(workflows: Sequence[Workflow]) -> frozenset[tuple[str, str]]:
    """The steps that ask who has had a part already, whose account may work again: workflow and path."""
    steps = ((workflow.name, step) for workflow in workflows for _, step in workflow.walk())
    return frozenset((name, each.path) for name, each in steps if each.who and (each.who.starter or each.who.actor_of))


def asking(workflows: Sequence[Workflow], roles: frozenset[str]) -> frozenset[tuple[str, str]]:
    """The steps that ask holders of one of these roles: workflow and path."""
    return frozenset(_asking(workflows, roles))


def _asking(workflows: Sequence[Workflow], roles: frozenset[str]) -> Iterator[tuple[str, str]]:
    for workflow in workflows:
        for _, step in workflow.walk():
            asked = set(step.who.roles) if step.who is not None else set()
            if step.approval is not None:
                asked |= {*step.approval.posts, *(post for post, _ in step.approval.also), step.approval.among}
            if asked & roles:
                yield workflow.name, step.path


async def _roles(connection: Connection, account: UUID, at: datetime) -> frozenset[str]:
    query = sa.select(_a.c.role).where(
        _a.c.account == account,
        _a.c.state == "active",
        _a.c.valid_from <= at,
        sa.or_(_a.c.valid_to.is_(None), _a.c.valid_to > at),
    )
    return frozenset(row[0] for row in await connection.fetch(query))


@dataclass(frozen=True, slots=True)
class Holding:
    """Somebody who holds a role now: at these sites, None for all."""

    role: str
    sites: frozenset[str] | None
    name: str
    employee: UUID
    login: str


async def holding(connection: Connection, roles: Sequence[str], at: datetime) -> list[Holding]:
    """The employees who hold one of these roles, by name."""
    query = (
        sa.select(_a.c.role, _a.c.sites, _account.c.name, _account.c.employee, _account.c.login)
        .join(_account, _account.c.id == _a.c.account)
        .where(
            _account.c.state == "active",
            _account.c.employee.is_not(None),
            _a.c.state == "active",
            _a.c.valid_from <= at,
            sa.or_(_a.c.valid_to.is_(None), _a.c.valid_to > at),
            sa.or_(sa.false(), *(_a.c.role == each for each in roles)),
        )
        .order_by(_account.c.name, _a.c.id)
    )
    return [
        Holding(role, None if sites is None else frozenset(sites), name, employee, login)
        for role, sites, name, employee, login in await connection.fetch(query)
    ]


async def _turns(connection: Connection, account: UUID, at: datetime) -> list[datetime]:
    """When assignments of this person begin or end by themselves, from now on."""
    query = sa.select(_a.c.valid_from, _a.c.valid_to).where(_a.c.account == account, _a.c.state == "active")
    moments = {moment for row in await connection.fetch(query) for moment in row if moment is not None}
    return sorted(each for each in moments if each > at)
