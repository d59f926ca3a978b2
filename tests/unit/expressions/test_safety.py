"""What an expression cannot do: reach Python, run long, take memory."""

from __future__ import annotations

import re
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.expressions.shop import NOW, checked, codes, lot, value

from clew.expressions.interpret import evaluate
from clew.expressions.parse import MAX_DEPTH, parse
from clew.expressions.pattern import Pattern
from clew.expressions.problems import ExpressionError, Undecidable
from clew.expressions.text import MAX_TEXT
from clew.testing.plugin import Tier

ESCAPES = [
    "__import__('os')", "number.__class__", "number.__class__.__mro__", "item.__dict__", "(1).__class__",
    "[].append(1)", "user",
    "number.format('{0.__class__}')", "'%s' % number", "f'{number}'", "eval('1')", "exec('1')", "open('/etc/passwd')",
    "getattr(number, 'x')", "lambda: 1", "lambda x: x", "[x for x in lots]", "{x: 1}", "{}", "x = 1", "x := 1",
    "import os", "number[0]", "lots[0].number", "number; 1", "this.__class__", "user.password", "user.__class__",
    "now.replace(1)", "now.year", "globals()", "''.join(marks)", "number.center(99999999)", "9 ** 9", "1 << 9", "1 | 2",
    "~1", "`ls`", "$(ls)", "${7*7}", "{{7*7}}", "#{7*7}", "b'x'", "r'x'", "1e999", "0x10", "1u", "'\\x00'", "'\\ud800'",
    "'''x'''", "'a", "number.map(x, x)", "lots.reduce(a, b)", "has(item.name)", "type(1)", "dyn(1)", "true ? 1", "()",
    "\u202e'x'", "number .name", "@entered", "lots.exists('l', true)", "lots.exists(l.x, true)", "size", "old",
    "was", "item.lots", "not true", "a and b", "'a' 'b'", "1 2", "--", "", " ", "//",
]  # fmt: skip
HARMLESS = {"old"}
"""A name that means something: the record before the change."""


@pytest.mark.parametrize("source", [each for each in ESCAPES if each not in HARMLESS])
def test_expr_no_escape(source: str) -> None:
    """Everything outside the language is a typed error with a place (threat 5)."""
    with pytest.raises(ExpressionError) as caught:
        checked(source)
    for problem in caught.value.problems:
        assert problem.code.startswith("EXPR_")
        assert 0 <= problem.span.start <= problem.span.end <= len(source)


def test_json_keys_are_data_only() -> None:
    assert value("data.get == null", lot(data={})) is True
    assert value("text(data.keys)", lot(data={"keys": "k"})) == "k"


@given(st.text(alphabet="'\"\\.()[]{}!&|=<>+-*/%?:,_ \n\tabqtynowltsx019é批\x00\u202e", max_size=60))
def test_any_text_is_accepted_or_refused_in_words(source: str) -> None:
    assert all(code.startswith("EXPR_") for code in codes(source))


DEEP = [
    "(" * 5000 + "1",
    "!" * 3999 + "a",
    "-" * 3999 + "1",
    "[" * 3999,
    "1" + "+1" * 1999,
    "a" + ".a" * 1999,
    "size(" * 700 + "number",
    "true ? " * 500 + "1",
    "number" + " + number" * 400,
]


@pytest.mark.parametrize("source", DEEP, ids=range(len(DEEP)))
def test_deep_nesting_is_refused_without_recursion(source: str) -> None:
    limit = sys.getrecursionlimit()
    with pytest.raises(ExpressionError) as caught:
        parse(source)
    assert {each.code for each in caught.value.problems} <= {
        "EXPR_TOO_DEEP",
        "EXPR_TOO_LONG",
        "EXPR_SYNTAX",
        "EXPR_CUT_SHORT",
    }
    assert sys.getrecursionlimit() == limit


def test_a_long_list_of_conditions_is_not_deep() -> None:
    source = " || ".join(f"pieces == {at}" for at in range(200))
    assert value(source, lot(pieces=199)) is True
    assert MAX_DEPTH < 200


class Counting(list[Any]):
    """A list that counts how often an element is taken from it."""

    taken = 0

    def __iter__(self) -> Any:
        for each in super().__iter__():
            Counting.taken += 1
            yield each


