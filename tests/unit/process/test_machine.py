"""The machine, journey by journey: approvals of every kind, sending back, taking back, branches, clocks, endings."""

from __future__ import annotations

import json

import pytest
from tests.unit.process.play import Play, workflow

from clew.process.errors import UrgedAlready
from clew.process.history import kept
from clew.process.state import State, Subject
from clew.process.words import (
    ActionFailed,
    Actor,
    AddSigner,
    Cancel,
    ChildEnded,
    Claim,
    Compensate,
    Copy,
    Decide,
    Ended,
    EventArrived,
    Facts,
    Moment,
    Reoffer,
    Resume,
    RetryIncident,
    SendBack,
    StartChild,
    Suspend,
    Tell,
    TimerFired,
    Transfer,
    Unclaim,
    Urge,
    Withdraw,
)

PEOPLE = {
    "clerk": ("ann", "bob"),
    "head": ("cid",),
    "quality": ("dan", "eve"),
    "law": ("fay",),
    "money": ("gus",),
    "boss": ("hal",),
}
TWO = """\
  fill: {who: clerk}
  look: {who: head, outcomes: {pass: {}, fail: {against: true}}, then: {fail: fill}}
"""
BOARD = """\
  ask:
    %s: {posts: [quality, law, money]%s}
    then: {approve: good, reject: bad}
  good: {end: good}
  bad: {end: bad}
"""


def play(steps: str, **facts: Facts) -> Play:
    return Play(workflow(steps), PEOPLE, dict(facts))


def moments(run: Play) -> list[tuple[str, str]]:
    return [(each.step, each.moment) for each in run.effects if isinstance(each, Moment)]


def test_a_plain_journey() -> None:
    run = play(TWO)
    assert run.at() == ["fill"]
    run.decide("ann")
    assert run.at() == ["look"]
    run.decide("cid", "pass")
    assert (run.state.status, run.state.outcome) == ("ended", "pass")
    assert moments(run) == [("fill", "started"), ("fill", "done"), ("look", "started"), ("look", "pass")]


def test_a_decision_against_goes_where_it_says_and_keeps_earlier_rounds() -> None:
    run = play(TWO)
    run.decide("ann")
    run.decide("cid", "fail")
    assert run.at() == ["fill"]
    run.decide("bob")
    run.decide("cid", "pass")
    assert [(each.step, each.round, each.outcome) for each in run.state.done] == [
        ("fill", 1, "done"),
        ("look", 1, "fail"),
        ("fill", 2, "done"),
        ("look", 2, "pass"),
    ]


# ── taking and giving ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_group_task_is_claimed_by_one() -> None:
    run = play(TWO)
    task = run.open()[0]
    run.give(Claim(task.id, Actor("ann"), "t"))
    run.give(Claim(task.id, Actor("ann"), "t"))
    assert run.refused(Claim(task.id, Actor("bob"), "t")) == "TASK_TAKEN"
    assert run.refused(Decide(task.id, "done", Actor("bob"), "t")) == "TASK_TAKEN"
    assert run.refused(Decide(task.id, "done", Actor("cid"), "t")) == "NOT_YOUR_TASK"
    run.give(Unclaim(task.id, Actor("ann"), "t"))
    run.give(Decide(task.id, "done", Actor("bob"), "t"))
    assert run.refused(Decide(task.id, "done", Actor("ann"), "t")) == "TASK_GONE"


def test_a_task_is_transferred_or_delegated_only_to_who_could_do_it() -> None:
    run = play(TWO)
    task = run.open()[0]
    assert run.refused(Transfer(task.id, "hal", Actor("ann"), "t")) == "NOT_ELIGIBLE"
    run.give(Transfer(task.id, "bob", Actor("ann"), "t", delegated=True))
    assert run.refused(Decide(task.id, "done", Actor("ann"), "t")) == "NOT_YOUR_TASK"
    run.give(Decide(task.id, "done", Actor("bob"), "t"))
    assert run.state.done[0].actors == ("bob", "ann"), "who delegated stays answerable"


