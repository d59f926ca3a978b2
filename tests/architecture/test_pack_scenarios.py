"""The pack's scenarios are written for every process: what people decide in it, and the conditions that refuse them.

Read, not played: that they hold, and how much they walk of what decides by itself, is seen where they are played.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from clew.metadata.load import Loaded, load_folder
from clew.metadata.processes import SEPARATOR, StepKind, Workflow
from clew.metadata.scenarios import Act

ROOT = Path(__file__).parents[2]
ENOUGH = 0.9


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return load_folder(ROOT)


def wanted(workflow: Workflow) -> set[tuple[str, str]]:
    """Each step of people with what may be decided there, and `refused` where a condition must hold."""
    found = set()
    for _, step in workflow.walk():
        if step.kind in (StepKind.TASK, StepKind.APPROVAL):
            found |= {(step.path, outcome) for outcome in step.outcomes}
            found |= {(step.path, "refused")} if step.exit is not None else set()
    return found


def told(act: Act, workflow: Workflow) -> set[tuple[str, str]]:
    """What one act is about, of the steps that bear the name it calls."""
    named, _, step = act.what.rpartition(".")
    if act.kind != "do" or named not in ("", workflow.name):
        return set()
    outcome = "refused" if act.refused else act.outcome
    paths = [each.path for _, each in workflow.walk() if step == (each.path if SEPARATOR in step else each.name)]
    return {(path, outcome) for path in paths}


def test_scenarios_are_written_for_every_process(loaded: Loaded) -> None:
    assert loaded.blueprint is not None
    acts = [act for scenario in loaded.extras["scenario"].values() for act in scenario.acts]
    few = {}
    for workflow in loaded.blueprint.workflows.values():
        asked = wanted(workflow)
        missing = asked - {each for act in acts for each in told(act, workflow)}
        if len(missing) > (1 - ENOUGH) * len(asked):
            few[workflow.name] = sorted(missing)
    assert few == {}
