"""The electronic signature, format 1: the bytes that were signed, and the row that keeps them.

The bytes are canonical JSON: the record version with its lines, links and file digests, what the signature means, who
gave it in which role, when and where, and what the signer had been shown (21 CFR 11.50, 11.70; EU Annex 11 cl. 14).
Everything a column says is said by the bytes too, and a leaf of the trail commits to the bytes: a signature that is
moved to another record, or edited, no longer agrees with itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from clew.audit.leaf import Circumstances, Leaf, make_leaf, verify_leaf
from clew.kernel.canonical import canonical_json, wire
from clew.kernel.text import Bilingual
from clew.storage import system
from clew.storage.dialects import any_of
from clew.storage.engine import Connection, Row

FORMAT = 1
ACTION = "sign:"
"""How a signature's leaf names what was done: `sign:release`. It has row version 0: it makes no version."""

MEANINGS: Mapping[str, Bilingual] = {
    "authorship": Bilingual("编制", "Authorship"),
    "review": Bilingual("审核", "Review"),
    "approval": Bilingual("批准", "Approval"),
    "responsibility": Bilingual("责任承担", "Responsibility"),
    "release": Bilingual("放行", "Release"),
    "verification": Bilingual("核实", "Verification"),
    "witness": Bilingual("见证", "Witness"),
}
"""What the usual meanings are called (21 CFR 11.50(a)(3)); a project may have others, which are shown as written."""

table = system.signature


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature as it is stored. `signed_bytes` is the text that was signed, `digest` its SHA-256."""

    signature_id: UUID
    entity: str
    record_id: UUID
    row_version: int
    record_sha256: str
    action: str
    meaning: str
    account: UUID
    employee: UUID | None
    printed_name: str
    role: str
    signed_at: datetime
    time_zone: str
    components_used: tuple[str, ...]
    reason: str | None
    session: str | None
    address: str
    leaf_id: UUID
    signed_bytes: str
    digest: str

    @property
    def local_time(self) -> str:
        """When it was signed on the signer's clock: `2026-11-26T20:05:00.000000+08:00`."""
        return local_time(self.signed_at, self.time_zone)

    def signed(self) -> dict[str, Any]:
        """What was signed, as data."""
        found: dict[str, Any] = json.loads(self.signed_bytes)
        return found

    def row(self) -> dict[str, Any]:
        """Column → value."""
        row = {each.name: getattr(self, each.name) for each in fields(self)}
        row["components_used"] = list(self.components_used)
        return row


_IN_BYTES = (
    "signature_id", "entity", "record_id", "row_version", "record_sha256", "action", "meaning", "account", "employee",
    "printed_name", "role", "signed_at", "time_zone", "components_used", "reason", "session", "address",
)  # fmt: skip
"""Columns that the signed bytes repeat."""


def make_signature(
    known: Mapping[str, Any],
    more: Mapping[str, Any],
    circumstances: Circumstances,
    process_step: str | None = None,
) -> tuple[Signature, Leaf]:
    """The signature over what is `known` (the columns in the bytes) and `more` (content, definition, what was shown),
    with the leaf that commits to it. `process_step`: the step of a process in which it was given."""
    said = {name: known[name] for name in _IN_BYTES}
    local = local_time(known["signed_at"], known["time_zone"])
    text = canonical_json({"format": FORMAT, **said, "local_time": local, **more}).decode()
    digest = hashlib.sha256(text.encode()).hexdigest()
    told = {"signature": known["signature_id"], "digest": digest, "version": known["row_version"]}
    leaf = make_leaf(
        circumstances,
        ACTION + known["meaning"],
        known["entity"],
        known["record_id"],
        0,
        {name: (None, value) for name, value in told.items()},
        process_step,
    )
    return Signature(**{**known, "leaf_id": leaf.leaf_id, "signed_bytes": text, "digest": digest}), leaf


def local_time(at: datetime, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).isoformat(timespec="microseconds")


# ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_COLUMNS = tuple(table.c[each.name] for each in fields(Signature))
_INSERT = sa.insert(table)
_OF_RECORD = (
    sa.select(*_COLUMNS)
    .where(table.c.record_id == sa.bindparam("of_record", type_=table.c.record_id.type))
    .where(any_of(table.c.entity, "of_entity"))
    .order_by(table.c.signature_id)
)
_PAGE = 200
_OF_RECORDS = (
    sa.select(*_COLUMNS)
    .where(any_of(table.c.record_id, "of_records"))
    .where(any_of(table.c.entity, "of_entity"))
    .order_by(table.c.signature_id)
)
_ONE = sa.select(*_COLUMNS).where(table.c.signature_id == sa.bindparam("of_id", type_=table.c.signature_id.type))
_LAST = (
    sa.select(*_COLUMNS)
    .where(table.c.session == sa.bindparam("in_session", type_=table.c.session.type))
    .where(table.c.account == sa.bindparam("by_account", type_=table.c.account.type))
    .order_by(table.c.signed_at.desc(), table.c.signature_id.desc())
    .limit(1)
)
_LEAF = sa.select(
    system.leaf.c.header, system.leaf.c.fields, system.leaf.c.digest, system.leaf.c.record_id, system.leaf.c.actor
).where(system.leaf.c.leaf_id == sa.bindparam("of_leaf", type_=system.leaf.c.leaf_id.type))


