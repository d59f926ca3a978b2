"""Working time: the vectors of the domain, an oracle that counts minutes, set clocks, missing years."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.process.made_calendars import OFFICE, PLANT, SHANGHAI, loaded, local, made

from clew.metadata.working_time import PublishedYear, Shifts, WorkingCalendar
from clew.process.calendar import CalendarMissing, NoWorkingTime, WorkingTime, later_days
from clew.testing.plugin import Tier

VECTORS = [
    ("09-30 16:00", 8, "10-08 16:00"),
    ("10-09 17:00", 4, "10-10 12:00"),
    ("10-11 10:00", 1, "10-12 09:30"),
    ("09-24 17:30", 8, "09-28 17:30"),
    ("02-13 15:00", 24, "02-25 15:00"),
]


@pytest.mark.parametrize(("start", "hours", "due"), VECTORS)
def test_the_vectors_of_the_domain(start: str, hours: int, due: str) -> None:
    """Domain F11, with China's days of 2026 as the State Council announced them."""
    assert loaded(PLANT).due(local(start), timedelta(hours=hours)) == local(due)


def test_elapsed_of_the_domain() -> None:
    assert loaded(PLANT).elapsed(local("09-30 16:00"), local("10-08 10:30")) == timedelta(hours=3.5)


def test_a_make_up_day_is_worked_and_a_holiday_is_not() -> None:
    plant = loaded(PLANT)
    assert plant.works_on(date(2026, 10, 10))
    assert not plant.works_on(date(2026, 10, 7))
    own = loaded(
        PLANT.replace("{holidays: CN}", '{free: {2026-03-02: stock count}, working: {2026-03-07: "09:00-12:00"}}')
    )
    assert not own.works_on(date(2026, 3, 2))
    assert own.elapsed(local("03-07 00:00"), local("03-08 00:00")) == timedelta(hours=3)
    reason = loaded(PLANT.replace("{holidays: CN}", "{working: {2026-03-07: make-up}}"))
    assert reason.elapsed(local("03-07 00:00"), local("03-08 00:00")) == timedelta(hours=8)


def test_working_days_are_counted_back_over_holidays() -> None:
    plant = loaded(PLANT)
    assert plant.working_day_before(date(2026, 10, 9), 5) == date(2026, 9, 24), "over two holidays"
    assert plant.working_day_before(date(2026, 10, 12), 1) == date(2026, 10, 10), "a make-up Saturday"
    with pytest.raises(CalendarMissing, match="2025"):
        plant.working_day_before(date(2026, 1, 2), 3)


def test_the_end_of_an_interval_is_due_then_and_not_when_work_goes_on() -> None:
    plant = loaded(PLANT)
    assert plant.due(local("03-02 08:30"), timedelta(hours=3.5)) == local("03-02 12:00")
    assert plant.due(local("03-02 12:00"), timedelta(minutes=1)) == local("03-02 13:01")
    assert plant.due(local("03-01 09:00"), timedelta(0)) == local("03-01 09:00")


def test_a_year_that_is_not_published_is_refused() -> None:
    plant = loaded(PLANT)
    with pytest.raises(CalendarMissing, match="2027"):
        plant.due(local("12-31 17:00"), timedelta(hours=1))
    assert plant.due(local("12-31 16:30"), timedelta(hours=1)) == local("12-31 17:30")
    with pytest.raises(CalendarMissing, match="2025"):
        plant.elapsed(datetime(2025, 12, 31, tzinfo=SHANGHAI), local("01-05 00:00"))
    assert plant.elapsed(local("12-31 17:00"), datetime(2027, 1, 1, tzinfo=SHANGHAI)) == timedelta(minutes=30)


def test_a_calendar_without_work_ends_instead_of_looking_for_ever() -> None:
    idle = made("UTC", week=(), years={year: PublishedYear(year) for year in range(2026, 2034)})
    with pytest.raises(NoWorkingTime):
        idle.due(local("01-02 09:00"), timedelta(hours=1))
    with pytest.raises(NoWorkingTime):
        idle.working_day(date(2026, 1, 1), 1)


