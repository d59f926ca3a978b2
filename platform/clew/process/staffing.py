"""What records say of people changes: who is asked follows their training, positions and managers now.

A change of such a record leaves one job in its own transaction, however many tasks it may touch; the job finds the
instances and asks each to offer its tasks anew, as when roles come and go; a step that has found nobody to ask begins
when there is somebody now. What begins or ends by itself is seen to by
one job that walks time: it does what lies between the moment it was done last and now, so that nothing is passed over
while no server ran, and nothing is done twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from clew.jobs import leases
from clew.kernel.ids import id_of
from clew.kernel.scalars import parse_instant
from clew.metadata.blueprint import Blueprint, Entity, FieldKind
from clew.metadata.project import Positions, Training
from clew.process import jobs, store
from clew.process.affected import Affected, asking, definitions_in_use
from clew.process.calendar import midnight
from clew.process.roster import as_column_says
from clew.records.gathering import beside
from clew.records.participants import Change, Quiet
from clew.records.unit import Unit
from clew.storage.engine import Connection
from clew.storage.system import job

if TYPE_CHECKING:
    from clew.process.engine import Processes

OFTEN = timedelta(minutes=15)
"""How long something may have begun or ended at a moment of its own before anybody is asked anew."""


class StaffingParticipant(Quiet):
    """Notices changes of what the steps of this release, and whatever `identity:` declares, read of records."""

    name = "staffing"

    def __init__(self, blueprint: Blueprint) -> None:
        self._read: dict[str, set[str]] = {}
        """Entity → its fields that lead to whoever is asked."""
        declared = blueprint.project.identity
        self._training: Training | None = declared.training if declared is not None else None
        self._positions: Positions | None = declared.positions if declared is not None else None
        ways = [(each.entity, way) for each in asking(blueprint.workflows.values()) for way in each.who.reads]
        if declared is not None:
            ways += [(declared.people.entity, tuple(way.split("."))) for way in declared.people.manager]
        for start, way in ways:
            entity: Entity | None = blueprint.entities[start]
            for name in way:
                if entity is None:
                    break
                self._read.setdefault(entity.name, set()).add(name)
                field = entity.fields.get(name)
                plain = field is not None and field.kind is FieldKind.REF
                entity = blueprint.entities[field.target] if field is not None and plain else None

    def wants(self, entity: Entity) -> bool:
        named = {self._training.entity} if self._training is not None else set()
        named |= {self._positions.entity, self._positions.lines} if self._positions is not None else set()
        return entity.name in self._read or entity.name in named

    async def effect(self, change: Change, unit: Unit) -> None:
        said = {**self._fields(change), **self._trained(change), **self._placed(change)}
        if said:
            await jobs.ask_records(beside(unit.connection), change.id, said)

    def _fields(self, change: Change) -> Mapping[str, Any]:
        # Nothing that is open was opened by a record that is only made now.
        if change.old is None or change.new is None:
            return {}
        old, new = change.old, change.new
        read = self._read.get(change.entity.name, set())
        fields = sorted(each for each in read if each in new and old.get(each) != new[each])
        return {"entity": change.entity.name, "fields": fields} if fields else {}

    def _trained(self, change: Change) -> Mapping[str, Any]:
        """Person and course of a training record, as it was and as it is, where it counts."""
        declared = self._training
        if declared is None or change.entity.name != declared.entity:
            return {}
        counting = [each for each in (change.old, change.new) if each is not None and each["state"] in declared.valid]
        found = {(str(each[declared.person]), str(each[declared.course])) for each in counting}
        corrected = change.new.get("corrects") if change.verb == "correct" and change.new is not None else None
        said: dict[str, Any] = {"trained": sorted(found)} if found else {}
        # What was corrected counts no more, whatever the correction says.
        return said | ({"corrected": str(corrected)} if corrected is not None else {})

    def _placed(self, change: Change) -> Mapping[str, Any]:
        """The positions that a change touches: by their code, a line's by its owner."""
        declared = self._positions
        rows = [each for each in (change.old, change.new) if each is not None]
        if declared is None or change.entity.name not in (declared.entity, declared.lines):
            return {}
        key, name = ("places", "owner") if change.entity.name == declared.lines else ("codes", declared.code)
        return {key: sorted({str(each[name]) for each in rows})}


async def changed(engine: Processes, record: UUID, said: Mapping[str, Any], unit: Unit) -> None:
    """Find the instances that a change of a record touches; `said` by the participant."""
    declared, connection = engine.blueprint.project.identity, unit.connection
    affected = await _affected(engine, unit)
    found = set[UUID]()
    if "fields" in said:
        found |= await affected.by_fields(said["entity"], record, said["fields"])
    trained, codes = [(id_of(one), id_of(other)) for one, other in said.get("trained", ())], {*said.get("codes", ())}
    if declared is not None and declared.training is not None and "corrected" in said:
        rows = await connection.fetch(_trained(unit, declared.training, id_of(said["corrected"])))
        trained += [(row[0], row[1]) for row in rows]
    if declared is not None and declared.positions is not None and "places" in said:
        owners = unit.engine.tables.current(declared.positions.entity)
        for each in said["places"]:
            query = sa.select(owners.c[declared.positions.code]).where(owners.c.id == id_of(each))
            codes |= {row[0] for row in await connection.fetch(query)}
    for person, course in trained:
        found |= await affected.by_training(person, course)
    await _offer(connection, found | await affected.by_positions(codes), "records")


# ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def turn(engine: Processes, said: Mapping[str, Any], unit: Unit) -> None:
    """See to what has begun and ended by itself since the last time, and ask for the next. The first time everything
    that asks by records is looked at: nobody has done so before."""
    affected, connection, at = await _affected(engine, unit), unit.connection, unit.now
    if not said.get("unasked"):
        await store.note_unasked(connection)
    if said["since"] is None:
        found = await affected.everything()
    else:
        # By a clock that was ahead more was done than has come: it is looked at again, both ways.
        first, last = sorted((parse_instant(said["since"]), at))
        found = await affected.by_positions(await _begun_or_ended(unit, first, last))
        for person, course in await _lapsed(unit, first, last):
            found |= await affected.by_training(person, course)
    # Where nobody was found, whatever else may have changed since.
    found |= await store.unasked(connection)
    await _offer(connection, found, "time")
    await jobs.ask_turn(connection, at, _next(engine.blueprint, at))


async def walk(engine: Processes) -> None:
    """Have time walked, where nobody does yet, or does not before long because a clock was ahead."""
    if engine.blueprint.policies is None:
        return

    async def ask(connection: Connection) -> None:
        at = await connection.now()
        await jobs.ask_turn(connection, None, at)
        late = sa.and_(job.c.kind == jobs.TURN, job.c.state == "ready", job.c.run_at > _next(engine.blueprint, at))
        if await connection.fetch_one(sa.select(job.c.id).where(late)) is not None:
            await leases.move(connection, jobs.TURN, "turn", at)

    await engine.database.run_write(ask)


def _next(blueprint: Blueprint, at: datetime) -> datetime:
    """When to look again: as the day turns in the project's zone, and before where records tell moments."""
    zone = ZoneInfo(blueprint.project.time_zone)
    turn = midnight(at.astimezone(zone).date() + timedelta(days=1), zone)
    declared = blueprint.project.identity
    ends = []
    if declared is not None and declared.training is not None:
        ends.append((declared.training.entity, declared.training.end))
    if declared is not None and declared.positions is not None:
        ends += [(declared.positions.lines, each) for each in (declared.positions.start, declared.positions.end)]
    kinds = {blueprint.entities[entity].fields[name].kind for entity, name in ends if name is not None}
    return turn if kinds <= {FieldKind.DATE} else min(turn, at + OFTEN)


async def _lapsed(unit: Unit, first: datetime, last: datetime) -> list[tuple[UUID, UUID]]:
    """Person and course of training whose validity ended between two moments."""
    declared = unit.engine.blueprint.project.identity
    training = declared.training if declared is not None else None
    if training is None or training.end is None:
        return []
    ends = unit.engine.tables.current(training.entity).c[training.end]
    query = _trained(unit, training).where(_ended(unit, ends, first, last)).distinct()
    return [(row[0], row[1]) for row in await unit.connection.fetch(query)]


async def _begun_or_ended(unit: Unit, first: datetime, last: datetime) -> set[str]:
    """Positions that somebody came to or left between two moments."""
    declared = unit.engine.blueprint.project.identity
    positions = declared.positions if declared is not None else None
    if positions is None:
        return set()
    lines, owners = (unit.engine.tables.current(each) for each in (positions.lines, positions.entity))
    turned = [_ended(unit, lines.c[positions.end], first, last)]
    if positions.start is not None:
        turned.append(_begun(unit, lines.c[positions.start], first, last))
    query = sa.select(owners.c[positions.code]).select_from(lines.join(owners, lines.c.owner == owners.c.id))
    return {row[0] for row in await unit.connection.fetch(query.where(sa.or_(*turned)).distinct())}


def _ended(unit: Unit, column: Any, first: datetime, last: datetime) -> sa.ColumnElement[bool]:
    """What was still so at the first of two moments and is over at the other; a day counts to its end."""
    zone = unit.engine.zone
    return sa.and_(column >= as_column_says(column, first, zone), column < as_column_says(column, last, zone))


def _begun(unit: Unit, column: Any, first: datetime, last: datetime) -> sa.ColumnElement[bool]:
    zone = unit.engine.zone
    return sa.and_(column > as_column_says(column, first, zone), column <= as_column_says(column, last, zone))


# ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _affected(engine: Processes, unit: Unit) -> Affected:
    return Affected(unit, [*asking(await definitions_in_use(engine, unit))])


async def _offer(connection: Connection, processes: set[UUID], why: str) -> None:
    # In one order, so that two of these never wait for each other.
    for each in sorted(processes):
        await jobs.ask_offer(connection, each, why)


def _trained(unit: Unit, training: Training, record: UUID | None = None) -> sa.Select[Any]:
    """Person and course of one training record, or of all that count."""
    table = unit.engine.tables.current(training.entity)
    query = sa.select(table.c[training.person], table.c[training.course])
    if record is not None:
        return query.where(table.c.id == record)
    return query.where(table.c.state.in_(training.valid), table.c.voided_at.is_(None))
