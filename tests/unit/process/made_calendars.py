"""Calendars and moments that the tests of working time share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual
from clew.metadata.load import load_sources
from clew.metadata.working_time import PublishedYear, Shifts, WorkingCalendar
from clew.process.calendar import WorkingTime

SHANGHAI = ZoneInfo("Asia/Shanghai")
PLANT = """\
calendar: plant
zone: Asia/Shanghai
hours: 08:30-12:00, 13:00-17:30
default: true
years:
  2026: {holidays: CN}
"""
PROJECT = "project: small\n"
OFFICE: Shifts = ((510, 720), (780, 1050))


def loaded(text: str) -> WorkingTime:
    found = load_sources({"clew.yaml": PROJECT, "calendars/plant.yaml": text})
    assert found.blueprint is not None, [each.message("en") for each in found.diagnostics]
    return WorkingTime(found.blueprint.calendars["plant"])


def made(
    zone: str,
    week: Shifts = OFFICE,
    years: Mapping[int, PublishedYear] | None = None,
    weekend: Shifts = (),
) -> WorkingTime:
    known = years if years is not None else {year: PublishedYear(year) for year in range(2024, 2028)}
    seven = (week, week, week, week, week, weekend, weekend)
    return WorkingTime(
        WorkingCalendar("made", Bilingual(), zone, seven, MappingProxyType(dict(known)), Place("made.yaml"))
    )


def local(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=zone)
