"""What one definition demands less than another: each way to demand less is told, and nothing that demands as much."""

from __future__ import annotations

import pytest
from tests.unit.process.play import workflow

from clew.process.errors import BadStepMapping
from clew.process.loosening import loosened
from clew.process.migration import Mapped

BASE = """\
  ask: {who: clerk}
  look:
    who: {role: [boss, head]}
    outcomes: {good: {}, bad: {against: true}}
    within: 4 h
    must_output: [title]
    output: [title, verdict]
    then: {good: tell, bad: ask}
  tell: {countersign: {posts: [p0, p1, p2], enough: 2}, then: {approve: sign, reject: ask}}
  sign: {any_sign: {posts: [p0, p1]}, sign: approval, then: last}
  last: {who: clerk}
  also: {who: clerk, then: done}
  done: {end: good}
"""
LESS = [
    ("who: {role: [boss, head]}", "who: {role: [boss, clerk]}", "look: others are asked"),
    ("who: {role: [boss, head]}", "who: starter", "look: others are asked"),
    ("bad: {against: true}", "bad: {}", "look: bad is no vote against any more"),
    ("then: {good: tell, bad: ask}", "then: {good: tell, bad: last}", "look: another way after bad"),
    ("then: {approve: sign, reject: ask}", "then: {approve: sign, reject: last}", "tell: another way after reject"),
    ("within: 4 h", "within: 4 h\n    when_late: last", "look: it goes on by itself when it is late"),
    ("posts: [p0, p1, p2], enough: 2", "posts: [p0, p1, p2, p3], enough: 2", "tell: fewer votes"),
    ("posts: [p0, p1, p2], enough: 2", "posts: [p0, p1, p2], enough: 1", "tell: fewer votes"),
    ("posts: [p0, p1]}", "posts: [p0, p1, clerk]}", "sign: fewer votes"),
    ("  also: {who: clerk, then: done}\n", "", "also: the step is gone"),
]
AS_MUCH = [
    ("who: {role: [boss, head]}", "who: {role: boss}"),
    ("who: {role: [boss, head]}", "who: {role: [head, boss], least_loaded: true}"),
    ("posts: [p0, p1, p2], enough: 2", "posts: [p0, p1, p2, p3], enough: 3"),
    ("posts: [p0, p1, p2], enough: 2", "posts: [p0, p1, p2]"),
    ("posts: [p0, p1]}", "posts: [p0]}"),
    ("within: 4 h", "within: 2 h"),
    ("then: {good: tell, bad: ask}", "then: {good: more, bad: ask}\n  more: {who: boss, then: tell}"),
]


def told(before: str, after: str) -> list[str]:
    old, new = workflow(before), workflow(after)
    return [each.en for each in loosened(old, new, Mapped(old, new, {}))]


@pytest.mark.parametrize(("was", "now", "said"), LESS)
def test_what_is_demanded_less_is_told(was: str, now: str, said: str) -> None:
    assert was in BASE
    assert said in told(BASE, BASE.replace(was, now))


@pytest.mark.parametrize(("was", "now"), AS_MUCH)
def test_what_is_demanded_as_much_is_not(was: str, now: str) -> None:
    assert was in BASE
    assert told(BASE, BASE.replace(was, now)) == []


def test_what_a_cancellation_would_do_is_told() -> None:
    """Whoever moves an instance also moves what happens when it is cancelled later."""
    undo = "on_cancel: [{set: {title: \"'dropped'\"}}]\n"
    plain, undone = workflow(BASE), workflow(BASE, also=undo)
    for one, other in ((plain, undone), (undone, plain), (undone, workflow(BASE, also=undo.replace("dropped", "x")))):
        assert [each.en for each in loosened(one, other, Mapped(one, other, {}))] == [
            "a cancellation would do something else"
        ]
    assert loosened(undone, workflow(BASE, also=f"# the same\n{undo}"), Mapped(undone, undone, {})) == ()
    act = "  act: {do: [{set: {title: \"'a'\"}}], compensate: [{set: {title: \"'b'\"}}]}\n"
    one, other = (BASE.replace("  look:", f"{each}  look:") for each in (act, act.replace("'b'", "'c'")))
    assert told(one, other) == ["act: a cancellation would undo it otherwise"]


def test_a_step_that_is_still_there_is_not_made_another() -> None:
    """Nobody maps an approval away that the new definition has as well; two that changed their names are exchanged."""
    old = workflow(BASE)
    new = workflow(
        BASE.replace("sign: approval, then: last}\n", "sign: approval, then: inform}\n  inform: {who: clerk}\n")
    )
    with pytest.raises(BadStepMapping):
        Mapped(old, new, {"look": "inform"})
    Mapped(old, new, {"look": "tell", "tell": "look"})
