"""People leave, come back and stand in for one another while they are asked: nobody is stuck, no duty gets lost."""

from __future__ import annotations

from collections.abc import Mapping

from tests.unit.process.play import Play, workflow
from tests.unit.process.test_machine import BOARD, PEOPLE, moments, play

from clew.process.words import (
    Actor,
    AddSigner,
    Claim,
    Decide,
    Facts,
    Reoffer,
    Resume,
    RetryIncident,
    SendBack,
    Suspend,
    Tell,
    Transfer,
    Withdraw,
)

HAL = Actor("hal")


def board(more: str = "", **people: tuple[str, ...]) -> Play:
    return Play(workflow(BOARD % ("countersign", more)), {**PEOPLE, **people})


def change(run: Play, **people: tuple[str, ...]) -> None:
    """Others hold these roles from now on, and the case is told."""
    run.people = {**run.people, **people}
    run.give(Reoffer(1, "t"))


def incidents(run: Play) -> list[tuple[str, str]]:
    return [(each.kind, each.detail) for each in run.state.incidents.values()]


def posts(run: Play) -> Mapping[str, tuple[str, ...]]:
    return {each.post: each.candidates for each in run.open()}


def test_who_comes_and_goes_during_a_suspension_is_looked_at_after_it() -> None:
    run = play("  fill: {who: clerk}\n")
    run.give(Suspend(HAL, "t", "a pause"))
    change(run, clerk=())
    run.give(Resume(HAL, "t"))
    assert incidents(run) == [("left", "fill")]
    run.give(Suspend(HAL, "t", "a pause"))
    run.people = PEOPLE
    run.give(RetryIncident(next(iter(run.state.incidents)), HAL, "t", "mended"))
    run.give(Resume(HAL, "t"))
    assert (incidents(run), run.open()[0].candidates) == ([], ("ann", "bob"))


def test_a_seat_that_only_a_voter_could_fill_is_an_incident() -> None:
    run = board()
    run.decide("dan", "approve")
    change(run, law=("dan",))
    assert incidents(run) == [("left", "ask: law")], "one person has one vote"
    two = board()
    change(two, law=("dan",), quality=("dan",))
    assert incidents(two) == [("left", "ask: law")], "two seats, and one person left for both"
    spared = board(", once: true")
    spared.decide("dan", "approve")
    change(spared, law=("dan",))
    assert list(posts(spared)) == ["money"], "who has agreed agrees for this post as well"


def test_a_quorum_needs_nobody_who_has_left() -> None:
    run = board(", enough: 2")
    change(run, law=())
    assert incidents(run) == [("left", "ask: law")]
    run.decide("dan", "approve")
    assert run.state.status == "running"
    run.decide("gus", "approve")
    assert run.state.outcome == "good"
    refused = board()
    change(refused, law=())
    refused.decide("gus", "reject")
    assert refused.state.outcome == "bad", "one refusal decides, whoever is missing"
    all_ = board()
    change(all_, law=())
    all_.decide("dan", "approve")
    all_.decide("gus", "approve")
    assert all_.state.status == "running", "everybody must agree"


def test_who_alone_can_fill_another_post_votes_there() -> None:
    run = board(quality=("dan", "eve"), law=("dan",))
    quality = next(each for each in run.open() if each.post == "quality")
    assert run.refused(Decide(quality.id, "approve", Actor("dan"), "t")) == "NEEDED_ELSEWHERE"
    run.give(Transfer(quality.id, "eve", Actor("dan"), "t"))
    run.decide("eve", "approve")
    run.decide("dan", "approve")
    run.decide("gus", "approve")
    assert run.state.outcome == "good"
    last = board(", enough: 2", quality=("dan",), law=("dan",))
    last.decide("dan", "reject")
    assert incidents(last) == [("left", "ask: law")], "two of three must agree, one of the two who can has refused"
    change(last, law=("fay",))
    last.decide("fay", "approve")
    last.decide("gus", "approve")
    assert last.state.outcome == "good"
    alone = board(", once: true", quality=("dan",), law=("dan",))
    alone.decide("dan", "approve")
    assert list(posts(alone)) == ["money"]


