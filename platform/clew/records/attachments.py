"""Files a record or comment refers to: each must have been uploaded by whoever names it, and is kept for ever from the
transaction that names it. To know a file's SHA-256 is not to have the file: else whoever read one in a report could
attach it to a record of their own and read it there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clew.metadata.blueprint import Entity, FieldKind
from clew.records.values import Path
from clew.storage.errors import BlobMissing

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
    """Mark a file as in use. Raises BlobMissing, the same for one that is not there and for one that the caller has not
    uploaded; what a process copies by itself from one record to another it has not uploaded either."""
    blobs, by_itself = unit.engine.blobs, unit.elevated and not unit.filling
    try:
        if blobs is None or not (by_itself or await blobs.came_from(unit.connection, unit.context.person.id, sha256)):
            raise BlobMissing(sha256=sha256)
        await blobs.use(unit.connection, sha256)
    except BlobMissing as missing:
        missing.path = tuple(path)
        raise
