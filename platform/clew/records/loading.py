"""Bulk loading: many finished records at once, with history, trail and search, at the speed of the driver's COPY.

For first fillings (demonstration data, benchmarks, a migration's opening stock), not for daily work: names, required
fields and codes are checked here, rules over references are checked afterwards over whole tables (`violations`), and no
outbox events are written, because nothing happened to announce. Every version still has its audit leaf.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from clew.audit.leaf import Circumstances, make_leaf
from clew.kernel.context import Context
from clew.kernel.diagnostics import nearest
from clew.kernel.ids import uuid7
from clew.kernel.scalars import FAR_FUTURE
from clew.metadata.blueprint import Entity, FieldKind
from clew.records.rows import Shape, changes
from clew.records.search import grams
from clew.records.values import plain
from clew.sdk.seeds import Move
from clew.storage import system
from clew.storage.engine import Connection
from clew.storage.tables import Tables

LEAF_KEYS = ("leaf_id", "at", "action", "entity", "record_id", "row_version", "actor", "header", "fields", "digest")


class BadLoad(ValueError):
    """A row that does not fit its entity: a mistake of the program that loads, not of a user."""


@dataclass(slots=True)
class _Pile:
    """Rows of one table waiting to be copied in."""

    keys: tuple[str, ...]
    rows: list[tuple[Any, ...]] = field(default_factory=list)


class Loader:
    """Collects records and copies them in on `flush`. One loader belongs to one unit of work."""

    def __init__(self, connection: Connection, tables: Tables, context: Context, release: str) -> None:
        self._connection, self._tables, self._context, self._release = connection, tables, context, release
        self._blueprint = tables.blueprint
        self._shapes: dict[str, Shape] = {}
        self._piles: dict[Any, _Pile] = {}
        self._codes: dict[str, frozenset[str]] = {}
        self._counters: dict[tuple[str, str], int] = defaultdict(int)
        self.waiting = 0
        """Rows collected since the last flush, all tables together."""
        self.loaded: dict[str, int] = defaultdict(int)
        """Records per entity so far."""

    async def begin(self) -> None:
        """References may point at rows that come later, until the next flush."""
        if self._connection.dialect == "sqlite":
            await self._connection.run_sql("PRAGMA defer_foreign_keys = ON")
        else:
            await self._connection.run_sql("SET CONSTRAINTS ALL DEFERRED")

    def add(self, entity: str, values: Mapping[str, Any], *, at: datetime, moves: Sequence[Move] = ()) -> UUID:
        """Add a record born at `at`, then changed by `moves` in order. Values are canonical Python values by field
        name; `many` fields take sequences of ids. Raises BadLoad when the record does not fit its entity."""
        known = self._blueprint.entities[entity]
        links = {
            name: values[name] for name in values if name in known.fields and known.fields[name].kind is FieldKind.MANY
        }
        record = self._record(known, {name: values[name] for name in values if name not in links}, at)
        self._check(known, record, links)
        self._version(known, None, record, "create", at, moves[0].at if moves else FAR_FUTURE, links)
        for number, move in enumerate(moves):
            after = {**record, **move.changed, "row_version": number + 2, "updated_at": move.at}
            end = moves[number + 1].at if number + 1 < len(moves) else FAR_FUTURE
            if not record["updated_at"] < move.at < end:
                raise BadLoad(f"{entity}: the versions of a record must follow each other in time")
            self._check(known, after, links)
            self._version(known, record, after, move.action, move.at, end, {})
            record = after
        self._pile(self._tables.current(entity), self._shape(known).keys).rows.append(self._row(known, record))
        self._link(known, record["id"], links, at)
        self._gram(known, record)
        self._count(known, record)
        self.loaded[entity] += 1
        identity: UUID = record["id"]
        return identity

    async def flush(self) -> None:
        """Copy in what was collected. By then every reference it holds must have its target."""
        for table, pile in self._piles.items():
            if pile.rows:
                await self._connection.copy_in(table, pile.keys, pile.rows)
                pile.rows = []
        self.waiting = 0
        if self._connection.dialect == "postgresql":
            # Checks what is pending. Left to the end, a million rows' checks would wait in the server's memory.
            await self._connection.run_sql("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")

    async def finish(self) -> None:
        """Copy in the rest and set the counters of generated numbers past the ones that were given."""
        await self.flush()
        table = system.counter
        rows = [(rule, scope, value) for (rule, scope), value in sorted(self._counters.items())]
        await self._connection.copy_in(table, ("rule", "scope", "value"), rows)

    # ── one record ────────────────────────────────────────────────────────────────────────────────────────────────

    def _shape(self, entity: Entity) -> Shape:
        shape = self._shapes.get(entity.name)
        if shape is None:
            shape = self._shapes[entity.name] = Shape(entity)
        return shape

    def _record(self, entity: Entity, values: Mapping[str, Any], at: datetime) -> dict[str, Any]:
        record = self._shape(entity).empty()
        for name in values:
            if name not in record:
                hint = nearest(name, record)
                raise BadLoad(f"{entity.name} has no stored field {name}{f', did you mean {hint}' if hint else ''}")
        person = self._context.person.id
        record.update(row_version=1, created_at=at, created_by=person, updated_at=at, updated_by=person)
        if "state" in record:
            record["state"] = entity.initial
        record.update(values)
        if record["id"] is None:
            record["id"] = uuid7()
        if record.get("thread_id") is None:
            record["thread_id"] = record.get("owner") or record["id"]
        return record

    def _check(self, entity: Entity, record: Mapping[str, Any], links: Mapping[str, Sequence[UUID]]) -> None:
        for known in entity.fields.values():
            value = links.get(known.name) if known.kind is FieldKind.MANY else record.get(known.name)
            if known.required and known.stored and value is None:
                raise BadLoad(f"{entity.name}.{known.name} is required")
            if known.code_list and value is not None:
                codes = self._known_codes(known.code_list)
                for each in (value,) if isinstance(value, str) else value:
                    if each not in codes:
                        raise BadLoad(f"{entity.name}.{known.name}: {each!r} is not a code of {known.code_list}")
        if entity.states and record["state"] not in entity.states:
            raise BadLoad(f"{entity.name}: there is no state {record['state']!r}")

    def _known_codes(self, name: str) -> frozenset[str]:
        found = self._codes.get(name)
        if found is None:
            found = self._codes[name] = frozenset(self._blueprint.code_lists[name].codes)
        return found

    def _row(self, entity: Entity, record: Mapping[str, Any]) -> tuple[Any, ...]:
        shape = self._shape(entity)
        columns = shape.columns(record)
        return tuple(columns[key] for key in shape.keys)

    def _version(
        self,
        entity: Entity,
        old: Mapping[str, Any] | None,
        new: Mapping[str, Any],
        action: str,
        at: datetime,
        end: datetime,
        links: Mapping[str, Sequence[UUID]],
    ) -> None:
        keys = (*self._shape(entity).keys, "tx_from", "tx_to")
        self._pile(self._tables.history(entity.name), keys).rows.append((*self._row(entity, new), at, end))
        changed = {name: (plain(was), plain(now)) for name, (was, now) in changes(old, new).items()}
        for name, targets in links.items():
            changed[name] = (None, sorted(str(each) for each in targets))
        circumstances = Circumstances(at, self._context, self._release)
        leaf = make_leaf(circumstances, action, entity.name, new["id"], new["row_version"], changed)
        self._pile(system.leaf, LEAF_KEYS).rows.append(
            (leaf.leaf_id, at, action, entity.name, leaf.record_id, leaf.row_version, self._context.person.id,
             leaf.header, leaf.fields, leaf.digest)
        )  # fmt: skip
        self._pile(system.leaf_pending, ("leaf_id", "at")).rows.append((leaf.leaf_id, at))
        self.waiting += 3

    def _link(self, entity: Entity, owner: UUID, links: Mapping[str, Sequence[UUID]], at: datetime) -> None:
        for name, targets in links.items():
            link, history = self._tables.link(entity.name, name), self._tables.link_history(entity.name, name)
            pairs = [(owner, target) for target in dict.fromkeys(targets)]
            self._pile(link, ("owner", "target")).rows.extend(pairs)
            keys = ("owner", "target", "tx_from", "tx_to")
            self._pile(history, keys).rows.extend((*pair, at, FAR_FUTURE) for pair in pairs)

    def _gram(self, entity: Entity, record: Mapping[str, Any]) -> None:
        for known in entity.searchable:
            value = record[known.name]
            if value:
                pile = self._pile(self._tables.grams(entity.name), ("gram", "field", "id"))
                found = sorted(grams(value))
                pile.rows.extend((gram, known.name, record["id"]) for gram in found)
                self.waiting += len(found)

    def _count(self, entity: Entity, record: Mapping[str, Any]) -> None:
        for known in entity.fields.values():
            if known.coding_rule and record[known.name]:
                match = re.fullmatch(r"(.*?)([0-9]{1,15})", record[known.name])
                width = sum(each.width for each in self._blueprint.coding_rules[known.coding_rule].segments)
                if match and width:
                    scope, number = record[known.name][:-width], int(record[known.name][-width:])
                    key = known.coding_rule, scope
                    self._counters[key] = max(self._counters[key], number)

    def _pile(self, table: Any, keys: tuple[str, ...]) -> _Pile:
        pile = self._piles.get(table)
        if pile is None:
            pile = self._piles[table] = _Pile(keys)
        return pile
