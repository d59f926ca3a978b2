"""The difference in effective access between two versions of the policies, on the real people and records.

For everybody with an account both versions decide; where the decisions differ, the records are counted that the person
would gain and lose. People who hold the same roles are compared once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from clew.access.decision import Decision, Grant
from clew.access.judgement import Judgement
from clew.access.review.effective import Granted, Shift, connector_shifts, process_shifts, shifts, step_shifts
from clew.access.review.matrix import CONNECTOR_WORDS, action_words, field_words
from clew.access.review.processes import Asking, process_of, step_of, step_words
from clew.access.separations import broken
from clew.access.unite import Unite, held_by
from clew.expressions.tree import Checked
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint, Entity
from clew.metadata.policies import CONNECTOR, Policies
from clew.records.engine import Engine
from clew.records.judge import Judge
from clew.records.review.people import Known, known_of
from clew.storage.engine import Connection
from clew.storage.expressions import Rows, condition_sql

_NO_RECORDS = ("create",)
"""Asked of records that are not there yet."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one person gains or loses. `gained` and `lost` count present records; None where that cannot be counted
    (records that are not there yet, or fields that only the other version has)."""

    login: str
    name: str
    entity: str
    action: str
    field: str
    subject: Bilingual
    """What people call the entity."""
    label: Bilingual
    before: Bilingual
    after: Bilingual
    gained: int | None
    lost: int | None

    @property
    def effect(self) -> str:
        """gains, loses, both, or none today."""
        if self.gained is None or self.lost is None:
            return "changes"
        if self.gained and self.lost:
            return "both"
        return "gains" if self.gained else "loses" if self.lost else "none today"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A static separation that somebody's present roles break."""

    login: str
    name: str
    separation: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    changes: tuple[Change, ...]
    conflicts: tuple[Conflict, ...]
    """New ones: broken by the later version and not by the earlier."""
    roles_gone: tuple[str, ...]
    roles_new: tuple[str, ...]

    @property
    def empty(self) -> bool:
        return not (self.changes or self.conflicts or self.roles_gone or self.roles_new)


class Side:
    """One version: its policies judged. Without policies nobody may anything through a door."""

    def __init__(self, blueprint: Blueprint) -> None:
        self.blueprint = blueprint
        self.policies = blueprint.policies or Policies({})
        self._unite = Unite(Judgement(blueprint)) if blueprint.policies is not None else None
        self._kept: dict[Any, Decision] = {}

    def decision(self, known: Known) -> Decision:
        if self._unite is None:
            return Decision("nothing", {})
        held = held_by(known.person, self.policies)
        if held not in self._kept:
            self._kept[held] = self._unite.decision(held)
        return self._kept[held]


