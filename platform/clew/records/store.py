"""Rows in and out: the present row with its version, links with theirs, search rows; database refusals in words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from clew.identity import sessions
from clew.identity.errors import SessionEnded
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity, Field
from clew.records.errors import BadReference, Duplicate, Missing, Referenced
from clew.records.gathering import Pending
from clew.records.intake import LinkChange
from clew.records.numbers import NumberTaken
from clew.records.references import Wanted, arguments, counts_of, judge_counts, shape_of
from clew.records.rows import Record
from clew.records.search import grams_of
from clew.records.statements import EntityStatements, bound, insert_if
from clew.records.values import Path
from clew.storage.errors import IntegrityFault
from clew.storage.schema import current_shape

if TYPE_CHECKING:
    from clew.records.unit import Unit

NO_PATH: Path = ("input",)


async def insert(unit: Unit, entity: Entity, record: Record, path: Path, number: Field | None = None) -> None:
    """A new record with its first version. `number`: the field for which a number was made."""
    statements = unit.engine.statements.of(entity.name)
    if unit.gathering is not None:
        await unit.gathering.insert(entity, record, path, number, _gram_rows(statements, record, entity.searchable))
        unit.hold(entity, record)
        return
    args = bound(statements.shape.columns(record))
    args["at"] = unit.at
    try:
        async with in_words(unit, entity, path):
            await statements.insert.run(unit.connection, args)
    except Exception as error:
        number_was_taken(unit, entity, number, error)
        raise
    unit.hold(entity, record)
    if statements.grams:
        await _add_grams(unit, entity, record, entity.searchable)


@dataclass(slots=True)
class Waiting:
    """A new row that is written together with its leaf and event, in one statement with the check of its references."""

    entity: Entity
    args: dict[str, Any]
    path: Path
    asked: list[Wanted]
    number: Field | None


async def insert_later(
    unit: Unit, entity: Entity, record: Record, path: Path, asked: list[Wanted], number: Field | None
) -> None:
    """As `insert`, but left to the end of the unit. Only for a record that nothing looks at in between."""
    statements = unit.engine.statements.of(entity.name)
    args = bound(statements.shape.columns(record))
    args["at"] = unit.at
    unit.waiting = Waiting(entity, args, path, asked, number)
    if statements.grams:
        await _add_grams(unit, entity, record, entity.searchable)


async def insert_waiting(unit: Unit, row: Waiting, trail: Mapping[str, Any]) -> None:
    """Row, version, leaf, event and their queues if every reference holds: one round trip."""
    shape, looks = shape_of(unit, row.asked), unit.session_at is not None

    def build() -> Any:
        rows = (*unit.engine.statements.of(row.entity.name).rows, *unit.engine.statements.rows)
        counts = counts_of(unit, row.asked)
        return insert_if(counts.add_columns(sessions.HELD.label("session")) if looks else counts, rows)

    statement = unit.engine.remember(("whole", row.entity.name, looks, *shape), build)
    args = {**arguments(unit, row.asked), **row.args, **trail}
    if unit.session_at is not None:
        args |= {**sessions.asked(unit.context, unit.session_at), f"n_{len(row.asked)}": 1}
    say = unit.connection.fetch if unit.keyed else unit.connection.fetch_last
    try:
        async with in_words(unit, row.entity, row.path):
            counts = await say(statement, args)
    except Exception as error:
        number_was_taken(unit, row.entity, row.number, error)
        raise
    if looks and counts[0][len(row.asked)] != 1:
        raise SessionEnded
    unit.session_at = None
    if row.asked:
        judge_counts(unit, row.asked, counts[0][: len(row.asked)])


def number_was_taken(unit: Unit, entity: Entity, made: Field | None, error: Exception) -> None:
    """A number of ours that somebody gave by hand before is left out: begin again with the next."""
    fault = error.__cause__
    if made is None or not isinstance(fault, IntegrityFault) or fault.kind != "unique":
        return
    if made.name in unique_fields(unit, entity, fault):
        raise NumberTaken(made.name) from error


async def update(unit: Unit, entity: Entity, old: Record, new: Record, path: Path) -> None:
    """The next version of a record; a record this transaction has already written keeps the version it has."""
    statements = unit.engine.statements.of(entity.name)
    mine = unit.written_here(entity, old["id"])
    new["row_version"] = old["row_version"] + (0 if mine else 1)
    new["updated_at"], new["updated_by"] = unit.at, unit.context.person.id
    if unit.gathering is not None:
        await unit.gathering.update(entity, new, path, None if mine else old["updated_at"])
        unit.hold(entity, new)
    else:
        args = bound(statements.shape.columns(new))
        args["at"], args["was_at"] = unit.at, old["updated_at"]
        async with in_words(unit, entity, path):
            step = statements.amend if mine else statements.update
            touched = await step.run(unit.connection, args)
        unit.hold(entity, new)
        if touched < 1:
            made = old["updated_at"] if touched < 0 else None
            await statements.close_late(unit.connection, old["id"], unit.at, made=made)
    if statements.grams:
        changed = [field for field in entity.searchable if old[field.name] != new[field.name]]
        await _forget_grams(unit, entity, old["id"], changed)
        await _add_grams(unit, entity, new, changed)


async def remove(unit: Unit, entity: Entity, old: Record, path: Path) -> None:
    """Take a line out of its owner. Its versions stay."""
    statements = unit.engine.statements.of(entity.name)
    if statements.grams:
        await _forget_grams(unit, entity, old["id"], entity.searchable)
    unit.release(entity, old["id"])
    args = {"v_id": old["id"], "at": unit.at, "was_at": old["updated_at"]}
    async with in_words(unit, entity, path, removing=True):
        touched = await statements.remove.run(unit.connection, args)
    if not touched:
        await statements.close_late(unit.connection, old["id"], unit.at)


async def _forget_grams(unit: Unit, entity: Entity, record_id: UUID, fields: Sequence[Field]) -> None:
    known = unit.engine.statements.of(entity.name).grams
    assert known is not None
    for field in fields:
        await unit.connection.execute(known.forget, {"of": record_id, "in_field": known.named[field.name]})


async def _add_grams(unit: Unit, entity: Entity, record: Record, fields: Sequence[Field]) -> None:
    statements = unit.engine.statements.of(entity.name)
    assert statements.grams is not None
    rows = _gram_rows(statements, record, fields)
    if rows:
        await unit.connection.execute_many(statements.grams.add, rows)


def _gram_rows(statements: EntityStatements, record: Record, fields: Sequence[Field]) -> list[dict[str, Any]]:
    known = statements.grams
    if known is None:
        return []
    return [
        {"gram": gram, "field": known.named[field.name], "id": record["id"]}
        for field in fields
        if record[field.name]
        for gram in sorted(grams_of(record[field.name]))
    ]


async def link_targets(unit: Unit, entity: Entity, field: str, owner: UUID) -> frozenset[UUID]:
    statements = unit.engine.statements.link(entity.name, field)
    rows = await unit.connection.fetch(statements.targets, {"v_owner": owner})
    return frozenset(row[0] for row in rows)


async def link(
    unit: Unit, entity: Entity, owner: UUID, field: str, present: frozenset[UUID], change: LinkChange, path: Path
) -> tuple[frozenset[UUID], dict[str, list[UUID]]]:
    """Bring a `many` field to its new set; the set, and what came and went."""
    wanted = change.whole if change.whole is not None else (present | change.add) - change.remove
    added, removed = sorted(wanted - present), sorted(present - wanted)
    statements = unit.engine.statements.link(entity.name, field)
    async with in_words(unit, entity, [*path, field]):
        for step, targets in ((statements.remove, removed), (statements.add, added)):
            rows = [{"v_owner": owner, "v_target": target, "at": unit.at} for target in targets]
            if rows:
                await step.run_many(unit.connection, rows)
    moved = {name: ids for name, ids in (("added", added), ("removed", removed)) if ids}
    return wanted, moved


def refused(unit: Unit, fault: IntegrityFault, row: Pending | None) -> Exception:
    """What the database refuses of a row that waited (`records.gathering`)."""
    if row is None:
        return fault
    if row.number is not None and fault.kind == "unique" and row.number.name in unique_fields(unit, row.entity, fault):
        return NumberTaken(row.number.name)
    return _in_words(unit, row.entity, row.path, fault, False)


@asynccontextmanager
async def in_words(unit: Unit, entity: Entity, path: Path, *, removing: bool = False) -> AsyncIterator[None]:
    """What the database refuses, said in the analyst's words."""
    try:
        yield
    except IntegrityFault as fault:
        raise _in_words(unit, entity, path, fault, removing) from fault