def test_outcomes_and_comments_are_checked() -> None:
    run = play(
        "  fill: {who: clerk, outcomes: {ok: {}, no_way: {against: true, comment: required}}, then: {no_way: fill}}\n"
    )
    task = run.open()[0]
    assert run.refused(Decide(task.id, "done", Actor("ann"), "t")) == "UNKNOWN_OUTCOME"
    assert run.refused(Decide(task.id, "no_way", Actor("ann"), "t", "  ")) == "COMMENT_REQUIRED"
    run.give(Decide(task.id, "no_way", Actor("ann"), "t", "missing"))
    assert run.state.tokens[1].reason == "missing"


def test_separation_from_earlier_actors() -> None:
    run = play("  fill: {who: clerk}\n  check: {who: [clerk, head], not_same_person_as: [fill, starter]}\n")
    run.decide("ann")
    assert run.open()[0].candidates == ("bob", "cid")
    task = run.open()[0]
    assert run.refused(Decide(task.id, "done", Actor("ann"), "t")) == "NOT_YOUR_TASK"
    assert run.refused(Decide(task.id, "done", Actor("ann", "bob"), "t")) == "SAME_PERSON"
    assert run.refused(Decide(task.id, "done", Actor("bob", "ann"), "t")) == "SAME_PERSON"
    run.decide("bob")


def test_what_is_done_for_somebody_counts_as_theirs_whichever_comes_first() -> None:
    """A vote given away stays the duty of the one who gave it: they cast no other, before it or after it."""
    people = {**PEOPLE, "law": ("fay", "dan"), "quality": ("dan", "eve")}
    for first, second in (("dan", "eve"), ("eve", "dan")):
        run = Play(workflow(BOARD % ("countersign", "")), people)
        seats = {each.post: each.id for each in run.open()}
        run.give(Transfer(seats["quality"], "eve", Actor("dan"), "t", delegated=True))
        vote = {"dan": Decide(seats["law"], "approve", Actor("dan"), "t"),
                "eve": Decide(seats["quality"], "approve", Actor("eve"), "t")}  # fmt: skip
        run.give(vote[first])
        assert run.refused(vote[second]) == "SAME_PERSON"


def test_posts_that_the_same_few_people_hold_are_an_incident() -> None:
    """One person votes once, so posts that only they hold could never all be filled: that is told when it opens."""
    asked: list[tuple[dict[str, tuple[str, ...]], str, list[str]]] = [
        ({"quality": ("dan",), "law": ("dan",)}, "", ["ask: law"]),
        ({"quality": ("dan", "eve"), "law": ("dan", "eve"), "money": ("dan", "eve")}, "", ["ask: money"]),
        ({"quality": ("dan", "eve"), "law": ("dan",)}, "", []),
        ({"quality": ("dan",), "law": ("dan",)}, ", enough: 2", []),
        ({"quality": ("dan",), "law": ("dan",)}, ", enough: 2, must: [law, quality]", ["ask: law"]),
    ]
    for held, more, incidents in asked:
        run = Play(workflow(BOARD % ("countersign", more)), {**PEOPLE, **held})
        assert [each.detail for each in run.state.incidents.values()] == incidents


def test_who_had_a_part_in_a_step_is_known_however_it_ended() -> None:
    """A vote cast before the time was up, or before another sent the case back, keeps its voter from checking it."""
    steps = """\
  fill: {who: clerk}
  ask: {countersign: {posts: [quality, law]}, within: 4 wh, when_late: check, then: {approve: check, reject: fill}}
  check: {who: [quality, head], not_same_person_as: [ask]}
"""
    late = play(steps)
    late.decide("ann")
    late.decide("dan", "approve")
    timer = next(each for each in late.state.timers.values() if each.purpose == "late")
    late.give(TimerFired(timer.id, "t"))
    assert late.open()[0].candidates == ("eve", "cid")
    back = play(steps)
    back.decide("ann")
    back.decide("dan", "approve")
    back.give(SendBack(back.task_of("fay").id, "fill", True, Actor("fay"), "t", "no"))
    assert back.state.done[-1].actors == ("fay", "dan")


