"""Bulk loading: many finished records at once, with history, trail and search, at the speed of the driver's COPY.

For first fillings (demonstration data, benchmarks, a migration's opening stock), not for daily work: names, required
fields and codes are checked here, rules over references are checked afterwards over whole tables (`violations`), and no
outbox events are written, because nothing happened to announce. Every version still has its audit leaf.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

from clew.audit.leaf import Circumstances, make_leaf
from clew.kernel.context import Context
from clew.kernel.diagnostics import nearest
from clew.kernel.ids import uuid7
from clew.kernel.scalars import FAR_FUTURE, parse_decimal
from clew.metadata.blueprint import Blueprint, Entity, FieldKind
from clew.records.rows import BOOKKEEPING, Shape
from clew.records.search import grams_of
from clew.records.values import Money, plain
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


class _Form:
    """What is asked of every record of one entity, and where its rows go, looked up once."""

    def __init__(self, entity: Entity, blueprint: Blueprint) -> None:
        self.entity, self.shape = entity, Shape(entity)
        fields = tuple(entity.fields.values())
        self.empty = self.shape.empty()
        if "legal_hold" in self.empty:
            self.empty["legal_hold"] = False
        self.many = frozenset(each.name for each in fields if each.kind is FieldKind.MANY)
        self.required = tuple(each.name for each in fields if each.required and each.stored)
        self.codes = tuple(
            (each.name, each.code_list, frozenset(blueprint.code_lists[each.code_list].codes))
            for each in fields
            if each.code_list and each.stored
        )
        self.told = tuple(each.name for each in fields if each.stored and each.name not in BOOKKEEPING)
        """What the trail tells of a new record, as far as it has a value."""
        self.decimals = frozenset(each.name for each in fields if each.kind in _EXACT)
        self.nested = frozenset(each.name for each in fields if each.kind in _NESTED)
        """Fields whose values the trail keeps in another shape."""
        self.numbers = tuple(
            (each.name, each.coding_rule, sum(part.width for part in blueprint.coding_rules[each.coding_rule].segments))
            for each in fields
            if each.coding_rule
        )
        self.keys = self.shape.keys
        simple = all(key in self.empty for key in self.keys)
        self._pick = itemgetter(*self.keys) if simple else None
        self.current = _Pile(self.keys)
        self.history = _Pile((*self.keys, "tx_from", "tx_to"))

    def row(self, record: Mapping[str, Any]) -> tuple[Any, ...]:
        """The record's columns in the order of `keys`."""
        if self._pick is not None:
            picked: tuple[Any, ...] = self._pick(record)
            return picked
        columns = self.shape.columns(record)
        return tuple(columns[key] for key in self.keys)

    def scaled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values with decimals and amounts at the scale of their field: as the tables keep them and the trail tells
        them."""
        found = dict(values)
        for name in self.decimals & values.keys():
            value, scale = found[name], self.entity.fields[name].scale
            if isinstance(value, Money):
                found[name] = Money(parse_decimal(value.amount, scale), value.currency)
            elif value is not None:
                found[name] = parse_decimal(value, scale)
        return found

    def plain(self, name: str, value: Any) -> Any:
        return plain(value) if name in self.nested else value


_EXACT = frozenset({FieldKind.DECIMAL, FieldKind.MONEY})
_NESTED = frozenset({FieldKind.MONEY, FieldKind.ANY, FieldKind.FILES, FieldKind.JSON})


class Loader:
    """Collects records and copies them in on `flush`. One loader belongs to one unit of work."""

    def __init__(self, connection: Connection, tables: Tables, context: Context, release: str) -> None:
        self._connection, self._tables, self._context, self._release = connection, tables, context, release
        self._blueprint = tables.blueprint
        self._forms: dict[str, _Form] = {}
        self._piles: dict[Any, _Pile] = {}
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
        form = self._form(entity)
        links = {name: values[name] for name in values if name in form.many}
        record = self._record(form, {name: values[name] for name in values if name not in links}, at)
        self._check(form, record)
        born = {name: (None, form.plain(name, record[name])) for name in form.told if record[name] is not None}
        for name, targets in links.items():
            if targets:
                born[name] = (None, {"added": sorted({str(each) for each in targets})})
        self._version(form, record, "create", at, moves[0].at if moves else FAR_FUTURE, born)
        for number, move in enumerate(moves):
            given = form.scaled(move.changed)
            after = {**record, **given, "row_version": number + 2, "updated_at": move.at}
            end = moves[number + 1].at if number + 1 < len(moves) else FAR_FUTURE
            if not record["updated_at"] < move.at < end:
                raise BadLoad(f"{entity}: the versions of a record must follow each other in time")
            self._check(form, after)
            changed = {
                name: (form.plain(name, record[name]), form.plain(name, value))
                for name, value in given.items()
                if record[name] != value
            }
            self._version(form, after, move.action, move.at, end, changed)
            record = after
        form.current.rows.append(form.row(record))
        identity: UUID = record["id"]
        if links:
            self._link(form.entity, identity, links, at)
        self._gram(form.entity, record)
        self._count(form, record)
        self.loaded[entity] += 1
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

    def _form(self, entity: str) -> _Form:
        form = self._forms.get(entity)
        if form is None:
            form = self._forms[entity] = _Form(self._blueprint.entities[entity], self._blueprint)
            self._piles[self._tables.history(entity)] = form.history
            self._piles[self._tables.current(entity)] = form.current
        return form

    def _record(self, form: _Form, values: Mapping[str, Any], at: datetime) -> dict[str, Any]:
        entity, record = form.entity, form.empty.copy()
        if not values.keys() <= record.keys():
            name = min(values.keys() - record.keys())
            hint = nearest(name, record)
            raise BadLoad(f"{entity.name} has no stored field {name}{f', did you mean {hint}' if hint else ''}")
        person = self._context.person.id
        record.update(row_version=1, created_at=at, created_by=person, updated_at=at, updated_by=person)
        if "state" in record:
            record["state"] = entity.initial
        record.update(form.scaled(values))
        if record["id"] is None:
            record["id"] = uuid7()
        if record.get("thread_id") is None:
            record["thread_id"] = record.get("owner") or record["id"]
        return record

    def _check(self, form: _Form, record: Mapping[str, Any]) -> None:
        entity = form.entity
        for name in form.required:
            if record[name] is None:
                raise BadLoad(f"{entity.name}.{name} is required")
        for name, code_list, codes in form.codes:
            value = record[name]
            if value is not None:
                for each in (value,) if isinstance(value, str) else value:
                    if each not in codes:
                        raise BadLoad(f"{entity.name}.{name}: {each!r} is not a code of {code_list}")
        if entity.states and record["state"] not in entity.states:
            raise BadLoad(f"{entity.name}: there is no state {record['state']!r}")

    def _version(
        self,
        form: _Form,
        new: Mapping[str, Any],
        action: str,
        at: datetime,
        end: datetime,
        changed: Mapping[str, tuple[Any, Any]],
    ) -> None:
        entity = form.entity.name
        form.history.rows.append((*form.row(new), at, end))
        circumstances = Circumstances(at, self._context, self._release)
        leaf = make_leaf(circumstances, action, entity, new["id"], new["row_version"], changed)
        self._pile(system.leaf, LEAF_KEYS).rows.append(
            (leaf.leaf_id, at, action, entity, leaf.record_id, leaf.row_version, self._context.person.id,
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
                found = sorted(grams_of(value))
                column = self._tables.gram_field(entity.name, known.name)
                pile.rows.extend((gram, column, record["id"]) for gram in found)
                self.waiting += len(found)

    def _count(self, form: _Form, record: Mapping[str, Any]) -> None:
        """Remember the largest number given in each scope of a coding rule."""
        for name, rule, width in form.numbers:
            given = record[name]
            if given and width and given[-width:].isdecimal():
                key = rule, given[:-width]
                self._counters[key] = max(self._counters[key], int(given[-width:]))

    def _pile(self, table: Any, keys: tuple[str, ...]) -> _Pile:
        pile = self._piles.get(table)
        if pile is None:
            pile = self._piles[table] = _Pile(keys)
        return pile