def test_the_hour_that_comes_twice_and_the_one_that_never_comes() -> None:
    """Berlin, nights of 2026-03-29 (02:00 → 03:00) and 2026-10-25 (03:00 → 02:00), by the wall clock."""
    night = made("Europe/Berlin", ((1320, 1800),), weekend=((1320, 1800),))
    berlin = ZoneInfo("Europe/Berlin")
    assert night.elapsed(local("03-28 21:00", berlin), local("03-29 09:00", berlin)) == timedelta(hours=7)
    assert night.elapsed(local("10-24 21:00", berlin), local("10-25 09:00", berlin)) == timedelta(hours=9)
    assert night.due(local("03-28 22:00", berlin), timedelta(hours=5)) == local("03-29 04:00", berlin)
    assert night.due(local("10-24 22:00", berlin), timedelta(hours=5)) == datetime(2026, 10, 25, 1, tzinfo=UTC)
    late = made("Europe/Berlin", ((60, 150),), weekend=((60, 150),))
    assert late.elapsed(local("10-25 00:00", berlin), local("10-25 12:00", berlin)) == timedelta(hours=2)


def test_calendar_days_keep_the_time_of_day() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert later_days(local("03-28 09:00", berlin), 1, berlin) - local("03-28 09:00", berlin).astimezone(
        UTC
    ) == timedelta(hours=23)
    assert later_days(local("03-28 02:30", berlin), 1, berlin) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


# ── the oracle ────────────────────────────────────────────────────────────────────────────────────────────────────

ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "UTC")
WEEKS: tuple[Shifts, ...] = (
    OFFICE,
    ((0, 1440),),
    ((1320, 1800),),
    ((60, 150), (165, 200)),
    ((360, 840), (840, 1320), (1320, 1800)),
)


def worked(calendar: WorkingCalendar, at: datetime) -> bool:
    """Is this minute worked? Looks at the wall clock and at nothing else."""
    wall = at.astimezone(ZoneInfo(calendar.zone)).replace(tzinfo=None)
    for back in (0, 1):
        day = wall.date() - timedelta(days=back)
        minute = (wall - datetime.combine(day, datetime.min.time())).total_seconds() // 60
        year = calendar.years[day.year]
        text = day.isoformat()
        if text in year.working:
            shifts = year.working[text]
        elif text in year.off:
            shifts = ()
        else:
            shifts = calendar.week[day.weekday()]
        if any(start <= minute < end for start, end in shifts):
            return True
    return False


def counted(calendar: WorkingCalendar, start: datetime, minutes: int) -> int:
    return sum(worked(calendar, start + timedelta(minutes=each)) for each in range(minutes))


@st.composite
def calendars(draw: st.DrawFn) -> WorkingTime:
    zone, week, weekend = (
        draw(st.sampled_from(ZONES)),
        draw(st.sampled_from(WEEKS)),
        draw(st.sampled_from(((), *WEEKS))),
    )
    days = st.dates(date(2025, 1, 1), date(2026, 12, 31)).map(date.isoformat)
    off, made_up = draw(st.lists(days, max_size=20)), draw(st.lists(days, max_size=20))
    years = {
        year: PublishedYear(
            year,
            tuple(each for each in off if each.startswith(str(year))),
            MappingProxyType({each: week for each in made_up if each.startswith(str(year))}),
        )
        for year in range(2024, 2028)
    }
    return made(zone, week, years, weekend)


CHANGES = [
    datetime(2026, *each, tzinfo=UTC)
    for each in ((3, 28, 20), (10, 24, 20), (3, 7, 20), (10, 31, 20), (4, 4, 10), (10, 3, 10))
]
moments = st.one_of(
    st.integers(0, 60 * 24 * 600).map(lambda minutes: datetime(2025, 3, 1, tzinfo=UTC) + timedelta(minutes=minutes)),
    st.tuples(st.sampled_from(CHANGES), st.integers(0, 900)).map(lambda pair: pair[0] + timedelta(minutes=pair[1])),
)


def test_working_calendar(tier: Tier) -> None:
    """Threat 39: every deadline equals the count of worked minutes."""

    @settings(max_examples=tier.count(150, 20_000), deadline=None)
    @given(calendars(), moments, st.integers(1, 60 * 24 * 4))
    def equal(site: WorkingTime, start: datetime, minutes: int) -> None:
        there = counted(site.calendar, start, minutes)
        assert site.elapsed(start, start + timedelta(minutes=minutes)) == timedelta(minutes=there)
        if there:
            due = site.due(start, timedelta(minutes=there))
            assert due <= start + timedelta(minutes=minutes)
            length = int((due - start).total_seconds()) // 60
            assert worked(site.calendar, due - timedelta(minutes=1))
            assert counted(site.calendar, start, length) == there

    equal()
