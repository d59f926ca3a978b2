"""委托: for whom somebody stands in now, and whether a task is one they may do in that person's place.

A delegation is an assignment of identity's: one role of the delegator, for a bounded time. It reaches the tasks that
ask for this role, those that were open before it began as well, and nothing else of the delegator's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from clew.kernel.ids import id_of
from clew.metadata.processes import ApprovalMode, Step
from clew.process.state import Task
from clew.records.gathering import beside
from clew.storage import identity_tables
from clew.storage.engine import Connection
from clew.storage.types import Json

_t = identity_tables.assignment


@dataclass(frozen=True, slots=True)
class Held:
    """One role held now: by whom it was lent (None: one's own), and where (None: everywhere)."""

    role: str
    lender: UUID | None
    sites: frozenset[str] | None

    def at(self, site: UUID | None) -> bool:
        return self.sites is None or site is None or str(site) in self.sites


@dataclass(frozen=True, slots=True)
class Standing:
    """The roles somebody holds now, their own and those that were lent to them."""

    held: tuple[Held, ...] = ()

    @property
    def lenders(self) -> tuple[UUID, ...]:
        return tuple(dict.fromkeys(each.lender for each in self.held if each.lender is not None))

    def holds(self, roles: Collection[str], among: str, site: UUID | None) -> bool:
        """Whether one of these roles is held at a site, their own or lent, and the one it is among as well."""
        here = {each.role for each in self.held if each.at(site)}
        return not here.isdisjoint(roles) and (not among or among in here)

    def behalf(self, person: str, task: Task, step: Step, site: UUID | None) -> str | None:
        """In whose place this person does a task; None when it is their own, or not theirs at all."""
        roles = asked_roles(task, step)
        here = [each for each in self.held if each.role in roles and each.at(site)]
        among = step.approval.among if step.approval is not None else ""
        if among and not any(each.role == among and each.at(site) for each in self.held):
            # Who is no member of the board votes for nobody.
            here = []
        asked = person in task.candidates if task.assignee is None else task.assignee == person
        if asked and (not roles or any(each.lender is None for each in here)):
            return None
        for each in here:
            lender = str(each.lender)
            theirs = lender in task.candidates if task.assignee is None else task.assignee == lender
            if each.lender is not None and (asked or theirs):
                return lender
        return None


def asked_roles(task: Task, step: Step) -> frozenset[str]:
    """The roles a task asks for: the posts of a vote, or those of the step. Whoever was added or shown a case was asked
    themselves, and nobody stands in for them."""
    if task.kind not in ("task", "vote"):
        return frozenset()
    if step.approval is not None:
        together = step.approval.mode is ApprovalMode.ANY_SIGN
        return frozenset(step.approval.posts) if together else frozenset([task.post])
    return frozenset(step.who.roles) if step.who is not None else frozenset()


async def standing(connection: Connection, person: UUID, at: datetime) -> Standing:
    """What this account holds at `at`."""
    return standing_of(await beside(connection).fetch(_HELD, asked(person, at)))


def asked(person: UUID, at: datetime) -> dict[str, Any]:
    """The arguments of `STANDING`."""
    return {"of_account": person, "held_at": at}


def standing_of(rows: Iterable[Sequence[Any]]) -> Standing:
    """Of rows of role, kind, delegator and sites: as the database gives them, or as JSON."""
    return Standing(
        tuple(
            Held(role, _id(lender) if kind == "delegation" else None, None if sites is None else frozenset(sites))
            for role, kind, lender, sites in rows
        )
    )


def _id(value: UUID | str) -> UUID:
    return value if isinstance(value, UUID) else id_of(value)


_AT = sa.bindparam("held_at", type_=_t.c.valid_from.type)
_HELD = (
    sa.select(_t.c.role, _t.c.kind, _t.c.delegator, _t.c.sites)
    .where(
        _t.c.account == sa.bindparam("of_account", type_=_t.c.account.type),
        _t.c.state == "active",
        _t.c.valid_from <= _AT,
        sa.or_(_t.c.valid_to.is_(None), _t.c.valid_to > _AT),
    )
    .order_by(_t.c.id)
)
_ROW: Any = postgresql.aggregate_order_by(
    sa.func.jsonb_build_array(_t.c.role, _t.c.kind, _t.c.delegator, _t.c.sites), _t.c.id
)
STANDING = (
    _HELD.with_only_columns(sa.func.jsonb_agg(_ROW, type_=Json())).order_by(None).scalar_subquery().label("standing")
)
"""The rows of a standing within another question, on PostgreSQL; null for nobody's."""
