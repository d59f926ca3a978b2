"""The audit leaf, format 1: one per written version of a record. docs/audit-format.md gives the bytes.

A leaf has a header (who, what, when, why, by which release) and one salted commitment per changed field. The digest
covers header and commitments, never the values themselves: dropping the salt and values of one field (redaction)
leaves the leaf verifiable, and nobody can guess the dropped value from its commitment.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from clew.kernel.canonical import canonical_json, encode_wire, wire
from clew.kernel.context import Context
from clew.kernel.ids import uuid7
from clew.kernel.scalars import instant_text

FORMAT = 1
SALT_BYTES = 32
_LEAF_PREFIX = b"\x00"
"""RFC 9162 domain separation: a leaf can never pass for an inner node of the Merkle tree."""


@dataclass(frozen=True, slots=True)
class FieldEntry:
    """One changed field as it is kept: salt and values, or nothing but the commitment once redacted."""

    commitment: str
    salt: str | None
    old: Any
    new: Any

    @property
    def redacted(self) -> bool:
        return self.salt is None


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf ready to be stored. `header` and `fields` are the stored JSON texts; `digest` is lower-case hex."""

    leaf_id: UUID
    at: datetime
    action: str
    entity: str
    record_id: UUID
    row_version: int
    header: str
    fields: str
    digest: str

    def row(self, actor: UUID) -> dict[str, Any]:
        """The leaf as its table has it. `actor`: the account, which the header names too."""
        return {
            "leaf_id": self.leaf_id,
            "at": self.at,
            "action": self.action,
            "entity": self.entity,
            "record_id": self.record_id,
            "row_version": self.row_version,
            "actor": actor,
            "header": self.header,
            "fields": self.fields,
            "digest": self.digest,
        }


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What all leaves of one transaction share."""

    at: datetime
    context: Context
    release: str
    reason: str | None = None


def make_leaf(
    circumstances: Circumstances,
    action: str,
    entity: str,
    record_id: UUID,
    row_version: int,
    changes: Mapping[str, tuple[Any, Any]],
    process_step: str | None = None,
) -> Leaf:
    """The leaf of one change; `changes` maps each changed field to its (old, new) canonical values. `process_step`:
    the step of a process under whose authority it was made."""
    leaf_id = uuid7()
    salts = os.urandom(SALT_BYTES * len(changes)).hex()
    width = 2 * SALT_BYTES
    sha256 = hashlib.sha256
    entries: dict[str, dict[str, Any]] = {}
    commitments: list[tuple[str, str]] = []
    for at, name in enumerate(sorted(changes)):
        old, new = changes[name]
        salt = salts[at * width : (at + 1) * width]
        # A record that is new has nothing old: half of what is looked at here.
        was, becomes = None if old is None else wire(old), wire(new)
        commitment = sha256(encode_wire((salt, name, was, becomes))).hexdigest()
        commitments.append((name, commitment))
        entries[name] = {"c": commitment, "s": salt, "o": was, "n": becomes}
    context = circumstances.context
    header = {
        "format": FORMAT,
        "leaf_id": leaf_id,
        "at": instant_text(circumstances.at),
        "action": action,
        "entity": entity,
        "record_id": record_id,
        "row_version": wire(row_version),
        "actor": context.person.id,
        "on_behalf_of": context.on_behalf_of.id if context.on_behalf_of else None,
        "reason": circumstances.reason,
        "request_id": context.request_id,
        "client": context.client,
        "channel": context.channel,
        "release": circumstances.release,
        "process_step": process_step,
    }
    text = encode_wire(header)
    return Leaf(
        leaf_id,
        circumstances.at,
        action,
        entity,
        record_id,
        row_version,
        text.decode(),
        encode_wire(entries).decode(),
        leaf_digest(text, commitments),
    )


def leaf_digest(header: bytes, commitments: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over 0x00, the canonical header, a line feed, and the commitments sorted by field name."""
    tail = encode_wire(sorted(commitments))
    return hashlib.sha256(_LEAF_PREFIX + header + b"\n" + tail).hexdigest()


def entries_of(fields: str) -> dict[str, FieldEntry]:
    """The stored `fields` text as entries by field name."""
    return {
        name: FieldEntry(entry["c"], entry.get("s"), entry.get("o"), entry.get("n"))
        for name, entry in json.loads(fields).items()
    }


def told(fields: str) -> dict[str, Any]:
    """The new values of a stored `fields` text; empty when it cannot be read, which verification tells of."""
    try:
        return {name: entry.new for name, entry in entries_of(fields).items()}
    except (ValueError, KeyError, AttributeError, TypeError):
        return {}


def redact(fields: str, names: Iterable[str]) -> str:
    """The `fields` text with salt and values of the named fields dropped; their commitments stay."""
    entries = json.loads(fields)
    for name in names:
        entries[name] = {"c": entries[name]["c"]}
    return canonical_json(entries).decode()


def verify_leaf(
    header: str, fields: str, digest: str, columns: Mapping[str, Any] = MappingProxyType({})
) -> tuple[str, ...]:
    """What is wrong with a stored leaf; nothing when it is whole. Names the field whose values do not fit, and each of
    the given `columns`, in wire form, that the header says otherwise."""
    wrong: list[str] = []
    try:
        parsed = json.loads(header)
        entries = entries_of(fields)
    except (ValueError, KeyError, AttributeError, TypeError):
        return ("unreadable",)
    if type(parsed) is not dict:
        return ("unreadable",)
    # What JSON gives is plain data already; `wire` would only look at every value again.
    if encode_wire(parsed).decode() != header:
        wrong.append("header is not canonical")
    if parsed.get("format") != FORMAT:
        wrong.append(f"format {parsed.get('format')}")
    wrong += [f"column {name}" for name, value in columns.items() if parsed.get(name) != value]
    for name, entry in sorted(entries.items()):
        if entry.redacted:
            if entry.old is not None or entry.new is not None:
                wrong.append(f"field {name}")
            continue
        sealed = encode_wire([entry.salt, name, entry.old, entry.new])
        if hashlib.sha256(sealed).hexdigest() != entry.commitment:
            wrong.append(f"field {name}")
    pairs = ((name, entry.commitment) for name, entry in entries.items())
    if leaf_digest(header.encode(), pairs) != digest:
        wrong.append("digest")
    return tuple(wrong)
