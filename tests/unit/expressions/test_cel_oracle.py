"""On the subset CEL and this language share, a CEL implementation gives the same answers."""

from __future__ import annotations

from typing import Any

import cel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.expressions.shop import lot, value

from clew.expressions.problems import Undecidable
from clew.testing.plugin import Tier

RECORD = {"pieces": 3, "number": "L-1"}
INTEGERS = st.recursive(
    st.sampled_from(["pieces", "0", "1", "7", "-4", "1000", "size(number)"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "%"]), inner).map(lambda it: f"({it[0]} {it[1]} {it[2]})"),
        st.tuples(inner, inner).map(lambda it: f"(pieces > 2 ? {it[0]} : {it[1]})"),
    ),
    max_leaves=6,
)
TEXTS = st.recursive(
    st.sampled_from(["number", "'a'", "''", "'L-'", '"open"', "'\\\\'", "'\\u0041'"]),
    lambda inner: st.tuples(inner, inner).map(lambda it: f"({it[0]} + {it[1]})"),
    max_leaves=4,
)
TRUTHS = st.recursive(
    st.one_of(
        st.tuples(INTEGERS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), INTEGERS).map(" ".join),
        st.tuples(TEXTS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), TEXTS).map(" ".join),
        st.tuples(TEXTS, st.sampled_from(["contains", "startsWith", "endsWith"]), TEXTS).map(
            lambda it: f"{it[0]}.{it[1]}({it[2]})"
        ),
        st.tuples(INTEGERS, st.lists(INTEGERS, max_size=3)).map(lambda it: f"{it[0]} in [{', '.join(it[1])}]"),
        st.tuples(st.sampled_from(["exists", "all", "exists_one"]), INTEGERS).map(
            lambda it: f"[1, 2, pieces].{it[0]}(x, x * 2 > {it[1]})"
        ),
        st.sampled_from(["true", "false"]),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda it: f"({it[0]} {it[1]} {it[2]})"),
        inner.map(lambda it: f"!({it})"),
    ),
    max_leaves=5,
)


def ours(source: str) -> Any:
    try:
        return value(source, lot(**RECORD))
    except Undecidable:
        return "error"


def theirs(source: str) -> Any:
    try:
        return cel.evaluate(source, RECORD)
    except (RuntimeError, ValueError, TypeError, ArithmeticError):
        return "error"


def test_the_oracle_agrees(tier: Tier) -> None:
    @settings(max_examples=tier.count(400, 100_000), database=None)
    @given(st.one_of(TRUTHS, INTEGERS))
    def run(source: str) -> None:
        assert ours(source) == theirs(source), source

    run()


@pytest.mark.parametrize(
    ("source", "expected"),
    [("1 % 0 == 1 || true", True), ("1 % 0 == 1 && false", False), ("true || 1 % 0 == 1", True), ("-7 % 5", -2)],
)
def test_three_valued_logic_is_that_of_cel(source: str, expected: Any) -> None:
    assert ours(source) == theirs(source) == expected
