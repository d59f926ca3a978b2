"""What scenarios have walked of the processes: steps, outcomes and branches, guards that held and that refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clew.metadata.processes import Flow, Step, StepKind, Workflow
from clew.testing.scenarios.play import Played

REFUSES = ("NOT_FINISHED", "PROCESS_BLOCKED")


@dataclass(frozen=True, slots=True)
class Covered:
    """Of one process: how many of its steps, branches and guards were met, and which were not."""

    workflow: str
    steps: tuple[int, int]
    branches: tuple[int, int]
    guards: tuple[int, int]
    missing: tuple[str, ...]
    """Steps never met, branches never taken (`board: rework`), guards never seen to hold or to refuse."""


def covered(workflows: Mapping[str, Workflow], played: Iterable[Played]) -> list[Covered]:
    """For each process that some scenario walked or could have."""
    walked: dict[str, set[tuple[str, str]]] = {name: set() for name in workflows}
    refused: set[tuple[str, str, str]] = set()
    for each in played:
        refused |= each.refused
        for name, found in each.walked.items():
            walked[name] |= found
    return [_one(workflow, walked[name], refused) for name, workflow in workflows.items()]


def _one(workflow: Workflow, walked: set[tuple[str, str]], refused: set[tuple[str, str, str]]) -> Covered:
    missing: list[str] = []
    met = {path for path, _ in walked}
    ends = {outcome for path, outcome in walked if not path}
    steps = branches = guards = met_steps = met_branches = met_guards = 0
    for flow, step in workflow.walk():
        steps += 1
        here = step.path in met or (step.kind is StepKind.END and (step.outcome in ends or _led_to(flow, step, walked)))
        met_steps += here
        if not here:
            missing.append(step.path)
        for way in _ways(step):
            branches += 1
            taken = (step.path, way) in walked
            met_branches += taken
            if not taken and here:
                missing.append(f"{step.path}: {way}")
        if step.exit is not None:
            guards += 2
            held = any(path == step.path for path, outcome in walked if outcome)
            stopped = any((workflow.name, step.path, code) in refused for code in REFUSES)
            met_guards += held + stopped
            missing += [] if held else [f"{step.path}: exit holds"]
            missing += [] if stopped else [f"{step.path}: exit refuses"]
    return Covered(workflow.name, (met_steps, steps), (met_branches, branches), (met_guards, guards), tuple(missing))


def _led_to(flow: Flow, end: Step, walked: set[tuple[str, str]]) -> bool:
    """Whether a branch or one of a set came to this end of it: only the end of the process itself is recorded."""
    if "/" not in end.path:
        return False
    for each in flow.steps.values():
        taken = {outcome for path, outcome in walked if path == each.path}
        if any(each.target(outcome) == end.name or (each.branches and outcome == end.name) for outcome in taken):
            return True
    return False


def _ways(step: Step) -> tuple[str, ...]:
    if step.branches:
        return tuple(dict.fromkeys(each.to for each in step.branches))
    return tuple(step.outcomes) if len(step.outcomes) > 1 else ()