def test_who_was_added_keeps_their_voice_for_that() -> None:
    """A signer who was added and has voted for a post could never sign: the approval would stand for ever."""
    run = board()
    run.give(AddSigner(run.task_of("fay").id, "dan", "after", Actor("fay"), "t"))
    quality = next(each for each in run.open() if each.post == "quality")
    assert run.refused(Decide(quality.id, "approve", Actor("dan"), "t")) == "SAME_PERSON"
    for person in ("eve", "fay", "gus", "dan"):
        run.decide(person, "approve")
    assert run.state.outcome == "good"
    few = board(law=("fay", "dan"), quality=("dan", "fay"))
    seat = next(each for each in few.open() if each.post == "money")
    assert few.refused(AddSigner(seat.id, "fay", "after", Actor("gus"), "t")) == "NOT_ELIGIBLE", "nobody for two seats"


def test_a_post_that_a_signer_waits_for_is_needed_whatever_the_quorum() -> None:
    """The signer is asked after its vote; where nobody could cast that any more, the approval would stand for ever."""
    run = board(", enough: 2", quality=("dan", "eve"), law=("dan", "fay"))
    quality, law, _ = run.open()
    run.give(AddSigner(law.id, "hal", "after", Actor("dan"), "t"))
    assert run.refused(Decide(quality.id, "approve", Actor("dan"), "t")) == "NEEDED_ELSEWHERE"
    for person in ("eve", "gus", "dan", "hal"):
        run.decide(person, "approve")
    assert run.state.outcome == "good"
    both = board(", enough: 2, must: [quality]", quality=("dan",), law=("dan", "fay"))
    adding = AddSigner(both.open()[1].id, "hal", "after", Actor("dan"), "t")
    assert both.refused(adding) == "NOT_ELIGIBLE", "dan is needed for both posts"


def test_what_was_taken_for_somebody_goes_back_when_the_taker_votes_elsewhere() -> None:
    for more in ("", ", once: true"):
        for voter in (Actor("dan"), Actor("zoe", "dan"), Actor("fay")):
            run = board(more, quality=("dan", "eve", "fay"), law=("fay", "ann"))
            quality, law, _ = run.open()
            run.give(Claim(law.id, Actor("dan", "fay"), "t"))
            run.give(Decide(quality.id, "approve", voter, "t"))
            seat = run.state.tasks[law.id]
            spared = more and voter == Actor("fay")
            assert (seat.status, seat.assignee) == (("done", "fay") if spared else ("open", None))
            run.decide("gus", "approve")
            if not spared:
                run.decide("ann", "approve")
            assert run.state.outcome == "good"


def test_what_was_taken_for_somebody_goes_back_when_it_can_be_done_no_more() -> None:
    run = play("  fill: {who: clerk}\n")
    run.give(Claim(run.open()[0].id, Actor("zoe", "ann"), "t"))
    change(run)
    assert (run.open()[0].assignee, run.open()[0].candidates) == (None, ("ann", "bob")), "zoe was lent it no longer"


def test_a_duty_stays_whoever_passes_it_on() -> None:
    steps = "  first: {who: clerk}\n  fill: {who: clerk}\n  check: {who: clerk, not_same_person_as: [fill]}\n"
    people = {"clerk": ("ann", "bob", "kim", "lea")}
    lent = Play(workflow(steps), people)
    lent.decide("lea")
    number = lent.open()[0].id
    lent.give(Transfer(number, "kim", Actor("bob", "ann"), "t", delegated=True))
    assert lent.open()[0].behalf == "ann", "it was hers, not his who stood in for her"
    lent.give(Claim(number, Actor("kim"), "t"))
    lent.give(AddSigner(number, "lea", "before", Actor("kim"), "t"))
    lent.decide("lea")
    lent.decide("kim")
    assert lent.open()[0].candidates == ("bob",), "taking it again, or adding a signer, made it nobody else's"
    back = Play(workflow(steps), people)
    back.decide("lea")
    back.give(Transfer(back.open()[0].id, "kim", Actor("ann"), "t", delegated=True))
    back.give(SendBack(back.open()[0].id, "first", False, Actor("kim"), "t", "no"))
    assert back.state.done[-1].actors == ("kim", "ann")


