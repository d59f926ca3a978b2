"""Files a record or comment refers to: each must be had by whoever names it, and is kept for ever from the transaction
that names it. To know a file's SHA-256 is not to have the file: else whoever found one in a report could attach it to a
record of their own and read it there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from clew.metadata.blueprint import Entity, FieldKind
from clew.records.values import Path
from clew.storage.errors import BlobMissing
from clew.storage.expressions import Rows, condition_sql
from clew.storage.system import blob

if TYPE_CHECKING:
    from clew.records.unit import Unit


async def use_files(
    unit: Unit, entity: Entity, old: Mapping[str, Any] | None, new: Mapping[str, Any], path: Path
) -> None:
    """Mark the files that `new` names and `old` did not as in use. Raises BlobMissing at the entry's path."""
    for field in entity.fields.values():
        if field.kind is not FieldKind.FILES or not field.stored:
            continue
        known = {each["sha256"] for each in (old or {}).get(field.name) or ()}
        for at, each in enumerate(new.get(field.name) or ()):
            if each["sha256"] in known:
                continue
            await use_file(unit, each["sha256"], (*path, field.name, at, "sha256"))


async def use_file(unit: Unit, sha256: str, path: Path) -> None:
    """Mark a file as in use. Raises BlobMissing, the same for one that is not there and one the caller has not; what a
    process copies by itself from one record to another it need not have."""
    blobs, by_itself = unit.engine.blobs, unit.elevated and not unit.filling
    try:
        if blobs is None or not (by_itself or await _had(unit, sha256)):
            raise BlobMissing(sha256=sha256)
        await blobs.use(unit.connection, sha256)
    except BlobMissing as missing:
        missing.path = tuple(path)
        raise


async def _had(unit: Unit, sha256: str) -> bool:
    """Whether the caller has uploaded a file themselves, or sees a record that has it. The latter reads whole tables:
    only where somebody names a file that came from another, and that some record has."""
    assert unit.engine.blobs is not None
    if await unit.engine.blobs.came_from(unit.connection, unit.context.person.id, sha256):
        return True
    used = sa.select(blob.c.sha256).where(blob.c.sha256 == sha256, blob.c.used.is_(True))
    if await unit.connection.fetch_value(used) is None:
        return False
    for query in _holding(unit, sha256):
        if await unit.connection.fetch_one(query, dict(unit.person_args)) is not None:
            return True
    return False


def _holding(unit: Unit, sha256: str) -> Iterator[sa.Select[Any]]:
    """A query for each field in which the caller may see the file: whether there is a record that shows it to them."""
    tables, blueprint = unit.engine.tables, unit.engine.blueprint
    for entity in blueprint.entities.values():
        access = unit.decision.on(entity.name)
        for field in entity.fields.values():
            if field.kind is not FieldKind.FILES or not field.stored or not access.sees(field.name):
                continue
            table = tables.current(entity.name)
            rows = Rows(tables, blueprint, entity.name, table, tables.dialect, None)
            held = [sa.cast(table.c[field.name], sa.Text).contains(sha256)]
            for grant in (access.read, access.fields[field.name].read):
                if not grant.allowed:
                    held.append(sa.false())
                elif not grant.always:
                    held.append(sa.or_(*(condition_sql(each, rows) for each in grant.conditions)))
            yield sa.select(sa.literal(1)).select_from(table).where(*held).limit(1)
