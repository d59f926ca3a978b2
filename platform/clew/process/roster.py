"""What the project's own records say of people: who manages whom, who holds a position, who is trained for what.

Which records these are is said under `identity:` of clew.yaml; what is not declared there finds nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from clew.metadata.blueprint import Blueprint, Entity
from clew.process.store import one_of
from clew.storage import identity_tables
from clew.storage.engine import Connection
from clew.storage.tables import Tables

_account = identity_tables.account


@dataclass(frozen=True, slots=True)
class Roster:
    """Reads the records that `identity:` names. Ids that go in may be accounts' or employees'; employees' come out."""

    blueprint: Blueprint
    tables: Tables

    async def managers(self, connection: Connection, people: Sequence[UUID]) -> tuple[UUID, ...]:
        """The managers of people. Nobody is their own: the first way that leads to somebody else counts."""
        declared = self.blueprint.project.identity
        if declared is None or not people:
            return ()
        found: dict[UUID, None] = {}
        entity = self.blueprint.entities[declared.people.entity]
        for person in await self._employees(connection, people):
            for way in declared.people.manager:
                manager = await self._along(connection, entity, person, way)
                if manager is not None and manager != person:
                    found[manager] = None
                    break
        return tuple(found)

    async def heads(self, connection: Connection, people: Sequence[UUID]) -> tuple[UUID, ...]:
        """The heads of people's departments: the nearest way of `manager`, be it to the person."""
        declared = self.blueprint.project.identity
        if declared is None or not people or not declared.people.manager:
            return ()
        entity, way = self.blueprint.entities[declared.people.entity], declared.people.manager[0]
        found = [await self._along(connection, entity, each, way) for each in await self._employees(connection, people)]
        return tuple(dict.fromkeys(each for each in found if each is not None))

    async def holders(self, connection: Connection, codes: Sequence[str], at: datetime) -> tuple[UUID, ...]:
        """Everybody who is in a position on the day of `at`."""
        declared = self.blueprint.project.identity
        positions = declared.positions if declared is not None else None
        if positions is None or not codes:
            return ()
        lines, owners = self.tables.current(positions.lines), self.tables.current(positions.entity)
        ended = lines.c[positions.end]
        query = (
            sa.select(lines.c[positions.person])
            .select_from(lines.join(owners, lines.c.owner == owners.c.id))
            .where(owners.c[positions.code].in_(codes), owners.c.voided_at.is_(None))
            .where(sa.or_(ended.is_(None), ended >= self._now(ended, at)))
            .order_by(lines.c[positions.person])
        )
        if positions.start is not None:
            begun = lines.c[positions.start]
            query = query.where(begun <= self._now(begun, at))
        if positions.active:
            query = query.where(owners.c.state.in_(positions.active))
        return tuple(dict.fromkeys(row[0] for row in await connection.fetch(query)))

    async def qualified(self, connection: Connection, course: UUID, at: datetime) -> frozenset[UUID]:
        """Whose training in a course is valid on the day of `at`. A record that was corrected counts no more."""
        declared = self.blueprint.project.identity
        training = declared.training if declared is not None else None
        if training is None:
            return frozenset()
        table = self.tables.current(training.entity)
        query = sa.select(table.c[training.person]).where(
            table.c[training.course] == course, table.c.state.in_(training.valid), table.c.voided_at.is_(None)
        )
        if training.end is not None:
            ends = table.c[training.end]
            query = query.where(sa.or_(ends.is_(None), ends >= self._now(ends, at)))
        if "corrects" in table.c:
            later = table.alias("later")
            query = query.where(
                ~sa.exists().where(later.c.corrects == table.c.id, later.c.voided_at.is_(None)).correlate(table)
            )
        return frozenset(row[0] for row in await connection.fetch(query))

    async def _employees(self, connection: Connection, people: Sequence[UUID]) -> list[UUID]:
        query = sa.select(_account.c.id, _account.c.employee).where(one_of(_account.c.id, people))
        known = {row[0]: row[1] for row in await connection.fetch(query)}
        return [each for each in (known.get(person, person) for person in people) if each is not None]

    async def _along(self, connection: Connection, entity: Entity, record: UUID, way: str) -> UUID | None:
        """The record at the end of a way such as `department.manager`."""
        at: UUID | None = record
        for name in way.split("."):
            if at is None:
                return None
            table = self.tables.current(entity.name)
            at = await connection.fetch_value(sa.select(table.c[name]).where(table.c.id == at))
            target = entity.fields[name].target
            entity = self.blueprint.entities[target]
        return at

    def _now(self, column: sa.ColumnElement[Any], at: datetime) -> Any:
        return as_column_says(column, at, ZoneInfo(self.blueprint.project.time_zone))


def as_column_says(column: sa.ColumnElement[Any], at: datetime, zone: ZoneInfo) -> Any:
    """The moment as that column says it: a day of the project's time zone, or an instant."""
    return at.astimezone(zone).date() if column.type.__class__.__name__ == "Day" else at
