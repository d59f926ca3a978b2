"""Whether an instance can go on by another definition; and that it does, when it can."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.process.play import Play, check, workflow
from tests.unit.process.test_machine_random import PEOPLE, definition, flow, played

from clew.process.errors import BadStepMapping
from clew.process.migration import Verdict, verdict
from clew.process.state import State, Subject
from clew.process.words import Actor, Cancel, Facts, TimerFired
from clew.testing.plugin import Tier

OLD = """\
  ask: {who: clerk}
  look: {who: head, not_same_person_as: [ask], within: 2 wh, when_late: ask}
  vote: {countersign: {posts: [quality, law]}, then: {reject: ask}}
  tell: {who: clerk}
"""


def at(steps: str, *doers: str) -> Play:
    """An instance after these people did their step."""
    run = Play(workflow(steps), PEOPLE)
    for person in doers:
        run.decide(person, "approve" if run.at() == ["vote"] else "done")
    return run


def said(run: Play, steps: str, **mapping: str) -> Verdict:
    found = verdict(run.definition, workflow(steps), run.state, mapping)
    if found.state is not None:
        check(workflow(steps), found.state, found.state)
        assert State.from_json(json.loads(json.dumps(found.state.to_json()))) == found.state
    return found


def refused(run: Play, steps: str, **mapping: str) -> str:
    found = said(run, steps, **mapping)
    assert found.state is None
    assert all(each.zh and each.en for each in found.reasons)
    return "; ".join(each.en for each in found.reasons)


def test_a_step_that_is_called_otherwise_goes_on_with_its_tasks_and_timers() -> None:
    run = at(OLD, "ann")
    new = OLD.replace("look", "review").replace("tell", "inform")
    assert "no step look" in refused(run, new)
    found = said(run, new, look="review")
    assert found.state is not None
    assert [(each.step, each.candidates, each.assignee) for each in found.state.tasks.values()][-1] == (
        "review", run.open()[0].candidates, run.open()[0].assignee
    )  # fmt: skip
    assert found.state.timers == run.state.timers
    assert found.state.done == run.state.done
    assert found.missed == ()
    run.definition, run.state = workflow(new), found.state
    run.decide("cid")
    run.decide("dan", "approve")
    run.decide("fay", "approve")
    run.decide("ann")
    assert run.state.status == "ended"


def test_who_did_a_step_stays_kept_apart_under_its_new_name() -> None:
    run = at(OLD, "ann")
    new = OLD.replace("ask", "request")
    assert "others depend on who did it" in refused(run, new)
    found = said(run, new, ask="request")
    assert found.state is not None
    assert [each.step for each in found.state.done] == ["request"]
    bound = OLD.replace("tell: {who: clerk}", "tell: {who: clerk, not_same_person_as: [ask]}")
    assert said(at(OLD, "ann", "cid", "dan", "fay"), bound).state is not None, "bob may still"
    alone = Play(workflow(OLD), {**PEOPLE, "clerk": ("ann",)})
    for person, outcome in (("ann", "done"), ("cid", "done"), ("dan", "approve"), ("fay", "approve")):
        alone.decide(person, outcome)
    assert "took part in what it is kept apart from" in refused(alone, bound)


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (OLD.replace("{countersign: {posts: [quality, law]}, then: {reject: ask}}", "{who: law}"), "was approval"),
        (OLD.replace("posts: [quality, law]", "posts: [quality, law, head]"), "rule of votes differs"),
        (OLD.replace("posts: [quality, law]", "posts: [quality, law], enough: 1"), "rule of votes differs"),
    ],
)  # fmt: skip
def test_votes_that_were_cast_count_by_the_rule_they_were_cast_under(new: str, why: str) -> None:
    assert why in refused(at(OLD, "ann", "cid", "dan"), new)
    assert said(at(OLD, "ann"), new).state is not None, "nobody has been asked yet"


def test_a_time_limit_that_runs_is_not_dropped() -> None:
    run = at(OLD, "ann")
    assert "time limit of look" in refused(run, OLD.replace(", within: 2 wh, when_late: ask", ""))
    assert said(run, OLD.replace("2 wh", "9 wh")).state is not None


def test_a_time_limit_that_is_new_begins_where_it_stands() -> None:
    """Once the step has begun; one that had a limit keeps its own, also when all its timers have rung."""
    plain, alerts = OLD.replace(", within: 2 wh, when_late: ask", ""), ", within: 2 wh, alert: {50%: law, late: head}}"
    limited = plain.replace("[ask]}", "[ask]" + alerts)
    found = said(at(plain, "ann"), limited)
    assert found.state is not None
    (token,) = found.state.tokens
    timers = [(each.token, each.purpose, each.share, each.whom) for each in found.state.timers.values()]
    assert timers == [(token, "alert", 50, "law"), (token, "alert", 100, "head")]
    assert said(at(plain), limited).state.timers == {}, "it is not there yet"  # type: ignore[union-attr]
    rung = at(limited, "ann")
    for number in list(rung.state.timers):
        rung.give(TimerFired(number, rung.now()))
    assert rung.state.timers == {}
    assert said(rung, limited.replace("2 wh", "9 wh")).state.timers == {}  # type: ignore[union-attr]


BRANCHES = """\
  both: {parallel: {a: {one: {who: clerk}}, b: {two: {who: head}}}}
  end_of_it: {who: law}
