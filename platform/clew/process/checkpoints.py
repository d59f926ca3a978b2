"""Checkpoints: steps that fulfil what a regulation or standard demands, and the outcomes they stand before.

`clew process prove` shows that no way leads past one. The machine stops there all the same, whatever an instance has
been through: another definition, an operator, a way nobody thought of.
"""

from __future__ import annotations

from clew.metadata.processes import Step, Workflow
from clew.process.state import State


def checkpoints(workflow: Workflow) -> tuple[Step, ...]:
    """The steps of a process that are one."""
    return tuple(step for _, step in workflow.walk() if step.checkpoint is not None)


def passed(state: State, step: Step) -> bool:
    """Whether a step was done, and for every record it was done for the last time it came to what it is there for."""
    last = {done.subject: done.outcome for done in state.done if done.step == step.path}
    return bool(last) and all(step.favourable(outcome) for outcome in last.values())


def missing(workflow: Workflow, state: State, outcome: str) -> tuple[Step, ...]:
    """The checkpoints that an instance has yet to pass before it may end so."""
    return tuple(
        step
        for step in checkpoints(workflow)
        if step.checkpoint is not None and outcome in step.checkpoint.before and not passed(state, step)
    )


def clauses_of(step: Step) -> str:
    """What a checkpoint fulfils, as one text."""
    return ", ".join(step.checkpoint.clauses) if step.checkpoint is not None else ""
