"""A checkpoint stands before the outcomes it names: nothing ends so without it, whichever way it came."""

from __future__ import annotations

import pytest
from tests.unit.process.play import PROJECT, Play, workflow
from tests.unit.process.test_machine_random import PEOPLE
from tests.unit.process.test_migration import refused, said
from tests.unit.process.test_proof import flaws, proof

from clew.metadata.load import load_sources
from clew.process.state import Subject
from clew.process.words import Actor, Facts, RetryIncident, SendBack, Withdraw

PAST = """\
  route: {decide: [{when: serious, then: look}, {then: tell}]}
  look: {who: clerk, checkpoint: {clause: ['ISO 13485:2016 8.3', SOP-7], before: [closed]}}
  tell: {who: head, then: finished}
  finished: {end: closed}
"""
THROUGH = """\
  look: {who: clerk, outcomes: {good: {}, bad: {against: true}}, checkpoint: {clause: '8.3', before: [closed]},
         then: {bad: dropped}}
  tell: {who: head}
  finished: {end: closed}
  dropped: {end: dropped}
"""
EACH = """\
  all:
    for_each: parts
    steps: {look: {who: clerk, outcomes: {good: {}, bad: {against: true}}, then: {bad: note},
                   checkpoint: {clause: '8.3', before: [closed]}},
            note: {who: clerk}}
  finished: {end: closed}
"""


def test_past_a_checkpoint_it_stops_until_the_step_was_done() -> None:
    run = Play(workflow(PAST), PEOPLE, {"route": Facts(conditions=(False,))})
    run.decide("cid")
    assert run.state.live
    [incident] = run.state.incidents.values()
    assert (incident.kind, incident.detail) == ("checkpoint", "look: ISO 13485:2016 8.3, SOP-7")
    run.give(RetryIncident(incident.id, Actor("op"), run.now(), "mended"))
    assert [each.kind for each in run.state.incidents.values()] == ["checkpoint"], "trying again passes nothing"
    through = Play(workflow(PAST), PEOPLE, {"route": Facts(conditions=(True,))})
    through.decide("ann")
    through.decide("cid")
    assert through.state.outcome == "closed"


def test_only_what_it_is_there_for_counts_and_only_before_its_outcomes() -> None:
    run = Play(workflow(THROUGH), PEOPLE)
    run.decide("ann", "bad")
    assert run.state.outcome == "dropped", "it stands before `closed` alone"
    run = Play(workflow(THROUGH), PEOPLE)
    run.decide("ann", "good")
    run.give(Withdraw(next(iter(run.state.tokens)), Actor("ann"), run.now()))
    run.decide("ann", "good")
    run.decide("cid")
    assert run.state.outcome == "closed"


RETURNED = """\
  fill: {who: clerk}
  look: {who: head, checkpoint: {clause: '8.3', before: [closed]}}
  both: {parallel: {a: {one: {who: clerk, checkpoint: {clause: '8.4', before: [closed]}}}}}
  tell: {who: head}
  finished: {end: closed}
"""


def sent_back(run: Play, person: str, to: str, *, straight: bool) -> None:
    [task] = [each for each in run.state.tasks.values() if each.status == "open"]
    run.give(SendBack(task.id, to, straight, Actor(person), run.now(), "mend it"))


def test_what_was_mended_passes_its_checkpoints_again() -> None:
    """Straight back is not past a checkpoint: what it was passed over is another thing now."""
    run = Play(workflow(RETURNED), PEOPLE)
    for person in ("ann", "cid", "ann"):
        run.decide(person)
    assert run.at() == ["tell"]
    sent_back(run, "cid", "fill", straight=True)
    run.decide("ann")
    assert run.at() == ["look"]
    run.decide("cid")
    run.decide("ann")
    sent_back(run, "cid", "look", straight=True)
    run.decide("cid")
    assert "both/a/one" in run.at(), "also one within branches"
    plain = RETURNED.replace(", checkpoint: {clause: '8.3', before: [closed]}", "").replace(
        ", checkpoint: {clause: '8.4', before: [closed]}", ""
    )
    run = Play(workflow(plain), PEOPLE)
    for person in ("ann", "cid", "ann"):
        run.decide(person)
    sent_back(run, "cid", "fill", straight=True)
    run.decide("ann")
    assert run.at() == ["tell"], "without a checkpoint between them it is straight"


