"""Lines: records that live in their owner, written with it, locked by it, each with versions and a leaf of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from clew.access.decision import ALWAYS, EntityAccess, FieldAccess, Grant
from clew.kernel.errors import NotFound
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity, Field, FieldKind
from clew.records import store
from clew.records.errors import UnknownInput
from clew.records.intake import Intake, LineChange, LineInput, LinkChange, Reader, field_grants
from clew.records.participants import Change
from clew.records.put import Written, check_kept, need_reason, put_change, put_new
from clew.records.rows import Record, changes
from clew.records.values import coerce

if TYPE_CHECKING:
    from clew.records.unit import Unit


async def apply_lines(
    unit: Unit, owner: Written, known: Field, change: LineChange, *, new: bool
) -> tuple[int, dict[str, list[UUID]]]:
    """Bring a `lines` field to what was asked: how many lines there are now, and which came, changed and went.

    Lines that go are taken out first, so that a number they carried is free for another.
    """
    entity = unit.engine.blueprint.entities[known.target]
    access = _copying(entity) if change.copied else line_access(unit, entity)
    present = {} if new else await present_lines(unit, entity, owner.record["id"])
    before = len(present)
    if not access.as_owner:
        # A line that is not seen can neither be named nor be left out.
        present = {each: record for each, record in present.items() if await unit.visible(entity, record)}
    matched = _match(unit, entity, present, change)
    kept = {line_id for _, line_id in matched if line_id is not None}
    gone = set(present) - kept if change.whole else set(change.remove)
    moved: dict[str, list[UUID]] = {}
    await check_kept(unit, owner, known, gone=bool(gone))
    for line_id in sorted(gone):
        if line_id not in present:
            raise NotFound(path=[*owner.path, known.name, "remove"], what=entity.label)
        if entity.fields and any(each.regulated for each in entity.fields.values()):
            need_reason(unit, next(each for each in entity.fields.values() if each.regulated))
        owner.lines.append(await _remove(unit, entity, present[line_id], (*owner.path, known.name)))
        moved.setdefault("removed", []).append(line_id)
    reader = Reader(unit.engine.blueprint, unit.today, foreign=unit.foreign)
    verb = owner.change.verb
    for line, meant in matched:
        if meant is None:
            intake = reader.read(entity, access, line.values, line.path, creating=True, verb=verb)
            if change.copied:
                intake.lines.update({name: replace(each, copied=True) for name, each in intake.lines.items()})
            grants = field_grants(access, intake, verb)
            written: Written | None = await put_new(unit, entity, intake, line.path, base=_from_owner(owner.record))
            kind = "added"
        else:
            if meant not in present or meant in gone:
                raise NotFound(path=[*line.path, "id"], what=entity.label)
            intake = reader.read(entity, access, line.values, line.path, creating=False, verb=verb)
            grants = field_grants(access, intake, verb)
            await _may_write(unit, entity, grants, present[meant])
            written = await put_change(unit, entity, unit.locked(present[meant]), intake, line.path)
            kind = "changed"
        if written is not None and kind == "changed":
            await check_kept(unit, owner, known, gone=True)
        if written is not None:
            await _may_write(unit, entity, grants, written.record)
            owner.lines.append(written)
            moved.setdefault(kind, []).append(written.record["id"])
    count = before - len(gone) + len(moved.get("added", ()))
    return count, {kind: sorted(ids) for kind, ids in moved.items()}


async def _may_write(unit: Unit, entity: Entity, grants: Sequence[Grant], record: Record) -> None:
    for grant in grants:
        await unit.authorize(entity, grant, Bilingual("填写该字段", "write this field"), record)


def _from_owner(owner: Record) -> dict[str, Any]:
    return {"owner": owner["id"], "thread_id": owner["thread_id"]}


def line_access(unit: Unit, entity: Entity) -> EntityAccess:
    """Lines are permitted as their owner: fields by their own entry, the rest was asked of the owner."""
    return unit.authority(entity)


def _copying(entity: Entity) -> EntityAccess:
    """For lines taken over as they are from the record that is corrected."""
    taken = FieldAccess(ALWAYS, ALWAYS)
    return EntityAccess(fields=dict.fromkeys(entity.fields, taken), as_owner=True)


async def present_lines(unit: Unit, entity: Entity, owner: UUID) -> dict[UUID, Record]:
    """The lines of an owner, locked."""
    statements = unit.engine.statements.of(entity.name)

    def build() -> Any:
        table = statements.current
        mine = statements.select.where(table.c.owner == sa.bindparam("of_owner", type_=table.c.owner.type))
        return statements.locking(mine.order_by(table.c.id))

    statement = unit.engine.remember(("lines", entity.name), build)
    rows = await unit.connection.fetch(statement, {"of_owner": owner})
    records = (statements.shape.record(row) for row in rows)
    return {record["id"]: record for record in records}


def _match(
    unit: Unit, entity: Entity, present: Mapping[UUID, Record], change: LineChange
) -> list[tuple[LineInput, UUID | None]]:
    """Each line as given with the existing line it means: by id, or by key when the whole list is given."""
    key = [entity.fields[name] for name in entity.key if name != "owner"]
    by_key = {tuple(record[each.name] for each in key): line_id for line_id, record in present.items()} if key else {}
    matched: list[tuple[LineInput, UUID | None]] = []
    used: set[UUID] = set()
    for line in change.put:
        line_id = line.id
        if line_id is None and change.whole and by_key:
            given = [(each, line.values.get(each.name)) for each in key]
            if all(value is not None for _, value in given):
                blueprint, today = unit.engine.blueprint, unit.today
                meant = (coerce(each, value, (*line.path, each.name), blueprint, today) for each, value in given)
                line_id = by_key.get(tuple(meant))
        if line_id is not None and line_id in used:
            raise UnknownInput(path=[*line.path, "id"], field="id", nearest="")
        if line_id is not None:
            used.add(line_id)
        matched.append((line, line_id))
    return matched


async def _remove(unit: Unit, entity: Entity, old: Record, path: tuple[str | int, ...]) -> Written:
    for known in entity.fields.values():
        if known.kind is FieldKind.MANY and known.computed is None:
            present = await store.link_targets(unit, entity, known.name, old["id"])
            await store.link(unit, entity, old["id"], known.name, present, LinkChange(whole=frozenset()), path)
    for participant in unit.engine.participants(entity.name):
        await participant.check(Change(entity, "remove", old["id"], old, None), unit)
    await store.remove(unit, entity, unit.locked(old), path)
    record = {**old, "row_version": old["row_version"] + 1}
    return Written(Change(entity, "remove", old["id"], old, None), record, changes(old, None), path)


async def copy_of_lines(unit: Unit, entity: Entity, known: Field, owner: UUID) -> LineChange:
    """The lines of a record as inputs for a copy of it."""
    values = await _as_given(unit, unit.engine.blueprint.entities[known.target], owner)
    inputs = (LineInput(None, each, (known.name, at)) for at, each in enumerate(values))
    return LineChange(whole=True, put=tuple(inputs), copied=True)


_MADE = (FieldKind.NUMBER,)


async def _as_given(unit: Unit, line: Entity, owner: UUID) -> list[dict[str, Any]]:
    """What somebody would give to make these lines anew, with their links and lines of their own."""
    found: list[dict[str, Any]] = []
    for record_id, record in (await present_lines(unit, line, owner)).items():
        values: dict[str, Any] = {}
        for each in line.fields.values():
            if each.kind is FieldKind.MANY and each.computed is None:
                values[each.name] = sorted(await store.link_targets(unit, line, each.name, record_id))
            elif each.kind is FieldKind.LINES and each.computed is None:
                values[each.name] = await _as_given(unit, unit.engine.blueprint.entities[each.target], record_id)
            elif each.stored and each.name != "owner" and each.origin == "declared" and each.kind not in _MADE:
                values[each.name] = record[each.name]
        found.append(values)
    return found


__all__ = ["Intake", "apply_lines", "copy_of_lines", "present_lines"]
