"""What people and records behind ids are called: the login of an account, the business key of a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.records.engine import Engine
from clew.storage import identity_tables
from clew.storage.engine import Connection


class Names:
    """Names over one connection; each id is looked up once."""

    def __init__(self, engine: Engine, connection: Connection) -> None:
        self._engine, self._connection = engine, connection
        self._known: dict[tuple[str, UUID], str | None] = {}

    async def of(self, values: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, Any]:
        """The names of those values that are ids. `kinds` says of which entity they are, where that is known."""
        found: dict[str, Any] = {}
        for path, value in values.items():
            if isinstance(value, UUID):
                found[path] = await self._one(value, kinds.get(path, ""))
            elif isinstance(value, list | tuple) and any(isinstance(each, UUID) for each in value):
                found[path] = [
                    await self._one(each, kinds.get(path, "")) if isinstance(each, UUID) else each for each in value
                ]
        return found

    async def _one(self, identifier: UUID, kind: str) -> str:
        key = (kind, identifier)
        if key not in self._known:
            self._known[key] = await self._record(identifier, kind) or await self._account(identifier)
        return self._known[key] or str(identifier)

    async def _record(self, identifier: UUID, kind: str) -> str | None:
        entity = self._engine.blueprint.entities.get(kind)
        if entity is None or not entity.key:
            return None
        table = self._engine.tables.current(entity.name)
        names = [name for name in entity.key if name in table.c]
        if not names:
            return None
        row = await self._connection.fetch_one(
            sa.select(*(table.c[name] for name in names)).where(table.c.id == identifier)
        )
        return "/".join(str(each) for each in row) if row is not None else None

    async def _account(self, identifier: UUID) -> str | None:
        account = identity_tables.account.c
        found = await self._connection.fetch_value(sa.select(account.login).where(account.id == identifier))
        return str(found) if found is not None else None
