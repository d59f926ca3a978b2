"""Workflows are refused with a code and a place when anything in them cannot be; and keep their meaning when stored."""

from __future__ import annotations

import pytest
from tests.unit.metadata.test_export import ROOT
from tests.unit.process.play import PROJECT

from clew.kernel.canonical import wire
from clew.metadata.compile import meaning
from clew.metadata.link.workflows import link_again
from clew.metadata.load import load_folder, load_sources
from clew.metadata.processes import StepKind

ROLES = "role: clerk\nmay: {case: {read: always}}\n"


def codes(steps: str, head: str = "for: case\n", roles: bool = False) -> list[tuple[str, int]]:
    text = f"workflow: w\n{head}steps:\n{steps}"
    more = {"permissions/r.yaml": ROLES} if roles else {}
    found = load_sources({**PROJECT, **more, "workflows/w.yaml": text})
    assert all(each.place.file == "workflows/w.yaml" for each in found.diagnostics), found.diagnostics
    assert all(each.message("zh") and each.message("en") for each in found.diagnostics)
    return [(each.code, each.place.line) for each in found.diagnostics]


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ("  a: {who: clerk, end: x}\n", "STEP_KIND"),
        ("  a: {who: clerk, form: case_form}\n", "UNKNOWN_FORM"),
        ("  a: {do: [{run: nothing}]}\n", "UNKNOWN_ACTION"),
        ("  a: {label: {en: Nothing}}\n", "STEP_KIND"),
        ("  a: {do: [{set: {title: \"'x'\"}}], sign: approval}\n", "STEP_KEY"),
        ("  a: {who: clerk, phrases: [{}]}\n", "MISSING_KEY"),
        ("  a: {who: clerk, phrases: [{en: Fine}, {en: Fine}]}\n", "BAD_VALUE"),
        ("  a: {who: clerk, then: b}\n", "UNKNOWN_STEP"),
        ("  a: {who: clerk, then: {maybe: a}}\n", "UNKNOWN_OUTCOME"),
        ("  a: {who: clerk, outcomes: {no_way: {against: true}}}\n", "NO_WAY_ON"),
        ("  a: {countersign: {posts: [clerk]}, outcomes: {x: {against: true}}, then: {x: a}}\n", "NO_OUTCOME_FOR"),
        ("  a: {countersign: {posts: [clerk, head]}, outcomes: {x: {}, y: {}}}\n", "NO_OUTCOME_AGAINST"),
        ("  a: {countersign: {posts: [clerk], enough: 2}, then: {reject: a}}\n", "ENOUGH_TOO_MANY"),
        ("  a: {countersign: {posts: [clerk], must: [boss]}, then: {reject: a}}\n", "POST_NOT_ASKED"),
        ("  a: {countersign: {posts: [clerk], once: true}, sign: approval, then: {reject: a}}\n", "SIGNED_ONCE"),
        ("  a: {any_sign: {posts: [clerk], veto: [clerk]}, then: {reject: a}}\n", "ANY_SIGN_ALONE"),
        ("  a: {who: clerk, then: c}\n  b: {who: clerk}\n  c: {end: x}\n", "STEP_UNREACHED"),
        ("  a: {do: [{set: {serious: true}}], then: a}\n", "STEP_CIRCLE"),
        ("  a: {decide: [{when: serious, then: b}]}\n  b: {end: x}\n", "LAST_BRANCH"),
        ("  a: {decide: [{then: b}, {then: b}]}\n  b: {end: x}\n", "BRANCH_AFTER_ELSE"),
        ("  a: {who: clerk, state: {done: open_again}}\n", "UNKNOWN_STATE"),
        ("  a: {who: clerk, state: {finished: checked}}\n", "UNKNOWN_OUTCOME"),
        ("  a: {who: clerk, state: {done: closed}}\n", "SIGN_MISSING"),
        ("  a: {do: [{set: {serious: true}}], state: {done: closed}}\n", "SIGN_MISSING"),
        ("  a: {who: clerk, output: [colour]}\n", "UNKNOWN_FIELD"),
        ("  a: {who: clerk, output: [title], must_output: [serious]}\n", "UNKNOWN_FIELD"),
        ("  a: {who: clerk, entry: {when: title}}\n", "EXPR_RESULT"),
        ("  a: {who: clerk, within: 4 hours}\n", "WRONG_TYPE"),
        ("  a: {who: clerk, not_same_person_as: [z]}\n", "UNKNOWN_STEP"),
        ("  a: {for_each: title, steps: {b: {who: clerk}}}\n", "UNKNOWN_RELATION"),
        ("  a: {wait: {event: case.explode}}\n", "UNKNOWN_EVENT"),
        ("  a: {wait: {event: part.create}}\n", "MISSING_KEY"),
        ("  a: {call: {workflow: nothing}}\n", "UNKNOWN_WORKFLOW"),
        ("  a: {do: [{set: {title: \"'x'\"}, move: check}]}\n", "ACTION_KIND"),
        ("  a: {do: [{move: explode}]}\n", "UNKNOWN_TRANSITION"),
        ("  a: {do: [{create: part}]}\n", "ACTION_INPUT"),
        ("  a: {do: [{create: part, with: {code: serious}}]}\n", "EXPR_RESULT"),
        ("  a: {do: [{set: {id: 1}}]}\n", "BAD_FIELD_USE"),
        ("  a: {parallel: {x: {b: {who: clerk}}}, wait_for: 2}\n", "BAD_VALUE"),
        ("  a: {parallel: {x: {b: {who: clerk, then: a}}}}\n", "UNKNOWN_STEP"),
    ],
)
def test_what_cannot_be_is_refused(steps: str, code: str) -> None:
    found = codes(steps)
    assert code in [each for each, _ in found], found
    assert all(line > 3 for _, line in found)


