"""Conditions as sentences: everything the language has can be said in Chinese and English, and is said rightly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from clew.access.review.function_words import CALLS, FACTS, ROLE_FACTS
from clew.access.review.words import any_in_words, in_words
from clew.expressions.builtin import BUILTIN
from clew.expressions.check import check
from clew.expressions.tree import USER_MEMBERS, Base, Checked, Type
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_folder
from clew.metadata.schema import BlueprintSchema

ROOT = Path(__file__).parents[3]
MINI = ROOT / "tests" / "projects" / "mini"
CHINESE = re.compile(r"[一-鿿]")


@pytest.fixture(scope="module")
def mini() -> Blueprint:
    found = load_folder(MINI).blueprint
    assert found is not None
    return found


def condition(blueprint: Blueprint, text: str, entity: str = "lot") -> Checked:
    return check(text, BlueprintSchema.of(blueprint), entity, expect=Type(Base.BOOLEAN), old=True)


@pytest.mark.parametrize(
    ("text", "zh", "en"),
    [
        ("state == 'released'", "状态为“已放行”", 'state is "Released"'),
        ("state != 'released'", "状态不是“已放行”", 'state is not "Released"'),
        ("!(state in ['released', 'rejected'])", None, 'state is not "Released" or "Rejected"'),
        ("qty > 5 && expired", None, "qty is more than 5, and expired is yes"),
        ("qty > 5 || (expired && qty < 2)", None, "qty is more than 5, or (expired is yes, and qty is less than 2)"),
        ("!expired", None, "expired is no"),
        ("!(qty > 5)", None, "qty is at most 5"),
        ("exp_on == null", None, "exp on is empty"),
        ("exp_on <= today", None, "exp on is not after today"),
        ("created_by != user.id", "创建人不是本人", "created by is not the person"),
        ("site in user.sites", "场所属于本人的场所", "site is one of the person's sites"),
        ("item.item_no == 'A'", None, 'item number of item is "A"'),
        ("id == item.id", None, "this record is item"),
        ("old.qty < qty", None, "earlier qty is less than qty"),
        ("parents.exists(p, p.qty > 3)", None, "at least one of parents has (qty is more than 3)"),
        ("parents.exists(p, p.item == item)", None, "at least one of parents has (item is item of this record)"),
        ("parents.all(p, p.id != id)", None, "every one of parents has (it is not this record)"),
        ("size(parents) > 1", None, "the number of parents is more than 1"),
        ("size(item.item_no) > 1", None, "the length of item number of item is more than 1"),
        ("item.lots.exists(l, l.was('released'))", None, None),
        ("qty > 3 ? expired : exp_on == null", None, None),
    ],
)
def test_a_condition_is_said_in_the_words_of_the_project(
    mini: Blueprint, text: str, zh: str | None, en: str | None
) -> None:
    said = in_words(mini, condition(mini, text))
    assert zh is None or said.zh == zh
    assert en is None or said.en == en
    assert CHINESE.search(said.zh)
    assert not CHINESE.search(said.en)
    assert "{" not in said.zh + said.en


def test_any_of_several_conditions(mini: Blueprint) -> None:
    one, other = condition(mini, "qty > 1"), condition(mini, "expired")
    assert any_in_words(mini, ()).en == "never"
    assert any_in_words(mini, (None, one)) == in_words(mini, None)
    assert any_in_words(mini, (one, other, one)).en == "qty is more than 1; or expired is yes"


def test_every_function_and_every_fact_of_the_person_has_words() -> None:
    assert set(BUILTIN.by_name) - set(CALLS) == set()
    assert set(USER_MEMBERS) - set(FACTS) == set()
    assert set(ROLE_FACTS) <= set(FACTS)
    for name, signatures in BUILTIN.by_name.items():
        for each in signatures:
            holes = ["{}"] * len(each.parameters)
            for text in (CALLS[name].zh, CALLS[name].en):
                assert text.format(*[f"<{at}>" for at in range(len(holes))]), (name, text)


def conditions(blueprint: Blueprint) -> Iterator[Checked]:
    for entity in blueprint.entities.values():
        yield from (rule.condition for rule in entity.rules)
        yield from (move.when for move in entity.transitions.values() if move.when)
    if blueprint.policies is None:
        return
    for role in blueprint.policies.roles.values():
        for grants in (*role.may.values(), *role.never.values()):
            for clauses in (*grants.actions.values(), *grants.mask.values()):
                yield from (each.condition for each in clauses if each.condition)


@pytest.mark.parametrize("folder", [MINI, ROOT])
def test_every_condition_of_the_pack_can_be_said(folder: Path) -> None:
    blueprint = load_folder(folder).blueprint
    assert blueprint is not None
    said = 0
    for each in conditions(blueprint):
        words = in_words(blueprint, each)
        said += 1
        for text in (words.zh, words.en):
            assert text, each.source
            assert not re.search(r"[{][}]|\bNone\b|<", text), (each.source, text)
        assert CHINESE.search(words.zh), each.source
    assert said > 4
