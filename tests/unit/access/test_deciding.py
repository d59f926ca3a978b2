"""Decisions are made of answers that are worked out when somebody asks, or before anybody does."""

from __future__ import annotations

from uuid import UUID

from tests.unit.access.policy_world import person, project

from clew.access.deciding import Deciding
from clew.access.lazily import Lazily
from clew.kernel.context import Context

OPERATOR = UUID(int=77)
READER = "role: reader\nlabel: {zh: 读, en: Reader}\nmay: {thing: {read: a, mask: {x: b}}, site: {read: always}}\n"
WRITER = (
    "role: writer\nlabel: {zh: 写, en: Writer}\nmay: {thing: {read: always, update: c}}\nnever: {thing: {update: d}}\n"
)


def test_a_value_is_made_once_and_only_when_asked_for() -> None:
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return name.upper()

    found = Lazily(("a", "b"), make)
    assert (list(found), len(found), "c" in found, found.get("c", "none")) == (["a", "b"], 2, False, "none")
    assert made == []
    assert (found["a"], found.get("a"), made) == ("A", "A", ["a"])
    assert found == {"a": "A", "b": "B"}


def test_a_request_works_out_what_it_asks_about_and_nothing_else() -> None:
    deciding = Deciding(project(READER, WRITER), OPERATOR)
    decision = deciding(Context(person("reader", "writer"), "r"))
    judgement = deciding.judgement
    assert judgement is not None
    assert judgement._asked == {}
    assert decision.on("thing").update.allowed
    assert set(judgement._asked) == {"thing"}


def test_what_was_worked_out_before_is_the_same_and_asks_nothing_more() -> None:
    blueprint, who = project(READER, WRITER), Context(person("reader", "writer"), "r")
    asked, warm = Deciding(blueprint, OPERATOR), Deciding(blueprint, OPERATOR)
    asked(who)
    for step in warm.warming(asked.kept):
        step()
    assert warm.kept == asked.kept
    assert warm.judgement is not None
    known = dict(warm.judgement._verdicts)
    assert warm(who) == asked(who)
    assert warm.judgement._verdicts == known


def test_roles_that_are_gone_are_not_expected() -> None:
    before, after = Deciding(project(READER, WRITER), OPERATOR), Deciding(project(READER), OPERATOR)
    before(Context(person("reader"), "r"))
    before(Context(person("reader", "writer"), "r"))
    for step in after.warming(before.kept):
        step()
    assert [{each.role for each in roles} for roles in after.kept] == [{"reader"}]