def _in_words(unit: Unit, entity: Entity, path: Path, fault: IntegrityFault, removing: bool) -> Exception:
    if fault.kind == "reference":
        return Referenced(what=entity.label) if removing else _bad_reference(unit, entity, path, fault)
    if fault.kind == "unique":
        fields = unique_fields(unit, entity, fault)
        if fields:
            return taken(unit, entity, path, fields)
    if fault.kind == "required" and fault.columns:
        name = _key_of(unit, entity, fault.columns[0])
        if name in entity.fields:
            return Missing(path=[*path, name], field=entity.fields[name].label)
    return fault


def taken(unit: Unit, entity: Entity, path: Path, fields: Sequence[str]) -> Duplicate:
    """The values of these fields cannot be used. Says nothing of the record that has them, and names no field that is
    hidden from the caller."""
    access = unit.access(entity)
    names = [name for name in fields if name in entity.fields and access.sees(name)]
    labels = [entity.fields[name].label for name in names] or [Bilingual("取值组合", "combination of values")]
    said = Bilingual("、".join(each.to("zh") for each in labels), ", ".join(each.to("en") for each in labels))
    return Duplicate(path=[*path, *names[-1:]], what=entity.label, fields=said, names=names)


def _bad_reference(unit: Unit, entity: Entity, path: Path, fault: IntegrityFault) -> Exception:
    shape = current_shape(unit.engine.blueprint, unit.engine.tables.catalog, unit.engine.tables.dialect, entity.name)
    for column in shape.columns:
        if column.references and fault.constraint.endswith(f"__{column.name}"):
            field = entity.fields[column.key]
            target = unit.engine.blueprint.entities[field.target].label
            return BadReference(path=[*path, field.name], field=field.label, target=target)
    return BadReference(path=path, field=entity.label, target=entity.label)


def unique_fields(unit: Unit, entity: Entity, fault: IntegrityFault) -> tuple[str, ...]:
    """The fields of the unique constraint that was hit; empty when it is not one of this entity."""
    shape = current_shape(unit.engine.blueprint, unit.engine.tables.catalog, unit.engine.tables.dialect, entity.name)
    for index in shape.indexes:
        if index.unique and (
            index.name == fault.constraint or (fault.columns and set(index.columns) == set(fault.columns))
        ):
            return tuple(_key_of(unit, entity, column) for column in index.columns)
    return ()


def _key_of(unit: Unit, entity: Entity, column: str) -> str:
    """The field a physical column belongs to."""
    columns = unit.engine.tables.catalog.entities[entity.name].columns
    key = next((key for key, physical in columns.items() if physical == column), column)
    for suffix in ("_entity", "_id", "_currency", "__sort"):
        if key not in entity.fields and key.endswith(suffix):
            return key.removesuffix(suffix)
    return key
