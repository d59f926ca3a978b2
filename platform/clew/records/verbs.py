"""What can be done to records inside a unit of work. `commands` opens the unit; participants and processes use these.

`row_version` may be None only where the caller holds the record by other means (upsert by key, a process).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from clew.access.decision import NEVER, EntityAccess, Grant
from clew.kernel.errors import ClewError, NotFound
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity, FieldKind, Origin, Transition
from clew.metadata.policies import DO
from clew.records import store
from clew.records.decisions.trace import Trace, decided, regulated
from clew.records.errors import (
    AlreadyCorrected,
    DerivedOnly,
    Frozen,
    GuardFailed,
    Missing,
    NotFrozen,
    OnLegalHold,
    PostedOnly,
    ReasonRequired,
    SignatureRequired,
    Stale,
    UnknownInput,
    Voided,
    WrongState,
)
from clew.records.external_ids import find_given
from clew.records.intake import Intake, LinkChange, Reader, field_grants
from clew.records.lines import copy_of_lines
from clew.records.participants import Change
from clew.records.postings import settle_postings
from clew.records.put import Written, put_change, put_new, settle
from clew.records.rows import Record
from clew.records.unit import frozen, unchangeable
from clew.records.unseen import may_know, refusal
from clew.records.values import AnyRef, Path, coerce

if TYPE_CHECKING:
    from clew.records.unit import Unit

INPUT: Path = ("input",)
CREATE, UPDATE, VOID, CORRECT, WRITE = (
    Bilingual("新建", "create"),
    Bilingual("修改", "update"),
    Bilingual("作废", "void"),
    Bilingual("更正", "correct"),
    Bilingual("填写该字段", "write this field"),
)


async def create(unit: Unit, name: str, given: Mapping[str, Any], path: Path = INPUT) -> Record:
    """A new record, with its lines and links."""
    entity = _own(unit, name)
    access = unit.authority(entity)
    await _may(unit, entity, access.create, CREATE)
    intake = _reader(unit).read(entity, access, given, path, creating=True, verb="create")
    grants = field_grants(access, intake, "create")
    # What a condition is asked of must be stored by then.
    unit.alone = unit.alone and not grants
    return await _finish(unit, await put_new(unit, entity, intake, path, grant=access.create), grants)


async def update(
    unit: Unit, name: str, record_id: UUID, row_version: int | None, given: Mapping[str, Any], path: Path = INPUT
) -> Record:
    """The next version of a record. Fields that are not given stay; an input that changes nothing writes nothing."""
    entity = _own(unit, name)
    old = await _locked(unit, entity, record_id, row_version)
    return await _update(unit, entity, old, given, path)


async def fill(
    unit: Unit, name: str, record_id: UUID, fields: Sequence[str], given: Mapping[str, Any], path: Path = INPUT
) -> Record:
    """What a step of a process asks a person to fill in: exactly these fields of the record it is about, by the
    process's authority. Rules, frozen states and separations hold as ever, and what is named must be seen."""
    entity = _own(unit, name)
    whole = unit.engine.process.on(name)
    asked = {each: whole.fields[each] for each in fields if each in whole.fields}
    old = await _locked(unit, entity, record_id, None)
    unit.filling = True
    try:
        return await _update(unit, entity, old, given, path, replace(whole, fields=MappingProxyType(asked)))
    finally:
        unit.filling = False


async def void(unit: Unit, name: str, record_id: UUID, row_version: int | None) -> Record:
    """Declare a record void, with a reason. It stays, with all its versions."""
    entity = _own(unit, name)
    with decided(unit, "void", entity, record_id):
        return await _void(unit, entity, record_id, row_version)


async def _void(unit: Unit, entity: Entity, record_id: UUID, row_version: int | None) -> Record:
    old = await _locked(unit, entity, record_id, row_version)
    await unit.authorize(entity, unit.authority(entity).void, VOID, old, asked="void")
    _reason(unit, "void", Bilingual("作废", "voiding"))
    if unit.trace is not None and "legal_hold" in entity.fields:
        unit.trace.fact("frozen", "void", not old["legal_hold"], legal_hold=old["legal_hold"])
    if old.get("legal_hold"):
        raise OnLegalHold(what=entity.label)
    if entity.postings:
        raise PostedOnly(what=entity.label)
    values = {"voided_at": unit.at, "void_reason": unit.reason}
    written = await put_change(unit, entity, old, Intake(values=values), (), "void")
    assert written is not None
    return await _finish(unit, written)


