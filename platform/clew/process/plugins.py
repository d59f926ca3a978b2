"""An automatic step's work that a plugin does: the same verbs as any effect, in the step's transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.expressions.problems import Undecidable
from clew.kernel.errors import ClewError, NotFound
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import FieldKind
from clew.metadata.project import PluginAction
from clew.process.calendar import CalendarMissing, WorkingTime
from clew.process.errors import PluginFailed
from clew.process.time import calendar_of
from clew.records import store, verbs
from clew.records.rows import Record
from clew.records.unit import Unit
from clew.records.values import AnyRef
from clew.sdk.actions import Act, Refused, Row, Within

Reasoned = Callable[[Callable[[], Awaitable[Record]], str, Bilingual], Awaitable[Record]]
"""Does something under a reason; see `Effects.reasoned`."""


@dataclass(frozen=True, slots=True)
class PluginWork:
    """The port `clew.sdk.Work` on one unit."""

    unit: Unit
    entity: str
    id: UUID
    label: Bilingual
    reasoned: Reasoned
    declared: PluginAction

    @property
    def at(self) -> datetime:
        return self.unit.at

    @property
    def today(self) -> date:
        return self.unit.today

    @property
    def employee(self) -> UUID | None:
        return self.unit.context.person.employee

    async def record(self, entity: str | None = None, record_id: UUID | None = None) -> Row:
        known = self.unit.engine.blueprint.entities[entity or self.entity]
        if record_id is not None:
            # What is only looked at is not locked: an item is part of many orders.
            found = next(iter(await self.find(known.name, id=record_id)), None)
        else:
            found = await self.unit.lock(known, self.id)
        if found is None:
            raise NotFound(what=known.label)
        return found

    async def find(self, entity: str, **where: Any) -> list[Row]:
        known, table = self.unit.engine.blueprint.entities[entity], self.unit.engine.tables.current(entity)
        shape = self.unit.engine.statements.of(entity).shape
        conditions = []
        for name, value in where.items():
            if known.fields[name].kind is FieldKind.ANY and isinstance(value, AnyRef):
                conditions += [table.c[f"{name}_entity"] == value.entity, table.c[f"{name}_id"] == value.id]
            elif isinstance(value, Within):
                conditions += [table.c[name] >= value.first, table.c[name] < value.last]
            elif isinstance(value, tuple):
                conditions.append(table.c[name].in_(value))
            else:
                conditions.append(table.c[name] == value)
        if "voided_at" in table.c:
            conditions.append(table.c.voided_at.is_(None))
        query = sa.select(*(table.c[key] for key in shape.keys)).where(*conditions).order_by(table.c.id)
        return [shape.record(row) for row in await self.unit.connection.fetch(query)]

    async def linked(self, entity: str, field: str, record_id: UUID) -> list[UUID]:
        known = self.unit.engine.blueprint.entities[entity]
        return sorted(await store.link_targets(self.unit, known, field, record_id))

    def working_day_before(self, day: date, count: int) -> date | None:
        working = WorkingTime(calendar_of(self.unit.engine.blueprint, None))
        try:
            return working.working_day_before(day, count)
        except CalendarMissing:
            return None

    def decide(self, table: str, *given: Any) -> Mapping[str, Any]:
        known = self.unit.engine.blueprint.decisions[table]
        try:
            return known.table.decide(given).values
        except Undecidable as error:
            zh, en = (f"{known.label.to(each)}: {error.message(each)}" for each in ("zh", "en"))
            raise Refused(zh, en) from error

    def _declared(self, entity: str, verb: str) -> None:
        if not self.declared.may_make(entity, verb):
            what = entity if verb == "create" else f"{entity}.{verb}"
            raise PluginFailed(action=self.declared.name, what=f"it does not say that it makes {what}")

    async def create(self, entity: str, values: Row) -> UUID:
        self._declared(entity, "create")
        made = await self.reasoned(lambda: verbs.create(self.unit, entity, dict(values)), "", self.label)
        found: UUID = made["id"]
        return found

    async def update(self, entity: str, record_id: UUID, values: Row, reason: str = "") -> None:
        only = self.declared.writes
        if only is not None and record_id == self.id and not only.issuperset(values):
            more = ", ".join(sorted(set(values) - only))
            raise PluginFailed(action=self.declared.name, what=f"it does not say that it writes {more}")
        await self.reasoned(lambda: verbs.update(self.unit, entity, record_id, None, dict(values)), reason, self.label)

    async def move(self, entity: str, record_id: UUID, transition: str, reason: str = "") -> None:
        self._declared(entity, transition)
        await self.reasoned(
            lambda: verbs.transition(self.unit, entity, record_id, transition, None), reason, self.label
        )

    async def void(self, entity: str, record_id: UUID, reason: str) -> None:
        self._declared(entity, "void")
        await self.reasoned(lambda: verbs.void(self.unit, entity, record_id, None), reason, self.label)


_MISTAKES = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""A plugin's own mistakes. What the database and the unit raise to begin again goes through untouched."""


async def run_action(work: PluginWork, name: str, actions: Mapping[str, Act]) -> None:
    """Let a plugin do its action. Raises PluginFailed with what went wrong in it; refusals of records stay theirs."""
    if name not in actions:
        raise PluginFailed(action=name, what="it is not loaded")
    try:
        await actions[name](work)
    except ClewError:
        raise
    except _MISTAKES as error:
        raise PluginFailed(action=name, what=f"{type(error).__name__}: {error}") from error
