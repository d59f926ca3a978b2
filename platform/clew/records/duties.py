"""The duty ledger: who performed which duty about which record, and that nobody performs two that exclude each other.

It is written in the transaction of the act itself. Units of work are serializable (one at a time on SQLite), so of two
acts at once that exclude each other the second sees the first, or is begun again and sees it then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.audit.trail import record_event
from clew.expressions.rewrite import negated
from clew.kernel.context import Context
from clew.kernel.ids import uuid7
from clew.kernel.scalars import instant_text
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity, FieldKind
from clew.metadata.policies import DO, Act, Duty, Policies, Separation
from clew.records.engine import Engine
from clew.records.errors import SeparationOfDuties
from clew.records.judge import Judge
from clew.records.participants import Change, Quiet
from clew.records.unit import Unit
from clew.storage import identity_tables, system
from clew.storage.dialects import any_of
from clew.storage.engine import Connection, Row
from clew.storage.types import Id, Instant

_t = system.duty
_EXEMPT = "duties exempt"
DOOR = "api"
_COLUMNS = (_t.c.duty, _t.c.entity, _t.c.action, _t.c.at)
_VERBS = {
    "create": Bilingual("新建", "create"),
    "update": Bilingual("修改", "update"),
    "void": Bilingual("作废", "void"),
    "correct": Bilingual("更正", "correct"),
}


def at_the_door(context: Context) -> bool:
    """Whether somebody acts through the server, not at the machine itself."""
    return context.channel == DOOR


@dataclass(frozen=True, slots=True)
class Identity:
    """An account and, where known, the employee behind it: the same employee is the same person."""

    account: UUID
    employee: UUID | None


class Duties(Quiet):
    """Takes part in writes of entities that some separation names.

    `exempt` are accounts that are nobody: the operator at this machine, who brings in what was done elsewhere by people
    this ledger does not know. That it was not asked stands in the trail, once for each transaction. At the door of the
    server the operator is bound like anybody. What anybody else imports is theirs, like any other write.
    """

    name = "duties"

    def __init__(self, policies: Policies, exempt: Iterable[UUID] = ()) -> None:
        self._exempt, self._policies = frozenset(exempt), policies
        self._of: dict[str, list[tuple[Separation, Duty]]] = {}
        for separation in policies.separations.values():
            for duty in separation.duties:
                self._of.setdefault(duty.entity, []).append((separation, duty))

    def wants(self, entity: Entity) -> bool:
        return entity.name in self._of

    async def effect(self, change: Change, unit: Unit) -> None:
        """Refuse what an earlier duty excludes, then write this one down. The record stands already, with its links;
        raising undoes it. Raises SeparationOfDuties."""
        if change.new is None or (unit.unanswered and change.transition is not None):
            return
        await self._perform(change, unit)

    async def answered(self, change: Change, unit: Unit) -> None:
        """A duty that is performed by doing a step, or by voting in it. Raises SeparationOfDuties."""
        await self._perform(change, unit)

    async def _perform(self, change: Change, unit: Unit) -> None:
        assert change.new is not None
        if unit.context.person.id in self._exempt and not at_the_door(unit.context):
            await self._tell_exempt(change, unit)
            return
        for separation, duty in self._of[change.entity.name]:
            action = _performed(duty, change)
            if action is None:
                continue
            subjects = await _subjects(unit, change, duty.about)
            if action != change.verb and change.transition is None:
                subjects = await _not_yet(unit, change, separation, duty, subjects)
            if not subjects:
                continue
            actors, givers = _actors(unit, change), await _stood_in_for(unit)
            people = [*actors, *(each for each, _ in givers)]
            if await in_force(unit.judge, duty, change.entity, change.new):
                await self._refuse(unit, separation, duty, action, subjects, people)
            bound = [each for each, role in givers if each not in actors and self._gives(role, change, action)]
            await _write_down(unit, change, separation, duty, action, subjects, list(dict.fromkeys((*actors, *bound))))

    def _gives(self, role: str, change: Change, action: str) -> bool:
        """Whether a delegated role may do this at all: then it is done for the delegator too, even where the deputy
        has a role of their own that may."""
        asked = {action, f"{DO}{action}", change.verb}
        return any(
            grants is not None and asked & set(grants.actions)
            for each in self._policies.lineage(role)
            for grants in (each.may.get(change.entity.name), each.may.get(change.entity.part_of or ""))
        )

    async def _tell_exempt(self, change: Change, unit: Unit) -> None:
        if unit.found.setdefault(_EXEMPT, False):
            return
        unit.found[_EXEMPT] = True
        entity = change.entity.name
        told = {
            "separations": sorted({separation.name for separation, _ in self._of[entity]}),
            "imported": unit.foreign,
        }
        await record_event(unit.connection, unit.context, unit.engine.release, "duties:exempt", entity, change.id, told)

    async def _refuse(
        self,
        unit: Unit,
        separation: Separation,
        duty: Duty,
        action: str,
        subjects: Sequence[UUID],
        people: Sequence[Identity],
    ) -> None:
        row = await earlier(unit.connection, separation, duty, subjects, people)
        if unit.trace is not None:
            before = None if row is None else {"entity": row[1], "action": row[2], "at": row[3]}
            unit.trace.fact("separation", separation.name, row is None, duty=duty.name, earlier=before)
        if row is None:
            return
        blueprint = unit.engine.blueprint
        raise SeparationOfDuties(
            separation=separation.label,
            duty=duty_words(unit.engine, duty.entity, action),
            earlier=duty_words(unit.engine, row[1], row[2]),
            subject=blueprint.entities[duty.subject].label,
            at=instant_text(row[3]),
        )


async def in_force(judge: Judge, duty: Duty, entity: Entity, record: Mapping[str, Any]) -> bool:
    """Whether the separation is switched on for this record. What cannot be decided is: it forbids."""
    return duty.active is None or not await judge.holds(negated(duty.active), entity, record)


@dataclass(frozen=True, slots=True)
class Until:
    """The ledger as it was at a moment, without what an act of `decided` about the record `own` wrote itself."""

    at: datetime
    own: UUID | None
    decided: datetime


async def earlier(
    connection: Connection,
    separation: Separation,
    duty: Duty,
    subjects: Sequence[UUID],
    people: Sequence[Identity],
    until: Until | None = None,
) -> Row | None:
    """The first act of these people about the subjects that excludes the duty: its duty, entity, action and moment."""
    moment = {} if until is None else {"until": until.at, "own": until.own, "decided": until.decided}
    rows = await connection.fetch(
        _EARLIER if until is None else _EARLIER_UNTIL,
        {
            **moment,
            "subjects": list(subjects),
            "of": [separation.name, *separation.renamed_from],
            "now": duty.name,
            "accounts": sorted({each.account for each in people}),
            "employees": sorted({each.employee for each in people if each.employee is not None}),
        },
    )
    return next((row for row in rows if _now_called(separation, row[0], Act(row[1], row[2])) != duty.name), None)


def _now_called(separation: Separation, duty: str, act: Act) -> str:
    """The duty that was performed, by its present name: one the separation no longer has is told by the act."""
    if any(each.name == duty for each in separation.duties):
        return duty
    return next((each.name for each in separation.duties if each.covers(act)), duty)


_EARLIER = (
    sa.select(*_COLUMNS)
    .where(
        any_of(_t.c.subject, "subjects"),
        any_of(_t.c.separation, "of"),
        _t.c.duty != sa.bindparam("now"),
        sa.or_(any_of(_t.c.account, "accounts"), any_of(_t.c.employee, "employees")),
    )
    .order_by(_t.c.at, _t.c.id)
)
_OWN = sa.and_(_t.c.record == sa.bindparam("own", type_=Id()), _t.c.at == sa.bindparam("decided", type_=Instant()))
_EARLIER_UNTIL = _EARLIER.where(_t.c.at <= sa.bindparam("until", type_=Instant()), sa.not_(_OWN))


def _performed(duty: Duty, change: Change) -> str | None:
    """The action of the duty that a change is, if it is one.

    A record that comes to its subject later was made about it all the same: setting the first step of the way counts
    as making it.
    """
    if change.transition is not None:
        return change.transition.name if change.transition.name in duty.actions else None
    if change.verb in duty.actions:
        return change.verb
    if change.verb == "update" and "create" in duty.actions and duty.about and change.old and change.new:
        first = duty.about[0]
        field = change.entity.fields.get(first)
        # Links are not part of the row: which of them are new is seen from what is written down already.
        linked = field is not None and field.kind is FieldKind.MANY
        if linked or (first in change.new and change.old.get(first) != change.new[first]):
            return "create"
    return None


async def _not_yet(
    unit: Unit, change: Change, separation: Separation, duty: Duty, subjects: Sequence[UUID]
) -> list[UUID]:
    """The subjects this record was not yet about."""
    if not subjects:
        return []
    known = await unit.connection.fetch(
        _ABOUT,
        {
            "record": change.id,
            "of": [separation.name, *separation.renamed_from],
            "duty": duty.name,
            "subjects": list(subjects),
        },
    )
    return sorted(set(subjects) - {row[0] for row in known})


_ABOUT = sa.select(_t.c.subject).where(
    any_of(_t.c.subject, "subjects"),
    any_of(_t.c.separation, "of"),
    _t.c.duty == sa.bindparam("duty"),
    _t.c.record == sa.bindparam("record", type_=Id()),
)


def _actors(unit: Unit, change: Change) -> list[Identity]:
    """Whose duty it is: the person's, and theirs for whom it is done."""
    context = unit.context
    found = [Identity(context.person.id, context.person.employee)]
    if context.on_behalf_of is not None:
        found.append(Identity(context.on_behalf_of.id, context.on_behalf_of.employee))
    author = change.new.get("created_by") if change.new and change.verb == "update" else None
    if isinstance(author, UUID) and author != context.person.id:
        found.append(Identity(author, None))
    return found


