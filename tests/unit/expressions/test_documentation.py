"""The pages about expressions say what is so: every example holds, every function and finding is listed."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from tests.unit.expressions.shop import codes, value

from clew.expressions.builtin import BUILTIN
from clew.expressions.check_calls import MACROS
from clew.expressions.problems import RULES

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ["expressions.md", "expressions.zh.md"]
EXAMPLE = re.compile(r"`([^`]+)` (?:is|等于) `(-?[\d.-]+)`")


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_hold(page: str) -> None:
    examples = EXAMPLE.findall((DOCS / page).read_text(encoding="utf-8"))
    assert len(examples) >= 7
    for source, expected in examples:
        found = value(source)
        assert (found.isoformat() if isinstance(found, date) else f"{found}") == expected, source


@pytest.mark.parametrize("page", PAGES)
def test_the_guards_shown_are_accepted(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    guards = [each for each in re.findall(r"`(price [^`…]+|coalesce\(price[^`]+)`", text) if "+" in each or "*" in each]
    assert len(guards) >= 6
    assert [each for each in guards if codes(each)] == ["price + 1"]


@pytest.mark.parametrize(("page", "locale"), [("expressions.md", "en"), ("expressions.zh.md", "zh")])
def test_every_finding_is_listed(page: str, locale: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for rule in RULES:
        assert f"| `{rule.code}` | {getattr(rule, locale)} |" in text


def test_every_function_is_listed() -> None:
    listed = (DOCS / "yaml.md").read_text(encoding="utf-8").partition("## Expressions")[2]
    for name in {*BUILTIN.by_name, *MACROS, "coalesce"}:
        assert re.search(rf"\b{name}\b", listed), name
