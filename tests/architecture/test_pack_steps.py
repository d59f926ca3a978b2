"""What the pack's processes ask of people, the roles they ask make them able to do: see, fill in, sign."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from tests.integration.pack_world import pack

from clew.access.deciding import Deciding
from clew.access.unite import Held, Unite
from clew.api.inputs import Inputs
from clew.api.process_steps import filled
from clew.api.view import READ_FEATURES, Views
from clew.metadata.blueprint import Blueprint
from clew.metadata.processes import Flow, Step

LEFT_TO_OTHERS = {("medical_reviewer", "consignees")}
"""Fields of a vote that one of the voters does not fill in: who the customers are is not theirs to see."""


def asked_steps(blueprint: Blueprint) -> Iterator[tuple[Flow, Step, set[str]]]:
    """Every step that people do, with the roles it asks."""
    for workflow in blueprint.workflows.values():
        for flow, step in workflow.walk():
            if step.approval is not None:
                yield flow, step, {*step.approval.posts, *(post for post, _ in step.approval.also)}
            elif step.who is not None:
                yield flow, step, set(step.who.roles)


def test_whoever_a_step_asks_sees_fills_in_and_signs_what_it_asks() -> None:
    """By the one decision and the API's own view. A board's membership adds to its post."""
    blueprint = pack()
    judgement = Deciding(blueprint, UUID(int=0)).judgement
    assert judgement is not None
    unite, views = Unite(judgement), Views(blueprint, (*READ_FEATURES, Inputs()))
    wrong = set()
    for flow, step, asked in asked_steps(blueprint):
        for role in asked:
            roles = [role, step.approval.among] if step.approval is not None and step.approval.among else [role]
            held = frozenset(Held(each, judgement.policies.roles[each].own_sites, False) for each in roles)
            build = views.view(unite.decision(held), "en").build
            if step.sign is not None and step.sign not in build.decision.signs:
                wrong.add(f"{role} does not sign {step.path}: {step.sign}")
            missing = {each for each in step.inputs if not build.access(flow.entity).sees(each)}
            given = {field.name for _, field in filled(build, flow, step)}
            missing |= {each for each in step.outputs if (role, each) not in LEFT_TO_OTHERS} - given
            if missing:
                wrong.add(f"{role} at {step.path} of {flow.entity}: {sorted(missing)}")
            may = [each.may.get(flow.entity) for name in roles for each in judgement.policies.lineage(name)]
            reading = [clause for each in may if each is not None for clause in each.actions.get("read", ())]
            if all(clause.condition is not None for clause in reading):
                wrong.add(f"{role} at {step.path} does not read every {flow.entity}")
    assert wrong == set()
