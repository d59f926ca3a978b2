"""Forms as the Blueprint keeps them: what is shown of a record, in which order, with what control, and when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from clew.expressions.tree import Checked
from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of a form. Conditions are over the record the form is about."""

    name: str
    widget: str
    label: Bilingual = Bilingual()
    help: Bilingual = Bilingual()
    accept: tuple[str, ...] = ()
    width: str = "full"
    columns: tuple[str, ...] = ()
    visible: Checked | None = None
    required: bool = False
    required_when: Checked | None = None
    read_only: bool = False
    read_only_when: Checked | None = None
    default: Checked | None = None


@dataclass(frozen=True, slots=True)
class Section:
    title: Bilingual
    fields: tuple[FormField, ...]
    help: Bilingual = Bilingual()
    visible: Checked | None = None
    columns: int = 1
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """What is shown of a record."""

    name: str
    label: Bilingual
    place: Place
    entity: str
    sections: tuple[Section, ...]
    help: Bilingual = Bilingual()
    phone: bool = False

    def fields(self) -> Iterable[tuple[Section, FormField]]:
        """Every field with the section it stands in."""
        return ((section, each) for section in self.sections for each in section.fields)