async def transition(unit: Unit, name: str, record_id: UUID, move: str, row_version: int | None) -> Record:
    """Move a record from state to state."""
    entity = _own(unit, name)
    known = entity.transitions.get(move)
    if known is None:
        raise NotFound(what=f"{name}.{move}")
    with decided(unit, f"transition:{move}", entity, record_id) as trace:
        return await _move(unit, entity, record_id, known, row_version, trace)


async def _move(
    unit: Unit, entity: Entity, record_id: UUID, known: Transition, row_version: int | None, trace: Trace
) -> Record:
    old = await _locked(unit, entity, record_id, row_version)
    grant = unit.authority(entity).transitions.get(known.name, NEVER)
    await unit.authorize(entity, grant, known.label, old, asked=DO + known.name)
    trace.fact("state", known.name, old["state"] in known.sources, state=old["state"])
    if old["state"] not in known.sources:
        states = entity.states
        shown = await unit.shows(entity, "state", old)
        state = states[old["state"]].label if old["state"] in states else old["state"]
        raise WrongState(
            what=entity.label,
            transition=known.label,
            sources=_labels([states[each].label for each in known.sources if each in states]),
            state=state if shown else Bilingual("其他状态", "in another state"),
            current=old["state"] if shown else None,
        )
    if known.reason:
        _reason(unit, known.name, known.label)
    holds = known.when is None or await unit.judge.holds(known.when, entity, old)
    if known.when is not None:
        trace.note("guard", known.name, holds, conditions=(known.when,), record=old)
    if known.when is not None and not holds:
        if not await may_know(unit, entity, old, known.when):
            raise refusal(unit, entity, record_id, known.name)
        raise GuardFailed(
            say=known.say
            or Bilingual(f"不满足条件:{known.when.source}", f"The guard does not hold: {known.when.source}")
        )
    values: dict[str, Any] = {"state": known.target}
    for field, expression in known.sets:
        value = await unit.judge.value(expression, entity, old)
        values[field] = coerce(entity.fields[field], value, [field], unit.engine.blueprint, unit.today)
    if known.sign is not None and (old["id"], known.sign) not in unit.covered:
        change = Change(entity, "transition", old["id"], old, {**old, **values}, known)
        await _sign(unit, change, known, known.sign, trace)
    written = await put_change(unit, entity, old, Intake(values=values), (), "transition", transition=known)
    assert written is not None
    return await _finish(unit, written)


async def _sign(unit: Unit, change: Change, move: Transition, meaning: str, trace: Trace) -> None:
    try:
        if unit.engine.signer is None:
            raise SignatureRequired(transition=move.label, meaning=meaning)
        await unit.engine.signer.sign(change, meaning, unit)
    except ClewError as error:
        trace.fact("signature", f"{move.name}:{meaning}", False, refused=error.code)
        raise
    trace.fact("signature", f"{move.name}:{meaning}", True)


def _reason(unit: Unit, name: str, why: Bilingual) -> None:
    if unit.trace is not None:
        unit.trace.fact("reason", name, bool(unit.reason), given=bool(unit.reason))
    if not unit.reason:
        raise ReasonRequired(path=["reason"], why=why)


async def correct(
    unit: Unit, name: str, record_id: UUID, row_version: int | None, given: Mapping[str, Any], path: Path = INPUT
) -> Record:
    """A new record that corrects a frozen one: its values, except those given, and a reference back to it."""
    entity = _own(unit, name)
    with decided(unit, "correct", entity, record_id, tuple(given)):
        return await _correct(unit, entity, record_id, row_version, given, path)


