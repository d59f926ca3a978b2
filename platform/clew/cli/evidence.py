"""What `clew audit export` does: find the record, tell the trail of it, seal and sign, write the bundle."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from clew.audit.evidence.bundle import Made, Wanted, write_bundle
from clew.audit.evidence.collect import About
from clew.audit.sealing.sealer import Sealer
from clew.audit.trail import record_event
from clew.cli.applying import operator_context, owner_database
from clew.cli.options import Situation
from clew.cli.usage import WrongUsage
from clew.kernel.errors import NotFound
from clew.kernel.scalars import parse_date, parse_instant
from clew.metadata.blueprint import Blueprint
from clew.runtime import stored_blueprint
from clew.storage import releases
from clew.storage.engine import Connection
from clew.storage.tables import Tables

Period = tuple[datetime | None, datetime | None]


class BadPeriod(WrongUsage):
    """The beginning or end of a period is no moment."""

    code = "BAD_PERIOD"
    en = "{given} is not a moment: write 2026-03-31 or 2026-03-31T17:00Z."
    zh = "{given} 不是有效时刻:请写 2026-03-31 或 2026-03-31T17:00Z。"


def period(begin: str | None, end: str | None) -> Period:
    """Two moments from the command line; a day is its beginning in UTC."""
    return _moment(begin), _moment(end)


def _moment(given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        if len(given) == len("2026-03-31"):
            return datetime.combine(parse_date(given), datetime.min.time(), UTC)
        return parse_instant(given)
    except ValueError:
        raise BadPeriod(given=given) from None


async def make_bundle(
    given: Situation,
    entity: str | None,
    record: str | None,
    between: Period,
    hidden: frozenset[str],
    reason: str | None,
    out: Path,
) -> Made:
    """The export is in the trail before the bundle exists, and in the bundle's checkpoint. Raises NotFound."""
    async with owner_database(given.settings) as database:
        release = await releases.current(database)
        tables = Tables(stored_blueprint(release.sources), release.catalog, database.dialect)
        async with database.read() as connection:
            wanted_id = await record_id(connection, tables, entity, record) if entity and record else None
            at = await connection.now()
        about = About(entity, wanted_id, *between)
        told = {**about.to_json(), "file": out.name, "format": "evidence", "redacted": sorted(hidden) or None}

        async def tell(connection: Connection) -> UUID:
            subject = entity or "clew.evidence"
            return await record_event(
                connection, operator_context(), str(release.number), "export", subject, None, told, reason
            )

        await database.run_write(tell)
        await Sealer(database, given.settings).sign()
        return await write_bundle(database, tables, Wanted(about, given.terminal.locale, at, hidden), out)


async def record_id(connection: Connection, tables: Tables, entity: str, given: str) -> UUID:
    """The id of a record named by its id or its key. History is asked: a line may be gone."""
    if entity not in tables.blueprint.entities:
        raise NotFound(what=entity)
    history = tables.history(entity)
    try:
        matches = history.c.id == UUID(given)
    except ValueError:
        matches = history.c[_key(tables.blueprint, entity)] == given
    found = await connection.fetch_value(sa.select(history.c.id).where(matches).limit(1))
    if not isinstance(found, UUID):
        raise NotFound(what=f"{entity} {given}")
    return found


def _key(blueprint: Blueprint, entity: str) -> str:
    """The one field that names a record to people."""
    known = blueprint.entities[entity]
    if len(known.key) == 1:
        return known.key[0]
    if "number" in known.fields:
        return "number"
    raise NotFound(what=entity)