def test_roles_are_known_where_there_are_policies() -> None:
    steps = "  a: {who: clark}\n"
    assert codes(steps) == []
    assert codes(steps, roles=True) == [("UNKNOWN_ROLE_IN_STEP", 4)]


@pytest.mark.parametrize(
    ("who", "missing"),
    [
        ("{manager_of: created_by}", "people.manager"),
        ("{position: [P-1]}", "positions"),
        ("{role: clerk, qualified_for: id}", "training"),
    ],
)
def test_people_of_records_are_known_where_the_project_says_which(who: str, missing: str) -> None:
    found = load_sources({**PROJECT, "workflows/w.yaml": f"workflow: w\nfor: case\nsteps:\n  a: {{who: {who}}}\n"})
    assert [(each.code, each.place.line) for each in found.diagnostics] == [("PEOPLE_NOT_DECLARED", 4)]
    assert missing in found.diagnostics[0].message("en")


def test_the_whole_workflow_is_checked() -> None:
    step = "  a: {who: clerk}\n"
    assert codes(step, "for: nothing\n") == [("UNKNOWN_ENTITY", 2)]
    assert codes(step, "for: case\nstarts: [{event: part.create}]\n") == [("BAD_VALUE", 3)]
    assert codes(step, "for: case\nstarts: [{event: case.create, when: titel}]\n") == [("EXPR_UNKNOWN_NAME", 3)]
    assert codes(step, "for: case\nat_start: [{move: explode}]\n") == [("UNKNOWN_TRANSITION", 3)]


def test_the_pack_is_clean_and_its_workflows_mean_the_same_when_linked_again() -> None:
    """What an instance is pinned to is the text of its file; linked again it is the very same definition."""
    pack = load_folder(ROOT)
    assert pack.blueprint is not None, [f"{each.place} {each.message('en')}" for each in pack.diagnostics]
    assert pack.blueprint.workflows
    for name, each in pack.blueprint.workflows.items():
        again, problems = link_again(name, each.place.file, pack.blueprint.sources[each.place.file], pack.blueprint)
        assert again is not None, problems
        assert again.digest == each.digest
        assert meaning(again) == meaning(each)
        assert wire(meaning(again)) == meaning(again), "digested as it is"


def test_every_human_step_of_the_pack_states_the_five_things() -> None:
    """Domain H: inputs, outputs (or a comment that is demanded), owner, time limit, alerts."""
    pack = load_folder(ROOT).blueprint
    assert pack is not None
    for workflow in pack.workflows.values():
        assert workflow.sop
        assert workflow.owner
        for _, step in workflow.walk():
            if step.kind in (StepKind.TASK, StepKind.APPROVAL):
                commented = all(each.comment for each in step.outcomes.values())
                timed = (step.limit and step.alerts) or (step.legal and step.legal.alerts)
                said = (step.inputs, step.outputs or commented, step.owner, timed)
                assert all(said), f"{workflow.name}.{step.path}"


def test_a_workflow_that_a_release_no_longer_bears_says_why() -> None:
    text = "workflow: w\nfor: case\nsteps:\n  a: {who: clerk, output: [title]}\n"
    now = load_sources({**PROJECT, "workflows/w.yaml": text}).blueprint
    assert now is not None
    smaller = dict(PROJECT)
    smaller["models/a.yaml"] = smaller["models/a.yaml"].replace("  title: {type: text}\n", "")
    later = load_sources(smaller).blueprint
    assert later is not None
    again, problems = link_again("w", "workflows/w.yaml", text, later)
    assert again is None
    assert [each.code for each in problems] == ["UNKNOWN_FIELD"]


def test_a_controlled_procedure_states_five_things_of_every_step_of_people() -> None:
    """What implements a controlled document (`sop`) does; drafts need not."""
    whole = "input: [title], output: [title], owner: clerk, within: 1 wd, alert: {50%: assignee}"
    said = "input: [title], owner: clerk, within: 1 wd, alert: {50%: assignee}, outcomes: {ok: {comment: required}}"
    steps = f"  a: {{who: clerk, {whole}}}\n  b: {{who: clerk, {said}}}\n"
    steps += f"  c:\n    parallel:\n      x: {{d: {{who: clerk, {whole.replace('within: 1 wd, ', '')}}}}}\n"
    steps += "  e: {who: clerk}\n"
    head = "for: case\nsop: SOP-1\n"
    assert codes(steps, head, roles=True) == [("STEP_INCOMPLETE", 9), ("STEP_INCOMPLETE", 10)]
    assert codes(steps, roles=True) == []
