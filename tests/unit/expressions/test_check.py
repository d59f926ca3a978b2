"""The checker: names, types, null guards, choices, paths read, and every finding at once."""

from __future__ import annotations

import pytest
from tests.unit.expressions.shop import Shop, checked, codes

from clew.expressions.check import check
from clew.expressions.problems import RULES, ExpressionError
from clew.expressions.tree import Base, Type

GOOD = [
    ("qty", "decimal"),
    ("qty * 2 > 3 && state == 'open'", "boolean"),
    ("pieces + 1", "integer"),
    ("pieces / 2", "decimal"),
    ("number + '-' + item.name", "text"),
    ("lots.filter(l, l.qty > 1).map(l, l.number)", "list<text>"),
    ("lots.sum(l, l.qty)", "decimal"),
    ("subject.number == number", "boolean"),
    ("'a' in user.roles", "boolean"),
    ("old == null || old.qty != qty", "boolean"),
    ("now - datetime('2026-01-01T00:00:00Z')", "duration"),
    ("entered('held')", "datetime"),
    ("coalesce(price, 0)", "decimal"),
]
BAD = [
    ("stat == 'open'", ["EXPR_UNKNOWN_NAME"]),
    ("item.nam == 'x'", ["EXPR_UNKNOWN_MEMBER"]),
    ("state == 'opne'", ["EXPR_UNKNOWN_CODE"]),
    ("state in ['open', 'closed']", ["EXPR_UNKNOWN_CODE"]),
    ("'C' in marks", ["EXPR_UNKNOWN_CODE"]),
    ("was('relaesed')", ["EXPR_UNKNOWN_CODE"]),
    ("qty > 'a'", ["EXPR_OPERANDS"]),
    ("qty == true", ["EXPR_OPERANDS"]),
    ("exp_on + 1", ["EXPR_OPERANDS"]),
    ("lots == null", ["EXPR_OPERANDS"]),
    ("item == parent", ["EXPR_OPERANDS"]),
    ("-number", ["EXPR_OPERAND"]),
    ("qty && true", ["EXPR_CONDITION"]),
    ("lots.qty > 1", ["EXPR_OF_A_LIST"]),
    ("number.length", ["EXPR_NOT_A_RECORD"]),
    ("number.matches(note)", ["EXPR_LITERAL_ONLY"]),
    ("number.matches('(')", ["EXPR_BAD_LITERAL"]),
    ("date('2026-02-30') > made_on", ["EXPR_BAD_LITERAL"]),
    ("round(qty, 12)", ["EXPR_BAD_LITERAL"]),
    ("user == null", ["EXPR_PERSON"]),
    ("siz(number)", ["EXPR_UNKNOWN_FUNCTION"]),
    ("size(1)", ["EXPR_ARGUMENTS"]),
    ("lots.exists(true)", ["EXPR_ARGUMENTS"]),
    ("lots.exists(now, true)", ["EXPR_VARIABLE"]),
    ("flag ? 1 : 'a'", ["EXPR_MIXED"]),
    ("[1, null]", ["EXPR_OPERAND"]),
    ("price + 1", ["EXPR_NULL_GUARD"]),
    ("parent.qty + 1", ["EXPR_NULL_GUARD"]),
    ("old.qty + 1", ["EXPR_NULL_GUARD"]),
    ("year(exp_on)", ["EXPR_NULL_GUARD"]),
    ("lots.sum(l, l.price)", ["EXPR_NULL_GUARD"]),
    ("1234567890123456789", ["EXPR_NUMBER"]),
    ("1.1234567890", ["EXPR_NUMBER"]),
    ("stat == 1 && qty > 'a' && price * 2 > 1", ["EXPR_UNKNOWN_NAME", "EXPR_OPERANDS", "EXPR_NULL_GUARD"]),
]
GUARDED = [
    "price == null || price + 1 > 2",
    "price != null && price + 1 > 2",
    "price == null ? 0 : price * 2",
    "price != null ? price * 2 : 0",
    "!(price == null) && price + 1 > 2",
    "price > 1 && price + 1 > 2",
    "coalesce(price, 1) + 1 > 2",
    "parent.price != null && parent.price + parent.qty > 2",
    "(price == null || flag) ? true : price + 1 > 2",
    "price == null || exp_on == null || price + year(exp_on) > 2",
    "lots.all(l, l.price == null || l.price * 2 > 1)",
    "note == 'a' && size(note) == 1",
]
UNGUARDED = [
    "price == null && price + 1 > 2",
    "price != null || price + 1 > 2",
    "(price != null || flag) && price + 1 > 2",
    "price != 1 && price + 1 > 2",
    "parent != null && parent.price + 1 > 2",
    "lots.exists(l, l.price != null) && lots.exists(l, l.price + 1 > 2)",
    "price != null && lots.exists(price, price.price + 1 > 2)",
]


@pytest.mark.parametrize(("source", "type_"), GOOD)
def test_types(source: str, type_: str) -> None:
    assert str(checked(source).type) == type_


@pytest.mark.parametrize(("source", "expected"), BAD)
def test_findings(source: str, expected: list[str]) -> None:
    assert codes(source) == expected