def test_whoever_sends_back_what_came_back_to_them_sees_it_again() -> None:
    """`tell` asked `look` to come straight back; `look` asked `fill` first: it does not go past `look` to `tell`."""
    run = Play(workflow("  fill: {who: clerk}\n  look: {who: head}\n  tell: {who: head}\n"), PEOPLE)
    run.decide("ann")
    run.decide("cid")
    sent_back(run, "cid", "look", straight=True)
    sent_back(run, "cid", "fill", straight=False)
    run.decide("ann")
    assert run.at() == ["look"]


def test_it_is_passed_for_every_record_that_was_begun() -> None:
    parts = (Subject("part", "p1"), Subject("part", "p2"))
    run = Play(workflow(EACH), PEOPLE, {"all": Facts(elements=parts)})
    run.decide("ann", "good", step="all/each/look")
    run.decide("ann", "bad", step="all/each/look")
    for _ in parts:
        run.decide("ann", step="all/each/note")
    assert [each.kind for each in run.state.incidents.values()] == ["checkpoint"]
    run = Play(workflow(EACH), PEOPLE, {"all": Facts(elements=parts)})
    run.decide("ann", "good", step="all/each/look")
    run.decide("ann", "good", step="all/each/look")
    for _ in parts:
        run.decide("ann", step="all/each/note")
    assert run.state.outcome == "closed"


def test_the_proof_tells_the_way_past() -> None:
    assert flaws(proof(PAST, roles="")) == [("checkpoint", "finished")]
    [found] = proof(PAST, roles="").findings
    assert found.story
    assert "look: ISO 13485:2016 8.3, SOP-7" in found.say.en
    assert "look: ISO 13485:2016 8.3, SOP-7" in found.say.zh
    assert proof(THROUGH, roles="").findings == ()


LOOP = """\
  fill: {who: clerk}
  look: {who: head, checkpoint: {clause: '8.3', before: [closed]}}
  tell: {who: clerk, outcomes: {good: {}, mend: {against: true}}, then: {good: finished, mend: again}}
  again: {who: clerk, then: tell}
  finished: {end: closed}
"""
BRANCHED = """\
  fill: {who: clerk}
  all:
    for_each: parts
    steps: {look: {who: clerk, checkpoint: {clause: '8.3', before: [closed]}}}
  tell: {who: clerk, outcomes: {good: {}, mend: {against: true}}, then: {good: finished, mend: other}}
  other: {decide: [{when: serious, then: fill}, {then: finished}]}
  finished: {end: closed}
"""
MENDED = """\
  plan: {who: clerk, then: {done: route}}
  route: {decide: [{when: serious, then: tell}, {then: look}]}
  look: {who: head, checkpoint: {clause: '8.3', before: [closed]}}
  tell: {who: clerk, outcomes: {good: {}, mend: {against: true}}, then: {good: finished, mend: plan}}
  finished: {end: closed}
"""


