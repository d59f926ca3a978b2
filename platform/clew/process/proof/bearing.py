"""What of the past can still bear on what follows: the steps that some step ahead keeps apart, asks again, or may be
sent back to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clew.metadata.link.workflows import reached, ways
from clew.metadata.processes import Flow, Step, Workflow


@dataclass(frozen=True, slots=True)
class Bearing:
    """While a step of the process itself is open, with all that stands inside it, and afterwards."""

    actors: frozenset[str]
    """Paths of steps that were done, whose actors matter."""
    back: frozenset[str]
    """Names of steps of the process itself that it may be sent back to."""


def bearing(workflow: Workflow) -> Mapping[str, Bearing]:
    """By step of the process itself. What bears on nothing decides nothing any more, so worlds need not be told apart
    by it."""
    flow = workflow.flow
    named: dict[str, set[str]] = {}
    for _, step in workflow.walk():
        named.setdefault(step.name, set()).add(step.path)
    asked = {name: {path for each in step.inside() for path in _asks(each, named)} for name, step in flow.steps.items()}
    back = {name: _back(flow, step) for name, step in flow.steps.items()}
    after = {name: {*found, *back[name]} for name, found in ways(flow).items()}
    found: dict[str, Bearing] = {}
    for name in flow.steps:
        ahead = reached(name, after)
        actors = frozenset(path for each in ahead for path in asked[each])
        found[name] = Bearing(actors, frozenset(to for each in ahead for to in back[each]))
    return found


def _asks(step: Step, named: Mapping[str, set[str]]) -> set[str]:
    again = step.who.actor_of if step.who is not None else None
    return {*step.apart, *(named.get(again, set()) if again else set())}


def _back(flow: Flow, step: Step) -> set[str]:
    """Where it may be sent back to: every step, unless it says."""
    if not step.kind.human:
        return set()
    return set(flow.steps) if step.returns_to is None else {each for each in step.returns_to if each in flow.steps}
