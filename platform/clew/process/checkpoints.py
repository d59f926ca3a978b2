"""Checkpoints: steps that fulfil what a regulation or standard demands, and the outcomes they stand before.

`clew process prove` shows that no way leads past one. The machine stops there all the same, whatever an instance has
been through: another definition, an operator, a way nobody thought of. What was reworked passes its checkpoints anew
(ISO 13485:2016 8.3.4, which 21 CFR 820.10 makes law): when a step that lies before one is done again, what it was
passed over is another thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from clew.metadata.link.workflows import reached, ways
from clew.metadata.processes import SEPARATOR, Flow, Step, StepKind, Workflow
from clew.process.state import State, Subject

_REWORKING = frozenset({StepKind.TASK, StepKind.APPROVAL, StepKind.ACTION, StepKind.CALL})
"""Steps in which something is done to the record; the others wait, or say what comes next."""


@dataclass(frozen=True, slots=True)
class Check:
    """A checkpoint of a process."""

    step: Step
    earlier: frozenset[str]
    """Paths of the steps that lie before it: written before it, with a way that leads from them to it."""


def checkpoints(workflow: Workflow) -> tuple[Step, ...]:
    """The steps of a process that are one."""
    return tuple(step for _, step in workflow.walk() if step.checkpoint is not None)


def check_of(workflow: Workflow, step: Step) -> Check:
    """A checkpoint with what lies before it."""
    return Check(step, frozenset(_earlier(workflow.flow, step.path.split(SEPARATOR))))


def passed(state: State, check: Check) -> bool:
    """Whether a step was done, and for every record it was done for the last time it came to what it is there for, with
    nothing before it done again since."""
    last: dict[Subject, str | None] = {}
    flow = _flow(check.step.path)
    for done in state.done:
        if done.step == check.step.path:
            last[done.subject] = done.outcome
        elif last and done.step in check.earlier:
            if _flow(done.step) == flow and done.subject in last:
                last[done.subject] = None
            else:
                # Which records it is about may be others now: whichever are begun anew must pass it.
                last.clear()
    return bool(last) and all(outcome is not None and check.step.favourable(outcome) for outcome in last.values())


def missing(workflow: Workflow, state: State, outcome: str) -> tuple[Step, ...]:
    """The checkpoints that an instance has yet to pass before it may end so."""
    return tuple(
        step
        for step in checkpoints(workflow)
        if step.checkpoint is not None
        and outcome in step.checkpoint.before
        and not passed(state, check_of(workflow, step))
    )


def clauses_of(step: Step) -> str:
    """What a checkpoint fulfils, as one text."""
    return ", ".join(step.checkpoint.clauses) if step.checkpoint is not None else ""


def _flow(path: str) -> str:
    return path.rpartition(SEPARATOR)[0]


def _earlier(flow: Flow, way: list[str]) -> Iterator[str]:
    """Below one flow: what lies before the step that `way` leads to, there and in the flows on the way to it."""
    name, after = way[0], ways(flow)
    for each in flow.steps.values():
        if each.name == name:
            break
        if name in reached(each.name, after):
            yield from (found.path for found in each.inside() if found.kind in _REWORKING)
    if len(way) > 1:
        yield from _earlier(flow.steps[name].flows[way[1]], way[2:])
