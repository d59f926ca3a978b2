"""Proof: each flaw is found in a small process that has it and told so that it can be followed; sound ones hold."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.process.play import PROJECT, Play
from tests.unit.process.test_machine_random import PEOPLE, definition, played

from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_sources
from clew.process.proof.explore import explore
from clew.process.proof.findings import Flaw, Proof, prove
from clew.process.state import Subject
from clew.process.words import Facts
from clew.testing.plugin import Tier

ROLES = """\
role: clerk
label: {zh: 办事员, en: Clerk}
may: {case: {read: always}}
---
role: head
label: {zh: 主管, en: Head}
signs: [approval]
may: {case: {read: always}}
---
role: auditor
label: {zh: 审核员, en: Auditor}
signs: [approval]
may: {case: {read: always}}
---
separation: apart
label: {zh: 分离, en: Apart}
roles: [[clerk], [head, auditor]]
"""


def project(
    steps: str, roles: str = ROLES, models: str = "", config: str = PROJECT["clew.yaml"], also: str = ""
) -> Blueprint:
    found = load_sources(
        {
            **PROJECT,
            "clew.yaml": config,
            **({"models/a.yaml": models} if models else {}),
            "workflows/w.yaml": f"workflow: handling\nfor: case\n{also}steps:\n{steps}",
            **({"permissions/p.yaml": roles} if roles else {}),
        }
    )
    assert found.blueprint is not None, [f"{each.place} {each.message('en')}" for each in found.diagnostics]
    return found.blueprint


def proof(
    steps: str, roles: str = ROLES, models: str = "", config: str = PROJECT["clew.yaml"], also: str = ""
) -> Proof:
    blueprint = project(steps, roles, models, config, also)
    return prove(blueprint, blueprint.workflows["handling"])


def flaws(found: Proof) -> list[tuple[str, str]]:
    return [(str(each.flaw), each.step) for each in found.findings]


def test_a_sound_process_holds() -> None:
    found = proof("""\
  look: {who: clerk, state: {done: checked}, returns_to: []}
  sign_off: {who: head, sign: approval, not_same_person_as: [look], state: {done: closed}, returns_to: []}
  finished: {end: closed}
""")
    assert found.findings == ()
    assert found.holds
    assert found.ends == ("closed",)


def test_sent_back_to_a_step_that_cannot_be_done_again() -> None:
    found = proof("""\
  look: {who: clerk, state: {done: checked}}
  sign_off: {who: head, sign: approval, state: {done: closed}}
  tell: {who: clerk}
""")
    assert ("deadlock", "look") in flaws(found)
    story = [each.text.to("en") for each in found.findings[0].story]
    assert story[-1] == "clerk 1 sends “Tell” back to “Look”"
    assert "from closed to checked" in found.findings[0].say.to("en")
    assert "从状态 closed 变为 checked" in found.findings[0].say.to("zh")


def test_nobody_left_to_ask() -> None:
    found = proof("""\
  look: {who: clerk, returns_to: []}
  again: {who: {actor_of: look}, not_same_person_as: [look], returns_to: []}
""")
    assert flaws(found) == [("nobody", "again")]


def test_nobody_may_sign() -> None:
    roles = ROLES.replace("signs: [approval]", "signs: [review]")
    found = proof("  look: {who: head, sign: approval}\n", roles)
    assert ("deadlock", "look") in flaws(found)
    assert "may not sign approval" in found.findings[0].say.to("en")


def test_a_signer_who_needs_another_role_is_a_warning() -> None:
    """A clerk may not hold a signing role beside theirs; somebody of a role that is separated from none may."""
    other = "---\nrole: porter\nlabel: {en: Porter}\nmay: {case: {read: always}}\n"
    found = proof("  look: {who: porter, sign: approval}\n", ROLES + other)
    assert flaws(found) == [("signer", "look")]
    assert found.holds
    assert not proof("  look: {who: clerk, sign: approval}\n").holds


def test_a_separation_of_duties_that_the_starter_meets() -> None:
    roles = (
        ROLES
        + """\
---
separation: checker_is_not_closer
label: {en: Checker and closer}
duties:
  checker: [{of: case, do: [check]}]
  closer: [{of: case, do: [close]}]
"""
    )
    steps = """\
  look: {{who: head, state: {{done: checked}}, returns_to: []}}
  sign_off: {{who: {who}, sign: approval, state: {{done: closed}}, returns_to: []}}
"""
    assert flaws(proof(steps.format(who="{actor_of: look}"), roles)) == [("deadlock", "sign_off")]
    assert proof(steps.format(who="head"), roles).holds


def test_a_state_reached_without_the_signature_another_way_demands() -> None:
    models = PROJECT["models/a.yaml"].replace(
        "  close: {from: checked, to: closed, sign: approval}",
        "  close: {from: checked, to: closed, sign: approval}\n  drop: {from: open, to: closed}",
    )
    steps = """\
  look: {who: clerk, outcomes: {fine: {}, waste: {}}, state: {fine: checked}, returns_to: [], then: {waste: shut}}
  sign_off: {who: head, sign: approval, state: {done: closed}, returns_to: [], then: over}
  shut: {do: [{move: drop}]}
  over: {end: closed}