async def _stood_in_for(unit: Unit) -> list[tuple[Identity, str]]:
    """Those whose roles the person holds by delegation now, with the role: what they have done counts as done by the
    deputy, and what the deputy does by that role as done by them."""
    a, giver = identity_tables.assignment, identity_tables.account
    statement = (
        sa.select(giver.c.id, giver.c.employee, a.c.role)
        .join(giver, giver.c.id == a.c.delegator)
        .select_from(a)
        .where(
            a.c.account == sa.bindparam("deputy", type_=Id()),
            a.c.kind == "delegation",
            a.c.state == "active",
            a.c.valid_from <= sa.bindparam("moment", type_=a.c.valid_from.type),
            sa.or_(a.c.valid_to.is_(None), a.c.valid_to > sa.bindparam("moment", type_=a.c.valid_from.type)),
        )
    )
    built = unit.engine.remember(("stood_in_for",), lambda: statement)
    rows = await unit.connection.fetch(built, {"deputy": unit.context.person.id, "moment": unit.at})
    return [(Identity(row[0], row[1]), row[2]) for row in rows]


async def _write_down(
    unit: Unit,
    change: Change,
    separation: Separation,
    duty: Duty,
    action: str,
    subjects: Sequence[UUID],
    actors: Sequence[Identity],
) -> None:
    for subject in subjects:
        for each in actors:
            values: Mapping[str, Any] = {
                "id": uuid7(),
                "subject": subject,
                "subject_entity": duty.subject,
                "separation": separation.name,
                "duty": duty.name,
                "account": each.account,
                "employee": each.employee,
                "acted_by": unit.context.person.id,
                "entity": change.entity.name,
                "action": action,
                "record": change.id,
                "at": unit.at,
                "release": unit.engine.release,
            }
            await unit.connection.execute(sa.insert(_t).values(**values))


