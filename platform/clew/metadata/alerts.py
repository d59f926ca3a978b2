"""Alerts as the Blueprint keeps them: standing conditions over records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clew.expressions.tree import Checked
from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual
from clew.metadata.processes import Who


@dataclass(frozen=True, slots=True)
class Trigger:
    """A change at which an alert is looked at. `of` is the field that refers to its record; empty: that record."""

    entity: str
    verb: str
    of: str = ""


@dataclass(frozen=True, slots=True)
class StandingAlert:
    """A condition that is raised once for each record for which it holds, until it has ceased to."""

    name: str
    label: Bilingual
    place: Place
    entity: str
    when: Checked
    who: Who
    severity: Literal["low", "medium", "high"] = "medium"
    help: Bilingual = Bilingual()
    say: Bilingual = Bilingual()
    on: tuple[Trigger, ...] = ()
    again_after: int | None = None
    """Days after which it is raised again while it holds."""
    start: str = ""
