"""Releases: what was applied to a database, in order. The newest live one is what servers run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

import sqlalchemy as sa

from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_sources
from clew.storage.behind import lacking
from clew.storage.catalog import Catalog
from clew.storage.engine import Connection, Database, Row
from clew.storage.errors import NoRelease, PlatformBehind, ReleaseUnreadable
from clew.storage.provision import existing_tables
from clew.storage.system import release

_TOLD = 5
"""How many missing tables a message names."""
ReleaseState = Literal["pending", "live", "settled"]
Loader = Callable[[Mapping[str, str]], Blueprint]


@dataclass(frozen=True, slots=True)
class Release:
    """One applied project. `state`: pending (being prepared), live (served), settled (nothing left to tidy up)."""

    number: int
    base: int
    state: ReleaseState
    digest: str
    blueprint_digest: str
    plan_id: str
    sources: Mapping[str, str]
    catalog: Catalog
    compiler: str
    at: datetime
    live_at: datetime | None
    by: str
    note: str
    consents: tuple[str, ...]


_COLUMNS = [release.c[name] for name in Release.__dataclass_fields__]
_LIVE = release.c.state.in_(["live", "settled"])


def release_of(row: Row) -> Release:
    values: dict[str, Any] = dict(zip(Release.__dataclass_fields__, row, strict=True))
    values["catalog"] = Catalog.from_json(values["catalog"])
    values["sources"] = MappingProxyType(values["sources"])
    values["consents"] = tuple(values["consents"])
    return Release(**values)


async def current_in(connection: Connection) -> Release | None:
    """The release servers run, or None on a database nothing was applied to."""
    if release.name not in await existing_tables(connection):
        return None
    row = await connection.fetch_one(sa.select(*_COLUMNS).where(_LIVE).order_by(release.c.number.desc()).limit(1))
    return release_of(row) if row else None


async def current(database: Database) -> Release:
    """The release servers run. Raises NoRelease on a database nothing was applied to, PlatformBehind on one of an
    earlier version of the platform."""
    async with database.read() as connection:
        found = await current_in(connection)
        if found is None:
            raise NoRelease()
        missing = await lacking(connection)
    if missing:
        more = f" … (+{len(missing) - _TOLD})" if len(missing) > _TOLD else ""
        raise PlatformBehind(lacking=", ".join(missing[:_TOLD]) + more)
    return found


async def current_number(connection: Connection) -> int:
    """The number of the live release, 0 when there is none: one cheap question for servers that watch for news."""
    return await connection.fetch_value(sa.select(sa.func.max(release.c.number)).where(_LIVE)) or 0


async def listed(database: Database) -> list[Release]:
    """All releases, newest first."""
    async with database.read() as connection:
        if release.name not in await existing_tables(connection):
            return []
        rows = await connection.fetch(sa.select(*_COLUMNS).order_by(release.c.number.desc()))
    return [release_of(row) for row in rows]


async def numbered(database: Database, number: int) -> Release:
    """One release by its number. Raises NoRelease."""
    async with database.read() as connection:
        row = await connection.fetch_one(sa.select(*_COLUMNS).where(release.c.number == number))
    if row is None:
        raise NoRelease()
    return release_of(row)


def stored_blueprint(sources: Mapping[str, str]) -> Blueprint:
    """The Blueprint of a stored source bundle, compiled again. Raises ReleaseUnreadable when it no longer compiles."""
    loaded = load_sources(sources)
    if loaded.blueprint is None:
        first = next(iter(loaded.diagnostics), None)
        raise ReleaseUnreadable(reason=f"{first.place} {first.message('en')}" if first else "no project")
    return loaded.blueprint