def test_what_stood_in_the_way_of_a_step_does_not_follow_the_case() -> None:
    """Nobody is left to do a step, its time is up, the next one waits for its guard: it goes on waiting for that."""
    steps = "  fill: {who: clerk, within: 4 wh, when_late: look}\n  look: {who: head, entry: {when: serious}}\n"
    run = play(steps, look=Facts(entry=False))
    run.people = {**PEOPLE, "clerk": ()}
    run.give(Reoffer(1, "t"))
    late = next(each for each in run.state.timers.values() if each.purpose == "late")
    run.give(TimerFired(late.id, "t"))
    assert [each.kind for each in run.state.incidents.values()] == ["entry"]
    run.give(Reoffer(1, "t"))
    assert run.state.tokens[1].status == "blocked"


def test_nobody_to_ask_is_an_incident_and_never_a_skip() -> None:
    """Threat 40: a missing assignee."""
    run = play("  fill: {who: head}\n  check: {who: head, not_same_person_as: [fill]}\n")
    run.decide("cid")
    assert run.state.status == "running"
    assert [each.kind for each in run.state.incidents.values()] == ["nobody"]
    assert not run.open()
    incident = next(iter(run.state.incidents))
    run.give(RetryIncident(incident, Actor("hal"), "t", "mended"))
    assert [each.kind for each in run.state.incidents.values()] == ["nobody"]
    run.people = {**PEOPLE, "head": ("cid", "kim")}
    run.give(RetryIncident(next(iter(run.state.incidents)), Actor("hal"), "t", "mended"))
    assert run.open()[0].candidates == ("kim",)
    assert run.refused(RetryIncident(incident, Actor("hal"), "t", "mended")) == "NO_SUCH_INCIDENT"


# ── approvals ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_countersign_needs_everybody() -> None:
    run = play(BOARD % ("countersign", ""))
    assert len(run.open()) == 3
    run.decide("dan", "approve")
    run.decide("fay", "approve")
    assert run.state.status == "running"
    run.decide("gus", "approve")
    assert run.state.outcome == "good"
    refusing = play(BOARD % ("countersign", ""))
    refusing.decide("fay", "reject")
    assert refusing.state.outcome == "bad", "one refusal of three who all must agree decides"


def test_any_sign_needs_one() -> None:
    run = play(BOARD % ("any_sign", ""))
    assert len(run.open()) == 1
    run.decide("gus", "approve")
    assert run.state.outcome == "good"


def test_one_by_one_asks_in_order() -> None:
    run = play(BOARD % ("one_by_one", ""))
    assert [each.post for each in run.open()] == ["quality"]
    held = next(each for each in run.state.tasks.values() if each.post == "law")
    assert run.refused(Decide(held.id, "approve", Actor("fay"), "t")) == "TASK_HELD"
    run.decide("eve", "approve")
    run.decide("fay", "approve")
    assert [each.post for each in run.open()] == ["money"]
    run.decide("gus", "reject")
    assert run.state.outcome == "bad"


@pytest.mark.parametrize(
    ("more", "votes", "outcome"),
    [
        (", enough: 2", [("dan", "approve"), ("fay", "approve")], "good"),
        (", enough: 2", [("dan", "reject"), ("fay", "approve")], ""),
        (", enough: 2", [("dan", "reject"), ("fay", "approve"), ("gus", "approve")], "good"),
        (", enough: 2", [("dan", "reject"), ("fay", "reject")], "bad"),
        (", enough: 67%", [("dan", "approve"), ("fay", "approve")], ""),
        (", enough: 66%", [("dan", "approve"), ("fay", "approve")], "good"),
        (", enough: 1, must: [law]", [("dan", "approve")], ""),
        (", enough: 1, must: [law]", [("dan", "approve"), ("fay", "approve")], "good"),
        (", enough: 1, must: [law]", [("dan", "approve"), ("fay", "reject")], "bad"),
        (", enough: 2, veto: [money]", [("gus", "reject")], "bad"),
    ],
)
def test_quorums(more: str, votes: list[tuple[str, str]], outcome: str) -> None:
    run = play(BOARD % ("countersign", more))
    for person, vote in votes:
        run.decide(person, vote)
    assert run.state.outcome == outcome


