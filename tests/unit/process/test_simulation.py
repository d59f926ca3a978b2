"""Simulation: held against queueing theory where it has an answer, and staff, choices and calendars."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from tests.unit.process.test_proof import project

from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual
from clew.metadata.working_time import PublishedYear, WorkingCalendar
from clew.process.calendar import CalendarMissing, WorkingTime
from clew.process.simulation.assumptions import Assumptions
from clew.process.simulation.report import Report, simulate, student
from clew.process.simulation.years import assuming

START = datetime(2026, 3, 2, tzinfo=UTC)
ONE = "  look: {who: clerk, returns_to: []}\n"


EVERY_DAY = ((8 * 60, 16 * 60),)
CALENDAR = WorkingCalendar(
    "all",
    Bilingual(),
    "UTC",
    (EVERY_DAY,) * 7,
    {year: PublishedYear(year) for year in range(2026, 2036)},
    Place("c.yaml"),
)
"""Eight hours on every day, so that only the queue matters."""


def run(flow: str, **given: object) -> Report:
    blueprint = project(flow)
    assumed = Assumptions.model_validate(given)
    return simulate(blueprint, blueprint.workflows["handling"], assumed, WorkingTime(CALENDAR), START)


@pytest.mark.parametrize(("people", "per_day"), [(1, 4.0), (1, 6.0)])
def test_one_server_waits_as_long_as_theory_says(people: int, per_day: float) -> None:
    """M/D/1: one hour of work each, arrivals at random. Wait = rho * service / (2 * (1 - rho)); use = rho."""
    found = run(
        ONE, per_day=per_day, cases=12_000, runs=20, staff={"clerk": people}, steps={"look": {"takes": [1, 1, 1]}}
    )
    rho = per_day / 8
    wait, used = found.steps[0].waiting, found.roles[0].utilisation
    assert wait.mean is not None
    assert wait.half is not None
    assert used.mean is not None
    assert used.half is not None
    assert abs(wait.mean - rho / (2 * (1 - rho))) < 2 * wait.half
    assert abs(used.mean - rho) < 2 * used.half
    assert wait.half < 0.2 * wait.mean, "enough cases to say something"


def test_the_same_dice_give_the_same_report() -> None:
    given = {"cases": 100, "runs": 4, "seed": 7}
    assert run(ONE, **given) == run(ONE, **given)
    assert run(ONE, **given) != run(ONE, **{**given, "seed": 8})


def test_choices_come_as_often_as_was_said() -> None:
    steps = """\
  look: {who: clerk, choose: verdict, outcomes: {keep: {}, scrap: {}}, returns_to: []}
  how: {decide: [{when: "verdict == 'keep'", then: kept}, {then: gone}]}
  kept: {end: kept}
  gone: {end: gone}
"""
    found = run(steps, cases=2_000, runs=10, steps={"look": {"outcomes": {"keep": 3, "scrap": 1}}})
    kept = found.outcomes["kept"]
    assert kept.mean is not None
    assert kept.half is not None
    assert abs(kept.mean - 0.75) < 2 * kept.half


def test_a_house_too_small_is_told() -> None:
    """Whoever looked may not look again: with one clerk every case comes to a stop, and the report says why."""
    steps = "  look: {who: clerk, returns_to: []}\n  again: {who: clerk, not_same_person_as: [look], returns_to: []}\n"
    found = run(steps, cases=20, runs=2, staff={"clerk": 1})
    assert found.stuck == {"nobody: again": 20}
    assert run(steps, cases=20, runs=2, staff={"clerk": 2}).stuck == {}


def test_years_nobody_has_published_are_assumed_and_told() -> None:
    blueprint, site = project(ONE), WorkingTime(replace(CALENDAR, years={2026: CALENDAR.years[2026]}))

    def played(start: datetime) -> Report:
        return simulate(blueprint, blueprint.workflows["handling"], Assumptions(cases=40, runs=2), site, start)

    assert played(START).assumed == ()
    assert played(datetime(2026, 12, 28, tzinfo=UTC)).assumed == (2027,)
    with pytest.raises(CalendarMissing):
        played(datetime(2025, 3, 3, tzinfo=UTC))


def test_an_assumed_day_is_worked_as_the_day_52_weeks_before() -> None:
    known = PublishedYear(2026, ("2026-01-01", "2026-10-01"), {"2026-10-10": ((540, 720),)})
    site = assuming(WorkingTime(replace(CALENDAR, years={2026: known}))).calendar
    assert site.shifts(date(2027, 9, 30)) == ()
    assert site.shifts(date(2027, 10, 1)) == site.week[4]
    assert site.shifts(date(2027, 10, 9)) == ((540, 720),), "a make-up Saturday stays a Saturday"
    assert site.shifts(date(2028, 9, 28)) == ()
    with pytest.raises(CalendarMissing):
        WorkingTime(site).works_on(date(2025, 12, 31))


@pytest.mark.parametrize(
    ("freedom", "known"), [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (19, 2.093), (99, 1.984)]
)
def test_student(freedom: int, known: float) -> None:
    assert abs(student(freedom) - known) < 0.004 * known