# ── the way to the subject ────────────────────────────────────────────────────────────────────────────────────────────


async def _subjects(unit: Unit, change: Change, about: tuple[str, ...]) -> list[UUID]:
    """The records at the end of the way from the changed record, as the transaction sees them."""
    return await subjects_of(unit.engine, unit.connection, change.entity, change.id, change.new, about)


async def subjects_of(
    engine: Engine,
    connection: Connection,
    entity: Entity,
    record: UUID,
    known: Mapping[str, Any] | None,
    about: tuple[str, ...],
    as_of: datetime | None = None,
) -> list[UUID]:
    """The records at the end of the way from a record, whose own fields may be `known`; as it was at a moment, or is
    now."""
    ids = [record]
    for at, step in enumerate(about):
        if not ids:
            return []
        field = entity.fields.get(step)
        if at == 0 and field is not None and field.kind is FieldKind.REF and known is not None:
            value = known.get(step)
            ids = [value] if value is not None else []
        else:
            past = as_of is not None
            statement = engine.remember(("duty", entity.name, step, past), _step(engine, entity, step, past))
            rows = await connection.fetch(statement, {"from_ids": ids} | ({"as_of": as_of} if past else {}))
            ids = sorted({row[0] for row in rows if row[0] is not None})
        name = field.target if field is not None else entity.inverses[step].source
        entity = engine.blueprint.entities[name]
    return ids


def _step(engine: Engine, entity: Entity, step: str, past: bool) -> Any:
    tables = engine.tables

    def rows(of: str) -> sa.Table:
        return tables.history(of) if past else tables.current(of)

    def links(of: str, field: str) -> sa.Table:
        return tables.link_history(of, field) if past else tables.link(of, field)

    def found(wanted: sa.Column[Any], by: sa.Column[Any]) -> sa.Select[Any]:
        at, table = sa.bindparam("as_of", type_=Instant()), by.table
        then = (table.c.tx_from <= at, table.c.tx_to > at) if past else ()
        return sa.select(wanted).where(any_of(by, "from_ids"), *then)

    def build() -> Any:
        field = entity.fields.get(step)
        if field is not None:
            if field.kind is FieldKind.REF:
                here = rows(entity.name)
                return found(here.c[step], here.c.id)
            if field.kind is FieldKind.LINES:
                lines = rows(field.target)
                return found(lines.c.id, lines.c.owner)
            link = links(entity.name, step)
            return found(link.c.target, link.c.owner)
        back = entity.inverses[step]
        source = engine.blueprint.entities[back.source].fields[back.field]
        if source.kind is FieldKind.REF:
            there = rows(back.source)
            return found(there.c.id, there.c[back.field])
        link = links(back.source, back.field)
        return found(link.c.owner, link.c.target)

    return build


def duty_words(engine: Engine, entity: str, action: str) -> Bilingual:
    """A duty as people know it: what is done to what."""
    known = engine.blueprint.entities.get(entity)
    if known is None:
        return Bilingual(f"{entity}·{action}", f"{entity}: {action}")
    move = known.transitions.get(action)
    label = move.label if move is not None else _VERBS.get(action, Bilingual(action, action))
    return Bilingual(f"{known.label.to('zh')}·{label.to('zh')}", f"{known.label.to('en')}: {label.to('en')}")