def test_a_quorum_by_expression_and_everybody_when_it_is_serious() -> None:
    steps = BOARD % ("countersign", ', enough: "serious ? 2 : 1", all_when: "title == null"')
    run = play(steps, ask=Facts(enough=1))
    run.decide("dan", "approve")
    assert run.state.outcome == "good"
    grave = play(steps, ask=Facts(enough=1, all_agree=True))
    grave.decide("dan", "approve")
    grave.decide("fay", "approve")
    assert grave.state.status == "running"


def test_further_posts_by_condition() -> None:
    steps = BOARD % ("countersign", ', also: {boss: "serious"}')
    assert [each.post for each in play(steps).open()] == ["quality", "law", "money"]
    assert [each.post for each in play(steps, ask=Facts(also=frozenset({"boss"}))).open()][-1] == "boss"


def test_nobody_votes_twice_and_whoever_agreed_may_be_spared() -> None:
    people = {**PEOPLE, "law": ("dan", "fay")}
    strict = Play(workflow(BOARD % ("countersign", "")), people)
    strict.decide("dan", "approve")
    seat = next(each for each in strict.open() if each.post == "law")
    assert strict.refused(Decide(seat.id, "approve", Actor("dan"), "t")) == "SAME_PERSON"
    spared = Play(workflow(BOARD % ("countersign", ", once: true")), people)
    spared.decide("dan", "approve")
    assert [each.post for each in spared.open()] == ["money"]
    assert [each.auto for each in spared.state.tasks.values()] == [False, True, False]


def test_the_board_chooses_a_value() -> None:
    steps = """\
  ask:
    countersign: {posts: [quality, law, money], enough: 2}
    choose: verdict
    outcomes: {again: {against: true}}
    then: {any: good, again: bad}
  good: {end: good}
  bad: {end: bad}
"""
    run = play(steps)
    run.decide("dan", "keep")
    run.decide("fay", "scrap")
    assert run.state.status == "running"
    run.decide("gus", "scrap")
    assert ("ask", "scrap") in moments(run)
    split = play(steps)
    for person, vote in (("dan", "keep"), ("fay", "scrap"), ("gus", "again")):
        split.decide(person, vote)
    assert split.state.outcome == "bad", "no value has two votes"


def test_a_signer_added_before_and_after() -> None:
    """加签: an added signer's agreement is needed, whatever the quorum."""
    run = play(BOARD % ("countersign", ", enough: 2"))
    run.give(AddSigner(run.task_of("fay").id, "hal", "before", Actor("fay"), "t", "please look"))
    assert run.refused(Decide(2 + 1, "approve", Actor("fay"), "t")) == "TASK_HELD"
    run.decide("hal", "approve")
    run.decide("fay", "approve")
    assert run.state.status == "running"
    run.decide("gus", "approve")
    assert run.state.outcome == "good"
    after = play(BOARD % ("countersign", ", enough: 1"))
    after.give(AddSigner(after.task_of("fay").id, "hal", "after", Actor("fay"), "t"))
    assert after.refused(AddSigner(after.task_of("fay").id, "hal", "after", Actor("fay"), "t")) == "NOT_ELIGIBLE"
    after.decide("fay", "approve")
    assert after.state.status == "running"
    after.decide("hal", "reject")
    assert after.state.outcome == "bad"


# ── back ──────────────────────────────────────────────────────────────────────────────────────────────────────────

THREE = "  fill: {who: clerk}\n  look: {who: head}\n  decide_it: {who: boss}\n"


def at_the_third() -> Play:
    run = play(THREE)
    run.decide("ann")
    run.decide("cid")
    return run