def test_who_takes_back_a_step_has_no_part_in_the_next() -> None:
    steps = "  fill: {who: clerk}\n  look: {who: head}\n  last: {who: [clerk, boss], not_same_person_as: [look]}\n"
    run = Play(workflow(steps), {**PEOPLE, "head": ("cid", "kim")})
    run.decide("ann")
    run.give(Withdraw(1, Actor("ann"), "t"))
    run.decide("bob")
    run.decide("cid")
    assert run.open()[0].candidates == ("ann", "bob", "hal")


def test_a_last_step_is_not_done_again_for_a_checkpoint_before_its_end() -> None:
    steps = """\
  fill: {who: clerk, then: {any: look}}
  check: {who: head, checkpoint: {clause: [X 1], before: [pass]}, then: look}
  look: {countersign: {posts: [quality, law]}, outcomes: {pass: {}, fail: {against: true}}, then: {fail: check}}
"""
    run = play(steps)
    run.decide("ann")
    run.decide("dan", "pass")
    run.decide("fay", "pass")
    before = moments(run)
    run.give(RetryIncident(next(iter(run.state.incidents)), HAL, "t", "mended"))
    assert moments(run) == before
    assert incidents(run) == [("checkpoint", "check: X 1")]
    run.give(Suspend(HAL, "t", "a pause"))
    assert run.refused(RetryIncident(next(iter(run.state.incidents)), HAL, "t", "mended")) == "PROCESS_SUSPENDED"


def test_a_step_that_found_nobody_begins_when_somebody_is_there() -> None:
    run = play("  fill: {who: head, then: check}\n  check: {who: head, not_same_person_as: [fill], within: 4 wh}\n")
    run.decide("cid")
    first, state = incidents(run), run.state
    assert first == [("nobody", "check")]
    assert run.give(Reoffer(1, "t", "roles")) == [], "nobody again, and nobody is told again"
    assert (run.state, run.state.unasked().keys()) == (state, {1})
    run.people = {**PEOPLE, "head": ("cid", "kim")}
    told = [each for each in run.give(Reoffer(1, "t", "roles")) if isinstance(each, Tell)]
    assert [(each.about, each.people) for each in told] == [("task", ("kim",))]
    assert (incidents(run), run.state.unasked(), run.state.tokens[1].status) == ([], {}, "open")
    assert len(run.state.timers) == 4, "its time begins now"


def test_what_is_missing_of_an_approval_is_told_as_it_is() -> None:
    run = board(quality=(), law=())
    first = next(iter(run.state.incidents))
    assert incidents(run) == [("nobody", "ask: quality, law")]
    run.people = {**PEOPLE, "law": ()}
    assert run.give(Reoffer(1, "t", "roles")) == []
    assert (incidents(run), list(run.state.incidents)) == ([("nobody", "ask: law")], [first])
    run.people = PEOPLE
    run.give(Reoffer(1, "t", "roles"))
    assert set(posts(run)) == {"quality", "law", "money"}


def test_a_step_whose_guard_holds_no_more_does_not_begin_by_itself() -> None:
    run = play("  fill: {who: none_of_them}\n", none_of_them=())
    run.facts["fill"] = Facts(entry=False)
    assert run.give(Reoffer(1, "t", "roles")) == []
    assert incidents(run) == [("nobody", "fill")], "still, and first of all"
    run.people = {**PEOPLE, "none_of_them": ("ann",)}
    run.give(Reoffer(1, "t", "roles"))
    assert incidents(run) == [("entry", "fill")], "another reason, which is told"
    run.give(Suspend(HAL, "t", "a pause"))
    assert run.give(Reoffer(1, "t", "roles")) == []
