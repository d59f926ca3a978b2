"""The signatures of exported records, for the sheet or file beside them (21 CFR 11.50(b): every readable form)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from clew.audit import signatures
from clew.audit.signatures import Signature
from clew.kernel.scalars import to_wire
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity
from clew.records.signing.verify import Verifier
from clew.storage.engine import Connection

NAME = "signatures"
HEADS: Mapping[str, Bilingual] = {
    "record": Bilingual("记录", "Record"),
    "valid_for": Bilingual("所签版本", "For version"),
    "current": Bilingual("当前版本", "Current"),
    "meaning": Bilingual("含义", "Meaning"),
    "printed_name": Bilingual("签名人", "Printed name"),
    "role": Bilingual("角色", "Role"),
    "signed_at": Bilingual("签名时间(UTC)", "Signed at (UTC)"),
    "local_time": Bilingual("当地时间", "Local time"),
    "time_zone": Bilingual("时区", "Time zone"),
    "components": Bilingual("身份要素", "Components"),
    "reason": Bilingual("原因", "Reason"),
    "verified": Bilingual("验证通过", "Verified"),
    "erased_at": Bilingual("所签个人信息清除于(UTC)", "Personal values erased at (UTC)"),
    "signature": Bilingual("签名编号", "Signature"),
}


@dataclass(frozen=True, slots=True)
class Exported:
    """A record that was exported: its id, and the version that is in the file when the caller may see it."""

    id: UUID
    row_version: int | None


async def signed_rows(
    connection: Connection, verifier: Verifier, entity: Entity, records: list[Exported], as_of: datetime | None
) -> AsyncIterator[list[Any]]:
    """One row per signature, in the order of the records, each verified now."""
    inspection = verifier.inspect(connection)
    versions = {each.id: each.row_version for each in records}
    async for each in signatures.of_records(connection, entity.known_as, [known.id for known in records]):
        if as_of is not None and each.signed_at > as_of:
            continue
        verified, erasure = not await inspection.problems(each), await inspection.erased(each)
        yield [*_row(each, versions[each.record_id]), verified, erasure and to_wire(erasure.at), str(each.signature_id)]


def _row(each: Signature, version: int | None) -> list[Any]:
    return [
        str(each.record_id),
        each.row_version,
        None if version is None else each.row_version == version,
        each.meaning,
        each.printed_name,
        each.role,
        to_wire(each.signed_at),
        each.local_time,
        each.time_zone,
        list(each.components_used),
        each.reason,
    ]
