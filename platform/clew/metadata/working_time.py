"""Working calendars as the Blueprint keeps them: shifts of a week, holidays and make-up days of the published years."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual

Shift = tuple[int, int]
"""Minutes after midnight, wall clock: [start, end). An end beyond 1440 lies on the following day."""
Shifts = tuple[Shift, ...]


@dataclass(frozen=True, slots=True)
class PublishedYear:
    """A year the calendar may be asked about. `off` and `working` win over the week, `working` over `off`."""

    year: int
    off: tuple[str, ...] = ()
    """ISO dates that are not worked."""
    working: Mapping[str, Shifts] = field(default_factory=lambda: MappingProxyType({}))
    """ISO date → shifts of a day that is worked whatever its weekday (a make-up day, 调休)."""


@dataclass(frozen=True, slots=True)
class WorkingCalendar:
    """One calendar: an IANA zone, the shifts of Monday to Sunday, the years that are published."""

    name: str
    label: Bilingual
    zone: str
    week: tuple[Shifts, Shifts, Shifts, Shifts, Shifts, Shifts, Shifts]
    years: Mapping[int, PublishedYear]
    place: Place
    sites: tuple[str, ...] = ()
    """Codes of the sites that work by it."""
    default: bool = False
    """For sites that no calendar names."""

    def shifts(self, day: date) -> Shifts | None:
        """The shifts that begin on a day, in order; None when its year is not published."""
        year = self.years.get(day.year)
        if year is None:
            return None
        text = day.isoformat()
        if text in year.working:
            return year.working[text]
        return () if text in year.off else self.week[day.weekday()]
