"""Somebody's tasks, page by page: what they are asked themselves and what they may do in another's place, in one order.

A page begins beside a task that was seen, by the values it was ordered by, so it stays right while tasks come and go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.ids import id_of
from clew.process.reading import TASK, Answer, task_of
from clew.storage import process_tables
from clew.storage.dialects import any_of
from clew.storage.engine import Connection

_t, _c = process_tables.task, process_tables.task_candidate
_NEVER = datetime(9999, 12, 31, tzinfo=UTC)
Order = Literal["due", "oldest", "newest"]
"""By what is left of the time limit (those without one last), or by when they were opened."""
_DUE = sa.func.coalesce(_t.c.due_at, sa.literal(_NEVER, _t.c.due_at.type))
_KEYS: Mapping[Order, tuple[tuple[sa.ColumnElement[Any], bool], ...]] = {
    "due": ((_DUE, True), (_t.c.opened_at, True), (_t.c.id, True)),
    "oldest": ((_t.c.opened_at, True), (_t.c.id, True)),
    "newest": ((_t.c.opened_at, False), (_t.c.id, False)),
}
"""What tasks are ordered by, and whether upwards."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins or ends: the values of the task beside it."""

    due: datetime | None
    opened: datetime
    task: UUID

    def of(self, order: Order) -> tuple[datetime | UUID, ...]:
        found = (self.opened, self.task)
        return (self.due or _NEVER, *found) if order == "due" else found


@dataclass(frozen=True, slots=True)
class Asked:
    """Which tasks, and which page of them. `claimed`: only those taken, or only those not taken; `copied`: only cases
    that were shown to somebody, or only what is to be done."""

    size: int
    claimed: bool | None = None
    overdue: bool = False
    copied: bool | None = None
    order: Order = "due"
    after: Place | None = None
    before: Place | None = None
    backward: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    tasks: list[Answer]
    has_next: bool
    has_previous: bool


async def page(connection: Connection, person: UUID, lent: Mapping[UUID, str], asked: Asked) -> Page:
    """A page of somebody's open tasks. `lent`: those they may do in another's place, and whose."""
    mine = await _mine(connection, person, lent, asked)
    keys, bounds = _KEYS[asked.order], []
    for place, later in ((asked.after, True), (asked.before, False)):
        if place is not None:
            bounds.append(_beyond(keys, place.of(asked.order), later))
    order = [key.asc() if up is not asked.backward else key.desc() for key, up in keys]
    own = sa.exists().where(_c.c.task == _t.c.id, _c.c.person == person)
    query = sa.select(*TASK, own).where(*mine, *bounds).order_by(*order).limit(asked.size + 1)
    rows = await connection.fetch(query, _args(lent, asked))
    more, rows = len(rows) > asked.size, rows[: asked.size]
    found = [_task(row, lent) for row in rows]
    if asked.backward:
        found.reverse()
    beside = asked.before if asked.backward else asked.after
    other = beside is not None and await _any(connection, mine, keys, beside.of(asked.order), asked, lent)
    return Page(found, other if asked.backward else more, more if asked.backward else other)


async def count(connection: Connection, person: UUID, lent: Mapping[UUID, str], asked: Asked) -> int:
    """How many tasks there are on all pages."""
    mine = await _mine(connection, person, lent, asked)
    query = sa.select(sa.func.count()).select_from(_t).where(*mine)
    return int(await connection.fetch_value(query, _args(lent, asked)))


async def _mine(
    connection: Connection, person: UUID, lent: Mapping[UUID, str], asked: Asked
) -> list[sa.ColumnElement[bool]]:
    offered = _t.c.id.in_(sa.select(_c.c.task).where(_c.c.person == person))
    own = sa.and_(offered, sa.or_(_t.c.assignee.is_(None), _t.c.assignee == person))
    found = [_t.c.status == "open", sa.or_(own, any_of(_t.c.id, "lent")) if _lent(lent, asked) else own]
    if asked.claimed is not None:
        found.append(_t.c.assignee.is_not(None) if asked.claimed else _t.c.assignee.is_(None))
    if asked.copied is not None:
        found.append(_t.c.kind == "copy" if asked.copied else _t.c.kind != "copy")
    if asked.overdue:
        found.append(_t.c.due_at < await connection.now())
    return found


def _lent(lent: Mapping[UUID, str], asked: Asked) -> bool:
    """Nobody reads a copy in another's place."""
    return bool(lent) and not asked.copied


def _args(lent: Mapping[UUID, str], asked: Asked) -> dict[str, Any]:
    return {"lent": sorted(lent)} if _lent(lent, asked) else {}


def _beyond(
    keys: tuple[tuple[sa.ColumnElement[Any], bool], ...], values: tuple[Any, ...], later: bool
) -> sa.ColumnElement[bool]:
    """Tasks strictly after these values in this order, or strictly before them."""
    found: list[sa.ColumnElement[bool]] = []
    for at, ((key, up), value) in enumerate(zip(keys, values, strict=True)):
        same = [one == sa.literal(known, one.type) for (one, _), known in zip(keys[:at], values[:at], strict=True)]
        bound = sa.literal(value, key.type)
        found.append(sa.and_(*same, key > bound if up is later else key < bound))
    return sa.or_(*found)


async def _any(
    connection: Connection,
    mine: list[sa.ColumnElement[bool]],
    keys: tuple[tuple[sa.ColumnElement[Any], bool], ...],
    values: tuple[Any, ...],
    asked: Asked,
    lent: Mapping[UUID, str],
) -> bool:
    """Whether there are tasks on the far side of where the page began, that task included."""
    far = sa.not_(_beyond(keys, values, not asked.backward))
    query = sa.select(_t.c.id).where(*mine, far).limit(1)
    return await connection.fetch_value(query, _args(lent, asked)) is not None


def _task(row: Any, lent: Mapping[UUID, str]) -> Answer:
    found, own = task_of(row[:-1]), bool(row[-1])
    return found if own or id_of(found["id"]) not in lent else {**found, "behalf": lent[id_of(found["id"])]}
