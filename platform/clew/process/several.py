"""What a process takes from several people is neither one person's by hand, nor another thing once some have signed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from clew.metadata.blueprint import Entity, FieldKind
from clew.metadata.processes import ApprovalMode, Flow, Step, Workflow
from clew.process import store
from clew.process.definitions import Definitions
from clew.process.errors import SignedAlready, TakesSeveral
from clew.process.state import State
from clew.records.participants import Change
from clew.records.unit import Unit

if TYPE_CHECKING:
    from clew.process.engine import Processes

Move = tuple[str, str]
"""Entity and transition."""
_LISTS = (FieldKind.MANY, FieldKind.LINES)


def voted(step: Step) -> bool:
    """Whether a step takes the signatures of several people."""
    approval = step.approval
    return approval is not None and step.sign is not None and approval.mode is not ApprovalMode.ANY_SIGN


def taken_together(workflow: Workflow, entities: Mapping[str, Entity]) -> frozenset[Move]:
    """The signed moves that a process makes only by steps which several people sign."""
    together, alone = set[Move](), set[Move]()
    for flow, step in workflow.walk():
        (together if voted(step) else alone).update(_signed(flow, step, entities))
    return frozenset(together - alone)


def _signed(flow: Flow, step: Step, entities: Mapping[str, Entity]) -> Iterator[Move]:
    own = entities[flow.entity]
    for move in own.transitions.values():
        if move.sign is not None and move.target in step.states.values():
            yield own.name, move.name
    for action in (*step.actions, *(each for moment in step.effects.values() for each in moment)):
        if action.kind == "move" and entities[action.entity].transitions[action.transition].sign is not None:
            yield action.entity, action.transition


def filled_by_votes(workflows: Mapping[str, Workflow], entities: Mapping[str, Entity]) -> dict[str, frozenset[str]]:
    """Entity → the fields that those who vote fill in. Lists say for themselves when nothing is taken out of them."""
    found: dict[str, set[str]] = {}
    for workflow in workflows.values():
        for flow, step in workflow.walk():
            if voted(step):
                fields = entities[flow.entity].fields
                names = (each for each in step.outputs if each in fields and fields[each].kind not in _LISTS)
                found.setdefault(flow.entity, set()).update(names)
    return {entity: frozenset(names) for entity, names in found.items()}


def refuse_by_hand(change: Change, owner: Workflow, unit: Unit) -> None:
    """Raises TakesSeveral where one person would sign by hand what the process asks several for."""
    move = change.transition
    if move is None or move.sign is None or unit.process is not None:
        return
    if (change.entity.name, move.name) in taken_together(owner, unit.engine.blueprint.entities):
        raise TakesSeveral(transition=move.label, process=owner.label)


async def refuse_after_signature(change: Change, names: frozenset[str], engine: Processes, unit: Unit) -> None:
    """What somebody has signed in a vote that is under way is not changed for those who sign after them, whether in the
    vote or by hand; what was not filled in yet may be. The process's own effects follow the vote. Raises SignedAlready.
    """
    old, new = change.old, change.new
    if change.verb != "update" or old is None or new is None or (unit.process is not None and not unit.filling):
        return
    changed = [each for each in sorted(names) if old.get(each) is not None and old.get(each) != new.get(each)]
    if not changed:
        return
    for process in await store.living(unit.connection, change.id):
        instance = await store.load(unit.connection, process)
        if instance is not None:
            step = await _under_way(engine.definitions, unit, instance.state, instance.definition, changed)
            if step is not None:
                field = next(each for each in changed if each in step.outputs)
                raise SignedAlready(path=["input", field], field=change.entity.fields[field].label, step=step.label)


async def _under_way(
    definitions: Definitions, unit: Unit, state: State, definition: str, changed: list[str]
) -> Step | None:
    """The step of several signatures, some of them given, that fills in one of these fields."""
    workflow = await definitions.of(unit.connection, definition)
    for token in state.tokens.values():
        step = workflow.step(token.step)
        if token.status != "open" or not voted(step) or not set(changed) & set(step.outputs):
            continue
        if any(each.status == "done" and each.kind in ("vote", "added") for each in state.tasks_of(token.id)):
            return step
    return None
