"""Decision tables as the Blueprint keeps them: the table that decides, and what people are told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from clew.expressions.tables import Table
from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual


@dataclass(frozen=True, slots=True)
class DecisionTable:
    """A table of the project."""

    name: str
    label: Bilingual
    place: Place
    table: Table
    help: Bilingual = Bilingual()
    source: str = ""
    owner: str = ""
    labels: Mapping[str, Bilingual] = field(default_factory=lambda: MappingProxyType({}))
    """What its columns are called."""

    @property
    def version(self) -> str:
        return self.table.version
