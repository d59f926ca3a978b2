"""The form that is made where none is declared, and the controls that suit each kind of field."""

from __future__ import annotations

from collections.abc import Iterable

from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity, Field, FieldKind, Origin
from clew.metadata.forms import Form, FormField, Section

READOUT = "readout"
WIDGETS: dict[FieldKind, tuple[str, ...]] = {
    FieldKind.TEXT: ("text", "long_text", "scan"),
    FieldKind.LONG_TEXT: ("long_text", "text"),
    FieldKind.TRANSLATED: ("translated",),
    FieldKind.INTEGER: ("number",),
    FieldKind.DECIMAL: ("number",),
    FieldKind.MONEY: ("money",),
    FieldKind.BOOLEAN: ("toggle", "radio"),
    FieldKind.DATE: ("date",),
    FieldKind.DATETIME: ("datetime",),
    FieldKind.DURATION: ("duration",),
    FieldKind.CHOICE: ("select", "radio"),
    FieldKind.CHOICES: ("checkboxes", "select"),
    FieldKind.JSON: ("json",),
    FieldKind.NUMBER: (READOUT,),
    FieldKind.REF: ("picker", "scan"),
    FieldKind.MANY: ("pickers", "scan"),
    FieldKind.LINES: ("table",),
    FieldKind.ANY: ("picker", "scan"),
    FieldKind.FILES: ("files", "camera"),
    FieldKind.ID: (READOUT,),
}
"""The controls that suit each kind of field, the usual one first."""

_GIVEN = Bilingual("依据", "What is given")
_ASKED = Bilingual("填写", "To fill in")


def writable(field: Field) -> bool:
    """Whether people may fill a field in at all."""
    return field.computed is None and field.origin is not Origin.ENVELOPE and field.kind is not FieldKind.NUMBER


def step_form(entity: Entity, name: str, inputs: Iterable[str], outputs: Iterable[str], must: Iterable[str]) -> Form:
    """The form of a step that declares none: what it works from, then what it fills in."""
    asked, needed = tuple(outputs), frozenset(must)
    given = [each for each in inputs if each in entity.fields and each not in asked]
    sections = [
        Section(_GIVEN, tuple(FormField(each, READOUT, read_only=True) for each in given)),
        Section(_ASKED, tuple(_usual(entity, each, each in needed) for each in asked if each in entity.fields)),
    ]
    return Form(name, Bilingual(), entity.place, entity.name, tuple(each for each in sections if each.fields))


def record_form(entity: Entity) -> Form:
    """The form of a record that nobody has made a form for: every field that people fill in."""
    fields = [_usual(entity, each.name, each.required) for each in entity.fields.values() if writable(each)]
    return Form(entity.name, entity.label, entity.place, entity.name, (Section(Bilingual(), tuple(fields)),))


def _usual(entity: Entity, name: str, required: bool) -> FormField:
    field = entity.fields[name]
    if not writable(field):
        return FormField(name, READOUT, read_only=True)
    return FormField(name, WIDGETS[field.kind][0], required=required, required_when=field.required_when)
