"""Canonical JSON: one byte form per value, whatever the order it was built in."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.kernel.canonical import canonical_json, digest, encode_wire

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), plain))
def test_key_order_does_not_matter(value: dict[str, object]) -> None:
    turned = dict(reversed(list(value.items())))
    assert canonical_json(value) == canonical_json(turned)
    assert json.loads(canonical_json(value)) == value


@given(plain)
def test_the_bytes_are_those_of_the_standard_library(value: object) -> None:
    plainly = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical_json(value) == plainly.encode()


def test_a_number_too_large_for_any_leaf_still_has_a_form() -> None:
    assert encode_wire([10**30]) == b"[1000000000000000000000000000000]"


def test_the_bytes_are_exactly_these() -> None:
    value = {"b": [1, None, True], "a": '不合格\n"', "d": Decimal("1.50")}
    assert canonical_json(value) == '{"a":"不合格\\n\\"","b":[1,null,true],"d":"1.50"}'.encode()
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_a_float_is_refused() -> None:
    with pytest.raises(TypeError):
        canonical_json({"x": 0.1})
