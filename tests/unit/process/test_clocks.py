"""Time limits of steps with pauses and changes of hands, and those of the law, which nothing stops."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

import pytest
from tests.unit.process.made_calendars import PLANT, SHANGHAI, loaded, local, made

from clew.metadata.working_time import PublishedYear
from clew.process.calendar import CalendarMissing, WorkingTime
from clew.process.clocks import LegalLimit, Limit, TimeUnit, begin, legal_day, legal_due, legal_share

AWARE = date(2026, 10, 1)
"""The day of awareness of domain F7's vectors."""


def days(amount: int) -> LegalLimit:
    return LegalLimit(amount, TimeUnit.CALENDAR_DAYS)


@pytest.mark.parametrize(
    ("limit", "last"),
    [
        pytest.param(days(7), "2026-10-08", id="CN death"),
        pytest.param(days(2), "2026-10-03", id="EU serious public health threat"),
        pytest.param(days(10), "2026-10-11", id="EU death"),
        pytest.param(days(15), "2026-10-16", id="EU other serious incident"),
        pytest.param(days(30), "2026-10-31", id="US death, injury, malfunction"),
        pytest.param(LegalLimit(5, TimeUnit.WORKING_DAYS), "2026-10-08", id="US remedial action"),
    ],
)
def test_the_adverse_event_clocks_of_the_domain(limit: LegalLimit, last: str) -> None:
    """Domain F7. China's holiday week does not extend a clock of days; working days are the authority's own."""
    us = loaded(PLANT.replace("Asia/Shanghai", "America/New_York").replace("holidays: CN", "holidays: US"))
    assert legal_day(limit, AWARE, us) == date.fromisoformat(last)


@pytest.mark.parametrize(("amount", "last"), [(1, "10-02"), (3, "10-04"), (7, "10-08")])
def test_the_recall_notices_of_the_domain(amount: int, last: str) -> None:
    """Domain F8: class 1, 2 and 3 within 1, 3 and 7 days of the decision."""
    assert legal_day(days(amount), AWARE) == date.fromisoformat(f"2026-{last}")


def test_recall_plan_and_us_report_count_working_days() -> None:
    """Domain F8: 5 working days in China for the plan, 10 in the US for a correction or removal."""
    plant = loaded(PLANT)
    assert legal_day(LegalLimit(5, TimeUnit.WORKING_DAYS), AWARE, plant) == date(2026, 10, 13)
    us = loaded(PLANT.replace("Asia/Shanghai", "America/New_York").replace("holidays: CN", "holidays: US"))
    assert legal_day(LegalLimit(10, TimeUnit.WORKING_DAYS), date(2026, 10, 1), us) == date(2026, 10, 16)


def test_a_legal_clock_ends_with_its_last_day_there_and_hours_count_at_once() -> None:
    aware = datetime(2026, 10, 1, 15, tzinfo=UTC)
    assert legal_due(days(7), aware, SHANGHAI) == local("10-09 00:00")
    tokyo = ZoneInfo("Asia/Tokyo")
    assert legal_due(days(7), aware, tokyo) == datetime(2026, 10, 10, tzinfo=tokyo)
    assert legal_due(LegalLimit(12, TimeUnit.HOURS), aware, SHANGHAI) == aware + timedelta(hours=12)
    half = legal_share(LegalLimit(12, TimeUnit.HOURS), aware, SHANGHAI, 50)
    assert half == aware + timedelta(hours=6)


def test_working_days_of_nobody_are_refused() -> None:
    with pytest.raises(ValueError, match="no last day"):
        legal_day(LegalLimit(5, TimeUnit.WORKING_DAYS), AWARE)


# ── steps ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_unit_of_a_limit() -> None:
    plant = loaded(PLANT)
    start = local("09-30 16:00")
    assert begin(Limit(8, TimeUnit.WORKING_HOURS), start, plant).due(plant) == local("10-08 16:00")
    assert begin(Limit(2, TimeUnit.WORKING_DAYS), start, plant).due(plant) == local("10-09 17:30")
    assert begin(Limit(2, TimeUnit.CALENDAR_DAYS), start, plant).due(plant) == local("10-02 16:00")
    assert begin(Limit(2, TimeUnit.HOURS), start, plant).due(plant) == local("09-30 18:00")


def test_shares_of_a_limit_and_beyond() -> None:
    plant = loaded(PLANT)
    running = begin(Limit(8, TimeUnit.WORKING_HOURS), local("03-02 08:30"), plant)
    assert running.due(plant, 50) == local("03-02 13:30")
    assert running.due(plant, 80) == local("03-02 15:54")
    assert running.due(plant, 150) == local("03-03 13:30")


def test_a_pause_stops_the_clock() -> None:
    plant = loaded(PLANT)
    running = begin(Limit(8, TimeUnit.WORKING_HOURS), local("03-02 08:30"), plant)
    paused = running.pause(local("03-02 10:30"), plant)
    assert paused.due(plant) is None
    assert paused.pause(local("03-05 10:30"), plant) == paused
    assert paused.used_at(local("03-09 12:00"), plant) == timedelta(hours=2)
    resumed = paused.resume(local("03-09 08:30"))
    assert resumed.due(plant) == local("03-09 15:30")
    assert resumed.resume(local("03-10 08:30")) == resumed


def test_other_hands_keep_what_was_used() -> None:
    plant = loaded(PLANT)
    berlin = made("Europe/Berlin")
    running = begin(Limit(8, TimeUnit.WORKING_HOURS), local("03-02 08:30"), plant)
    moved = running.moved(local("03-02 16:00"), plant)
    assert moved.used == timedelta(hours=6.5)
    assert moved.due(berlin) == datetime(2026, 3, 2, 10, 30, tzinfo=ZoneInfo("Europe/Berlin"))


def test_a_calendar_published_anew_moves_only_what_is_open() -> None:
    """What was counted under the old calendar stays counted; the rest is counted by the new one."""
    plant = loaded(PLANT)
    running = begin(Limit(8, TimeUnit.WORKING_HOURS), local("03-02 08:30"), plant).moved(local("03-02 12:00"), plant)
    later = loaded(PLANT.replace("{holidays: CN}", "{holidays: CN, free: {2026-03-03: power cut}}"))
    assert running.used == timedelta(hours=3.5)
    assert running.due(later) == local("03-02 17:30")
    long = begin(Limit(12, TimeUnit.WORKING_HOURS), local("03-02 08:30"), plant)
    assert long.due(plant) == local("03-03 13:30")
    assert long.due(later) == local("03-04 13:30")


def test_a_limit_beyond_the_calendar_is_refused() -> None:
    short = WorkingTime(made("Asia/Shanghai", years={2026: PublishedYear(2026)}).calendar)
    running = begin(Limit(80, TimeUnit.WORKING_HOURS), local("12-29 08:30"), short)
    with pytest.raises(CalendarMissing):
        running.due(short)
    with pytest.raises(CalendarMissing):
        begin(Limit(10, TimeUnit.WORKING_DAYS), local("12-29 08:30"), short)


def test_published_years_cannot_be_changed() -> None:
    year = PublishedYear(2026, working=MappingProxyType({"2026-10-10": ((510, 720),)}))
    with pytest.raises(TypeError):
        year.working["2026-10-11"] = ()  # type: ignore[index]
