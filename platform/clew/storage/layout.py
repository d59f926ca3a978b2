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
    FieldKind.TRANSLATED: "json",
    FieldKind.CHOICES: "json",
    FieldKind.JSON: "json",
    FieldKind.FILES: "json",
    FieldKind.ID: "id",
    FieldKind.REF: "id",
}


def column_type(form: str) -> StoredType:
    """The column type of a stored form; `exact:4` is a decimal of scale 4."""
    name, _, scale = form.partition(":")
    if name == "exact":
        return types.Exact(int(scale))
    kinds: dict[str, type[StoredType]] = {
        "text": types.Text,
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
        return (Slot(f"{name}_entity", "text", required), Slot(f"{name}_id", "id", required))
    if field.kind is FieldKind.MONEY:
        return (Slot(name, f"exact:{field.scale}", required), Slot(f"{name}_currency", "text", required))
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
