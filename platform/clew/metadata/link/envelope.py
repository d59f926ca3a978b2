"""The fields that the platform adds to every entity, and those that traits add. docs/yaml.md lists them."""

from __future__ import annotations

from collections.abc import Iterator

from clew.expressions.tree import Checked
from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Field, FieldKind, Origin
from clew.metadata.spec.entity import EntitySpec

_ENVELOPE: tuple[tuple[str, FieldKind, bool, str, str], ...] = (
    ("id", FieldKind.ID, True, "标识", "Id"),
    ("row_version", FieldKind.INTEGER, True, "版本号", "Row version"),
    ("created_at", FieldKind.DATETIME, True, "创建时间", "Created at"),
    ("created_by", FieldKind.ID, True, "创建人", "Created by"),
    ("updated_at", FieldKind.DATETIME, True, "修改时间", "Updated at"),
    ("updated_by", FieldKind.ID, True, "修改人", "Updated by"),
    ("voided_at", FieldKind.DATETIME, False, "作废时间", "Voided at"),
    ("void_reason", FieldKind.LONG_TEXT, False, "作废原因", "Void reason"),
    ("source_system", FieldKind.TEXT, False, "来源系统", "Source system"),
    ("external_id", FieldKind.TEXT, False, "外部标识", "External id"),
    ("thread_id", FieldKind.ID, True, "线索标识", "Thread id"),
)
_LENGTHS = {FieldKind.TEXT: 200, FieldKind.LONG_TEXT: 2000}


def envelope(place: Place) -> Iterator[Field]:
    """The fields every entity has. `row_version` counts from 1."""
    for name, kind, required, zh, en in _ENVELOPE:
        yield Field(
            name=name,
            kind=kind,
            label=Bilingual(zh, en),
            place=place,
            origin=Origin.ENVELOPE,
            required=required,
            max_length=_LENGTHS.get(kind),
            immutable=name in ("id", "created_at", "created_by"),
        )


def site_field(place: Place, default: Checked | None = None) -> Field:
    """The site a record belongs to. It is set once: a record does not move between sites."""
    return Field(
        name="site",
        kind=FieldKind.REF,
        label=Bilingual("场所", "Site"),
        place=place,
        origin=Origin.TRAIT,
        required=True,
        immutable=True,
        targets=("site",),
        default=default,
    )


def owner_field(owner: str, label: Bilingual, place: Place) -> Field:
    """A line's reference to the record it is part of."""
    return Field(
        name="owner",
        kind=FieldKind.REF,
        label=label,
        place=place,
        origin=Origin.TRAIT,
        required=True,
        immutable=True,
        targets=(owner,),
    )


def state_field(code_list: str, place: Place) -> Field:
    """The state, changed only by transitions. Its codes are a generated code list named `<entity>_state`."""
    return Field(
        name="state",
        kind=FieldKind.CHOICE,
        label=Bilingual("状态", "State"),
        place=place,
        origin=Origin.TRAIT,
        required=True,
        code_list=code_list,
    )


def number_field(coding_rule: str, place: Place) -> Field:
    """The business number, made by a coding rule when it is not given."""
    return Field(
        name="number",
        kind=FieldKind.NUMBER,
        label=Bilingual("编号", "Number"),
        place=place,
        origin=Origin.TRAIT,
        required=True,
        unique=True,
        immutable=True,
        coding_rule=coding_rule,
        max_length=100,
    )


def corrects_field(entity: str, place: Place) -> Field:
    """The earlier record that this one corrects."""
    return Field(
        name="corrects",
        kind=FieldKind.REF,
        label=Bilingual("更正的记录", "Corrects"),
        place=place,
        origin=Origin.TRAIT,
        immutable=True,
        targets=(entity,),
    )


def legal_hold_field(place: Place) -> Field:
    """Whether a court or an authority wants the record kept whatever its time: then it cannot be voided. It may be put
    on and lifted, with a reason, also while the record is frozen. Its default, no, is attached with the expressions."""
    return Field(
        name="legal_hold",
        kind=FieldKind.BOOLEAN,
        label=Bilingual("法律保全", "Legal hold"),
        place=place,
        origin=Origin.TRAIT,
        required=True,
        regulated=True,
    )


def trait_names(spec: EntitySpec) -> frozenset[str]:
    """The names that this entity's traits take; they must not be declared."""
    names = set()
    if spec.scope == "site":
        names.add("site")
    if spec.states:
        names.add("state")
    if spec.number is not None:
        names.add("number")
    if spec.class_ == "record" and spec.part_of is None:
        names.add("corrects")
    if spec.retention is not None:
        names.add("legal_hold")
    return frozenset(names)