def test_sent_back_step_by_step_and_straight() -> None:
    """退回."""
    run = at_the_third()
    task = run.open()[0]
    assert run.refused(SendBack(task.id, "decide_it", False, Actor("hal"), "t", "no")) == "NO_WAY_BACK"
    assert run.refused(SendBack(task.id, "fill", False, Actor("hal"), "t", " ")) == "COMMENT_REQUIRED"
    run.give(SendBack(task.id, "fill", False, Actor("hal"), "t", "wrong lot"))
    run.decide("ann")
    assert run.at() == ["look"]
    run.decide("cid")
    run.give(SendBack(run.open()[0].id, "fill", True, Actor("hal"), "t", "still wrong"))
    assert run.state.tokens[1].reason == "still wrong"
    run.decide("bob")
    assert run.at() == ["decide_it"], "straight back to who sent it"
    run.decide("hal")
    assert [each.outcome for each in run.state.done].count("returned") == 2
    assert [each.round for each in run.state.done if each.step == "fill"] == [1, 2, 3]


def test_straight_back_is_not_past_a_signature() -> None:
    """What was signed is reworked: whoever signed it is asked anew."""
    run = play(THREE.replace("{who: head}", "{who: head, sign: approval}"))
    run.decide("ann")
    run.decide("cid")
    run.give(SendBack(run.open()[0].id, "fill", True, Actor("hal"), "t", "wrong lot"))
    run.decide("ann")
    assert run.at() == ["look"]


def test_only_steps_it_names_take_it_back() -> None:
    run = play(THREE.replace("{who: boss}", "{who: boss, returns_to: [look]}"))
    run.decide("ann")
    run.decide("cid")
    task = run.open()[0]
    assert run.refused(SendBack(task.id, "fill", False, Actor("hal"), "t", "no")) == "NO_WAY_BACK"
    run.give(SendBack(task.id, "look", False, Actor("hal"), "t", "no"))
    assert run.at() == ["look"]


def test_withdrawn_while_nobody_has_touched_it() -> None:
    """撤回."""
    run = play("  fill: {who: clerk}\n  look: {who: quality}\n")
    run.decide("ann")
    assert run.refused(Withdraw(1, Actor("bob"), "t")) == "NOTHING_TO_WITHDRAW"
    run.give(Withdraw(1, Actor("ann"), "t"))
    assert run.at() == ["fill"]
    run.decide("bob")
    run.give(Claim(run.open()[0].id, Actor("dan"), "t"))
    assert run.refused(Withdraw(1, Actor("bob"), "t")) == "NOTHING_TO_WITHDRAW"


@pytest.mark.parametrize(
    "steps",
    [
        "  fill: {who: clerk, sign: approval}\n  look: {who: quality}\n",
        "  fill: {who: clerk, effects: {done: [{create: part, with: {code: \"'p'\"}}]}}\n  look: {who: quality}\n",
        "  fill: {who: clerk}\n  look: {who: quality, state: {started: checked}}\n",
    ],
)
def test_what_was_signed_or_has_changed_other_records_is_not_taken_back(steps: str) -> None:
    run = play(steps)
    run.decide("ann")
    assert run.refused(Withdraw(1, Actor("ann"), "t")) == "NOT_TAKEN_BACK"


def test_a_task_is_urged_once_in_half_an_hour_by_each() -> None:
    run = play(TWO)
    at = "2026-03-02T{}:00.000000Z".format
    number = run.open()[0].id
    assert run.give(Urge(number, Actor("hal"), at("08:00")))
    assert run.refused(Urge(number, Actor("hal"), at("08:29"))) == "URGED_ALREADY"
    assert run.give(Urge(number, Actor("ida"), at("08:29"))), "another may"
    with pytest.raises(UrgedAlready, match=r"in 13 minutes \(at 2026-03-02 08:59:00 UTC\)"):
        run.give(Urge(number, Actor("ida"), at("08:46")))
    assert run.give(Urge(number, Actor("hal"), at("08:30")))
    assert run.give(Urge(number, Actor("hal"), at("07:00"))), "a clock that was ahead keeps nobody waiting"
    assert State.from_json(run.state.to_json()) == run.state
    assert run.state.tasks[number].urged == (("hal", at("07:00")),)


