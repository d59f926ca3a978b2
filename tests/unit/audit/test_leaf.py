"""Audit leaf, format 1: the bytes, redaction, and that every alteration is seen."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from clew.audit.leaf import Circumstances, Leaf, entries_of, leaf_digest, make_leaf, redact, verify_leaf
from clew.kernel.context import Context, Person

PERSON = Person(UUID(int=7), "wang", "王工")
AT = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


def a_leaf(changes: dict[str, tuple[object, object]] | None = None) -> Leaf:
    circumstances = Circumstances(AT, Context(PERSON, "req-1"), "f" * 64, "因为")
    given = {"qty": (Decimal("1.50"), Decimal("2.00")), "name": (None, "注射器"), "on": (None, None)}
    return make_leaf(circumstances, "update", "lot", UUID(int=9), 2, changes if changes is not None else given)


def test_a_fresh_leaf_verifies_and_has_the_documented_bytes() -> None:
    leaf = a_leaf()
    assert verify_leaf(leaf.header, leaf.fields, leaf.digest) == ()
    fields = json.loads(leaf.fields)
    entry = fields["qty"]
    sealed = f'["{entry["s"]}","qty","1.50","2.00"]'.encode()
    assert entry == {"c": hashlib.sha256(sealed).hexdigest(), "s": entry["s"], "o": "1.50", "n": "2.00"}
    assert len(entry["s"]) == 64
    tail = "[" + ",".join(f'["{name}","{fields[name]["c"]}"]' for name in sorted(fields)) + "]"
    assert leaf.digest == hashlib.sha256(b"\x00" + leaf.header.encode() + b"\n" + tail.encode()).hexdigest()
    header = json.loads(leaf.header)
    assert set(header) == {
        "format", "leaf_id", "at", "action", "entity", "record_id", "row_version", "actor", "on_behalf_of", "reason",
        "request_id", "client", "channel", "release", "process_step",
    }  # fmt: skip
    assert header["at"] == "2026-03-01T08:30:00.000000Z"
    assert header["reason"] == "因为"


def test_redaction_keeps_the_proof_and_loses_the_value() -> None:
    leaf = a_leaf()
    fields = redact(leaf.fields, ["name"])
    assert verify_leaf(leaf.header, fields, leaf.digest) == ()
    assert entries_of(fields)["name"].redacted
    assert "注射器" not in fields
    assert "注射器" in leaf.fields


def test_equal_values_have_different_commitments() -> None:
    one, two = entries_of(a_leaf().fields), entries_of(a_leaf().fields)
    assert one["qty"].commitment != two["qty"].commitment


def test_no_changes_is_a_leaf_too() -> None:
    leaf = a_leaf({})
    assert leaf.fields == "{}"
    assert leaf.digest == leaf_digest(leaf.header.encode(), [])
    assert verify_leaf(leaf.header, leaf.fields, leaf.digest) == ()


@pytest.mark.parametrize(
    ("find", "put"),
    [('"row_version":2', '"row_version":3'), ("因为", "所以"), ('"lot"', '"bom"'), ('"format":1', '"format":2')],
)
def test_a_changed_header_is_seen(find: str, put: str) -> None:
    leaf = a_leaf()
    assert find in leaf.header
    assert "digest" in verify_leaf(leaf.header.replace(find, put), leaf.fields, leaf.digest)


def test_changed_values_dropped_fields_and_half_redactions_are_seen() -> None:
    leaf = a_leaf()
    assert verify_leaf(leaf.header, leaf.fields.replace("2.00", "3.00"), leaf.digest) == ("field qty",)
    fields = json.loads(leaf.fields)
    dropped = json.dumps({name: entry for name, entry in fields.items() if name != "name"})
    assert verify_leaf(leaf.header, dropped, leaf.digest) == ("digest",)
    fields["qty"] = {"c": fields["qty"]["c"], "n": "9.99"}
    assert "field qty" in verify_leaf(leaf.header, json.dumps(fields), leaf.digest)
    assert verify_leaf("{", leaf.fields, leaf.digest) == ("unreadable",)
    assert replace(leaf, digest="0" * 64).digest != leaf.digest


def test_floats_have_no_place_in_a_leaf() -> None:
    with pytest.raises(TypeError, match="float"):
        a_leaf({"qty": (None, 1.5)})