"""
    found = proof(steps, models=models)
    assert [each for each in flaws(found) if each[0] == "bypass"] == [("bypass", "shut")]


AGAIN = """\
  look:
    who: clerk
    outcomes: {fine: {}, bad: {}}
    state: {fine: checked, bad: dropped}
    returns_to: []
    then: {fine: sign_off, bad: over}
  sign_off: {who: head, sign: approval, state: {done: closed}, returns_to: []}
  over: {end: over}
"""


def test_taken_up_again_where_its_first_step_cannot_be_done() -> None:
    """Begun by a person, its record may be past the first step, with nothing that leads on, or not every way."""
    models = PROJECT["models/a.yaml"].replace("closed: {en: Closed}}", "closed: {en: Closed}, dropped: {en: Dropped}}")
    models = models.replace("  reopen: {from: checked, to: open}\n", "  drop: {from: open, to: dropped}\n")
    person, new = "starts: [{person: clerk}]\n", "starts: [{event: case.create}]\n"
    found = proof(AGAIN, models=models, also=person)
    assert flaws(found) == [("impossible", "look")]
    assert "from checked to dropped" in found.findings[0].say.to("en")
    assert [each.text.to("en") for each in found.findings[0].story] == ["it begins while the record is checked"]
    assert not found.holds
    assert proof(AGAIN, models=models, also=new).holds
    assert proof(AGAIN, models=models, also="starts: [{person: clerk, when: \"state == 'open'\"}]\n").holds
    wise = "  where: {decide: [{when: \"state == 'checked'\", then: sign_off}, {then: look}]}\n" + AGAIN
    assert proof(wise, models=models, also=person).holds
    stuck = AGAIN.replace("fine: checked,", "fine: dropped,").replace("fine: sign_off, bad: over", "any: over")
    stuck = "\n".join(line for line in stuck.splitlines() if "sign_off" not in line) + "\n"
    assert ("deadlock", "look") in flaws(proof(stuck, models=models, also=person))


def test_a_transition_a_step_makes_by_itself_that_cannot_be_made() -> None:
    steps = """\
  note: {do: [{move: check}]}
  shut: {who: head, sign: approval, state: {done: closed}, returns_to: []}
  again: {do: [{move: reopen}]}
  over: {end: over}
"""
    found = proof(steps, also="starts: [{event: case.create}]\n")
    assert flaws(found) == [("deadlock", "again"), ("unreachable", "over")]
    assert "from closed to open" in found.findings[0].say.to("en")
    guarded = steps.replace("{move: reopen}", "{move: reopen, when: \"state == 'checked'\"}")
    assert proof(guarded, also="starts: [{event: case.create}]\n").holds


def test_a_step_no_way_leads_to() -> None:
    """`decide` can be decided here: what was chosen is known, and so is what follows."""
    found = proof("""\
  look: {who: clerk, choose: verdict, outcomes: {keep: {}, scrap: {}}, returns_to: []}
  how: {decide: [{when: "verdict == 'keep' || verdict == 'scrap'", then: over}, {then: never}]}
  never: {who: clerk, returns_to: []}
  over: {end: over}
""")
    assert flaws(found) == [("unreachable", "never")]


def test_a_limit_that_its_own_steps_pass() -> None:
    found = proof("""\
  both:
    within: 4 h
    parallel:
      one: {a: {who: clerk, within: 3 h}, b: {who: clerk, within: 3 h}}
      two: {c: {who: clerk, within: 1 h}}
""")
    assert flaws(found) == [("limit", "both")]
    assert "6 hours" in found.findings[0].say.to("en")


def test_what_was_chosen_decides_what_follows() -> None:
    blueprint = project(
        """\
  look: {who: clerk, choose: verdict, outcomes: {keep: {}, scrap: {}}, returns_to: []}
  how: {decide: [{when: "verdict == 'keep'", then: kept}, {then: gone}]}
  kept: {end: kept}
  gone: {end: gone}
""",
        also="starts: [{event: case.create}]\n",
    )
    found = prove(blueprint, blueprint.workflows["handling"])
    assert found.ends == ("gone", "kept")
    assert found.worlds == 4, "beginning, look, and one end for each choice"


def test_what_a_plugin_may_have_written_is_not_known() -> None:
    steps = """\
  look: {who: clerk, state: {done: checked}, returns_to: []}
  needed: {decide: [{when: "verdict == null", then: settle}, {then: sign_off}]}
  settle: {do: [%s], then: sign_off}
  sign_off: {who: head, sign: approval, not_same_person_as: [look], state: {done: closed}, returns_to: []}
  finished: {end: closed}
