"""Time limits: of steps, in working or calendar time, with pauses; and of the law, from awareness, without any.

An SLA runs in the working time of a site (`wh`, `wd`), in calendar days (`cd`) or in plain hours (`h`). A pause stops
it; what was used up stays used up when the task changes hands or the calendar is published anew. A legal clock is
calendar time, is never paused, and never gains from a holiday (domain F7: articles 201 and 203 of the Civil Code do
not extend a safety clock).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from clew.process.calendar import NOTHING, WorkingTime, later_days, midnight


class TimeUnit(StrEnum):
    WORKING_HOURS = "wh"
    WORKING_DAYS = "wd"
    CALENDAR_DAYS = "cd"
    HOURS = "h"

    @property
    def working(self) -> bool:
        """True when only working time counts."""
        return self in (TimeUnit.WORKING_HOURS, TimeUnit.WORKING_DAYS)


@dataclass(frozen=True, slots=True)
class Limit:
    """An amount of time, such as `4 wh`. A number of working days ends with the work of the last one."""

    amount: int
    unit: TimeUnit

    def __str__(self) -> str:
        return f"{self.amount} {self.unit}"


@dataclass(frozen=True, slots=True)
class Running:
    """A time limit under way. `used` was counted up to `since`; while paused, `since` is None."""

    budget: timedelta
    """In working time when `working`, else in plain time."""
    working: bool
    used: timedelta
    since: datetime | None

    def used_at(self, at: datetime, site: WorkingTime) -> timedelta:
        """How much is used up at an instant."""
        if self.since is None or at <= self.since:
            return self.used
        return self.used + (site.elapsed(self.since, at) if self.working else at - self.since)

    def due(self, site: WorkingTime, share: int = 100) -> datetime | None:
        """When `share` per cent of it is used up; None while it is paused. More than 100 lies after the limit."""
        if self.since is None:
            return None
        rest = self.budget * share / 100 - self.used
        if rest <= NOTHING:
            return self.since
        return site.due(self.since, rest) if self.working else self.since + rest

    def pause(self, at: datetime, site: WorkingTime) -> Running:
        """Stop counting (a wait for a supplier, an authority, a customer)."""
        return self if self.since is None else replace(self, used=self.used_at(at, site), since=None)

    def resume(self, at: datetime) -> Running:
        """Count on."""
        return self if self.since is not None else replace(self, since=at)

    def moved(self, at: datetime, site: WorkingTime) -> Running:
        """In other hands, perhaps at another site: what `site`, the one before, has counted stays counted."""
        return self if self.since is None else replace(self, used=self.used_at(at, site), since=max(at, self.since))


def begin(limit: Limit, at: datetime, site: WorkingTime) -> Running:
    """Start a time limit. Raises CalendarMissing when the site's calendar does not reach far enough."""
    if limit.unit is TimeUnit.WORKING_HOURS:
        return Running(timedelta(hours=limit.amount), True, NOTHING, at)
    if limit.unit is TimeUnit.WORKING_DAYS:
        last = site.working_day(site.day_of(at), limit.amount)
        return Running(site.elapsed(at, site.end_of_work(last)), True, NOTHING, at)
    if limit.unit is TimeUnit.CALENDAR_DAYS:
        return Running(later_days(at, limit.amount, site.zone) - at, False, NOTHING, at)
    return Running(timedelta(hours=limit.amount), False, NOTHING, at)


@dataclass(frozen=True, slots=True)
class LegalLimit:
    """A limit of the law. `unit` is `cd`, `wd` (of the authority's calendar) or `h`."""

    amount: int
    unit: TimeUnit
    source: str = ""


def legal_day(limit: LegalLimit, aware: date, authority: WorkingTime | None = None) -> date:
    """The last day of a limit counted in days: the day of awareness is day 0, whatever weekday the last one is.

    Working days are those of the authority's calendar. Raises ValueError for hours, CalendarMissing.
    """
    if limit.unit is TimeUnit.CALENDAR_DAYS:
        return aware + timedelta(days=limit.amount)
    if limit.unit is TimeUnit.WORKING_DAYS and authority is not None:
        return authority.working_day(aware, limit.amount)
    raise ValueError(f"{limit.unit} has no last day")


def legal_due(limit: LegalLimit, aware_at: datetime, zone: ZoneInfo, authority: WorkingTime | None = None) -> datetime:
    """When a legal limit ends: hours count from the instant, days to the end of the last one in the market's zone."""
    if limit.unit is TimeUnit.HOURS:
        return aware_at + timedelta(hours=limit.amount)
    last = legal_day(limit, aware_at.astimezone(zone).date(), authority)
    return midnight(last + timedelta(days=1), zone)


def legal_share(
    limit: LegalLimit, aware_at: datetime, zone: ZoneInfo, share: int, authority: WorkingTime | None = None
) -> datetime:
    """When `share` per cent of the legal time has passed: for alerts at 50, 75 and 90 per cent."""
    return aware_at + (legal_due(limit, aware_at, zone, authority) - aware_at) * share / 100
