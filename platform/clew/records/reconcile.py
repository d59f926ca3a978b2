"""Records against their trail: every version has its leaf and every leaf its version, and both tell the same values.

What the leaves of a record say, one after the other, must give each of its versions; the last of them is the present
row. A change of the project may have filled fields of many records at once: such a version has the `row_version` of
the one before and is explained by the release that made it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.audit.erasures import is_gone
from clew.audit.leaf import FieldEntry, entries_of
from clew.audit.verify.findings import Finding
from clew.kernel.canonical import canonical_json
from clew.kernel.scalars import FAR_FUTURE
from clew.metadata.blueprint import Entity, FieldKind
from clew.records.query.history import called_so
from clew.records.rows import BOOKKEEPING, Shape
from clew.records.values import plain
from clew.storage import system
from clew.storage.called import Called, Moments, moments, words
from clew.storage.dialects import any_of
from clew.storage.engine import Connection, Database
from clew.storage.layout import OWNER, TARGET, TX_FROM, TX_TO
from clew.storage.tables import Tables
from clew.storage.types import Id

PAGE = 300
"""Records looked at together."""
_FIRST = UUID(int=0)
_NOT_IN_ROW = (FieldKind.MANY, FieldKind.LINES)
leaf = system.leaf
Say = Callable[..., Finding]
"""Makes a finding about one version."""


@dataclass(frozen=True, slots=True)
class _Told:
    """One leaf, as far as it matters here."""

    leaf_id: UUID
    at: datetime
    action: str
    row_version: int
    entries: Mapping[str, FieldEntry]


@dataclass(slots=True)
class _Story:
    """What is known of one record: its versions and its leaves, each in order."""

    versions: list[Mapping[str, Any]] = field(default_factory=list)
    leaves: list[_Told] = field(default_factory=list)


async def reconcile(database: Database, tables: Tables) -> AsyncIterator[Finding]:
    """Everything in which the records of a release and the trail differ, entity by entity."""
    filled = await _filled(database)
    async with database.read() as connection:
        live = await moments(connection)
    for entity in tables.blueprint.entities.values():
        ledger = _Ledger(tables, entity, filled.get(entity.name, {}), live)
        async with database.snapshot() as connection:
            async for found in ledger.findings(connection):
                yield found
            async for found in ledger.present(connection):
                yield found


async def _filled(database: Database) -> dict[str, dict[str, datetime]]:
    """entity → field → the first release that filled it, by when it was begun."""
    change, release = system.change, system.release
    query = sa.select(change.c.work, release.c.at).join(release, release.c.number == change.c.release)
    found: dict[str, dict[str, datetime]] = defaultdict(dict)
    async with database.read() as connection:
        for work, at in await connection.fetch(query.where(change.c.kind == "fill").order_by(release.c.number)):
            if work.get("entity") and work.get("field"):
                found[work["entity"]].setdefault(work["field"], at)
    return found


class _Ledger:
    """One entity's books."""

    def __init__(self, tables: Tables, entity: Entity, filled: Mapping[str, datetime], live: Moments) -> None:
        self._entity, self._tables, self._filled, self._live = entity, tables, filled, live
        self._shape = Shape(entity)
        self._history, self._current = tables.history(entity.name), tables.current(entity.name)
        names, entities = tables.catalog.entities, tables.blueprint.entities
        self._called = names[entity.name].entity_called(entity, entities)
        self._fields: dict[str, list[tuple[Called, str]]] = defaultdict(list)
        for each in entity.fields.values():
            for called in names[entity.name].field_called(each, entity.fields):
                self._fields[called.name].append((called, each.name))
        self._entities: dict[str, list[tuple[Called, str]]] = defaultdict(list)
        for other in entities.values():
            for called in names[other.name].entity_called(other, entities):
                self._entities[called.name].append((called, other.name))
        columns = [self._history.c[key] for key in (*self._shape.keys, TX_FROM, TX_TO)]
        key = self._history.c.id
        page = sa.select(key).where(key > sa.bindparam("after", type_=Id())).distinct().order_by(key).limit(PAGE)
        self._page = page
        self._versions = sa.select(*columns).where(any_of(key, "ids")).order_by(key, self._history.c[TX_FROM])
        told = (leaf.c.record_id, leaf.c.leaf_id, leaf.c.at, leaf.c.action, leaf.c.row_version, leaf.c.fields)
        self._leaves = (
            sa.select(*told)
            .where(any_of(leaf.c.record_id, "ids"), leaf.c.row_version > 0, any_of(leaf.c.entity, "names"))
            .order_by(leaf.c.record_id, leaf.c.row_version)
        )

    async def findings(self, connection: Connection) -> AsyncIterator[Finding]:
        after = _FIRST
        while rows := await connection.fetch(self._page, {"after": after}):
            ids = [row[0] for row in rows]
            after = ids[-1]
            stories = await self._stories(connection, ids)
            links = await self._links(connection, ids)
            for record_id in ids:
                for found in self._judge(record_id, stories[record_id], links):
                    yield found
        for row in await connection.fetch(self._without_history()):
            yield Finding(
                "leaf_without_version", leaf_id=row[0], entity=self._entity.name, record_id=row[1], row_version=row[2]
            )

    async def _stories(self, connection: Connection, ids: Sequence[UUID]) -> dict[UUID, _Story]:
        stories: dict[UUID, _Story] = defaultdict(_Story)
        keys = (*self._shape.keys, TX_FROM, TX_TO)
        for row in await connection.fetch(self._versions, {"ids": list(ids)}):
            version = dict(zip(keys, row, strict=True))
            version["record"] = self._shape.record(row[: len(self._shape.keys)])
            stories[version["id"]].versions.append(version)
        for record_id, leaf_id, at, action, row_version, fields in await connection.fetch(
            self._leaves, {"ids": list(ids), "names": list(words(self._called))}
        ):
            stories[record_id].leaves.append(_Told(leaf_id, at, action, row_version, _readable(fields)))
        return stories

    def _judge(self, record_id: UUID, story: _Story, links: Mapping[Any, Any]) -> Iterator[Finding]:
        """One record: its versions and leaves side by side."""
        leaves = {each.row_version: each for each in story.leaves}
        told: dict[str, Any] = {}
        sets: dict[str, set[str]] = defaultdict(set)
        number = 0
        unknown: set[str] = set()
        for at, version in enumerate(story.versions):
            row_version = version["row_version"]
            say = partial(Finding, entity=self._entity.name, record_id=record_id, row_version=row_version)
            if at and story.versions[at - 1][TX_TO] != version[TX_FROM]:
                yield say("version_gap", detail="time")
            if row_version == number:
                yield from self._filled_version(version, told, unknown, say)
                told = _values(version["record"])
                continue
            if row_version != number + 1:
                yield say("version_gap", detail=f"after {number}")
            number = row_version
            said = leaves.pop(row_version, None)
            if said is None:
                yield say("version_without_leaf")
                told = _values(version["record"])
                continue
            if said.at != version[TX_FROM]:
                yield say("time_altered", leaf_id=said.leaf_id)
            yield from self._apply(said, told, sets, unknown, say)
            yield from self._compare(version, told, unknown, say)
            yield from self._compare_links(record_id, version, sets, links, say)
        yield from self._left_over(record_id, number, story, leaves)

    def _left_over(self, record_id: UUID, number: int, story: _Story, leaves: Mapping[int, _Told]) -> Iterator[Finding]:
        """Leaves without a version; the removal of a line has none."""
        removed = story.versions[-1][TX_TO] != FAR_FUTURE
        for row_version, said in sorted(leaves.items()):
            if not (removed and said.action == "remove" and row_version == number + 1):
                yield Finding(
                    "leaf_without_version",
                    leaf_id=said.leaf_id,
                    entity=self._entity.name,
                    record_id=record_id,
                    row_version=row_version,
                )
        if removed and not any(said.action == "remove" for said in leaves.values()):
            say = partial(Finding, entity=self._entity.name, record_id=record_id, row_version=number)
            yield say("version_gap", detail="ended without a leaf")

    def _apply(
        self, said: _Told, told: dict[str, Any], sets: dict[str, set[str]], unknown: set[str], say: Say
    ) -> Iterator[Finding]:
        """Take over what a leaf says; `old` must be what was told before."""
        for name, entry in said.entries.items():
            known = self._today(self._fields, name, said.at)
            if known is None:
                continue
            if entry.redacted:
                unknown.add(known)
                told.pop(known, None)
                continue
            kind = self._entity.fields[known].kind
            if kind is FieldKind.MANY and isinstance(entry.new, dict):
                sets[known] -= set(entry.new.get("removed", ()))
                sets[known] |= set(entry.new.get("added", ()))
            elif kind not in _NOT_IN_ROW:
                old, new = (self._as_today(kind, value, said.at) for value in (entry.old, entry.new))
                if known not in unknown and told.get(known) != old and known not in self._filled:
                    yield say("value_altered", leaf_id=said.leaf_id, detail=f"{known} (before)")
                unknown.discard(known)
                told[known] = new

    def _as_today(self, kind: FieldKind, value: Any, at: datetime) -> Any:
        """What a leaf told, with today's name of the entity a reference points at."""
        if kind is FieldKind.ANY and isinstance(value, dict) and "entity" in value:
            return {**value, "entity": self._today(self._entities, value["entity"], at) or value["entity"]}
        return value

    def _today(self, known: Mapping[str, list[tuple[Called, str]]], name: str, at: datetime) -> str | None:
        """What something that was called so at a moment is called today; None for what is no more."""
        return next((now for called, now in known.get(name, ()) if self._live.covers(called, at)), None)

    def _compare(
        self, version: Mapping[str, Any], told: Mapping[str, Any], unknown: set[str], say: Say
    ) -> Iterator[Finding]:
        kept = _values(version["record"])
        for name in sorted(unknown):
            # Whether an erasure explains that the trail is silent is asked of the log; nothing else may stand there.
            if not is_gone(kept.get(name), version["id"]) and not self._before_conversion(name, version):
                yield say("value_altered", detail=f"{name} (erased)")
        for name in sorted({*kept, *told} - unknown):
            if kept.get(name) != told.get(name) and not self._before_conversion(name, version):
                yield say("value_altered", detail=name)

    def _before_conversion(self, name: str, version: Mapping[str, Any]) -> bool:
        """A field that a later release filled has no value of its own in versions before it."""
        begun = self._filled.get(name)
        return begun is not None and version[TX_FROM] < begun

    def _filled_version(
        self, version: Mapping[str, Any], told: Mapping[str, Any], unknown: set[str], say: Say
    ) -> Iterator[Finding]:
        """A version a change of the project made: it differs only in what that change filled."""
        kept = _values(version["record"])
        for name in sorted({*kept, *told} - unknown):
            begun = self._filled.get(name)
            if kept.get(name) != told.get(name) and (begun is None or version[TX_FROM] < begun):
                yield say("version_without_leaf", detail=name)

    # ── links ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _links(self, connection: Connection, ids: Sequence[UUID]) -> dict[tuple[str, UUID], list[Any]]:
        """(field, owner) → [target, from, to] of every pair there ever was."""
        found: dict[tuple[str, UUID], list[Any]] = defaultdict(list)
        for name in self._tables.catalog.entities[self._entity.name].links:
            if name not in self._entity.fields:
                continue
            table = self._tables.link_history(self._entity.name, name)
            query = sa.select(*(table.c[key] for key in (OWNER, TARGET, TX_FROM, TX_TO)))
            for owner, *rest in await connection.fetch(query.where(any_of(table.c[OWNER], "ids")), {"ids": list(ids)}):
                found[name, owner].append(rest)
        return found

    def _compare_links(
        self,
        record_id: UUID,
        version: Mapping[str, Any],
        sets: Mapping[str, set[str]],
        links: Mapping[tuple[str, UUID], list[Any]],
        say: Say,
    ) -> Iterator[Finding]:
        at = version[TX_FROM]
        for name in {*sets, *(name for name, owner in links if owner == record_id)}:
            kept = {str(target) for target, begun, ended in links.get((name, record_id), ()) if begun <= at < ended}
            if kept != sets.get(name, set()):
                yield say("value_altered", detail=name)

    # ── the present rows ──────────────────────────────────────────────────────────────────────────────────────────

    async def present(self, connection: Connection) -> AsyncIterator[Finding]:
        """Present rows that are not their last version, and last versions without a present row."""
        now, then = self._current, self._history
        same = [
            sa.or_(now.c[key] == then.c[key], sa.and_(now.c[key].is_(None), then.c[key].is_(None)))
            for key in self._shape.keys
        ]
        is_open = then.c[TX_TO] == FAR_FUTURE
        query = sa.select(now.c.id, now.c.row_version)
        for row in await connection.fetch(query.where(~sa.exists().where(is_open, *same)).limit(PAGE)):
            yield Finding("current_altered", entity=self._entity.name, record_id=row[0], row_version=row[1])
        gone = sa.select(then.c.id, then.c.row_version).where(is_open, ~sa.exists().where(now.c.id == then.c.id))
        for row in await connection.fetch(gone.limit(PAGE)):
            say = partial(Finding, entity=self._entity.name, record_id=row[0], row_version=row[1])
            yield say("current_altered", detail="missing")

    def _without_history(self) -> sa.Select[Any]:
        """Leaves of records that have no version at all."""
        then = self._history
        return (
            sa.select(leaf.c.leaf_id, leaf.c.record_id, leaf.c.row_version)
            .where(called_so(leaf.c.entity, leaf.c.at, self._called), leaf.c.row_version > 0)
            .where(~sa.exists().where(then.c.id == leaf.c.record_id))
            .limit(PAGE)
        )


def _values(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record's values as a leaf would tell them."""
    return {
        name: json.loads(canonical_json(plain(value)))
        for name, value in record.items()
        if name not in BOOKKEEPING and value is not None
    }


def _readable(fields: str) -> Mapping[str, FieldEntry]:
    """A leaf that cannot be read is told of by the walk through the log."""
    try:
        return entries_of(fields)
    except (ValueError, KeyError, AttributeError, TypeError):
        return {}