"""
    models = PROJECT["models/a.yaml"].replace("sign: approval}", 'sign: approval, when: "verdict != null"}')
    settings_ = "project: small\nactions: {settle: {plugin: any, for: case, label: {en: Settle}}}\n"
    told = proof(steps % "{notify: head, say: {en: Look}}", models=models)
    assert flaws(told) == [("deadlock", "sign_off")]
    assert proof(steps % "{run: settle}", models=models, config=settings_).findings == ()
    elsewhere = settings_.replace("for: case,", "for: case, writes: [title],")
    assert flaws(proof(steps % "{run: settle}", models=models, config=elsewhere)) == [("deadlock", "sign_off")]


def test_a_form_that_asks_about_what_the_asked_do_not_see_is_told() -> None:
    form = "form: looking\nfor: case\nsections: [{visible_when: serious, fields: [title]}]\n"
    steps = "  look: {who: {role: [clerk, head]}, output: [title], form: looking}\n  finished: {end: closed}\n"
    hiding = ROLES.replace("may: {case: {read: always}}", "may: {case: {read: always, hide: [serious]}}", 1)
    for roles, wanted in ((ROLES, []), (hiding, [("blind", "look")])):
        sources = {**PROJECT, "ui_schemas/f.yaml": form, "permissions/p.yaml": roles}
        found = load_sources({**sources, "workflows/w.yaml": f"workflow: handling\nfor: case\nsteps:\n{steps}"})
        assert found.blueprint is not None, [each.message("en") for each in found.diagnostics]
        told = prove(found.blueprint, found.blueprint.workflows["handling"])
        assert flaws(told) == wanted
        assert told.holds, "a warning"


def test_too_many_ways_are_told() -> None:
    blueprint = project("  look: {who: clerk}\n  more: {who: clerk}\n  most: {who: clerk}\n")
    found = prove(blueprint, blueprint.workflows["handling"], most=2)
    assert [each.flaw for each in found.findings] == [Flaw.UNFINISHED]
    assert not found.holds


def test_proof_covers_what_people_do(tier: Tier) -> None:
    """Whatever step random people bring a random process to, and whatever it ends with, the proof has walked."""
    seen = {"played": 0, "ended": 0}

    @settings(max_examples=tier.count(60, 3_000), deadline=None)
    @given(st.integers(0, 2**32))
    def holds(seed: int) -> None:
        dice = random.Random(seed)
        made = definition(dice)
        if made is None:
            return
        graph = explore(_blueprint_of(made.name), made, most=1_500)
        if graph.walked is not None:
            return
        parts = tuple(Subject("part", f"p{each}") for each in range(dice.randint(0, 2)))
        facts = {
            step.path: Facts(conditions=(dice.random() < 0.5,), elements=parts if step.each else ())
            for _, step in made.walk()
        }
        run = Play(made, PEOPLE, facts)
        stood = set(run.at())
        for _ in played(dice, run, 40):
            stood |= {each.step for each in run.state.done}
        assert stood <= graph.passed, stood - graph.passed
        if run.state.status == "ended":
            ends = {each.state.outcome for each in graph.worlds if not each.state.live}
            assert run.state.outcome in ends
            seen["ended"] += 1
        seen["played"] += 1

    holds()
    assert seen["played"] > tier.count(60, 3_000) // 4, seen
    assert seen["ended"], seen


def _blueprint_of(name: str) -> Blueprint:
    found = load_sources({**PROJECT, "workflows/w.yaml": f"workflow: {name}\nfor: case\nsteps: {{a: {{who: x}}}}\n"})
    assert found.blueprint is not None
    return found.blueprint


def test_branches_are_walked_in_every_order_that_decides_something() -> None:
    """One branch waits for nobody to have written what the other writes: whichever comes first, one of them is seen."""
    steps = """\
  begin: {who: clerk, effects: {done: [{set: {serious: "false"}}]}, returns_to: []}
  both:
    parallel:
      a:
        fill: {who: clerk, returns_to: []}
        mark: {do: [{set: {serious: "true"}}]}
      b:
        ask: {who: clerk, returns_to: []}
        look: {who: clerk, entry: {when: "%s"}, returns_to: []}
"""
    for when in ("serious", "!serious"):
        assert ("deadlock", "both/b/look") in flaws(proof(steps % when)), when
    apart = """\
  both:
    parallel:
      a: {fill: {who: {actor_of: begin}, returns_to: []}}
      b: {look: {who: {actor_of: begin}, not_same_person_as: [fill], returns_to: []}}
"""
    assert ("deadlock", "both/b/look") in flaws(proof("  begin: {who: clerk, returns_to: []}\n" + apart))
    assert flaws(proof(steps % "title != null")) == [], "no order decides it"


def test_a_process_that_calls_itself_about_its_record_is_told() -> None:
    assert flaws(proof("  again: {call: {workflow: handling}}\n")) == [("deadlock", "again")]
    tree = PROJECT["models/a.yaml"].replace("parts: {type: many, of: part}", "parts: {type: many, of: case}")
    below = "  below: {for_each: parts, steps: {again: {call: {workflow: handling}}}}\n"
    assert flaws(proof(below, models=tree)) == [], "about another record"
