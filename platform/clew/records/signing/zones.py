"""The clock a signature is read by: the signer's site, else the record's site, else the project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from clew.metadata.blueprint import FieldKind
from clew.records.unit import Unit
from clew.storage.types import Id

SITE, NAMES = "site", ("tz", "time_zone")


async def zone_of(unit: Unit, record: Mapping[str, Any]) -> str:
    """An IANA zone name that exists."""
    site = unit.context.person.site or record.get(SITE)
    known = unit.engine.blueprint.entities.get(SITE)
    if isinstance(site, UUID) and known is not None:
        name = next((each for each in NAMES if each in known.fields), None)
        if name is not None and known.fields[name].kind is FieldKind.TEXT:
            table = unit.engine.tables.current(SITE)
            column = table.c[name]

            def build() -> Any:
                return sa.select(column).where(table.c.id == sa.bindparam("of_site", type_=Id()))

            found = await unit.connection.fetch_value(unit.engine.remember("zone of site", build), {"of_site": site})
            if found and _exists(found):
                return str(found)
    return unit.engine.blueprint.project.time_zone


def _exists(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return False
    return True
