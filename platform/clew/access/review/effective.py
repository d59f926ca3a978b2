"""What two versions of the policies effectively grant, compared decision by decision: not text, and not lines.

Two grants are the same when they allow under the same conditions, however these are written and wherever they stand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from clew.access.decision import NEVER, Decision, EntityAccess, Grant
from clew.access.review.processes import WHEN_ASKED, askings_of, step_question, steps_asking
from clew.access.review.words import any_in_words
from clew.kernel.canonical import canonical_json
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint
from clew.metadata.compile import meaning
from clew.metadata.policies import CONNECTOR, CONNECTOR_ACTIONS, DO, PROCESS_ACTIONS, process_question
from clew.metadata.spec.permissions import ACTIONS

_FIELD_VERBS = ("see", "create", "update", "correct")


@dataclass(frozen=True, slots=True)
class Granted:
    """What a decision says to one question: the grant, and for a field also the grant on its rows."""

    rows: Grant
    field: Grant | None = None
    when_asked: bool = False
    """Of a step: only when the process asks."""

    @property
    def allowed(self) -> bool:
        return self.rows.allowed and (self.field is None or self.field.allowed)

    def words(self, blueprint: Blueprint) -> Bilingual:
        """When it is granted; for a field, on the rows that are granted."""
        grant = self.rows if self.field is None else self.field
        if not self.allowed:
            return any_in_words(blueprint, ())
        if self.when_asked:
            said = [WHEN_ASKED] + ([any_in_words(blueprint, grant.conditions)] if grant.conditions else [])
            return Bilingual(",且".join(each.zh for each in said), ", and ".join(each.en for each in said))
        return any_in_words(blueprint, grant.conditions or (None,))


NOTHING = Granted(NEVER)


@dataclass(frozen=True, slots=True)
class Shift:
    """One question answered differently by two decisions."""

    entity: str
    action: str
    field: str
    before: Granted
    after: Granted


def shifts(before: Decision, after: Decision, entity: str) -> Iterator[Shift]:
    """Every question about an entity that the two answer differently. A field whose rows alone differ is not told
    again: that is told of the rows."""
    one, other = before.on(entity), after.on(entity)
    moves = {**one.transitions, **other.transitions}
    for action in (*ACTIONS, *(DO + name for name in moves)):
        was, becomes = _rows(one, action), _rows(other, action)
        if not alike(was, becomes):
            yield Shift(entity, action, "", Granted(was), Granted(becomes))
    for name in dict.fromkeys((*one.fields, *other.fields)):
        for verb in _FIELD_VERBS:
            action = "read" if verb == "see" else verb
            first = Granted(_rows(one, action), _field(one, name, verb))
            second = Granted(_rows(other, action), _field(other, name, verb))
            if not (first.rows.allowed and second.rows.allowed):
                continue
            if not alike(first.field or NEVER, second.field or NEVER):
                yield Shift(entity, verb, name, first, second)


def process_shifts(before: Decision, after: Decision, about: Mapping[str, str]) -> Iterator[Shift]:
    """Every question about a process that the two answer differently. `about`: each process and the entity it is
    about."""
    for workflow, entity in sorted(about.items()):
        one, other = before.process(workflow), after.process(workflow)
        for action in PROCESS_ACTIONS:
            was, becomes = getattr(one, action), getattr(other, action)
            if not alike(was, becomes):
                yield Shift(entity, process_question(workflow, action), "", Granted(was), Granted(becomes))


def step_shifts(before: Blueprint, after: Blueprint, was: Collection[str], becomes: Collection[str]) -> Iterator[Shift]:
    """Every step that asks holders of these roles in one version and not, or otherwise, in the other. Cases that run
    keep whom they ask."""
    one, other = _asked(before, was), _asked(after, becomes)
    for key in sorted({*one, *other}):
        first, second = one.get(key, NOTHING), other.get(key, NOTHING)
        if not alike(first.rows, second.rows):
            entity, question = key
            yield Shift(entity, question, "", first, second)


def _asked(blueprint: Blueprint, roles: Collection[str]) -> dict[tuple[str, str], Granted]:
    """The steps that ask holders of one of these roles: when they do."""
    found: dict[tuple[str, str], Granted] = {}
    for name, workflow in blueprint.workflows.items():
        for path, step in steps_asking(workflow).items():
            asked = [each for each in askings_of(blueprint, workflow, step) if each.role in roles]
            if asked:
                needed = [each.condition for each in asked if each.condition is not None]
                conditions = tuple(needed) if len(needed) == len(asked) else ()
                entity = workflow.place_of(path)[0].entity
                found[entity, step_question(name, path)] = Granted(Grant(True, conditions), when_asked=True)
    return found


def connector_shifts(before: Decision, after: Decision) -> Iterator[Shift]:
    """Every question about a connector that the two answer differently."""
    for name in sorted({*before.connectors, *after.connectors}):
        one, other = before.connector(name), after.connector(name)
        for action in CONNECTOR_ACTIONS:
            was, becomes = getattr(one, action), getattr(other, action)
            if not alike(was, becomes):
                yield Shift(CONNECTOR + name, action, "", Granted(was), Granted(becomes))


def alike(one: Grant, other: Grant) -> bool:
    """Whether two grants allow the same, as far as their conditions' meaning tells."""
    return one.allowed == other.allowed and _conditions(one) == _conditions(other)


def _conditions(grant: Grant) -> frozenset[bytes]:
    return frozenset(canonical_json(meaning(each)) for each in grant.conditions) if grant.allowed else frozenset()


def _rows(access: EntityAccess, action: str) -> Grant:
    if action.startswith(DO):
        return access.transitions.get(action.removeprefix(DO), NEVER)
    found: Grant = getattr(access, action)
    return found


def _field(access: EntityAccess, name: str, verb: str) -> Grant:
    found = access.fields.get(name)
    if found is None:
        return NEVER
    return found.read if verb == "see" else found.giving(verb)
