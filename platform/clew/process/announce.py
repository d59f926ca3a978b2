"""What happens in a process is told to the world: one event for each command that changed an instance.

Like every event it names what changed and whom it concerns, never the values; whoever acts on it reads the instance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from clew.process import words
from clew.process.state import State, Task
from clew.process.store import Instance
from clew.process.words import Command
from clew.records import outbox
from clew.records.unit import Unit

ENTITY = "process"
Verb = Literal["started", "changed", "suspended", "resumed", "ended", "cancelled", "migrated", "commented"]


def verb_of(command: Command, state: State) -> Verb:
    """What a command has come to."""
    if state.status == "cancelled":
        return "cancelled"
    if state.status == "ended":
        return "ended"
    if isinstance(command, words.Begin):
        return "started"
    if isinstance(command, words.Suspend):
        return "suspended"
    return "resumed" if isinstance(command, words.Resume) else "changed"


def announce(unit: Unit, instance: Instance, verb: Verb, before: State | None = None, told: Iterable[str] = ()) -> None:
    """Put the event of an instance's present version into the outbox, in the transaction that made it. `before` is the
    state it had; `told` are accounts that were told something."""
    state = instance.state
    changed = [] if before is None else list(_changed(before, state))
    people = dict.fromkeys([*told, *(person for each in changed for person in _people(before, each))])
    new = [] if before is None else [each for each in state.incidents.values() if each.id not in before.incidents]
    data = {
        "workflow": instance.workflow,
        "entity": instance.entity,
        "record_id": str(instance.record_id),
        "thread_id": str(instance.thread_id) if instance.thread_id is not None else None,
        "status": state.status,
        "outcome": state.outcome or None,
        "at": sorted({each.step for each in state.tokens.values()}),
        "tasks": [{"number": each.id, "step": each.step, "kind": each.kind, "status": each.status} for each in changed],
        "incidents": [each.kind for each in new],
        "people": sorted(people),
    }
    source = unit.engine.blueprint.project.name
    unit.announce(outbox.make_event(source, unit.at, ENTITY, verb, instance.id, instance.version, instance.site, data))


def _changed(before: State, after: State) -> Iterator[Task]:
    for number, task in after.tasks.items():
        if before.tasks.get(number) != task:
            yield task


def _people(before: State | None, task: Task) -> Iterator[str]:
    """Whose list of tasks a change of one touches."""
    was = before.tasks.get(task.id) if before is not None else None
    for each in (task, was):
        if each is not None:
            yield from each.candidates
            yield from (person for person in (each.assignee, each.actor) if person is not None)


__all__ = ["ENTITY", "Verb", "announce", "verb_of"]