@pytest.mark.parametrize("source", GUARDED)
def test_guards_are_understood(source: str) -> None:
    assert codes(source) == []


@pytest.mark.parametrize("source", UNGUARDED)
def test_missing_guards_are_found(source: str) -> None:
    assert codes(source) == ["EXPR_NULL_GUARD"]


def test_a_finding_has_its_place_the_nearest_name_and_both_languages() -> None:
    with pytest.raises(ExpressionError) as caught:
        checked("qty > 0 && item.nmae == 'x'")
    (problem,) = caught.value.problems
    assert (problem.span.start, problem.span.end) == (16, 20)
    assert problem.nearest == "name"
    assert problem.message("en") == "item has no nmae. Did you mean name?"
    assert problem.message("zh") == "item 没有 nmae。 是否想写 name?"


def test_every_rule_speaks_both_languages() -> None:
    assert len({rule.code for rule in RULES}) == len(RULES) > 20
    assert all(rule.en and rule.zh and bool(rule.hint_en) is bool(rule.hint_zh) for rule in RULES)


@pytest.mark.parametrize(
    ("source", "expect", "code"),
    [
        ("number", Type(Base.BOOLEAN), "EXPR_RESULT"),
        ("price", Type(Base.DECIMAL, scale=2), "EXPR_RESULT_NULL"),
        ("null", Type(Base.TEXT), "EXPR_RESULT_NULL"),
        ("qty * qty", Type(Base.DECIMAL, scale=4), "EXPR_RESULT_SCALE"),
        ("'opne'", Type(Base.TEXT, codes=("open",)), "EXPR_UNKNOWN_CODE"),
        ("item", Type(Base.RECORD, entities=("lot",)), "EXPR_RESULT"),
    ],
)
def test_the_expected_type(source: str, expect: Type, code: str) -> None:
    assert codes(source, expect=expect) == [code]


def test_expected_types_that_fit() -> None:
    assert codes("flag", expect=Type(Base.BOOLEAN)) == []
    assert codes("pieces", expect=Type(Base.DECIMAL, scale=2)) == []
    assert codes("item.id", expect=Type(Base.RECORD, entities=("item",))) == []
    assert codes("null", expect=Type(Base.TEXT, nullable=True)) == []
    assert codes("['A']", expect=Type(Base.LIST, element=Type(Base.TEXT, codes=("A", "B")))) == []
    assert codes("['C']", expect=Type(Base.LIST, element=Type(Base.TEXT, codes=("A", "B")))) == ["EXPR_UNKNOWN_CODE"]


def test_without_a_record() -> None:
    assert codes("user.name == 'x' && now > datetime('2026-01-01T00:00:00Z')", entity=None) == []
    assert codes("qty > 1", entity=None) == ["EXPR_UNKNOWN_NAME"]
    assert codes("old.qty > 1", entity=None) == ["EXPR_NO_RECORD"]
    assert codes("old.qty > 1", old=False) == ["EXPR_NO_OLD"]


@pytest.mark.parametrize(
    ("source", "reads", "local"),
    [
        ("qty > pieces", {("qty",), ("pieces",)}, True),
        ("item == parent.item", {("item",), ("parent", "item")}, False),
        ("size(lots) > 1", {("lots", "id")}, False),
        ("lots.exists(l, l.item.name == number)", {("lots", "id"), ("lots", "item", "name"), ("number",)}, False),
        ("was('held')", {("@entered", "held")}, False),
        (
            "lots.filter(l, l.flag).all(x, x.was('held'))",
            {("lots", "id"), ("lots", "flag"), ("lots", "@entered", "held")},
            False,
        ),
        ("old.qty != qty && user.name == 'a'", {("qty",)}, True),
        ("old.item.name == ''", {("@old", "item", "name")}, False),
    ],
)
def test_what_it_reads(source: str, reads: set[tuple[str, ...]], local: bool) -> None:
    found = checked(source)
    assert set(found.reads) == reads
    assert found.local is local


def test_where_it_runs() -> None:
    assert checked("state == 'open' && flag").runs_in == {"memory", "sql", "browser"}
    assert checked("qty > 1 + 1").runs_in == {"memory", "sql"}
    assert checked("number.matches('^L')").runs_in == {"memory"}
    assert checked("lots.map(l, l.number)").runs_in == {"memory"}
    assert checked("number in lots.map(l, l.number)").runs_in == {"memory", "sql"}
    assert checked("old.lots.exists(l, l.flag)").runs_in == {"memory"}
    assert checked("old == null || lots.exists(l, l.flag)").uses == {"old"}


def test_an_extended_registry_adds_a_function() -> None:
    from tests.unit.expressions.shop import NOW, lot

    from clew.expressions.builtin import BUILTIN, TEXT
    from clew.expressions.functions import Signature
    from clew.expressions.interpret import evaluate

    shout = Signature("shout", (TEXT,), Type(Base.TEXT), lambda text: text + "!")
    more = BUILTIN.extended([shout])
    assert evaluate(check("number.shout()", Shop(), "lot", functions=more), lot(), now=NOW) == "L-1!"
    assert codes("number.shout()") == ["EXPR_UNKNOWN_FUNCTION"]
    with pytest.raises(ValueError, match="exists already"):
        more.extended([shout])
