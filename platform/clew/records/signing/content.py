"""What a signature stands under: one version of a record with its lines and links, as canonical JSON.

Files are in it by their SHA-256, because that is how a record names them. Values are those of the database, not of what
a reader may see: the signer answers for the record, and what was hidden from the signer is named beside it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.canonical import canonical_json, wire
from clew.kernel.scalars import FAR_FUTURE
from clew.metadata.blueprint import Entity, FieldKind
from clew.records.engine import Engine
from clew.records.values import plain
from clew.storage import system
from clew.storage.engine import Connection
from clew.storage.types import Id, Instant, Integer


@dataclass(frozen=True, slots=True)
class Content:
    """One version of a record. `value` is plain JSON data, `sha256` the digest of its canonical form."""

    entity: str
    id: UUID
    row_version: int
    since: datetime
    value: Mapping[str, Any]
    files: frozenset[str]

    @property
    def canonical(self) -> bytes:
        return canonical_json(self.value)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.canonical).hexdigest()

    def shown(self, key: bytes) -> str:
        """What a signer gets to see as the digest of this content. Keyed with something only the database knows: a
        plain digest would let anybody try out the values of fields that are hidden from them."""
        return hmac.new(key, self.canonical, hashlib.sha256).hexdigest()


async def key_of(connection: Connection) -> bytes:
    """The key of `Content.shown`: the database's own identity, which no answer ever contains."""
    found: UUID = await connection.fetch_value(sa.select(system.platform.c.database_id))
    return found.bytes


_INSTANT = timedelta(microseconds=1)


async def version_content(
    connection: Connection,
    engine: Engine,
    entity: Entity,
    record_id: UUID,
    row_version: int,
    at: datetime = FAR_FUTURE,
) -> Content | None:
    """The content of a version from the history, as it stood at a moment (or at its end, or now); None when there is no
    such version. A change of the project may have given values to the record and its lines while the version stood."""
    statements = engine.statements.of(entity.name)
    history = statements.history

    def build() -> Any:
        columns = [*(history.c[key] for key in statements.shape.keys), history.c.tx_from, history.c.tx_to]
        mine = history.c.id == sa.bindparam("of_id", type_=Id())
        mine = sa.and_(mine, history.c.row_version == sa.bindparam("of_version", type_=Integer()))
        begun = history.c.tx_from <= sa.bindparam("at_moment", type_=Instant())
        return sa.select(*columns).where(mine, begun).order_by(history.c.tx_from.desc()).limit(1)

    statement = engine.remember(("version content", entity.name), build)
    asked = {"of_id": record_id, "of_version": row_version, "at_moment": at}
    row = await connection.fetch_one(statement, asked)
    if row is None:
        return None
    *columns, begun, ended = row
    reader = _Reader(connection, engine, min(at, ended - _INSTANT))
    value = await reader.whole(entity, statements.shape.record(columns))
    return Content(entity.name, record_id, row_version, begun, value, frozenset(reader.files))


async def present_content(connection: Connection, engine: Engine, entity: Entity, record_id: UUID) -> Content | None:
    """The content of the present rows, which readers see; equal to that of the present version unless somebody
    changed one of them behind the platform's back."""
    statements = engine.statements.of(entity.name)

    def build() -> Any:
        return statements.select.where(statements.current.c.id == sa.bindparam("of_id", type_=Id()))

    row = await connection.fetch_one(engine.remember(("present content", entity.name), build), {"of_id": record_id})
    if row is None:
        return None
    record = statements.shape.record(row)
    reader = _Reader(connection, engine, None)
    value = await reader.whole(entity, record)
    return Content(entity.name, record_id, record["row_version"], record["updated_at"], value, frozenset(reader.files))


class _Reader:
    """Reads what belongs to a record: at a moment from the history, or now from the present rows."""

    def __init__(self, connection: Connection, engine: Engine, at: datetime | None) -> None:
        self._connection, self._engine, self._at = connection, engine, at
        self.files: set[str] = set()

    async def whole(self, entity: Entity, record: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {
            "entity": entity.name,
            "fields": {name: wire(plain(value)) for name, value in record.items()},
        }
        links: dict[str, Any] = {}
        lines: dict[str, Any] = {}
        for field in entity.fields.values():
            if field.kind is FieldKind.FILES:
                self.files.update(str(each["sha256"]) for each in record.get(field.name) or ())
            elif field.kind is FieldKind.MANY and field.computed is None:
                links[field.name] = await self._targets(entity.name, field.name, record["id"])
            elif field.kind is FieldKind.LINES and field.computed is None:
                line = self._engine.blueprint.entities[field.target]
                lines[field.name] = [await self.whole(line, each) for each in await self._lines(line, record["id"])]
        if links:
            found["links"] = links
        if lines:
            found["lines"] = lines
        return found

    async def _targets(self, entity: str, field: str, owner: UUID) -> list[str]:
        tables = self._engine.tables

        def build() -> Any:
            link = tables.link(entity, field) if self._at is None else tables.link_history(entity, field)
            mine = link.c.owner == sa.bindparam("of_owner", type_=Id())
            return sa.select(link.c.target).where(mine, *self._then(link)).order_by(link.c.target)

        key = ("content links", entity, field, self._at is None)
        rows = await self._connection.fetch(self._engine.remember(key, build), self._args(owner))
        return sorted(str(row[0]) for row in rows)

    async def _lines(self, line: Entity, owner: UUID) -> list[dict[str, Any]]:
        statements = self._engine.statements.of(line.name)

        def build() -> Any:
            table = statements.current if self._at is None else statements.history
            columns = [table.c[key] for key in statements.shape.keys]
            mine = table.c.owner == sa.bindparam("of_owner", type_=Id())
            return sa.select(*columns).where(mine, *self._then(table)).order_by(table.c.id)

        key = ("content lines", line.name, self._at is None)
        rows = await self._connection.fetch(self._engine.remember(key, build), self._args(owner))
        return [statements.shape.record(row) for row in rows]

    def _then(self, table: Any) -> list[Any]:
        if self._at is None:
            return []
        moment = sa.bindparam("at_moment", type_=Instant())
        return [table.c.tx_from <= moment, table.c.tx_to > moment]

    def _args(self, owner: UUID) -> dict[str, Any]:
        return {"of_owner": owner} if self._at is None else {"of_owner": owner, "at_moment": self._at}