async def insert(connection: Connection, signature: Signature) -> None:
    await connection.execute(_INSERT, signature.row())


async def of_record(connection: Connection, names: Sequence[str], record_id: UUID) -> list[Signature]:
    """All signatures of a record, oldest first."""
    rows = await connection.fetch(_OF_RECORD, {"of_record": record_id, "of_entity": list(names)})
    return [_signature(row) for row in rows]


async def of_records(connection: Connection, names: Sequence[str], records: Sequence[UUID]) -> AsyncIterator[Signature]:
    """The signatures of many records, record by record in the order given, each record's oldest first."""
    for start in range(0, len(records), _PAGE):
        page = records[start : start + _PAGE]
        rows = await connection.fetch(_OF_RECORDS, {"of_records": list(page), "of_entity": list(names)})
        found: dict[UUID, list[Signature]] = {}
        for each in map(_signature, rows):
            found.setdefault(each.record_id, []).append(each)
        for record in page:
            for each in found.get(record, ()):
                yield each


async def one(connection: Connection, signature_id: UUID) -> Signature | None:
    row = await connection.fetch_one(_ONE, {"of_id": signature_id})
    return _signature(row) if row is not None else None


async def last_in_session(connection: Connection, session: str, account: UUID) -> Signature | None:
    """The last signature an account gave in a session."""
    row = await connection.fetch_one(_LAST, {"in_session": session, "by_account": account})
    return _signature(row) if row is not None else None


async def every_id(connection: Connection, after: UUID | None, count: int) -> list[UUID]:
    """Ids of signatures in their order, for a walk over all of them."""
    statement = sa.select(table.c.signature_id).order_by(table.c.signature_id).limit(count)
    if after is not None:
        statement = statement.where(table.c.signature_id > after)
    return [row[0] for row in await connection.fetch(statement)]


def _signature(row: Row) -> Signature:
    values: dict[str, Any] = {each.name: row[at] for at, each in enumerate(fields(Signature))}
    values["components_used"] = tuple(values["components_used"])
    return Signature(**values)


# ── does it agree with itself? ────────────────────────────────────────────────────────────────────────────────────


async def disagreements(connection: Connection, signature: Signature) -> Sequence[str]:
    """What a stored signature says in two places and differently: bytes and digest, bytes and columns, bytes and leaf.

    Whether the record is what was signed is asked elsewhere (`records.signing.verify`).
    """
    try:
        said = signature.signed()
        canonical = canonical_json(said).decode() == signature.signed_bytes
    except (ValueError, TypeError):
        return ("the signed bytes cannot be read",)
    wrong: list[str] = []
    if not canonical:
        wrong.append("the signed bytes are not canonical")
    if hashlib.sha256(signature.signed_bytes.encode()).hexdigest() != signature.digest:
        wrong.append("the signed bytes do not have the digest stored with them")
    columns = signature.row()
    for name in _IN_BYTES:
        if said.get(name) != wire(columns[name]):
            wrong.append(f"{name} is not what was signed")
    content = said.get("content")
    if hashlib.sha256(canonical_json(content)).hexdigest() != said.get("record_sha256"):
        wrong.append("the content does not have the digest that was signed")
    wrong += await _against_leaf(connection, signature)
    return tuple(wrong)


async def _against_leaf(connection: Connection, signature: Signature) -> list[str]:
    row = await connection.fetch_one(_LEAF, {"of_leaf": signature.leaf_id})
    if row is None:
        return ["its leaf is missing from the trail"]
    header, entries, digest, record_id, actor = row
    if verify_leaf(header, entries, digest):
        return ["its leaf in the trail has been changed"]
    told = {name: entry.get("n") for name, entry in json.loads(entries).items()}
    expected = {"signature": str(signature.signature_id), "digest": signature.digest, "version": signature.row_version}
    if told != expected or record_id != signature.record_id or actor != signature.account:
        return ["its leaf in the trail tells of another signature"]
    return []
