"""Working calendars: shifts in order, known zones, and every day of a published year decided."""

from __future__ import annotations

from itertools import pairwise
from types import MappingProxyType
from typing import cast
from zoneinfo import ZoneInfo

import holidays

from clew.kernel.text import Bilingual
from clew.metadata import naming, rules
from clew.metadata.documents import Document
from clew.metadata.link.project import Linking
from clew.metadata.spec.calendar import WEEKDAYS, CalendarSpec, YearSpec, shift_of
from clew.metadata.spec.words import text_of
from clew.metadata.working_time import PublishedYear, Shifts, WorkingCalendar


def link_calendars(linking: Linking) -> None:
    """Every calendar of the project, by name."""
    sites: dict[str, str] = {}
    default: str | None = None
    for document in linking.documents.get("calendar", ()):
        spec = document.spec
        assert isinstance(spec, CalendarSpec)
        earlier = linking.calendars.get(spec.calendar)
        if earlier is not None:
            linking.findings.add(
                rules.DUPLICATE_NAME,
                document.place,
                kind="calendars",
                kind_zh="日历",
                name=spec.calendar,
                related=[earlier.place],
            )
            continue
        linking.calendars[spec.calendar] = _calendar(linking, document, spec)
        for index, site in enumerate(spec.sites):
            if sites.setdefault(site, spec.calendar) != spec.calendar:
                linking.findings.add(
                    rules.CALENDAR_TWICE, document.at("sites", index), path="sites", site=site, other=sites[site]
                )
        if spec.default and default is not None:
            linking.findings.add(
                rules.CALENDAR_TWICE, document.at("default"), path="default", site="default", other=default
            )
        default = spec.calendar if spec.default else default


def _calendar(linking: Linking, document: Document, spec: CalendarSpec) -> WorkingCalendar:
    _zone(linking, document, spec.zone)
    usual = _shifts(linking, document, spec.hours, "hours")
    week = []
    for weekday in WEEKDAYS:
        if weekday in spec.other_hours:
            week.append(_shifts(linking, document, spec.other_hours[weekday], "other_hours", weekday))
        else:
            week.append(usual if weekday in spec.days else ())
    if not any(week):
        linking.findings.add(rules.CALENDAR_EMPTY, document.at("hours", key=True), path="hours", name=spec.calendar)
    years = {int(number): _year(linking, document, int(number), year, usual) for number, year in spec.years.items()}
    label = linking.label(f"calendar.{spec.calendar}", text_of(spec.label), Bilingual("", naming.human(spec.calendar)))
    return WorkingCalendar(
        spec.calendar,
        label,
        spec.zone,
        cast("tuple[Shifts, Shifts, Shifts, Shifts, Shifts, Shifts, Shifts]", tuple(week)),
        MappingProxyType(dict(sorted(years.items()))),
        document.place,
        spec.sites,
        spec.default,
    )


def _zone(linking: Linking, document: Document, zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):
        linking.findings.add(
            rules.BAD_VALUE,
            document.at("zone"),
            path="zone",
            value=zone,
            reason="there is no such time zone",
            reason_zh="没有这个时区",
        )


def _shifts(linking: Linking, document: Document, hours: tuple[str, ...], *path: str) -> Shifts:
    found = tuple(sorted(shift_of(each) for each in hours))
    for earlier, later in pairwise(found):
        if later[0] < earlier[1]:
            linking.findings.add(rules.SHIFTS_OVERLAP, document.at(*path), path=".".join(path))
    return found


def _year(linking: Linking, document: Document, number: int, spec: YearSpec, usual: Shifts) -> PublishedYear:
    off: set[str] = set()
    working: dict[str, Shifts] = {}
    path = ("years", str(number))
    for index, country in enumerate(spec.holidays):
        try:
            known = holidays.country_holidays(country, years=number)
        except NotImplementedError:
            linking.findings.add(
                rules.CALENDAR_COUNTRY, document.at(*path, "holidays", index), path=".".join(path), name=country
            )
            continue
        made_up = {each for each in known.weekend_workdays if each.year == number}
        if known.weekend_workdays and not made_up and not spec.working:
            linking.findings.add(
                rules.CALENDAR_NOT_ANNOUNCED,
                document.at(*path, "holidays", index),
                path=".".join(path),
                name=country,
                year=number,
            )
        off |= {day.isoformat() for day in known if day.year == number}
        working.update((day.isoformat(), usual) for day in made_up)
    for day in (*spec.free, *spec.working):
        if int(day[:4]) != number:
            key = "free" if day in spec.free else "working"
            linking.findings.add(
                rules.CALENDAR_OTHER_YEAR, document.at(*path, key, day, key=True), path=".".join(path), day=day
            )
    off |= set(spec.free)
    working = {day: shifts for day, shifts in working.items() if day not in spec.free}
    for day, given in spec.working.items():
        working[day] = _shifts(linking, document, given, *path, "working", day) if given else usual
    return PublishedYear(number, tuple(sorted(off)), MappingProxyType(dict(sorted(working.items()))))