def test_urging_and_copies() -> None:
    """催办, 抄送, 已阅."""
    run = play(TWO)
    told = run.give(Urge(run.open()[0].id, Actor("hal"), "2026-03-02T08:00:00.000000Z", "hurry"))
    assert told == [Tell("urge", 1, 2, ("ann", "bob"), comment="hurry")]
    run.give(Copy(1, ("fay", "gus", "fay"), Actor("ann"), "t"))
    copies = [each for each in run.open() if each.kind == "copy"]
    assert [each.candidates for each in copies] == [("fay",), ("gus",)]
    run.give(Copy(1, ("gus", "fay"), Actor("ann"), "t"))
    assert [each for each in run.open() if each.kind == "copy"] == copies, "they have it already"
    run.decide("ann")
    run.decide("cid", "pass")
    assert run.state.status == "ended"
    assert [each.status for each in run.state.tasks.values() if each.kind == "copy"] == ["open", "open"]
    assert run.refused(Decide(copies[0].id, "read", Actor("gus"), "t")) == "NOT_YOUR_TASK"
    run.give(Decide(copies[0].id, "read", Actor("fay"), "t"))
    assert run.refused(Decide(copies[0].id, "read", Actor("fay"), "t")) == "TASK_GONE"


# ── branches ──────────────────────────────────────────────────────────────────────────────────────────────────────

SIDE_BY_SIDE = """\
  assess:
    parallel:
      quality: {check: {who: quality}}
      law: {read: {who: law}, sign_it: {who: law}}
      money: {count: {who: money}}
    wait_for: %s
  done: {end: over}
"""


def test_branches_run_side_by_side_until_all_any_or_some_are_done() -> None:
    every = play(SIDE_BY_SIDE % "all")
    assert every.at() == ["assess", "assess/law/read", "assess/money/count", "assess/quality/check"]
    every.decide("gus")
    every.decide("fay")
    every.decide("dan")
    assert every.at() == ["assess", "assess/law/sign_it"]
    every.decide("fay")
    assert every.state.outcome == "over"
    first = play(SIDE_BY_SIDE % "any")
    first.decide("gus")
    assert first.state.outcome == "over"
    two = play(SIDE_BY_SIDE % "2")
    two.decide("gus")
    assert two.state.status == "running"
    two.decide("dan")
    assert two.state.outcome == "over"
    assert [each.status for each in two.state.tasks.values()].count("closed") == 1, "the rest is called off"


def test_once_for_each_record() -> None:
    steps = "  each_part: {for_each: parts, steps: {look: {who: clerk}}}\n  done: {end: over}\n"
    parts = tuple(Subject("part", f"p{each}") for each in range(3))
    run = play(steps, each_part=Facts(elements=parts))
    assert [each.subject for each in run.state.tokens.values()][1:] == list(parts)
    for _ in parts:
        run.decide("ann")
    assert run.state.outcome == "over"
    assert play(steps).state.outcome == "over", "none: nothing to do"


def test_decisions_by_condition() -> None:
    steps = """\
  which: {decide: [{when: serious, then: grave}, {then: light}]}
  grave: {end: grave}
  light: {end: light}
"""
    assert play(steps, which=Facts(conditions=(True,))).state.outcome == "grave"
    assert play(steps, which=Facts(conditions=(False,))).state.outcome == "light"


# ── time, messages, other processes, the platform ─────────────────────────────────────────────────────────────────


