"""What people and records behind ids are called, for the readable page: printed names and business keys beside ids.

Only the page has them; what is proven are the ids in the entries. A name made of a field that is redacted is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.audit.evidence.collect import Entry
from clew.metadata.blueprint import Entity, FieldKind
from clew.storage import identity_tables
from clew.storage.dialects import any_of
from clew.storage.engine import Connection
from clew.storage.tables import Tables

DEPTH = 3
"""A key may be made of references whose keys are made of references."""
MOST = 50_000
"""Names that are remembered at a time."""
Wanted = dict[str, set[UUID]]


class Names:
    """Id → what it is called, as far as it has been asked for. Names are those of the day the page is made."""

    def __init__(self, connection: Connection, tables: Tables, hidden: frozenset[str]) -> None:
        self._connection, self._tables, self._hidden = connection, tables, hidden
        self._entities = tables.blueprint.entities
        declared = tables.blueprint.project.identity
        self._people = declared.people if declared is not None else None
        self._accounts: dict[str, str] = {}
        self.known: dict[str, str] = {}

    async def begin(self) -> None:
        """The people: by their accounts, and by their own records."""
        account = identity_tables.account
        if self._hidden & {"name", self._people.name if self._people is not None else "name"}:
            return
        query = sa.select(account.c.id, account.c.employee, account.c.name)
        for id, employee, name in await self._connection.fetch(query):
            self._accounts[str(id)] = name
            if employee is not None:
                self._accounts[str(employee)] = name
        self.known = dict(self._accounts)

    async def learn(self, entries: Sequence[Entry]) -> None:
        """Everything these entries refer to."""
        if len(self.known) > MOST:
            self.known = dict(self._accounts)
        wanted: Wanted = {}
        for entry in entries:
            self._referred(entry, wanted)
        await self.look_up(wanted)

    async def look_up(self, wanted: Wanted, depth: int = DEPTH) -> None:
        """The business keys of records, by entity and id; a line that is gone is found in the history."""
        for name, ids in wanted.items():
            entity = self._entities.get(name)
            left = sorted(each for each in ids if str(each) not in self.known)
            if entity is None or not left or not depth:
                continue
            history = self._tables.history(name)
            parts = [each for each in key_of(entity) if each in history.c]
            if not parts or self._hidden & set(parts):
                continue
            query = (
                sa.select(history.c.id, *(history.c[each] for each in parts))
                .where(any_of(history.c.id, "ids"))
                .order_by(history.c.tx_from)
            )
            rows = {row[0]: row[1:] for row in await self._connection.fetch(query, {"ids": left})}
            await self.look_up(_keys_of_keys(entity, parts, rows.values()), depth - 1)
            for id, values in rows.items():
                self.known[str(id)] = "/".join(self.known.get(str(each), str(each)) for each in values)

    def _referred(self, entry: Entry, wanted: Wanted) -> None:
        entity = self._entities.get(str(entry.header["entity"]))
        if entity is None:
            return
        wanted.setdefault(entity.name, set()).add(UUID(entry.header["record_id"]))
        for name, kept in entry.values().items():
            field = entity.fields.get(name)
            if field is None or not field.targets:
                continue
            for value in (kept.get("o"), kept.get("n")):
                for target, id in _ids(value, field.targets[0] if field.kind is not FieldKind.ANY else ""):
                    wanted.setdefault(target, set()).add(id)


def key_of(entity: Entity) -> tuple[str, ...]:
    """The fields that name a record to people."""
    if entity.key:
        return entity.key
    return ("number",) if "number" in entity.fields else ()


def _keys_of_keys(entity: Entity, parts: Sequence[str], rows: Iterable[Sequence[Any]]) -> Wanted:
    found: Wanted = {}
    targets = [_target(entity, each) for each in parts]
    for row in rows:
        for target, value in zip(targets, row, strict=True):
            if target and isinstance(value, UUID):
                found.setdefault(target, set()).add(value)
    return found


def _target(entity: Entity, name: str) -> str:
    if name == "owner" and entity.part_of is not None:
        return entity.part_of
    field = entity.fields.get(name)
    return field.targets[0] if field is not None and field.targets else ""


def _ids(value: Any, target: str) -> Iterable[tuple[str, UUID]]:
    """The records a kept value refers to: one, many, or one of any entity."""
    match value:
        case list():
            for each in value:
                yield from _ids(each, target)
        case {"added": list()} | {"removed": list()}:
            for each in value.values():
                yield from _ids(each, target)
        case {"entity": str(entity), "id": str(id)}:
            yield from _ids(id, entity)
        case str() if target:
            try:
                yield target, UUID(value)
            except ValueError:
                return


def called(names: Mapping[str, str], value: Any) -> str | None:
    """What an id is called; None for what is no id or has no name."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return names.get(value) if isinstance(value, str) else None