"""


def test_branches_that_have_begun_are_the_same_ones() -> None:
    run = at(BRANCHES)
    assert "branches differ" in refused(run, BRANCHES.replace("b: {two", "b: {x: {who: law}}, c: {two"))
    moved = said(run, BRANCHES.replace("both", "all_of_it"), both="all_of_it")
    assert moved.state is not None
    assert sorted(each.step for each in moved.state.tokens.values()) == [
        "all_of_it", "all_of_it/a/one", "all_of_it/b/two"
    ]  # fmt: skip
    inside = "  one: {who: clerk}\n  end_of_it: {who: law}\n"
    outside = BRANCHES.replace("{one:", "{other:") + "  one: {who: clerk}\n"
    assert "stands in another flow" in refused(run, outside, **{"both/a/one": "one"})
    assert "no step both" in refused(run, inside)


def test_a_step_of_people_that_it_will_never_do_is_told() -> None:
    new = "  first: {who: law}\n" + OLD.replace("  tell", "  last: {who: law}\n  tell")
    assert said(at(OLD, "ann"), new).missed == ("first",)
    assert said(at(OLD, "ann"), OLD.replace("  tell", "  last: {who: law}\n  tell")).missed == ()


def test_two_steps_do_not_become_one() -> None:
    run = at(OLD, "ann")
    with pytest.raises(BadStepMapping):
        said(run, OLD, ask="tell")
    with pytest.raises(BadStepMapping):
        said(run, OLD, look="nowhere")
    over = at("  ask: {who: clerk}\n", "ann")
    assert "has ended" in refused(over, OLD)
    assert "follows this definition" in refused(run, OLD)


ALTERED = (
    ("who: [clerk", "who: [quality"),
    ("within: 2 wh", "within: 3 wh"),
    ("who: [head", "within: 1 wh, who: [head"),
    ("enough: 1", "enough: 2"),
)


def test_what_has_moved_keeps_every_invariant(tier: Tier) -> None:
    """Generated instances, moved to the same definition renamed and to altered ones, then played on by anybody."""
    seen = {"moved": 0, "altered": 0, "refused": 0}

    @settings(max_examples=tier.count(120, 5_000), deadline=None)
    @given(st.integers(0, 2**32))
    def holds(seed: int) -> None:
        dice = random.Random(seed)
        old = definition(dice)
        if old is None:
            return
        text = "".join(f"  {name}: {{{body}}}\n" for name, body in flow(random.Random(seed), 2, "s").items())
        parts = tuple(Subject("part", f"p{each}") for each in range(dice.randint(0, 3)))
        facts = {
            step.path: Facts(conditions=(dice.random() < 0.5,), elements=parts if step.each else ())
            for _, step in old.walk()
        }
        run = Play(old, PEOPLE, facts, automatic=dice.random() < 0.7)
        list(played(dice, run, 15))
        if not run.state.live:
            return
        altered = text
        for here, there in ALTERED:
            if dice.random() < 0.4:
                altered = altered.replace(here, there, 1)
        try:
            new = workflow(altered + "  added: {who: law}\n")
        except AssertionError:
            return
        found = verdict(old, new, run.state)
        if found.state is None:
            seen["refused"] += 1
            assert found.reasons
            return
        seen["moved"] += 1
        seen["altered"] += altered != text
        check(new, found.state, found.state)
        run.definition, run.state = new, found.state
        list(played(dice, run, 25))
        if run.state.live:
            run.give(Cancel(Actor("ann"), run.now(), "enough"))

    holds()
    assert seen["moved"] > tier.count(120, 5_000) // 8, seen
    assert seen["altered"], seen
