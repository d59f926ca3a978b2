"""One record through the pipeline: a new one, or the next version of one that is locked already.

Both end in `settle`: what must hold after the row is there, then trail, postings and effects. Lines go through the same
pipeline inside their owner's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from clew.access.decision import Grant
from clew.expressions.problems import Undecidable
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity, Field, FieldKind, Transition
from clew.records import store
from clew.records.attachments import use_files
from clew.records.errors import KeptInList, Missing, ReasonRequired, Unchangeable
from clew.records.external_ids import remember_given
from clew.records.intake import Intake, LinkChange
from clew.records.participants import Change, Verb
from clew.records.references import check_references, still_asked, thread_followed, wanted
from clew.records.rows import Record, Shape, changes
from clew.records.values import Path, check_count, coerce
from clew.records.verify import broken_before, check_rules_in_database, check_rules_in_memory, check_structure

if TYPE_CHECKING:
    from clew.records.unit import Unit

_NOTHING: frozenset[str] = frozenset()


@dataclass(slots=True)
class Written:
    """A record that has been written and is yet to be settled."""

    change: Change
    record: Record
    changed: dict[str, tuple[Any, Any]]
    path: Path
    grant: Grant | None = None
    """What the caller needs on the record as it now is; None when it was asked elsewhere (lines, postings)."""
    lines: list[Written] = field(default_factory=list)
    before: frozenset[str] = _NOTHING
    """What was missing or broken before a move that takes it out of use."""


async def put_new(
    unit: Unit,
    entity: Entity,
    intake: Intake,
    path: Path,
    verb: Verb = "create",
    *,
    base: Mapping[str, Any] | None = None,
    grant: Grant | None = None,
) -> Written:
    """Write a new record. `base` holds values the platform gives (owner, what is corrected, a balance's key)."""
    record = unit.new_envelope(entity)
    record.update(base or {})
    record.update(intake.values)
    if entity.site_scoped and record.get("site") is None:
        record["site"] = unit.context.person.site
    fill_defaults(unit, entity, record, {*intake.values, *(base or ())})
    if verb == "create" and "thread_id" not in (base or ()):
        record["thread_id"] = await thread_followed(unit, entity, record) or record["thread_id"]
    change = Change(entity, verb, record["id"], None, record)
    await _derive(unit, change, record)
    shape = unit.engine.statements.of(entity.name).shape
    check_required(shape, record, path, numbers=False)
    references = {name: record[name] for name in shape.references}
    asked = wanted(entity, references, intake, path)
    later = _may_wait(unit, entity, grant)
    unit.alone = False
    if not later:
        await check_references(unit, entity, asked)
    made = await _number(unit, entity, record) if shape.numbers else None
    await check_rules_in_memory(unit, change, record, path)
    for participant in unit.engine.participants(entity.name):
        await participant.check(change, unit)
    if shape.files:
        await use_files(unit, entity, None, record, path)
    await remember_given(unit, entity, None, record, path)
    if later:
        await store.insert_later(unit, entity, record, path, still_asked(unit, asked), made)
        return Written(change, record, changes(None, record), path, grant)
    await store.insert(unit, entity, record, path, made)
    unit.note_seen(entity.name, (record["id"],))
    written = Written(change, record, changes(None, record), path, grant)
    await put_links(unit, written, intake, new=True)
    await put_lines(unit, written, intake, new=True)
    return written


def _may_wait(unit: Unit, entity: Entity, grant: Grant | None) -> bool:
    """Whether a new record can be written in one statement with everything else: nothing reads it before that."""
    if not unit.alone or unit.connection.dialect != "postgresql" or unit.engine.participants(entity.name):
        return False
    return (grant is None or grant.always) and unit.engine.plain(entity)


async def put_change(
    unit: Unit,
    entity: Entity,
    old: Record,
    intake: Intake,
    path: Path,
    verb: Verb = "update",
    *,
    transition: Transition | None = None,
    grant: Grant | None = None,
) -> Written | None:
    """Write the next version of a locked record; None when nothing changes. A transition is always a version of its
    own: a review leads back to its state, and still is signed and on the trail."""
    new = {**old, **intake.values}
    change = Change(entity, verb, old["id"], old, new, transition)
    await _derive(unit, change, new)
    changed = changes(old, new)
    _check_changed(unit, entity, changed, path, verb)
    before = await broken_before(unit, entity, old) if transition is not None and transition.protects else _NOTHING
    check_required(unit.engine.statements.of(entity.name).shape, new, path, numbers=True, before=before)
    refs = {name: new[name] for name in changed}
    await check_references(unit, entity, wanted(entity, refs, intake, path))
    for participant in unit.engine.participants(entity.name):
        await participant.check(change, unit)
    if changed:
        await check_rules_in_memory(unit, change, new, path, before)
        await use_files(unit, entity, old, new, path)
        await remember_given(unit, entity, old, new, path)
    written = Written(change, new, changed, path, grant, before=before)
    await put_links(unit, written, intake, new=False)
    await put_lines(unit, written, intake, new=False)
    if not written.changed and transition is None:
        return None
    await store.update(unit, entity, old, new, path)
    return written


async def settle(unit: Unit, written: Written) -> Record:
    """Everything that waits until the record and its lines are in place."""
    for line in written.lines:
        await settle(unit, line)
    change, record, entity = written.change, written.record, written.change.entity
    if change.new is not None:
        await check_rules_in_database(unit, change, record, written.path, written.before)
        await check_structure(unit, entity, record, tuple(written.changed), written.path)
        if written.grant is not None:
            verb = Bilingual("写入", "write")
            await unit.authorize(entity, written.grant, verb, record, asked=change.verb, stage="after")
    unit.note(change, record["row_version"], written.changed)
    if change.old is None and entity.postings:
        unit.postings.append(written)
    for participant in unit.engine.participants(entity.name):
        await participant.effect(change, unit)
    return record


def fill_defaults(unit: Unit, entity: Entity, record: Record, given: set[str]) -> None:
    """Defaults of fields that were not given; an explicit null stays null."""
    for known in unit.engine.statements.of(entity.name).shape.defaults:
        if known.default is None or known.name in given:
            continue
        value = unit.judge.value_in_memory(known.default, record)
        record[known.name] = coerce(known, value, [known.name], unit.engine.blueprint, unit.today)


def check_required(
    shape: Shape, record: Mapping[str, Any], path: Path, *, numbers: bool, before: frozenset[str] = _NOTHING
) -> None:
    """What must always be there, except for what was missing `before` a move that nothing missing may stop."""
    for known in shape.required:
        if record[known.name] is None and f"field:{known.name}" not in before:
            if known.kind is FieldKind.NUMBER and not numbers:
                continue
            raise Missing(path=[*path, known.name], field=known.label)


async def _derive(unit: Unit, change: Change, record: Record) -> None:
    for participant in unit.engine.participants(change.entity.name):
        record.update(await participant.derive(change, unit))


async def _number(unit: Unit, entity: Entity, record: Record) -> Field | None:
    """Make the business key where the record has none; the field it was made for."""
    made: Field | None = None
    for known in unit.engine.statements.of(entity.name).shape.numbers:
        if record[known.name] is not None:
            await unit.engine.numbers.note_given(unit, entity, known, record)
            continue
        record[known.name], taken = await unit.engine.numbers.make(unit, entity, known, record)
        if taken is not None:
            unit.taken.append(taken)
        made = known
    return made


def _check_changed(unit: Unit, entity: Entity, changed: Mapping[str, tuple[Any, Any]], path: Path, verb: Verb) -> None:
    for name, (old, _) in changed.items():
        known = entity.fields[name]
        if known.immutable and old is not None:
            raise Unchangeable(path=[*path, name], field=known.label)
        if known.regulated and verb != "post":
            need_reason(unit, known)


def need_reason(unit: Unit, known: Field) -> None:
    """A change of a regulated field needs a reason."""
    if known.regulated and not unit.reason:
        why = Bilingual(f"受监管字段:{known.label.to('zh')}", f"regulated field: {known.label.to('en')}")
        raise ReasonRequired(path=["reason"], why=why, field=known.name)


async def put_links(unit: Unit, written: Written, intake: Intake, *, new: bool) -> None:
    """Bring `many` fields to their new sets, and see that there are neither too few nor too many."""
    entity, owner = written.change.entity, written.record["id"]
    for known in unit.engine.statements.of(entity.name).shape.links:
        change = intake.links.get(known.name)
        if change is None:
            if new:
                _count(known, 0, written.path)
            continue
        present = frozenset() if new else await store.link_targets(unit, entity, known.name, owner)
        await check_kept(unit, written, known, gone=bool(_gone(change, present)))
        wanted_set, moved = await store.link(unit, entity, owner, known.name, present, change, written.path)
        _count(known, len(wanted_set), written.path)
        if moved:
            if not new:
                need_reason(unit, known)
            written.changed[known.name] = (None, moved)


def _gone(change: LinkChange, present: frozenset[UUID]) -> frozenset[UUID]:
    return present - change.whole if change.whole is not None else present & change.remove


async def check_kept(unit: Unit, written: Written, known: Field, *, gone: bool) -> None:
    """What a list holds stays in it while its `keep_when` holds of the record as it was. Raises KeptInList."""
    old = written.change.old
    if not gone or known.keep_when is None or old is None:
        return
    if await unit.judge.holds(known.keep_when, written.change.entity, old):
        raise KeptInList(path=[*written.path, known.name], field=known.label)


async def put_lines(unit: Unit, written: Written, intake: Intake, *, new: bool) -> None:
    from clew.records.lines import apply_lines

    for known in unit.engine.statements.of(written.change.entity.name).shape.lines:
        change = intake.lines.get(known.name)
        if change is None:
            if new:
                _count(known, 0, written.path)
            continue
        count, moved = await apply_lines(unit, written, known, change, new=new)
        _count(known, count, written.path)
        if moved:
            if not new:
                need_reason(unit, known)
            written.changed[known.name] = (None, moved)


def _count(known: Field, count: int, path: Path) -> None:
    if known.required and count == 0:
        raise Missing(path=[*path, known.name], field=known.label)
    if count or known.required:
        check_count(known, count, [*path, known.name])


__all__ = ["Undecidable", "Written", "put_change", "put_new", "settle"]
