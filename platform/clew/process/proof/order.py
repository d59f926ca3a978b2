"""Where branches run side by side and the order in which things happen in them decides something.

Mostly it does not, and one order is walked for all. It does where the first branches to end stop the others, where one
writes what another asks, where two move the same record, and where one keeps the actors of another from acting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations

from clew.metadata.blueprint import Entity, FieldKind
from clew.metadata.processes import SEPARATOR, Flow, Step, StepKind, Workflow

STATE = "state"


def in_any_order(workflow: Workflow, entities: Mapping[str, Entity]) -> frozenset[str]:
    """The paths of the parallel steps whose branches are walked in every order."""
    return frozenset(
        step.path
        for flow, step in workflow.walk()
        if step.needed is not None or (step.kind is StepKind.PARALLEL and _depends(step, entities[flow.entity]))
    )


def _depends(step: Step, entity: Entity) -> bool:
    # Of lists nothing is known, whoever has written them.
    lists = {each.name for each in entity.fields.values() if each.kind in (FieldKind.LINES, FieldKind.MANY)}
    asked = {name: frozenset(_asked(flow)) for name, flow in step.flows.items()}
    written = {name: frozenset(_written(flow)) - lists for name, flow in step.flows.items()}
    moves = [name for name in step.flows if STATE in written[name]]
    return (
        len(moves) > 1
        or any(written[one] & asked[other] for one, other in permutations(step.flows, 2))
        or any(_kept_apart(step, one, other) for one, other in permutations(step.flows, 2))
    )


def inside(flow: Flow) -> Iterator[Step]:
    """The steps that are about the same record."""
    for step in flow.steps.values():
        yield step
        if step.kind is StepKind.PARALLEL:
            for inner in step.flows.values():
                yield from inside(inner)


def _written(flow: Flow) -> Iterator[str]:
    """Fields that its steps write; the state, where they move it."""
    for step in inside(flow):
        yield from step.outputs
        if step.choose:
            yield step.choose
        if step.states:
            yield STATE
        for action in (*step.actions, *(each for moment in step.effects.values() for each in moment)):
            if action.each is None and action.kind == "set":
                yield from (name for name, _ in action.values)
            elif action.each is None and action.kind == "move":
                yield STATE


def _asked(flow: Flow) -> Iterator[str]:
    """Fields that decide where its steps lead."""
    for step in inside(flow):
        conditions = [each.when for each in (step.entry, step.exit) if each is not None]
        conditions += [each.when for each in step.branches if each.when is not None]
        actions = (*step.actions, *(each for moment in step.effects.values() for each in moment))
        conditions += [each.when for each in actions if each.when is not None]
        if step.approval is not None:
            conditions += [each for each in (step.approval.all_when, step.approval.enough_of) if each is not None]
            conditions += [when for _, when in step.approval.also]
        for condition in conditions:
            yield from (path[0] for path in condition.reads)


def _kept_apart(step: Step, one: str, other: str) -> bool:
    """Whether a branch keeps those from acting who acted in another."""
    there = f"{step.path}{SEPARATOR}{other}{SEPARATOR}"
    return any(path.startswith(there) for each in inside(step.flows[one]) for path in each.apart)
