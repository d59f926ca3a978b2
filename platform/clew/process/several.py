"""What a process takes from several people is neither one person's by hand, nor another thing once some have signed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clew.metadata.blueprint import Entity, FieldKind
from clew.metadata.processes import ApprovalMode, Flow, Step, Workflow
from clew.process import store
from clew.process.effects import related
from clew.process.errors import SignedAlready, TakesSeveral
from clew.process.state import State, Token, replace
from clew.process.votes import may_win
from clew.records.participants import Change
from clew.records.rows import Record
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


def shown_to_votes(workflows: Mapping[str, Workflow], entities: Mapping[str, Entity]) -> dict[str, frozenset[str]]:
    """Entity → the fields that those who vote are shown or fill in; of lists nothing is taken out anyway."""
    found: dict[str, set[str]] = {}
    for workflow in workflows.values():
        for flow, step in workflow.walk():
            if voted(step):
                fields = entities[flow.entity].fields
                stored = (each for each in _signed_over(step) if each in fields and fields[each].stored)
                found.setdefault(flow.entity, set()).update(each for each in stored if fields[each].kind not in _LISTS)
    return {entity: frozenset(names) for entity, names in found.items()}


def _signed_over(step: Step) -> tuple[str, ...]:
    """What a vote is about: what was shown with it, and what is filled in."""
    return (*step.inputs, *step.outputs)


def refuse_by_hand(change: Change, owner: Workflow, unit: Unit) -> None:
    """Raises TakesSeveral where one person would sign by hand what the process asks several for."""
    move = change.transition
    if move is None or move.sign is None or unit.process is not None:
        return
    if (change.entity.name, move.name) in taken_together(owner, unit.engine.blueprint.entities):
        raise TakesSeveral(transition=move.label, process=owner.label)


async def refuse_by_hand_after_signature(change: Change, names: frozenset[str], engine: Processes, unit: Unit) -> None:
    """What somebody has signed in a vote that is under way is not changed by hand. Raises SignedAlready."""
    old, new = change.old, change.new
    if change.verb != "update" or old is None or new is None or unit.process is not None:
        return
    changed = _changed(names, old, new)
    if not changed:
        return
    for process in await store.living(unit.connection, change.id):
        instance = await store.load(unit.connection, process)
        workflow = await engine.definitions.of(unit.connection, instance.definition) if instance is not None else None
        if instance is None or workflow is None:
            continue
        for token in instance.state.tokens.values():
            step = workflow.step(token.step)
            mine = [each for each in changed if each in _signed_over(step)]
            if token.status == "open" and voted(step) and mine and _agreed(step, instance.state, token.id):
                raise _signed_already(step, change.entity, mine[0])


@dataclass(frozen=True, slots=True)
class Vote:
    """One vote while it is cast. What others have signed stands for it, as long as what they voted for may still win
    with it: what was empty may be filled in, what holds something is not another thing afterwards."""

    step: Step
    state: State
    token: Token
    task: int
    outcome: str
    entity: Entity

    async def refuse_lists(self, unit: Unit, record: Record, given: Mapping[str, object]) -> None:
        """Raises SignedAlready."""
        for name in given if self._stands() else ():
            if self.entity.fields[name].kind in _LISTS and await related(unit, self.entity, name, record):
                raise _signed_already(self.step, self.entity, name)

    def refuse_changed(self, before: Record, after: Record) -> None:
        """Raises SignedAlready."""
        changed = _changed(frozenset(self.step.outputs) & before.keys(), before, after)
        if changed and self._stands():
            raise _signed_already(self.step, self.entity, changed[0])

    def _stands(self) -> bool:
        approval = self.step.approval
        if approval is None or not voted(self.step):
            return False
        votes = [
            replace(each, status="done", outcome=self.outcome) if each.id == self.task else each
            for each in self.state.tasks_of(self.token.id)
            if each.kind in ("vote", "added")
        ]
        earlier = _agreed(self.step, self.state, self.token.id)
        needed = self.token.branches
        return any(may_win(approval, self.step.outcomes, votes, needed, each) for each in earlier)


def _changed(names: frozenset[str], old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    return [each for each in sorted(names) if old.get(each) is not None and old.get(each) != new.get(each)]


def _agreed(step: Step, state: State, token: int) -> list[str]:
    """The outcomes, none of them against, that some have signed in this round."""
    return [
        each.outcome
        for each in state.tasks_of(token)
        if each.status == "done"
        and each.kind in ("vote", "added")
        and each.outcome in step.outcomes
        and not step.outcomes[each.outcome].against
    ]


def _signed_already(step: Step, entity: Entity, name: str) -> SignedAlready:
    return SignedAlready(path=["input", name], field=entity.fields[name].label, step=step.label)
