"""Files a record refers to: each must have been uploaded, and is kept for ever from the transaction that names it."""

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
            try:
                if unit.engine.blobs is None:
                    raise BlobMissing(sha256=each["sha256"])
                await unit.engine.blobs.use(unit.connection, each["sha256"])
            except BlobMissing as missing:
                missing.path = (*path, field.name, at, "sha256")
                raise
