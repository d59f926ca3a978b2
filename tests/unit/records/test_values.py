"""What is accepted for each kind of field, what it becomes, and where the refusal points."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.kernel.diagnostics import Place
from clew.kernel.errors import BadInput
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint, Code, CodeList, Field, FieldKind
from clew.metadata.project import Project
from clew.records.values import AnyRef, Money, coerce, plain

PLACE = Place("m.yaml", 1, 1)
TODAY = date(2026, 3, 1)
CODES = {
    "minor": Code("minor", Bilingual("轻微", "Minor")),
    "late": Code("late", Bilingual("以后", "Later"), valid_from="2027-01-01"),
    "gone": Code("gone", Bilingual("以前", "Before"), valid_to="2025-12-31"),
    "now": Code("now", Bilingual("现在", "Now"), valid_from="2026-03-01", valid_to="2026-03-01"),
}
LIST = CodeList("severity", Bilingual("", ""), MappingProxyType(CODES), PLACE)
EMPTY: Any = MappingProxyType({})
BLUEPRINT = Blueprint(
    Project("p", Bilingual("", ""), "1", "en", PLACE), EMPTY, MappingProxyType({"severity": LIST}), EMPTY, "0", EMPTY
)
ID = UUID("0190c000-0000-7000-8000-00000000000a")


def take(kind: str, value: Any, **options: Any) -> Any:
    field = Field("f", FieldKind(kind), Bilingual("字段", "Field"), PLACE, **options)
    return coerce(field, value, ("input", "f"), BLUEPRINT, TODAY)


@pytest.mark.parametrize(
    ("kind", "value", "becomes", "options"),
    [
        ("text", "Ａ e\u0301", "Ａ é", {}),
        ("text", "123456789012345678", "123456789012345678", {}),
        ("long_text", "a\r\nb\tc", "a\nb\tc", {}),
        ("integer", "42", 42, {}),
        ("integer", 2**40, 2**40, {"big": True}),
        ("decimal", "1.50", Decimal("1.50"), {"scale": 2}),
        ("decimal", 3, Decimal("3.0000"), {"scale": 4}),
        ("decimal", 0.1, Decimal("0.10"), {"scale": 2}),
        ("decimal", "-0", Decimal("0.00"), {"scale": 2}),
        ("decimal", "1e2", Decimal("100"), {"scale": 0}),
        ("money", {"amount": "1.5", "currency": "CNY"}, Money(Decimal("1.50"), "CNY"), {"scale": 2}),
        ("boolean", False, False, {}),
        ("date", "2026-02-28", date(2026, 2, 28), {}),
        ("datetime", "2026-03-01T08:00:00+08:00", datetime(2026, 3, 1, tzinfo=UTC), {}),
        ("duration", "PT1H30M", timedelta(minutes=90), {}),
        ("choice", "minor", "minor", {"code_list": "severity"}),
        ("choice", "now", "now", {"code_list": "severity"}),
        ("choices", ["now", "minor", "now"], ("minor", "now"), {"code_list": "severity"}),
        ("translated", {"zh": "针", "en": None}, {"zh": "针"}, {}),
        ("json", {"a": [1, 0.5]}, {"a": [1, Decimal("0.5")]}, {}),
        ("ref", str(ID), ID, {"targets": ("lot",)}),
        ("any", {"entity": "lot", "id": str(ID)}, AnyRef("lot", ID), {"targets": ("lot", "item")}),
        ("files", [{"name": "a.pdf", "sha256": "0" * 64}], ({"name": "a.pdf", "sha256": "0" * 64},), {}),
    ],
)
def test_accepted(kind: str, value: Any, becomes: Any, options: dict[str, Any]) -> None:
    assert take(kind, value, **options) == becomes
    assert take(kind, None, **options) is None


@pytest.mark.parametrize(
    ("kind", "value", "code", "options"),
    [
        ("text", 5, "VALUE_TYPE", {}),
        ("text", {"$ne": 1}, "VALUE_TYPE", {}),
        ("text", "", "VALUE_TEXT", {}),
        ("text", " a", "VALUE_TEXT", {}),
        ("text", "a\u3000", "VALUE_TEXT", {}),
        ("text", "a\nb", "VALUE_TEXT", {}),
        ("text", "a\x00b", "VALUE_TEXT", {}),
        ("text", "a\u202eb", "VALUE_TEXT", {}),
        ("text", "a\ud800", "VALUE_TEXT", {}),
        ("text", "LOT\u200b1", "VALUE_TEXT", {}),
        ("text", "LOT\u200d1", "VALUE_TEXT", {}),
        ("text", "LOT\u00ad1", "VALUE_TEXT", {}),
        ("text", "LOT\u31641", "VALUE_TEXT", {}),
        ("text", "LOT\U000e00311", "VALUE_TEXT", {}),
        ("long_text", "a\u2066b", "VALUE_TEXT", {}),
        ("long_text", "a\u200bb", "VALUE_TEXT", {}),
        ("text", "abcd", "VALUE_BOUNDS", {"max_length": 3}),
        ("text", "针针针针", "VALUE_BOUNDS", {"max_length": 3}),
        ("text", "a", "VALUE_BOUNDS", {"min_length": 2}),
        ("text", "A1\n", "VALUE_TEXT", {"pattern": "[A-Z][0-9]"}),
        ("text", "A12", "VALUE_PATTERN", {"pattern": "[A-Z][0-9]"}),
        # Matched step by step; with ways back it would take longer than anybody lives.
        ("text", "a" * 60 + "!", "VALUE_PATTERN", {"pattern": "(a+)+"}),
        ("text", "\ufe0f", "VALUE_TEXT", {}),
        ("integer", True, "VALUE_TYPE", {}),
        ("integer", 1.0, "VALUE_TYPE", {}),
        ("integer", "١", "VALUE_TYPE", {}),
        ("integer", 2**31, "VALUE_BOUNDS", {}),
        ("integer", 5, "VALUE_BOUNDS", {"max": Decimal(4)}),
        ("decimal", "1.005", "VALUE_TYPE", {"scale": 2}),
        ("decimal", "NaN", "VALUE_TYPE", {"scale": 2}),
        ("decimal", float("inf"), "VALUE_TYPE", {"scale": 2}),
        ("decimal", "1_0", "VALUE_TYPE", {"scale": 2}),
        ("decimal", "1e999", "VALUE_TYPE", {"scale": 2}),
        ("decimal", "9" * 17, "VALUE_TYPE", {"scale": 2}),
        ("decimal", "0", "VALUE_BOUNDS", {"scale": 2, "min": Decimal("0.01")}),
        ("money", {"amount": "1"}, "VALUE_TYPE", {"scale": 2}),
        ("money", {"amount": "1", "currency": "yuan"}, "VALUE_TYPE", {"scale": 2}),
        ("boolean", 1, "VALUE_TYPE", {}),
        ("boolean", "true", "VALUE_TYPE", {}),
        ("date", "2026-02-30", "VALUE_TYPE", {}),
        ("date", "20260228", "VALUE_TYPE", {}),
        ("datetime", "2026-03-01T08:00:00", "VALUE_TYPE", {}),
        ("duration", "P1D", "VALUE_TYPE", {}),
        ("choice", "late", "UNKNOWN_CODE", {"code_list": "severity"}),
        ("choice", "gone", "UNKNOWN_CODE", {"code_list": "severity"}),
        ("choice", "minro", "UNKNOWN_CODE", {"code_list": "severity"}),
        ("choices", "minor", "VALUE_TYPE", {"code_list": "severity"}),
        ("choices", ["minor", "now"], "VALUE_BOUNDS", {"code_list": "severity", "max": Decimal(1)}),
        ("translated", {"fr": "x"}, "VALUE_TYPE", {}),
        ("translated", {}, "VALUE_TYPE", {}),
        ("json", {"a": 1}, "VALUE_JSON", {"schema": {"type": "object", "additionalProperties": False}}),
        ("json", {"a": float("nan")}, "VALUE_TYPE", {}),
        ("ref", "7", "VALUE_TYPE", {"targets": ("lot",)}),
        ("ref", ID.hex, "VALUE_TYPE", {"targets": ("lot",)}),
        ("any", {"entity": "user", "id": str(ID)}, "VALUE_TYPE", {"targets": ("lot", "item")}),
        ("files", [{"name": "../a", "sha256": "0" * 64}], "VALUE_TEXT", {}),
        ("files", [{"name": "a", "sha256": "xyz"}], "VALUE_TYPE", {}),
    ],
)
def test_refused_with_code_and_place(kind: str, value: Any, code: str, options: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as refused:
        take(kind, value, **options)
    assert refused.value.code == code
    assert refused.value.path[:2] == ("input", "f")
    assert refused.value.message("zh") != refused.value.message("en")
    assert "{" not in refused.value.message("en").replace("{zh, en}", "").replace("{amount, currency}", "").replace(
        "{entity, id}", ""
    ).replace("{name, sha256}", "")


@given(st.text(max_size=30))
def test_text_that_passes_is_stable_and_clean(text: str) -> None:
    try:
        taken = take("text", text)
    except BadInput:
        return
    assert take("text", taken) == taken
    assert taken == taken.strip()
    assert not set(taken) & set("\x00\n\r\t\u202e\u2066\ufeff")


def test_deep_json_is_bounded() -> None:
    value: Any = 1
    for _ in range(5000):
        value = [value]
    with pytest.raises(BadInput):
        take("json", value)


def test_plain_forms() -> None:
    assert plain(Money(Decimal("1.50"), "CNY")) == {"amount": Decimal("1.50"), "currency": "CNY"}
    assert plain(AnyRef("lot", ID)) == {"entity": "lot", "id": ID}
    assert plain(({"a": (1,)},)) == [{"a": [1]}]