async def _correct(
    unit: Unit, entity: Entity, record_id: UUID, row_version: int | None, given: Mapping[str, Any], path: Path
) -> Record:
    old = await _locked(unit, entity, record_id, row_version)
    access = unit.authority(entity)
    await unit.authorize(entity, access.correct, CORRECT, old, asked="correct")
    stands = "corrects" in entity.fields and frozen(entity, old.get("state"))
    if unit.trace is not None:
        unit.trace.fact("frozen", "correct", stands, state=old.get("state"))
    if not stands:
        raise NotFrozen(what=entity.label)
    if entity.postings:
        raise PostedOnly(what=entity.label)
    _reason(unit, "correct", Bilingual("更正", "correcting"))
    if await _is_corrected(unit, entity, record_id):
        raise AlreadyCorrected(what=entity.label)
    intake = _reader(unit).read(entity, access, given, path, creating=True, verb="correct")
    grants = field_grants(access, intake, "correct")
    base = {
        field.name: old[field.name]
        for field in entity.fields.values()
        if field.stored and field.origin is Origin.DECLARED and field.kind is not FieldKind.NUMBER
    }
    base.update(corrects=record_id, thread_id=old["thread_id"])
    for kept in ("site", "legal_hold"):
        if kept in entity.fields:
            base[kept] = old[kept]
    for field in entity.fields.values():
        if field.kind is FieldKind.LINES and field.name not in intake.lines:
            intake.lines[field.name] = await copy_of_lines(unit, entity, field, record_id)
        elif field.kind is FieldKind.MANY and field.computed is None and field.name not in intake.links:
            intake.links[field.name] = LinkChange(whole=await store.link_targets(unit, entity, field.name, record_id))
    written = await put_new(unit, entity, intake, path, "correct", base=base, grant=access.correct)
    return await _finish(unit, written, grants)


async def upsert(unit: Unit, name: str, given: Mapping[str, Any], path: Path = INPUT) -> tuple[Record, bool]:
    """Create the record, or update the one with the same business key; the record and whether it is new.

    A foreign input is first known by where it comes from: then its key may have changed there.
    """
    entity = _own(unit, name)
    outside = await find_given(unit, entity, given)
    if outside is not None:
        known_there = await _locked(unit, entity, outside, None)
        return await _update(unit, entity, known_there, _without_numbers(entity, known_there, given), path), False
    if not entity.key:
        raise NotFound(what=name)
    key: dict[str, Any] = {}
    for each in entity.key:
        known = entity.fields[each]
        if given.get(each) is None and known.required and known.kind is not FieldKind.NUMBER:
            raise Missing(path=[*path, each], field=known.label)
        key[each] = coerce(known, given.get(each), (*path, each), unit.engine.blueprint, unit.today)
    if not all(value is None for value in key.values()):
        old = await by_key(unit, entity, key)
        if old is not None:
            if not await unit.visible(entity, old):
                raise store.taken(unit, entity, path, entity.key)
            rest = {each: value for each, value in given.items() if each not in key}
            return await _update(unit, entity, unit.locked(old), rest, path), False
    return await create(unit, name, given, path), True


def _without_numbers(entity: Entity, old: Record, given: Mapping[str, Any]) -> dict[str, Any]:
    """An input for a record that is there already: its number is given once, so the same one says nothing."""
    numbers = [each.name for each in entity.fields.values() if each.kind is FieldKind.NUMBER]
    return {name: value for name, value in given.items() if name not in numbers or value != old[name]}


async def by_key(unit: Unit, entity: Entity, key: Mapping[str, Any]) -> Record | None:
    """The record with a business key, locked. A missing part matches a missing part."""
    statements = unit.engine.statements.of(entity.name)
    columns: dict[str, Any] = {}
    for name, value in key.items():
        known = entity.fields[name]
        if known.kind is FieldKind.ANY:
            target = value if value is not None else AnyRef("", UUID(int=0))
            columns[f"{name}_entity"], columns[f"{name}_id"] = target if value is not None else (None, None)
        else:
            columns[name] = value
    absent = frozenset(each for each, value in columns.items() if value is None)

    def build() -> Any:
        table = statements.current
        conditions = [
            table.c[each].is_(None)
            if each in absent
            else table.c[each] == sa.bindparam(f"k_{each}", type_=table.c[each].type)
            for each in columns
        ]
        return statements.locking(statements.select.where(*conditions))

    statement = unit.engine.remember(("by_key", entity.name, tuple(columns), absent), build)
    row = await unit.connection.fetch_one(statement, {f"k_{each}": value for each, value in columns.items()})
    return statements.shape.record(row) if row is not None else None


# ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _reader(unit: Unit) -> Reader:
    return Reader(unit.engine.blueprint, unit.today, foreign=unit.foreign)


def _own(unit: Unit, name: str) -> Entity:
    """An entity that may be written directly: not a line, not a balance."""
    entity = unit.entity(name)
    access = unit.authority(entity)
    if not access.read.allowed and not access.create.allowed:
        raise NotFound(what=name)
    if entity.derived:
        raise DerivedOnly(what=entity.label)
    if entity.part_of is not None:
        raise UnknownInput(field=name, nearest="")
    return entity


async def _may(unit: Unit, entity: Entity, grant: Grant, verb: Bilingual) -> None:
    """A first look before anything is done: is the action allowed on any record at all?"""
    if not grant.allowed:
        await unit.authorize(entity, grant, verb)


async def _locked(unit: Unit, entity: Entity, record_id: UUID, row_version: int | None) -> Record:
    """The record to be written, locked: visible to the caller, not void, and as the caller last saw it."""
    old = await unit.lock(entity, record_id)
    if old is None or not await unit.visible(entity, old):
        raise NotFound(path=["id"], what=entity.label)
    if unit.trace is not None:
        unit.trace.row_version = old["row_version"]
    if row_version is not None and old["row_version"] != row_version:
        raise Stale(path=["rowVersion"], what=entity.label, current=old["row_version"], given=row_version)
    if old.get("voided_at") is not None:
        raise Voided(what=entity.label)
    return old


async def _update(
    unit: Unit,
    entity: Entity,
    old: Record,
    given: Mapping[str, Any],
    path: Path,
    access: EntityAccess | None = None,
) -> Record:
    names = regulated(entity, given, unit.engine.blueprint.entities)
    access = unit.authority(entity) if access is None else access
    if not names:
        return await _change(unit, entity, old, given, path, access)
    with decided(unit, "update", entity, old["id"], names) as trace:
        trace.row_version = old["row_version"]
        return await _change(unit, entity, old, given, path, access)


async def _change(
    unit: Unit, entity: Entity, old: Record, given: Mapping[str, Any], path: Path, access: EntityAccess
) -> Record:
    await unit.authorize(entity, access.update, UPDATE, old, asked="update")
    if old.get("voided_at") is not None:
        raise Voided(what=entity.label)
    stands = unchangeable(entity, old.get("state"), given)
    if unit.trace is not None:
        unit.trace.fact("frozen", "update", not stands, state=old.get("state"))
    if stands:
        raise Frozen(what=entity.label)
    intake = _reader(unit).read(entity, access, given, path, creating=False, verb="update")
    grants = field_grants(access, intake, "update")
    for grant in grants:
        await unit.authorize(entity, grant, WRITE, old, asked="fields")
    written = await put_change(unit, entity, old, intake, path, grant=access.update)
    return old if written is None else await _finish(unit, written, grants)


async def _finish(unit: Unit, written: Written, grants: Sequence[Grant] = ()) -> Record:
    """`grants`: what the caller needs for the fields given, on the record as it now is."""
    record = await settle(unit, written)
    for grant in grants:
        await unit.authorize(written.change.entity, grant, WRITE, record, asked="fields", stage="after")
    await settle_postings(unit)
    return record


async def _is_corrected(unit: Unit, entity: Entity, record_id: UUID) -> bool:
    table = unit.engine.tables.current(entity.name)
    statement = unit.engine.remember(
        ("corrected", entity.name),
        lambda: sa.select(sa.func.count()).where(
            table.c.corrects == sa.bindparam("of_id", type_=table.c.id.type), table.c.voided_at.is_(None)
        ),
    )
    return bool(await unit.connection.fetch_value(statement, {"of_id": record_id}))


def _labels(labels: Sequence[Bilingual]) -> Bilingual:
    return Bilingual("、".join(each.to("zh") for each in labels), ", ".join(each.to("en") for each in labels))