def test_alerts_and_the_way_when_time_is_up() -> None:
    run = play("  fill: {who: clerk, within: 4 wh, when_late: look}\n  look: {who: head}\n")
    alerts = [each for each in run.state.timers.values() if each.purpose == "alert"]
    assert [(each.share, each.whom) for each in alerts] == [
        (50, "assignee"),
        (80, "supervisor"),
        (100, "department_head"),
        (150, "owner"),
    ]
    told = run.give(TimerFired(alerts[0].id, "t"))
    assert told == [Tell("alert", 1, whom="assignee", share=50)]
    assert run.give(TimerFired(alerts[0].id, "t")) == [], "a timer fires once"
    late = next(each for each in run.state.timers.values() if each.purpose == "late")
    run.give(TimerFired(late.id, "t"))
    assert run.at() == ["look"]
    assert [each for each in run.state.timers.values() if each.token == 1 and each.purpose == "late"] == []
    assert run.state.done[-1].outcome == "late"


def test_waiting_for_time_or_for_an_event() -> None:
    run = play("  nap: {wait: {for: 2 wd}}\n  hear: {wait: {event: case.close}}\n  done: {end: over}\n")
    timer = next(iter(run.state.timers.values()))
    run.give(TimerFired(timer.id, "t"))
    assert run.at() == ["hear"]
    run.give(EventArrived(1, "t"))
    assert run.state.outcome == "over"
    assert run.give(EventArrived(1, "t")) == []


def test_a_process_within_a_process() -> None:
    run = play(
        "  inner: {call: {workflow: handling}, then: {any: done, lost: bad}}\n  bad: {end: bad}\n  done: {end: over}\n"
    )
    assert [each for each in run.effects if isinstance(each, StartChild)]
    run.give(ChildEnded(1, "lost", "t"))
    assert run.state.outcome == "bad"


def test_a_process_within_a_process_that_is_called_off_has_no_outcome() -> None:
    ends = "  bad: {end: bad}\n  over: {end: over}\n"
    inner = "  inner: {call: {workflow: handling}, then: {any: over, lost: bad%s}}\n" + ends
    run = play(inner % "")
    run.give(ChildEnded(1, "cancelled", "t", cancelled=True))
    (incident,) = run.state.incidents.values()
    assert (incident.kind, run.at(), run.state.live) == ("cancelled", ["inner"], True)
    run.give(RetryIncident(incident.id, Actor("hal"), "t", "mended"))
    assert len([each for each in run.effects if isinstance(each, StartChild)]) == 2, "it begins anew"
    run.give(ChildEnded(1, "done", "t"))
    assert run.state.outcome == "over"
    told = play(inner % ", cancelled: bad")
    told.give(ChildEnded(1, "cancelled", "t", cancelled=True))
    assert told.state.outcome == "bad", "where the process says how to go on"


def test_an_automatic_step_that_fails() -> None:
    steps = "  act: {do: [{set: {title: \"'x'\"}}]%s}\n  mend: {who: clerk, then: act}\n"
    run = Play(workflow("  act: {do: [{set: {title: \"'x'\"}}]}\n"), PEOPLE, automatic=False)
    run.give(ActionFailed(1, "no such lot", "t"))
    (incident,) = run.state.incidents.values()
    assert (incident.kind, incident.detail) == ("failed", "no such lot")
    run.automatic = True
    run.give(RetryIncident(incident.id, Actor("hal"), "t", "mended"))
    assert run.state.outcome == "done"
    way = Play(
        workflow((steps % ", on_error: mend, then: end_it") + "  end_it: {end: over}\n"), PEOPLE, automatic=False
    )
    way.give(ActionFailed(1, "no such lot", "t"))
    assert way.at() == ["mend"]


def test_a_guard_before_a_step_waits_for_an_operator() -> None:
    run = play("  fill: {who: clerk, entry: {when: serious}}\n", fill=Facts(entry=False))
    (incident,) = run.state.incidents.values()
    assert incident.kind == "entry"
    run.facts = {}
    run.give(RetryIncident(incident.id, Actor("hal"), "t", "mended"))
    assert run.open()


def test_a_guard_of_the_end_holds_for_everything_but_a_refusal() -> None:
    steps = TWO.replace("{who: head,", "{who: head, exit: {when: serious, say: {en: Not yet}},")
    run = play(steps, look=Facts(exit=False))
    run.decide("ann")
    assert run.refused(Decide(run.open()[0].id, "pass", Actor("cid"), "t")) == "NOT_FINISHED"
    run.decide("cid", "fail")
    assert run.at() == ["fill"]