@pytest.mark.parametrize(
    "source",
    [
        "lots.all(a, lots.all(b, lots.all(c, lots.all(d, true))))",
        "lots.exists(a, lots.exists(b, lots.exists(c, 1 / 0 > 1)))",
        "lots.map(a, lots.map(b, lots.count(c, true)).size()).size() > 0",
        "lots.all(a, 1 / 0 > 1 || lots.all(b, 1 / 0 > 1 || lots.all(c, 1 / 0 > 1)))",
        "lots.exists(a, 1 in lots.map(b, lots.count(c, lots.exists(d, false)))) || true",
    ],
)
def test_expr_budget(source: str) -> None:
    """A product of lists stops within the budget's steps and cannot be caught by || (threat 6)."""
    if codes(source):
        pytest.fail(f"{source}: {codes(source)}")
    record = lot(lots=Counting([{} for _ in range(1000)]))
    Counting.taken = 0
    with pytest.raises(Undecidable, match="more than 10000 steps"):
        value(source, record)
    assert Counting.taken <= 10_000 + 10


def test_looking_through_a_list_costs_its_length() -> None:
    """Membership inside a loop over the same list is quadratic, though each of both is cheap by itself."""
    record = lot(marks=["A"] * 150)
    with pytest.raises(Undecidable, match="more than 10000 steps"):
        value("marks.all(m, 'B' in marks || m in marks)", record)
    assert value("marks.all(m, m in marks)", lot(marks=["A"] * 50)) is True


def test_power_and_repetition_cannot_be_said() -> None:
    for source in ("'a' * 99999999", "number * 9", "9 ** 9", "number.center(9)", "number.repeat(9)", "lots * 9"):
        assert codes(source)


def test_doubling_stops_at_the_longest_text() -> None:
    doubled = checked("note == null ? '' : note + note + note + note + note + note")
    assert len(evaluate(doubled, lot(note="x" * (MAX_TEXT // 6)), now=NOW)) <= MAX_TEXT
    with pytest.raises(Undecidable):
        evaluate(doubled, lot(note="x" * (MAX_TEXT // 6 + 1)), now=NOW)


def test_numbers_never_grow() -> None:
    with pytest.raises(Undecidable):
        value("qty" + " * qty" * 60, lot(qty=Decimal("99999999999999.9999")))


def test_a_budget_too_small_for_the_expression_itself() -> None:
    with pytest.raises(Undecidable):
        evaluate(checked("qty > 1 && qty > 2"), lot(), now=NOW, budget=3)


PIECES = st.sampled_from(
    [
        "a",
        "b",
        ".",
        "[ab]",
        "[^a]",
        "\\d",
        "\\w",
        "(a|b)",
        "(?:ab)",
        "a?",
        "b*",
        "(ab)+",
        "[a-c]{2}",
        "a{1,3}",
        "^",
        "$",
        "批",
    ]
)


@given(st.lists(PIECES, max_size=6), st.text(alphabet="abc1批 ", max_size=12))
def test_patterns_mean_what_they_mean_elsewhere(pieces: list[str], text: str) -> None:
    source = "".join(pieces)
    expected = re.search(source.replace("$", "\\Z"), text, re.ASCII) is not None
    assert Pattern(source).search(text) is expected


@pytest.mark.parametrize("source", ["^(a+)+$", "(a|a)*$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y"])
def test_a_pattern_takes_each_character_once(source: str) -> None:
    """The classic ways to make a backtracking engine run for years are answered by counting transitions."""
    pattern = Pattern(source)
    pattern.search("a" * 2000 + "!")
    assert len(pattern._moves) <= 50


@pytest.mark.parametrize(
    "source", ["(", "[", "a{", "a{2,1}", "a{101}", "a**", "(?=a)", "(?P<n>a)", "\\1", "\\", "*", "a)", "[b-a]"]
)
def test_patterns_outside_the_subset_are_refused(source: str) -> None:
    with pytest.raises(ValueError):
        Pattern(source)


def test_large_patterns_are_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        Pattern("((a{50}){50}){50}")


def test_random_trees_never_escape_their_errors(tier: Tier) -> None:
    words = [
        "number",
        "qty",
        "lots",
        "item",
        "old",
        "user",
        ".",
        "(",
        ")",
        "exists",
        "l",
        ",",
        "==",
        "null",
        "+",
        "1",
        "&&",
        "'a'",
    ]

    @settings(max_examples=tier.count(300, 20000), database=None)
    @given(st.lists(st.sampled_from(words), max_size=14))
    def run(parts: list[str]) -> None:
        source = " ".join(parts)
        if codes(source):
            return
        try:
            value(source)
        except Undecidable:
            return

    run()
