"""References of one record, checked in one statement: each exists, is not void, may be seen, and satisfies `where`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from clew.access.decision import Decision
from clew.metadata.blueprint import Entity, Field, FieldKind
from clew.records.errors import BadReference
from clew.records.intake import Intake
from clew.records.values import AnyRef, Path
from clew.storage.dialects import any_of
from clew.storage.expressions import Rows, condition_sql

if TYPE_CHECKING:
    from clew.records.unit import Unit


@dataclass(frozen=True, slots=True)
class Wanted:
    """Records a field is to point at."""

    field: Field
    target: str
    ids: tuple[UUID, ...]
    path: tuple[str | int, ...]


def wanted(entity: Entity, values: Mapping[str, Any], intake: Intake, path: Path) -> list[Wanted]:
    """The references among `values` (references newly given) and the links that come."""
    found: list[Wanted] = []
    for name, value in values.items():
        field = entity.fields[name]
        if value is None:
            continue
        if field.kind is FieldKind.REF:
            found.append(Wanted(field, field.target, (value,), (*path, name)))
        elif field.kind is FieldKind.ANY:
            assert isinstance(value, AnyRef)
            found.append(Wanted(field, value.entity, (value.id,), (*path, name, "id")))
    for name, change in intake.links.items():
        ids = tuple(sorted(change.whole if change.whole is not None else change.add))
        if ids:
            field = entity.fields[name]
            found.append(Wanted(field, field.target, ids, (*path, name)))
    return found


async def check_references(unit: Unit, entity: Entity, all_wanted: Sequence[Wanted]) -> None:
    """Raises BadReference for the first reference that cannot be used; the reasons are not told apart (threat 21)."""
    asked = still_asked(unit, all_wanted)
    if not asked:
        return
    key = (entity.name, *shape_of(unit, asked))
    statement = unit.engine.remember(key, lambda: counts_of(unit, asked))
    row = await unit.connection.fetch_one(statement, arguments(unit, asked))
    assert row is not None
    judge_counts(unit, asked, row)


def still_asked(unit: Unit, all_wanted: Sequence[Wanted]) -> list[Wanted]:
    """The references this unit has not seen yet; a condition of its own is asked every time."""
    return [
        each
        for each in all_wanted
        if each.field.where is not None or unit.filling or not unit.knows(each.target, each.ids)
    ]


def shape_of(unit: Unit, asked: Sequence[Wanted]) -> tuple[Any, ...]:
    """What the statement depends on."""
    return _reading(unit).digest, tuple((each.field.name, each.target, len(each.ids) > 1) for each in asked)


def arguments(unit: Unit, asked: Sequence[Wanted]) -> dict[str, Any]:
    args: dict[str, Any] = dict(unit.person_args)
    for at, each in enumerate(asked):
        args[f"ids_{at}"] = list(each.ids) if len(each.ids) > 1 else each.ids[0]
        args[f"n_{at}"] = len(each.ids)
    return args


def judge_counts(unit: Unit, asked: Sequence[Wanted], counts: Sequence[Any]) -> None:
    """Raise for the first reference that was not found as often as it was named."""
    for each, count in zip(asked, counts, strict=True):
        if count != len(each.ids):
            target = unit.engine.blueprint.entities[each.target].label
            raise BadReference(path=each.path, field=each.field.label, target=target)
        unit.note_seen(each.target, each.ids)


def counts_of(unit: Unit, asked: Sequence[Wanted]) -> sa.Select[Any]:
    """How many of each reference's records are there and usable, in the order asked."""
    tables, blueprint = unit.engine.tables, unit.engine.blueprint
    counts = []
    for at, each in enumerate(asked):
        target = tables.current(each.target).alias(f"r{at}")
        rows = Rows(tables, blueprint, each.target, target, tables.dialect, None)
        many = len(each.ids) > 1
        conditions = [
            any_of(target.c.id, f"ids_{at}")
            if many
            else target.c.id == sa.bindparam(f"ids_{at}", type_=target.c.id.type),
        ]
        if "voided_at" in target.c:
            conditions.append(target.c.voided_at.is_(None))
        grant = _reading(unit).on(_permitted_as(unit, each.target)).read
        if not grant.allowed:
            conditions.append(sa.false())
        elif grant.conditions and _permitted_as(unit, each.target) == each.target:
            conditions.append(sa.or_(*(condition_sql(condition, rows) for condition in grant.conditions)))
        if each.field.where is not None:
            conditions.append(condition_sql(each.field.where, rows))
        count = sa.select(sa.func.count()).select_from(target).where(*conditions).scalar_subquery()
        counts.append(count.label(f"c{at}"))
    return sa.select(*counts)


def _permitted_as(unit: Unit, entity: str) -> str:
    """Lines are seen with their owner's permission when they have none of their own."""
    owner = unit.engine.blueprint.entities[entity].part_of
    return owner if owner and entity not in _reading(unit).entities else entity


def _reading(unit: Unit) -> Decision:
    """Whose sight counts: what a process refers to by itself is as its definition says; what somebody names, they must
    see, also where they fill in a step of a process."""
    return unit.engine.process if unit.elevated and not unit.filling else unit.decision


async def thread_followed(unit: Unit, entity: Entity, record: Mapping[str, Any]) -> UUID | None:
    """The thread of the record that a new one follows from, by the first of `thread:` that is filled in. A reference
    to nothing is refused where references are checked."""
    for name in entity.thread:
        value, field = record.get(name), entity.fields[name]
        if value is None:
            continue
        target, record_id = (value.entity, value.id) if isinstance(value, AnyRef) else (field.target, value)
        table = unit.engine.tables.current(target)
        row = await unit.connection.fetch_one(sa.select(table.c.thread_id).where(table.c.id == record_id))
        return row[0] if row is not None else None
    return None