# ── the whole process ─────────────────────────────────────────────────────────────────────────────────────────────


def test_suspended_and_resumed() -> None:
    run = play(TWO)
    run.give(Suspend(Actor("hal"), "t", "waiting for the supplier"))
    assert run.refused(Decide(run.open()[0].id, "done", Actor("ann"), "t")) == "PROCESS_SUSPENDED"
    assert run.refused(Suspend(Actor("hal"), "t", "again")) == "PROCESS_SUSPENDED"
    run.give(Resume(Actor("hal"), "t"))
    assert run.refused(Resume(Actor("hal"), "t")) == "PROCESS_NOT_SUSPENDED"
    run.decide("ann")


def test_what_happens_while_suspended_goes_on_afterwards() -> None:
    run = play("  nap: {wait: {event: case.close}}\n  fill: {who: clerk}\n")
    run.give(Suspend(Actor("hal"), "t", "audit"))
    run.give(EventArrived(1, "t"))
    assert not run.open()
    run.give(Resume(Actor("hal"), "t"))
    assert run.open()


def test_a_long_life_is_kept_short() -> None:
    """What is stored of the past does not grow with it, and says who took part all the same."""
    run = play(
        """\
  fill: {who: clerk}
  look: {who: head, outcomes: {pass: {}, fail: {against: true}}, then: {pass: sign, fail: fill}}
  sign: {who: clerk, not_same_person_as: [fill]}
"""
    )
    sizes = []
    for turn in range(120):
        run.decide("bob" if turn == 3 else "ann")
        run.decide("cid", "fail" if turn < 119 else "pass")
        run.state = State.from_json(json.loads(json.dumps(kept(run.state, run.definition).to_json())))
        sizes.append(len(json.dumps(run.state.to_json())))
    assert sizes[-1] < 1.3 * sizes[40]
    assert sum(each.times for each in run.state.done) == 240
    assert next(iter(run.state.tokens.values())).round == 1
    assert run.state.tokens[1].trail.count("look") < 62
    assert [each.kind for each in run.state.incidents.values()] == ["nobody"], "both clerks have filled it in before"


def test_what_is_undone_one_by_one_is_never_put_together() -> None:
    run = play(
        """\
  fill: {who: clerk, compensate: [{set: {title: "'gone'"}}]}
  look: {who: head, outcomes: {pass: {}, fail: {against: true}}, then: {fail: fill}}
"""
    )
    for _ in range(40):
        run.decide("ann")
        run.decide("cid", "fail")
        run.state = kept(run.state, run.definition)
    assert [each.step for each in run.give(Cancel(Actor("hal"), run.now(), "")) if isinstance(each, Compensate)] == [
        "fill"
    ] * 40


def test_what_is_said_of_a_cancellation_is_done_wherever_the_process_stands() -> None:
    calls_off = workflow("  await: {wait: {for: 3 wd}}", also="on_cancel: [{set: {title: \"'off'\"}}]\n")
    run = Play(calls_off, PEOPLE)
    effects = run.give(Cancel(Actor("hal"), run.now(), "no longer needed"))
    assert [each.step for each in effects if isinstance(each, Compensate)] == [""]
    assert [each.kind for each in calls_off.undoing("")] == ["set"]


def test_cancelled_with_compensation_in_reverse() -> None:
    steps = """\
  one: {do: [{set: {title: "'1'"}}], compensate: [{set: {title: "'0'"}}]}
  two: {do: [{set: {serious: true}}], compensate: [{set: {serious: false}}]}
  fill: {who: clerk, within: 1 wh}
"""
    run = play(steps)
    effects = run.give(Cancel(Actor("hal"), "t", "no longer needed"))
    assert [each.step for each in effects if isinstance(each, Compensate)] == ["two", "one"]
    assert effects[-1] == Ended("cancelled", cancelled=True)
    assert run.refused(Cancel(Actor("hal"), "t", "again")) == "PROCESS_ENDED"
