"""Watches as the Blueprint keeps them: which entries of the trail raise an alert."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual

ANY = "any"


@dataclass(frozen=True, slots=True)
class Watch:
    """One rule over the trail. `outside` is (from, to) in minutes after midnight; `within` is minutes."""

    name: str
    place: Place
    label: Bilingual
    help: Bilingual
    severity: Literal["low", "medium", "high"]
    actions: tuple[str, ...]
    entities: tuple[str, ...] = ()
    times: int = 1
    within: int = 15
    per: Literal["subject", "actor"] = "subject"
    outside: tuple[int, int] | None = None
    elsewhere: bool = False

    def concerns(self, action: str, entity: str) -> bool:
        """Whether an entry with this action about this entity is looked at."""
        if self.entities and entity not in self.entities:
            return False
        return any(each in (ANY, action) or (each.endswith(":") and action.startswith(each)) for each in self.actions)

    def at_this_hour(self, local: datetime) -> bool:
        """Whether the local time lies outside the hours that are named."""
        if self.outside is None:
            return True
        minute = local.hour * 60 + local.minute
        begin, end = self.outside
        inside = begin <= minute < end or begin <= minute + 1440 < end
        return not inside
