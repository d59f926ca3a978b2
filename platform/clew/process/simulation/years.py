"""Years nobody has published yet: what a simulation assumes of them. The engine itself never assumes (domain F11)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from types import MappingProxyType

from clew.metadata.working_time import PublishedYear, Shifts, WorkingCalendar
from clew.process.calendar import WorkingTime

YEARS = 30
"""How many years after the last published one are assumed."""
_WHOLE_WEEKS = timedelta(weeks=52)


def assuming(site: WorkingTime) -> WorkingTime:
    """The working time with the years after the last published one worked as that one, each day as the day 52 weeks
    before: weekdays stay weekdays, so that as many days are worked. Without a published year it is as it was."""
    calendar = site.calendar
    if not calendar.years:
        return site
    years = dict(calendar.years)
    for year in range(max(years) + 1, max(years) + 1 + YEARS):
        years[year] = _as_before(replace(calendar, years=years), year)
    return WorkingTime(replace(calendar, years=MappingProxyType(years)))


def _as_before(calendar: WorkingCalendar, year: int) -> PublishedYear:
    off: list[str] = []
    working: dict[str, Shifts] = {}
    day = date(year, 1, 1)
    while day.year == year:
        before = day - _WHOLE_WEEKS
        if before.year == year:  # 31 December falls into the same year: that day is known by now
            before -= _WHOLE_WEEKS
        known = calendar.years[before.year]
        if before.isoformat() in known.working:
            working[day.isoformat()] = known.working[before.isoformat()]
        elif before.isoformat() in known.off:
            off.append(day.isoformat())
        day += timedelta(days=1)
    return PublishedYear(year, tuple(off), MappingProxyType(working))
