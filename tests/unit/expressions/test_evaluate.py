"""Evaluation in memory: nulls, three-valued logic, exact numbers, dates, lists, history, the person."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.unit.expressions.shop import NOW, PERSON, SITE, checked, lot, value

from clew.expressions.interpret import compile_memory, evaluate, holds
from clew.expressions.problems import Undecidable

VALUES: list[tuple[str, Any]] = [
    ("price == null", True),
    ("price != 1", True),
    ("price > 1", False),
    ("!(price > 1)", True),
    ("note == null ? 1 : 2", 1),
    ("flag", None),
    ("!flag", True),
    ("flag || true", True),
    ("1 / 0 > 1 || true", True),
    ("1 / 0 > 1 && false", False),
    ("1 + 2 * 3", 7),
    ("7 / 2", Decimal("3.500000")),
    ("-7 % 5", -2),
    ("0.1 + 0.2 == 0.3", True),
    ("qty * qty", Decimal("6.25000000")),
    ("1 / 3", Decimal("0.333333")),
    ("round(2.5, 0)", Decimal("2")),
    ("round(3.5, 0)", Decimal("4")),
    ("round(-0.125, 2)", Decimal("-0.12")),
    ("floor(-2.5)", -3),
    ("ceil(-2.5)", -2),
    ("integer(-2.5)", -2),
    ("text(qty)", "2.5000"),
    ("size('不合格')", 3),
    ("lower('ÄBC')", "Äbc"),
    ("trim(' \u3000a ')", "a"),
    ("'批号一'.substring(0, 2)", "批号"),
    ("'abc'.substring(2, 1)", ""),
    ("note.startsWith('a')", False),
    ("!note.startsWith('a')", True),
    ("number.matches('^L-[0-9]+$')", True),
    ("addMonths(date('2024-01-31'), 1)", date(2024, 2, 29)),
    ("addDays(date('2026-02-28'), 1)", date(2026, 3, 1)),
    ("days(date('2026-02-28'), date('2026-03-01'))", 1),
    ("now - datetime('2026-03-01T00:30:00Z')", timedelta(hours=8)),
    ("today == date('2026-03-01')", True),
    ("item.name + number", "螺钉L-1"),
    ("parent.item.name", None),
    ("data.color == null", False),
    ("text(data.color)", "红"),
    ("data.color.deeper == null", True),
    ("'A' in marks", True),
    ("note in ['x']", False),
    ("1 in []", False),
    ("was('held') && was('open') && !was('released')", True),
    ("entered('held')", NOW),
    ("entered('released') == null", True),
    ("site == user.site", False),
    ("site != user.site", True),
    ("coalesce(price, qty, 1)", Decimal("2.5000")),
    ("old == null", True),
    ("lots.exists(l, true)", False),
    ("lots.all(l, false)", True),
    ("lots.sum(l, l.qty)", Decimal("0.0000")),
    ("lots.max(l, l.qty)", None),
]


@pytest.mark.parametrize(("source", "expected"), VALUES)
def test_values(source: str, expected: Any) -> None:
    found = value(source)
    assert found == expected
    assert type(found) is type(expected)


UNDECIDABLE = [
    "1 / 0",
    "5 % 0",
    "999999999999999999 + 1",
    "999999999999999999 * 10",
    "999999999.999999999 + 999999999 * 1.0",
    "addDays(date('9999-12-31'), 1)",
    "addMonths(date('0001-01-01'), -1)",
    "now + duration('PT99999999999S') + duration('PT999999999999S')",
    "1 / 0 > 1 || false",
    "lots.exists(l, l.qty / l.pieces > 100)",
    "lots.all(l, l.qty / l.pieces < 100)",
    "twice > 1",
]


@pytest.mark.parametrize("source", UNDECIDABLE)
def test_undecidable(source: str) -> None:
    record = lot(lots=[{"qty": Decimal(1), "pieces": 0}, {"qty": Decimal(1), "pieces": 1}])
    with pytest.raises(Undecidable):
        value(source, record)


def test_undecidable_is_not_allowed_and_not_ignored() -> None:
    condition = checked("qty / (pieces - 3) > 1")
    assert holds(condition, lot(), now=NOW, on_error=False) is False
    assert holds(condition, lot(), now=NOW, on_error=True) is True


def test_a_missing_boolean_is_not_true() -> None:
    assert holds(checked("flag"), lot(), now=NOW, on_error=True) is False


def test_lists_and_their_variables() -> None:
    lots = [lot(number="a", qty=Decimal(1)), lot(number="b", qty=Decimal(3)), lot(number="c", qty=Decimal(5))]
    record = lot(lots=lots)
    assert value("lots.map(l, l.number)", record) == ["a", "b", "c"]
    assert value("lots.count(l, l.qty > 2)", record) == 2
    assert value("lots.exists_one(l, l.qty > 4)", record) is True
    assert value("size(lots.filter(l, l.qty > 2))", record) == 2
    assert value("lots.min(l, l.number)", record) == "a"
    assert value("lots.exists(l, lots.exists(l, l.number == 'c') && l.number == 'a')", record) is True
    assert value("lots.exists(l, 1 / 0 > l.qty) || lots.exists(l, l.number == 'b')", record) is True


def test_records_are_compared_by_identity() -> None:
    item = UUID(int=200)
    assert value("item == old.item", lot(), old=lot(item=item)) is True
    assert value("parent == null", lot()) is True
    assert value("lots.exists(l, l.item == item)", lot(lots=[lot(item=item)])) is True
    assert value("site.id in user.sites", lot(site={"id": SITE})) is True
    assert value("site in user.sites", lot(site=SITE)) is True
    with pytest.raises(Undecidable, match="name is not among the facts"):
        value("item.name", lot(item=item))


def test_an_empty_claim_equals_nothing() -> None:
    assert PERSON.site is None
    assert value("user.site == site || site == user.site") is False
    assert value("coalesce(user.site, user.department) == site") is False
    assert value("user.site == null") is True


def test_without_a_person_nothing_about_the_person_is_decided() -> None:
    with pytest.raises(Undecidable):
        value("user.name == 'x'", person=None)


def test_computed_fields_expand_where_the_facts_do_not_hold_them() -> None:
    computed = {("lot", "twice"): checked("qty * 2")}
    program = compile_memory(checked("twice > 4 && lots.exists(l, l.twice > twice)"), computed)
    assert program.run(lot(lots=[lot(qty=Decimal(9))]), now=NOW) is True
    assert program.run(lot(lots=[lot(qty=Decimal(9))], twice=Decimal(20)), now=NOW) is False
    with pytest.raises(ValueError, match="depends on itself"):
        compile_memory(checked("twice > 1"), {("lot", "twice"): checked("twice")})


def test_an_expression_is_compiled_once() -> None:
    condition = checked("qty > 1")
    assert compile_memory(condition) is compile_memory(condition)
    assert evaluate(condition, lot(), now=NOW) is True