def test_what_was_reworked_passes_its_checkpoints_anew() -> None:
    """A way back to before a checkpoint, and past it: what it was passed over is another thing now."""
    run = Play(workflow(MENDED), PEOPLE, {"route": Facts(conditions=(False,))})
    for person in ("ann", "cid"):
        run.decide(person)
    run.decide("ann", "mend")
    run.facts["route"] = Facts(conditions=(True,))
    run.decide("ann")
    run.decide("ann", "good")
    assert [each.kind for each in run.state.incidents.values()] == ["checkpoint"], "plan was done again"
    run = Play(workflow(MENDED), PEOPLE, {"route": Facts(conditions=(False,))})
    for person, outcome in (("ann", "done"), ("cid", "done"), ("ann", "mend"), ("ann", "done"), ("cid", "done")):
        run.decide(person, outcome)
    run.decide("ann", "good")
    assert run.state.outcome == "closed"
    run = Play(workflow(LOOP), PEOPLE)
    for person, outcome in (("ann", "done"), ("cid", "done"), ("ann", "mend"), ("ann", "done"), ("ann", "good")):
        run.decide(person, outcome)
    assert run.state.outcome == "closed", "what comes after it is done as often as it takes"
    parts = (Subject("part", "p1"), Subject("part", "p2"))
    run = Play(workflow(BRANCHED), PEOPLE, {"all": Facts(elements=parts), "other": Facts(conditions=(True,))})
    run.decide("ann")
    for _ in parts:
        run.decide("ann", step="all/each/look")
    run.decide("ann", "mend")
    run.facts["all"] = Facts(elements=parts[:1])
    run.decide("ann")
    run.decide("ann", step="all/each/look")
    run.decide("ann", "good")
    assert run.state.outcome == "closed", "what is no part of it any more is not waited for"


def test_the_proof_tells_a_loop_past_a_checkpoint() -> None:
    assert flaws(proof(MENDED, roles="")) == [("checkpoint", "finished")]
    assert proof(LOOP, roles="").findings == ()


def test_what_a_person_begins_may_be_taken_up_in_the_middle() -> None:
    """A checkpoint that the way from there leads past is a flaw; one on every way that asks the record is none."""
    middle = """\
  where: {decide: [{when: "state == 'checked'", then: tell}, {then: look}]}
  look: {who: clerk, state: {done: checked}%s}
  tell: {do: [{set: {title: "'told'"}}]%s}
  finished: {end: closed}
"""
    here = ", checkpoint: {clause: '8.3', before: [closed]}"
    by_person = "starts: [{person: [clerk]}]\n"
    assert flaws(proof(middle % (here, ""), also=by_person)) == [("checkpoint", "finished")]
    assert flaws(proof(middle % (here, ""), also="starts: [{event: case.create}]\n")) == []
    assert flaws(proof(middle % ("", f", entry: {{when: \"state == 'checked'\"}}{here}"), also=by_person)) == []


def test_a_migration_past_a_checkpoint_is_refused() -> None:
    old = "  ask: {who: clerk}\n  look: {who: clerk}\n  tell: {who: head}\n"
    new = (
        "  ask: {who: clerk}\n  check: {who: clerk, checkpoint: {clause: '8.3', before: [done]}}\n"
        "  look: {who: clerk}\n  tell: {who: head}\n"
    )
    run = Play(workflow(old), PEOPLE)
    assert said(run, new).state is not None, "it lies ahead"
    run.decide("ann")
    assert "past the checkpoint check (8.3)" in refused(run, new)
    marked = old.replace("ask: {who: clerk}", "ask: {who: clerk, checkpoint: {clause: '8.3', before: [done]}}")
    assert said(run, marked).state is not None, "it was done"


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("look: {who: clerk, checkpoint: {clause: '8.3', before: [finished]}}", "UNKNOWN_END"),
        ("look: {wait: {for: 2 h}, checkpoint: {clause: '8.3', before: [closed]}}", "STEP_KEY"),
        ("look: {who: clerk, checkpoint: {before: [closed]}}", "MISSING_KEY"),
    ],
)
def test_the_check_knows_outcomes_and_kinds(step: str, code: str) -> None:
    text = f"workflow: handling\nfor: case\nsteps:\n  {step}\n  over: {{end: closed}}\n"
    found = load_sources({**PROJECT, "workflows/w.yaml": text})
    assert code in [each.code for each in found.diagnostics], [each.message("en") for each in found.diagnostics]
