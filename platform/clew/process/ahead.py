"""What a decision is bound to ask for, read by the statement that loads its instance: one answer instead of five.

It is the record the step is about and those its outcome changes in any case, which are held, and who holds the roles
that the next step asks. All of it is a hint only: whatever is not found here is read when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.metadata.blueprint import Entity, FieldKind
from clew.metadata.processes import Step, Workflow
from clew.records.unit import Unit
from clew.storage import process_tables

_CHANGING = ("set", "move")


@dataclass(frozen=True, slots=True)
class Place:
    """A task, and the step it stands at."""

    id: UUID
    workflow: str
    step: str
    entity: str
    """What its step is about."""
    seen: bool = True
    """The caller may know of it, and somebody has made sure of that; else it is looked at where it is decided."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """The record of an instance, the references of it whose records a decision changes, and the roles that are asked
    next."""

    entity: Entity
    references: tuple[str, ...]
    roles: tuple[str, ...]

    def query(self, unit: Unit, process: sa.Select[Any], more: Sequence[sa.ColumnElement[Any]]) -> sa.Select[Any]:
        """`process` and `more`, and then each row's columns; those of a row that is not there are empty."""
        found = process.with_for_update(of=process_tables.process).cte("held_process")
        record = self._row(unit, self.entity.name, sa.select(found.c.record_id), "held_record")
        rows = [record]
        for at, name in enumerate(self.references):
            target = self.entity.fields[name].target
            rows.append(self._row(unit, target, sa.select(record.c[name]), f"held_{at}"))
        whole: Any = found
        for row in rows:
            whole = whole.outerjoin(row, sa.true())
        return sa.select(*found.c, *more, *(column for row in rows for column in row.c)).select_from(whole)

    @staticmethod
    def _row(unit: Unit, entity: str, which: sa.Select[Any], name: str) -> sa.CTE:
        statements = unit.engine.statements.of(entity)
        one = statements.select.where(statements.current.c.id == which.scalar_subquery())
        return statements.locking(one).cte(name)

    def hold(self, unit: Unit, row: Sequence[Any]) -> None:
        """What `query` has answered behind `process` and `more`. Raises TooEarly."""
        at, entities = 0, unit.engine.blueprint.entities
        for entity in (self.entity, *(entities[self.entity.fields[name].target] for name in self.references)):
            shape = unit.engine.statements.of(entity.name).shape
            columns = row[at : at + len(shape.keys)]
            at += len(shape.keys)
            if columns[0] is not None:
                unit.hold(entity, unit.locked(shape.record(columns)))


def ahead(workflow: Workflow, path: str, outcome: str, entity: Entity) -> Ahead:
    """What completing the step at a path with this outcome asks for. `entity`: what it is about. Raises KeyError."""
    flow, step = workflow.place_of(path)
    if step.approval is not None:  # one vote of several changes nothing yet
        return Ahead(entity, (), ())
    found: dict[str, None] = {}
    for action in step.effects_of(outcome):
        field = entity.fields.get(action.each or "")
        certain = action.kind in _CHANGING and action.when is None and action.where is None
        if certain and field is not None and field.kind is FieldKind.REF and field.stored:
            found[field.name] = None
    follows = step.target(outcome)
    return Ahead(entity, tuple(found), _roles(flow.steps[follows]) if follows is not None else ())


def _roles(step: Step) -> tuple[str, ...]:
    """Whom a step asks by role."""
    approval = step.approval
    if approval is not None:
        among = (approval.among,) if approval.among else ()
        return (*approval.posts, *(post for post, _ in approval.also), *among)
    return step.who.roles if step.who is not None else ()