class Comparison:
    """Compares two versions on the records of the release that is served."""

    def __init__(self, engine: Engine, connection: Connection, at: datetime, before: Side, after: Side) -> None:
        self._engine, self._connection, self._at = engine, connection, at
        self.before, self.after = before, after
        self._shifts: dict[tuple[str, str], list[Shift]] = {}
        self._counts: dict[Any, tuple[int, int] | None] = {}

    async def difference(self, people: Sequence[Known]) -> Difference:
        """Both versions over everybody whose account is active."""
        changes: list[Change] = []
        conflicts: list[Conflict] = []
        for known in people:
            if not known.account.active:
                continue
            was, becomes = self._seen(known, self.before), self._seen(known, self.after)
            changes += [each async for each in self._changes(known, was, becomes)]
            already = set(broken(self.before.policies, was.roles))
            conflicts += [
                Conflict(known.account.login, known.account.name, each, becomes.roles)
                for each in broken(self.after.policies, becomes.roles)
                if each not in already
            ]
        one, other = self.before.policies.roles, self.after.policies.roles
        gone, new = tuple(sorted(set(one) - set(other))), tuple(sorted(set(other) - set(one)))
        return Difference(tuple(changes), tuple(conflicts), gone, new)

    def _seen(self, known: Known, side: Side) -> Known:
        """The person under one version: roles it does not know give nothing, and those it knows do."""
        return known_of(known.account, list(known.assignments), side.policies, self._at)

    async def _changes(self, known: Known, was: Known, becomes: Known) -> AsyncIterator[Change]:
        one, other = self.before.decision(was), self.after.decision(becomes)
        if one.digest == other.digest:
            return
        args = {**self._args(was), **self._args(becomes)}
        steps = step_shifts(self.before.blueprint, self.after.blueprint, was.roles, becomes.roles)
        for shift in (*self._shifted(one, other), *steps):
            counted = await self._count(shift, args, known)
            gained, lost = counted if counted is not None else (None, None)
            what, label = self._named(shift)
            yield Change(
                known.account.login,
                known.account.name,
                shift.entity,
                shift.action,
                shift.field,
                what,
                label,
                shift.before.words(self.before.blueprint),
                shift.after.words(self.after.blueprint),
                gained,
                lost,
            )

    def _shifted(self, one: Decision, other: Decision) -> list[Shift]:
        key = (one.digest, other.digest)
        if key not in self._shifts:
            sides = (self.before.blueprint, self.after.blueprint)
            names = sorted({name for side in sides for name in side.entities})
            about = {name: each.entity for side in sides for name, each in side.workflows.items()}
            found = [each for name in names for each in shifts(one, other, name)]
            self._shifts[key] = [*found, *process_shifts(one, other, about), *connector_shifts(one, other)]
        return self._shifts[key]

    def _named(self, shift: Shift) -> tuple[Bilingual, Bilingual]:
        """What people call the thing, and what is done to it."""
        if shift.entity.startswith(CONNECTOR):
            name = shift.entity.removeprefix(CONNECTOR)
            return Bilingual(name, name), CONNECTOR_WORDS[shift.action]
        entity = self.after.blueprint.entities.get(shift.entity) or self.before.blueprint.entities[shift.entity]
        return entity.label, self._label(entity, shift)

    def _label(self, entity: Entity, shift: Shift) -> Bilingual:
        if shift.field:
            return field_words(entity, shift.action, shift.field)
        step = step_of(shift.action)
        if step is not None:
            side = self.after if shift.after.allowed else self.before
            workflow = side.blueprint.workflows[step[0]]
            return step_words(Asking(workflow, workflow.step(step[1]), ""))
        process = process_of(shift.action)
        knows = process is None or process[0] in self.after.blueprint.workflows
        return action_words((self.after if knows else self.before).blueprint, entity, shift.action)

    async def _count(self, shift: Shift, args: Mapping[str, Any], known: Known) -> tuple[int, int] | None:
        """Records gained and lost."""
        entity = self._engine.blueprint.entities.get(shift.entity)
        if entity is None or step_of(shift.action) or shift.action in _NO_RECORDS or not self._countable(entity, shift):
            return None
        grants = [each for part in (shift.before, shift.after) for each in (part.rows, part.field) if each is not None]
        personal = any("user" in each.uses for grant in grants for each in grant.conditions)
        key = (id(shift), known.account.id if personal else None)
        if key not in self._counts:
            self._counts[key] = await self._ask(entity, shift, args)
        return self._counts[key]

    def _countable(self, entity: Entity, shift: Shift) -> bool:
        """False when a condition reads what the records of today do not have."""
        known = {*entity.fields, *entity.inverses, "@entered"}
        for part in (shift.before, shift.after):
            for grant in (part.rows, part.field):
                for each in grant.conditions if grant is not None else ():
                    if any(path[0] not in known for path in each.reads):
                        return False
        return True

    async def _ask(self, entity: Entity, shift: Shift, args: Mapping[str, Any]) -> tuple[int, int]:
        tables = self._engine.tables
        this = tables.current(entity.name).alias("this")
        rows = Rows(tables, self._engine.blueprint, entity.name, this, tables.dialect, None)
        was, becomes = _true(shift.before, rows), _true(shift.after, rows)
        gained = sa.func.sum(sa.case((sa.and_(becomes, sa.not_(was)), 1), else_=0), type_=sa.Integer())
        lost = sa.func.sum(sa.case((sa.and_(was, sa.not_(becomes)), 1), else_=0), type_=sa.Integer())
        chosen = sa.select(gained, lost).select_from(this)
        if "voided_at" in entity.fields:
            chosen = chosen.where(this.c.voided_at.is_(None))
        row = await self._connection.fetch_one(chosen, args)
        return (int(row[0] or 0), int(row[1] or 0)) if row is not None else (0, 0)

    def _args(self, known: Known) -> Mapping[str, Any]:
        today = self._at.astimezone(self._engine.zone).date()
        return Judge(self._engine, self._connection, known.person, self._at, today).person_args


def _true(granted: Granted, rows: Rows) -> Any:
    """True or false, never missing."""
    parts = [_grant(each, rows) for each in (granted.rows, granted.field) if each is not None]
    return sa.and_(*parts)


def _grant(grant: Grant, rows: Rows) -> Any:
    if not grant.allowed:
        return sa.false()
    if grant.always:
        return sa.true()
    return sa.or_(*(_decided(each, rows) for each in grant.conditions))


def _decided(condition: Checked, rows: Rows) -> Any:
    return sa.func.coalesce(condition_sql(condition, rows), sa.false(), type_=sa.Boolean())
