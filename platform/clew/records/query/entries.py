"""The trail as one list, newest first: what a caller may read of it, a page at a time.

An entry about a record is there for whoever may read the trail of that record now, and sees the version the entry tells
of, as the record's own `audit` is.
An entry about no record (a sign-in, an export, a release) needs the right to look after the trail,
`administer: [audit]`. What changed is told field by field through the record's own scope, so a value hidden there is
hidden here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from clew.access.decision import Decision
from clew.audit.leaf import entries_of
from clew.audit.trail import PLATFORM
from clew.kernel.context import Context
from clew.metadata.blueprint import Blueprint, Entity
from clew.records.query.history import called_so, changes_json, version_seen
from clew.records.query.json_text import Sql
from clew.records.query.plan import VersionItem
from clew.records.query.run import with_facts
from clew.records.query.scope import Build, Scope
from clew.storage import system
from clew.storage.called import Names, words
from clew.storage.dialects import any_of, compile_statement
from clew.storage.engine import Connection
from clew.storage.tables import Tables

RIGHT = "audit"
"""Among what a role administers: the trail of what belongs to no record."""
MOST_COUNTED = 10_000
_CLOSED = ("clew.process",)
"""Events of the platform whose particulars hold what somebody wrote into records."""
_TOLD = ("process:checkpoint",)
"""Those of them that say nothing of the kind: a clause, and the record it was fulfilled for."""
_CHANGE = VersionItem("changes", "changes", members=tuple(VersionItem(n, n) for n in ("field", "old", "new")))
leaf, log = system.leaf, system.audit_log


@dataclass(frozen=True, slots=True)
class Asked:
    """Which entries: in a period (`from_` included, `to` not), by whom, what, about what; all that is given holds."""

    from_: datetime | None = None
    to: datetime | None = None
    actor: UUID | None = None
    action: str | None = None
    entity: str | None = None
    record_id: UUID | None = None
    after: UUID | None = None
    before: UUID | None = None
    size: int = 50
    backward: bool = False
    """The last ones instead of the first ones."""


@dataclass(frozen=True, slots=True)
class Page:
    """Entries in order, newest first, as plain values; and whether there are more on either side."""

    entries: Sequence[dict[str, Any]]
    has_next: bool
    has_previous: bool


def may_look(blueprint: Blueprint, decision: Decision) -> bool:
    """Whether there is any trail for a caller."""
    return RIGHT in decision.administers or bool(_readable(blueprint, decision))


def _readable(blueprint: Blueprint, decision: Decision) -> list[Entity]:
    """The entities whose records' trail the caller may read, at least of some records."""
    return [
        entity
        for entity in blueprint.entities.values()
        if (access := decision.on(entity.name)).read.allowed and access.audit.allowed
    ]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the trail for one caller."""

    blueprint: Blueprint
    tables: Tables
    decision: Decision
    context: Context
    now: datetime

    async def page(self, connection: Connection, asked: Asked, *, changes: bool = True) -> Page:
        """One page. `changes`: also what changed."""
        build = Build(self.blueprint, self.tables, self.decision, connection.dialect)
        seen = self._visible(build, asked.entity)
        if seen is None or not asked.size:
            return Page((), False, False)
        columns = [leaf.c[name] for name in ("leaf_id", "at", "action", "entity", "record_id", "row_version", "actor")]
        sealed = sa.select(log.c.index).where(log.c.leaf_id == leaf.c.leaf_id).scalar_subquery()
        order = leaf.c.leaf_id.asc() if asked.backward else leaf.c.leaf_id.desc()
        query = sa.select(*columns, leaf.c.header, leaf.c.digest, leaf.c.fields, sealed).where(
            seen, *_filters(asked), *_between(asked)
        )
        rows = await self._fetch(connection, query.order_by(order).limit(asked.size + 1))
        more, rows = len(rows) > asked.size, rows[: asked.size]
        if asked.backward:
            rows.reverse()
        edge = asked.before if asked.backward else asked.after
        past = False
        if edge is not None:
            beyond = leaf.c.leaf_id <= edge if asked.backward else leaf.c.leaf_id >= edge
            some = sa.select(leaf.c.leaf_id).where(seen, *_filters(asked), beyond).limit(1)
            past = bool(await self._fetch(connection, some))
        told = await self._changes(connection, build, rows) if changes else {}
        entries = [_entry(row, told.get(row[0], [])) for row in rows]
        return Page(entries, past if asked.backward else more, more if asked.backward else past)

    async def count(self, connection: Connection, asked: Asked) -> int | None:
        """How many entries there are in all; None when more than MOST_COUNTED, which nobody waits for."""
        build = Build(self.blueprint, self.tables, self.decision, connection.dialect)
        seen = self._visible(build, asked.entity)
        if seen is None:
            return 0
        some = sa.select(leaf.c.leaf_id).where(seen, *_filters(asked)).limit(MOST_COUNTED + 1).subquery()
        ((count,),) = await self._fetch(connection, sa.select(sa.func.count()).select_from(some))
        return count if count <= MOST_COUNTED else None

    def _visible(self, build: Build, only: str | None) -> Sql | None:
        """What the caller may see of the trail; None when nothing."""
        found: list[Sql] = []
        administers = RIGHT in self.decision.administers
        for entity in _readable(self.blueprint, self.decision):
            names = self._called(entity)
            if only is not None and only not in words(names):
                continue
            about = called_so(leaf.c.entity, leaf.c.at, names)
            found.append(sa.and_(about, self._of_records(build, entity, administers)))
        if administers and (only is None or only.startswith(PLATFORM)):
            found.append(leaf.c.entity.startswith(PLATFORM))
        return sa.or_(*found) if found else None

    def _called(self, entity: Entity) -> Names:
        """What an entity was called when."""
        return self.tables.catalog.entities[entity.name].entity_called(entity, self.blueprint.entities)

    def _of_records(self, build: Build, entity: Entity, administers: bool) -> Sql:
        """Of one entity: changes and events of the records whose trail may be read; of none, for who looks after it."""
        scope = Scope.over(build, entity.name)
        conditions = [*scope.conditions(), *scope.granted(scope.access.audit)]
        told = version_seen(scope, leaf)
        versions = build.alias(self.tables.history(entity.name))
        known = sa.exists().where(versions.c.id == leaf.c.record_id).correlate(leaf)
        if conditions:
            rows = scope.rows
            held: Any = sa.select(sa.literal_column("1")).select_from(rows)
            held = held.where(rows.c.id == leaf.c.record_id, *conditions)
            seen: Sql = sa.and_(sa.exists(held.correlate_except(rows)), *told)
        else:
            seen = sa.or_(leaf.c.row_version > 0, known)
        return sa.or_(seen, sa.and_(leaf.c.row_version == 0, ~known)) if administers else seen

    async def _changes(self, connection: Connection, build: Build, rows: Sequence[Any]) -> dict[UUID, Any]:
        """leaf → changed fields the caller may see, entity by entity through its own scope."""
        found: dict[UUID, Any] = {}
        for entity in _readable(self.blueprint, self.decision):
            names = self._called(entity)
            known = words(names)
            ids = [row[0] for row in rows if row[3] in known]
            if not ids:
                continue
            entries = build.alias(leaf)
            told = changes_json(Scope.over(build, entity.name), entries, _CHANGE)
            about = called_so(entries.c.entity, entries.c.at, names)
            query = sa.select(entries.c.leaf_id, told).where(any_of(entries.c.leaf_id, "leaf_ids"), about)
            for leaf_id, text in await self._fetch(connection, query, {"leaf_ids": ids}):
                found[leaf_id] = json.loads(text)
        for row in rows:
            if row[3].startswith(PLATFORM) and (row[3] not in _CLOSED or row[2] in _TOLD):
                found[row[0]] = _particulars(row[9])
        return found

    async def _fetch(self, connection: Connection, query: Any, args: Mapping[str, Any] | None = None) -> list[Any]:
        compiled = compile_statement(query, connection.dialect)
        zone = ZoneInfo(self.blueprint.project.time_zone)
        return list(
            await connection.fetch(compiled, with_facts(compiled.slots, args or {}, self.context, self.now, zone))
        )


def _filters(asked: Asked) -> list[Sql]:
    found: list[Sql] = []
    for name in ("actor", "action", "entity", "record_id"):
        value = getattr(asked, name)
        if value is not None:
            found.append(leaf.c[name] == value)
    if asked.from_ is not None:
        found.append(leaf.c.at >= asked.from_)
    if asked.to is not None:
        found.append(leaf.c.at < asked.to)
    return found


def _between(asked: Asked) -> list[Sql]:
    found: list[Sql] = [] if asked.after is None else [leaf.c.leaf_id < asked.after]
    return found if asked.before is None else [*found, leaf.c.leaf_id > asked.before]


def _entry(row: Any, changes: Any) -> dict[str, Any]:
    leaf_id, at, action, entity, record_id, row_version, actor, header, digest, _, index = row
    try:
        said = json.loads(header)
    except ValueError:
        said = {}  # a header that cannot be read is what verification tells of
    return {
        "id": leaf_id,
        "at": at,
        "by": actor,
        "action": action,
        "entity": entity,
        "recordId": record_id,
        "rowVersion": row_version,
        **{key: said.get(name) for key, name in _SAID.items()},
        "digest": digest,
        "index": index,
        "changes": changes,
    }


_SAID = {
    "reason": "reason",
    "channel": "channel",
    "release": "release",
    "onBehalfOf": "on_behalf_of",
    "requestId": "request_id",
}


def _particulars(fields: str) -> list[dict[str, Any]]:
    try:
        entries = entries_of(fields)
    except (ValueError, KeyError, AttributeError, TypeError):
        return []
    return [{"field": name, "old": each.old, "new": each.new} for name, each in sorted(entries.items())]
