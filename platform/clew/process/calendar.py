"""Working time: how much of it lies between two instants, and when an amount of it is used up.

An instant is worked when the wall clock of the calendar's zone shows a time inside one of the day's shifts. So a night
in which the clock goes back an hour has one working hour more, and one in which it goes forward one less. A shift
belongs to the day it begins on. Everything here is pure: times come in as aware datetimes and go out in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from clew.kernel.errors import ClewError
from clew.metadata.working_time import WorkingCalendar

NOTHING = timedelta()
_DAY = timedelta(days=1)
_LONGEST_SEARCH = 366 * 3
"""Days without work after which a calendar is taken to have no more."""

Span = tuple[datetime, datetime]


class CalendarMissing(ClewError):
    """The calendar does not say how the year is worked: refuse, do not assume (domain F11)."""

    code, status = "CALENDAR_MISSING", 409
    en = "The working calendar {calendar} is not published for {year}."
    zh = "工作日历 {calendar} 尚未发布 {year} 年。"
    hint_en = (
        "When its days are announced, add under `years` of the calendar {calendar}: `{year}: {holidays: CN}` (your "
        "country), or its days under `free` and `working`; then clew plan, clew apply. What waits is counted then. A "
        "simulation may begin on another day: --from"
    )
    hint_zh = (
        "放假安排公布后,在日历 {calendar} 的 `years` 中加入 `{year}: {holidays: CN}`(所在国家),或在 `free` 与 "
        "`working` 中列出日期;再执行 clew plan、clew apply。届时补算等待中的时限。模拟也可改日开始:--from"
    )


class NoWorkingTime(ClewError):
    """The calendar has published years in which nobody works."""

    code, status = "NO_WORKING_TIME", 409
    en = "By the working calendar {calendar} nobody works for years after {day}."
    zh = "按工作日历 {calendar},{day} 之后多年无人工作。"


class BeyondTime(ClewError):
    """A moment or a limit that no clock can be set to: a wrong year, or minutes by the million."""

    code, status = "BEYOND_TIME", 409
    en = "A time limit lies more than {years} years away, or where no calendar reaches; its clock does not run."
    zh = "时限在 {years} 年之后或超出日历范围,无法计时。"
    hint_en = "Put the date or the number in the record right: the clock is set by it."
    hint_zh = "请更正记录中的日期或数值,时限随之重新计算。"


@dataclass(slots=True)
class WorkingTime:
    """A calendar that can be asked. Keeps the spans of the days it was asked about."""

    calendar: WorkingCalendar
    zone: ZoneInfo = field(init=False)
    _days: dict[date, tuple[Span, ...]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.zone = ZoneInfo(self.calendar.zone)

    def due(self, start: datetime, amount: timedelta) -> datetime:
        """When `amount` of working time after `start` is used up: the end of the interval in which the remainder
        reaches 0. Nothing to wait for is due at once. Raises CalendarMissing."""
        rest = amount
        if rest <= NOTHING:
            return start.astimezone(UTC)
        for begin, end in self._from(start):
            span = end - begin
            if span >= rest:
                return begin + rest
            rest -= span
        raise AssertionError("unreachable")

    def elapsed(self, start: datetime, end: datetime) -> timedelta:
        """Working time in [start, end); nothing when `end` is not later. Raises CalendarMissing."""
        total = NOTHING
        if end <= start:
            return total
        for begin, finish in self._from(start, end):
            if begin >= end:
                break
            total += min(finish, end) - begin
        return total

    def works_on(self, day: date) -> bool:
        """Whether a shift begins on this day. Raises CalendarMissing."""
        shifts = self.calendar.shifts(day)
        if shifts is None:
            raise CalendarMissing(calendar=self.calendar.name or "–", year=day.year)
        return bool(shifts)

    def working_day(self, start: date, count: int) -> date:
        """The `count`-th working day after `start`, which itself is day 0. Raises CalendarMissing."""
        return self._working_day(start, count, _DAY)

    def working_day_before(self, end: date, count: int) -> date:
        """The `count`-th working day before `end`, which itself is day 0. Raises CalendarMissing."""
        return self._working_day(end, count, -_DAY)

    def _working_day(self, start: date, count: int, step: timedelta) -> date:
        day, idle = start, 0
        while count > 0:
            day += step
            works = self.works_on(day)
            idle = 0 if works else idle + 1
            count -= works
            if idle > _LONGEST_SEARCH:
                raise NoWorkingTime(calendar=self.calendar.name, day=start)
        return day

    def end_of_work(self, day: date) -> datetime:
        """When the work of a day ends; the day's own midnight when nobody works then."""
        spans = self.spans(day)
        return spans[-1][1] if spans else midnight(day + _DAY, self.zone)

    def day_of(self, at: datetime) -> date:
        """The calendar's own date at an instant."""
        return at.astimezone(self.zone).date()

    def spans(self, day: date) -> tuple[Span, ...]:
        """The working spans, in UTC and in order, of the shifts that begin on a day. Raises CalendarMissing."""
        found = self._days.get(day)
        if found is None:
            shifts = self.calendar.shifts(day)
            if shifts is None:
                raise CalendarMissing(calendar=self.calendar.name or "–", year=day.year)
            spans = [span for shift in shifts for span in self._in_utc(day, *shift)]
            found = self._days[day] = tuple(_joined(sorted(spans)))
        return found

    def _in_utc(self, day: date, start: int, end: int) -> Iterator[Span]:
        """The instants at which the wall clock is in the shift; two spans when a change of the clock divides it."""
        midnight_ = datetime.combine(day, time())
        first, last = midnight_ + timedelta(minutes=start), midnight_ + timedelta(minutes=end)
        before, after = first - _DAY, last + _DAY
        offset, later = self._offset(before), self._offset(after)
        if offset == later:
            yield (first - offset).replace(tzinfo=UTC), (last - offset).replace(tzinfo=UTC)
            return
        change = self._change(before.replace(tzinfo=UTC), after.replace(tzinfo=UTC))
        begin, finish = (first - offset).replace(tzinfo=UTC), min((last - offset).replace(tzinfo=UTC), change)
        if begin < finish:
            yield begin, finish
        begin, finish = max((first - later).replace(tzinfo=UTC), change), (last - later).replace(tzinfo=UTC)
        if begin < finish:
            yield begin, finish

    @property
    def _overnight(self) -> bool:
        """Whether work of one day may reach into the next."""
        calendar = self.calendar
        days = (*calendar.week, *(shifts for year in calendar.years.values() for shifts in year.working.values()))
        return any(end > 1440 for shifts in days for _, end in shifts)

    def _offset(self, wall: datetime) -> timedelta:
        offset = wall.replace(tzinfo=self.zone).utcoffset()
        assert offset is not None
        return offset

    def _change(self, low: datetime, high: datetime) -> datetime:
        """The first instant, to the second, of the offset that holds at `high`. `low` and `high` are UTC."""
        low, high = low - _DAY, high + _DAY
        new = high.astimezone(self.zone).utcoffset()
        while high - low > timedelta(seconds=1):
            middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
            if middle.astimezone(self.zone).utcoffset() == new:
                high = middle
            else:
                low = middle
        return high

    def _from(self, start: datetime, end: datetime | None = None) -> Iterator[Span]:
        """What is worked from an instant on, in order; up to `end`, or for ever.

        Shifts of one day never overlap, but the night shift of one day may reach into the next; then both are joined.
        """
        start = start.astimezone(UTC)
        day = self.day_of(start)
        if self._overnight:
            day -= _DAY
        last = self.day_of(end - timedelta.resolution) if end is not None else None
        reached, idle = start, 0
        while last is None or day <= last:
            spans = self.spans(day)
            idle = 0 if spans else idle + 1
            if idle > _LONGEST_SEARCH:
                raise NoWorkingTime(calendar=self.calendar.name, day=day)
            for begin, finish in spans:
                begin = max(begin, reached)
                if begin < finish:
                    yield begin, finish
                    reached = finish
            day += _DAY


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant a date begins in a zone, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def later_days(start: datetime, days: int, zone: ZoneInfo) -> datetime:
    """The same time of day some calendar days later, in the zone; a skipped time is taken later."""
    local = start.astimezone(zone)
    wall = datetime.combine(local.date() + timedelta(days=days), local.timetz().replace(tzinfo=None))
    return wall.replace(tzinfo=zone, fold=local.fold).astimezone(UTC)


def _joined(spans: Sequence[Span]) -> Iterator[Span]:
    """Spans that touch or overlap as one."""
    current: Span | None = None
    for begin, end in spans:
        if current is not None and begin <= current[1]:
            current = (current[0], max(current[1], end))
        else:
            if current is not None:
                yield current
            current = (begin, end)
    if current is not None:
        yield current
