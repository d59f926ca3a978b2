"""What live processes wait for: the open steps about a record, and about the records that refer to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.scalars import instant_text
from clew.metadata.blueprint import Blueprint, Entity, FieldKind
from clew.process import store
from clew.storage import identity_tables, process_tables
from clew.storage.engine import Connection
from clew.storage.tables import Tables

Sees = Callable[[str, str], bool]
"""Whether whoever asks sees a field of an entity, on every record they see."""
_p, _t, _c, _account = (
    process_tables.process,
    process_tables.task,
    process_tables.task_candidate,
    identity_tables.account,
)


async def concerning(
    connection: Connection, tables: Tables, blueprint: Blueprint, record: UUID, sees: Sees = lambda entity, field: True
) -> list[UUID]:
    """Live instances about a record, or about one that refers to it (a nonconformance of a lot), the oldest first. Only
    by a field that whoever asks `sees`: what is found by a hidden one tells what it holds."""
    live = sa.select(_p.c.id).where(_p.c.status.in_(store.LIVE))
    found = {row[0] for row in await connection.fetch(live.where(_p.c.record_id == record))}
    for name in sorted({each.entity for each in blueprint.workflows.values()}):
        referring = _referring(tables, blueprint.entities[name], record, sees)
        if referring is not None:
            query = live.where(_p.c.entity == name, _p.c.record_id.in_(referring))
            found |= {row[0] for row in await connection.fetch(query)}
    return sorted(found)


async def about(connection: Connection, record: UUID) -> list[UUID]:
    """Live instances about a record itself, the oldest first."""
    query = sa.select(_p.c.id).where(_p.c.record_id == record, _p.c.status.in_(store.LIVE)).order_by(_p.c.id)
    return [row[0] for row in await connection.fetch(query)]


def _referring(tables: Tables, entity: Entity, record: UUID, sees: Sees) -> sa.Select[Any] | None:
    """The ids of an entity's records that refer to a record."""
    table, ways = tables.current(entity.name), []
    for field in entity.fields.values():
        if not sees(entity.name, field.name):
            continue
        if field.kind is FieldKind.REF and field.stored:
            ways.append(table.c[field.name] == record)
        elif field.kind is FieldKind.MANY and field.computed is None:
            link = tables.link(entity.name, field.name)
            ways.append(table.c.id.in_(sa.select(link.c.owner).where(link.c.target == record)))
    return sa.select(table.c.id).where(sa.or_(*ways)) if ways else None


async def open_steps(connection: Connection, process: UUID) -> list[dict[str, Any]]:
    """Each open task of an instance with who may do it, by name; and each incident, which waits for an operator."""
    instance = await store.load(connection, process)
    if instance is None:
        return []
    common = {
        "process": str(process), "workflow": instance.workflow, "entity": instance.entity,
        "recordId": str(instance.record_id),
    }  # fmt: skip
    found: list[dict[str, Any]] = []
    query = sa.select(_t.c.id, _t.c.step, _t.c.post, _t.c.assignee, _t.c.due_at).where(
        _t.c.process == process, _t.c.status == "open", _t.c.kind != "copy"
    )
    for task, step, post, assignee, due in await connection.fetch(query.order_by(_t.c.number)):
        people = sa.select(_account.c.name).join(_c, _c.c.person == _account.c.id).where(_c.c.task == task)
        if assignee is not None:
            people = sa.select(_account.c.name).where(_account.c.id == assignee)
        names = [row[0] for row in await connection.fetch(people.order_by(_account.c.name))]
        said = {"step": step, "post": post or None, "people": names, "dueAt": _text(due), "incident": None}
        found.append({**common, **said})
    for incident in instance.state.incidents.values():
        token = instance.state.tokens.get(incident.token)
        said = {"step": token.step if token is not None else "", "post": None, "people": [], "dueAt": None}
        found.append({**common, **said, "incident": incident.kind})
    return found


def _text(due: datetime | None) -> str | None:
    return None if due is None else instant_text(due)
