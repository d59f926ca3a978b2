"""Stored decisions: one by its id, those of a record, those of a time. Reading only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.context import Context, Person, Scope
from clew.kernel.errors import NotFound
from clew.kernel.text import Bilingual
from clew.storage import system
from clew.storage.engine import Connection, Row

_t = system.decision
WHAT = Bilingual("决策", "decision")


@dataclass(frozen=True, slots=True)
class Stored:
    """One decision as it was kept. `body` is the canonical JSON text, `digest` its SHA-256."""

    decision_id: UUID
    at: datetime
    outcome: str
    code: str
    action: str
    entity: str
    record_id: UUID
    row_version: int
    account: UUID
    request_id: str
    release: str
    policy: str
    body: str
    digest: str

    def said(self) -> dict[str, Any]:
        """What was kept, as data."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def whole(self) -> bool:
        """Whether body, digest and columns still agree."""
        if hashlib.sha256(self.body.encode()).hexdigest() != self.digest:
            return False
        said = self.said()
        names = ("outcome", "code", "action", "entity", "row_version", "request_id", "release", "policy")
        same = all(said.get(name) == getattr(self, name) for name in names)
        return same and said.get("record_id") == str(self.record_id)

    def context(self) -> Context:
        """The circumstances then, as far as conditions can ask about them."""
        said = self.said()
        return Context(person_of(said["person"]), self.request_id, channel=said["channel"])


def person_of(facts: Mapping[str, Any]) -> Person:
    """The person of a stored decision, with what `user.` meant then."""
    ids = ("site", "department", "employee", "party")
    scopes = {
        role: Scope(_ids(scope["sites"]), None if scope["families"] is None else tuple(scope["families"]))
        for role, scope in facts["scopes"].items()
    }
    return Person(
        id=UUID(facts["id"]),
        login=facts["login"],
        name=facts["name"],
        roles=tuple(facts["roles"]),
        sites=_ids(facts["sites"]) or (),
        families=tuple(facts["families"]),
        scopes=MappingProxyType(scopes),
        **{name: UUID(facts[name]) if facts.get(name) else None for name in ids},
    )


def _ids(texts: Any) -> tuple[UUID, ...] | None:
    return None if texts is None else tuple(UUID(each) for each in texts)


_COLUMNS = tuple(_t.c[each.name] for each in fields(Stored))


async def one(connection: Connection, decision_id: UUID) -> Stored:
    """Raises NotFound."""
    row = await connection.fetch_one(sa.select(*_COLUMNS).where(_t.c.decision_id == decision_id))
    if row is None:
        raise NotFound(what=WHAT)
    return _stored(row)


async def of_record(connection: Connection, entity: str, record_id: UUID, first: int = 50) -> list[Stored]:
    """Decisions about a record, newest first."""
    query = (
        sa.select(*_COLUMNS)
        .where(_t.c.record_id == record_id, _t.c.entity == entity)
        .order_by(_t.c.at.desc(), _t.c.decision_id.desc())
        .limit(first)
    )
    return [_stored(row) for row in await connection.fetch(query)]


async def since(connection: Connection, moment: datetime, first: int, outcome: str | None = None) -> list[Stored]:
    """Decisions from a moment on, oldest first."""
    query = sa.select(*_COLUMNS).where(_t.c.at >= moment).order_by(_t.c.at, _t.c.decision_id).limit(first)
    if outcome is not None:
        query = query.where(_t.c.outcome == outcome)
    return [_stored(row) for row in await connection.fetch(query)]


def _stored(row: Row) -> Stored:
    return Stored(*row)
