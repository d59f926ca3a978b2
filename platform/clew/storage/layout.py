"""Which columns a field has: their logical keys and types. The one place that knows (docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from clew.metadata.blueprint import Blueprint, Entity, Field, FieldKind
from clew.storage import types
from clew.storage.types import StoredType

OWNER, TARGET, TX_FROM, TX_TO = "owner", "target", "tx_from", "tx_to"


@dataclass(frozen=True, slots=True)
class Slot:
    """One column of a field. `key` is its logical name in `Table.c`, `form` identifies its stored form."""

    key: str
    form: str
    required: bool
    target: str | None = None
    """The entity a ref column points at."""

    @property
    def type(self) -> StoredType:
        return column_type(self.form)


_FORMS: dict[FieldKind, str] = {
    FieldKind.TEXT: "text",
    FieldKind.LONG_TEXT: "text",
    FieldKind.NUMBER: "text",
    FieldKind.CHOICE: "text",
    FieldKind.INTEGER: "integer",
    FieldKind.BOOLEAN: "boolean",
    FieldKind.DATE: "date",
    FieldKind.DATETIME: "datetime",
    FieldKind.DURATION: "duration",
    FieldKind.TRANSLATED: "json:translated",
    FieldKind.CHOICES: "json:choices",
    FieldKind.JSON: "json",
    FieldKind.FILES: "json:files",
    FieldKind.ID: "id",
    FieldKind.REF: "id",
}


def column_type(form: str) -> StoredType:
    """The column type of a stored form; `exact:4` is a decimal of scale 4, `money:2` the amount of a sum of money,
    `json:files` what a field of files keeps."""
    name, _, scale = form.partition(":")
    if name in ("exact", "money"):
        return types.Exact(int(scale))
    kinds: dict[str, type[StoredType]] = {
        "text": types.Text,
        "entity": types.Text,
        "currency": types.Text,
        "integer": types.Integer,
        "boolean": types.Truth,
        "date": types.Day,
        "datetime": types.Instant,
        "duration": types.Duration,
        "json": types.Json,
        "id": types.Id,
    }
    return kinds[name]()


def slots_of(field: Field) -> tuple[Slot, ...]:
    """The columns of a field in its entity's own table; none for computed, many and lines fields."""
    if not field.stored:
        return ()
    name, required = field.name, field.required
    if field.kind is FieldKind.ANY:
        return (Slot(f"{name}_entity", "entity", required), Slot(f"{name}_id", "id", required))
    if field.kind is FieldKind.MONEY:
        return (Slot(name, f"money:{field.scale}", required), Slot(f"{name}_currency", "currency", required))
    if field.kind is FieldKind.DECIMAL:
        return (Slot(name, f"exact:{field.scale}", required),)
    target = field.target if field.kind is FieldKind.REF else None
    slots = [Slot(name, _FORMS[field.kind], required, target)]
    if field.sort:
        slots.append(Slot(f"{name}__sort", "text", False))
    return tuple(slots)


def entity_slots(entity: Entity) -> tuple[Slot, ...]:
    """Every column of an entity's own table, in declaration order."""
    return tuple(slot for field in entity.fields.values() for slot in slots_of(field))


def link_fields(entity: Entity) -> tuple[Field, ...]:
    """The fields kept in link tables."""
    return tuple(field for field in entity.fields.values() if field.kind is FieldKind.MANY and not field.computed)


class _Renamable(Protocol):
    @property
    def renamed_from(self) -> tuple[str, ...]: ...


def earlier_name(
    name: str, renamed_from: tuple[str, ...], old: Mapping[str, _Renamable], new: Mapping[str, _Renamable]
) -> str | None:
    """What something of the new release was called in the old one; None when it is new.

    A name that exists in both is itself: a `renamed_from` left in the YAML after the rename has been applied means
    nothing any more. The way back to an earlier release undoes its renames, so that those keep their data too.
    """
    if name in old:
        return name
    forward = next((was for was in renamed_from if was in old and was not in new), None)
    return forward or next((was for was in old if name == _name_before(was, old, new)), None)


def _name_before(was: str, old: Mapping[str, _Renamable], new: Mapping[str, _Renamable]) -> str | None:
    """The name that a rename of the old release gave up and the new one takes up again."""
    if was in new or any(was in each.renamed_from for each in new.values()):
        return None
    return next((name for name in old[was].renamed_from if name in new and name not in old), None)


def earlier_entity(entity: Entity, old: Blueprint, new: Blueprint) -> Entity | None:
    was = earlier_name(entity.name, entity.renamed_from, old.entities, new.entities)
    return old.entities[was] if was else None


def earlier_field(field: Field, old: Entity, new: Entity) -> Field | None:
    was = earlier_name(field.name, field.renamed_from, old.fields, new.fields)
    return old.fields[was] if was else None


def later_entity(name: str, old: Blueprint, new: Blueprint) -> str | None:
    """What an entity of the old release is called in the new one; None when it is gone."""
    for each in new.entities.values():
        was = earlier_entity(each, old, new)
        if was is not None and was.name == name:
            return each.name
    return None


def inherited(before: Field | None, now: Field, old: Blueprint, new: Blueprint) -> dict[str, Slot]:
    """Whose values the columns of `now` take over: logical key → column of `before`. A sort key takes over none.

    A reference stays one only to the same entity, and a sum of money needs a currency: without that there is nothing to
    take over.
    """
    if before is None:
        return {}
    was, mine = slots_of(before), slots_of(now)
    if not was or not mine:
        return {}
    if now.kind is FieldKind.ANY:
        if before.kind is FieldKind.REF:
            points = later_entity(before.target, old, new) in now.targets
            return {slot.key: was[0] for slot in mine} if points else {}
        return dict(zip((slot.key for slot in mine), was, strict=True)) if before.kind is FieldKind.ANY else {}
    if now.kind is FieldKind.MONEY:
        return dict(zip((slot.key for slot in mine), was, strict=True)) if before.kind is FieldKind.MONEY else {}
    if now.kind is FieldKind.REF:
        same = before.kind is FieldKind.REF and later_entity(before.target, old, new) == now.target
        return {mine[0].key: was[0]} if same else {}
    return {} if before.kind is FieldKind.ANY else {mine[0].key: was[0]}


def same_column(source: Slot | None, slot: Slot) -> bool:
    """Whether a column simply goes on: the same stored form, and a foreign key where there was one."""
    return source is not None and source.form == slot.form and (source.target is None) == (slot.target is None)


def converted(before: Field, now: Field, old: Blueprint, new: Blueprint) -> bool:
    """Whether the values of a stored field that stays one need another form, or lose a part of it."""
    sources = inherited(before, now, old, new)
    parts = [slot for slot in slots_of(now) if slot.key != f"{now.name}__sort"]
    if not all(same_column(sources.get(slot.key), slot) for slot in parts):
        return True
    return len(parts) < sum(slot.key != f"{before.name}__sort" for slot in slots_of(before))
