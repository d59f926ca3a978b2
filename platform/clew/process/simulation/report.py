"""What many runs come to: means with the 95 % interval they lie in, by Student's t over the runs."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from statistics import fmean, quantiles, stdev

from clew.metadata.blueprint import Blueprint
from clew.metadata.processes import Workflow
from clew.process.calendar import WorkingTime
from clew.process.proof.cast import roles_of
from clew.process.proof.explore import Walk
from clew.process.simulation.assumptions import DEFAULT_STAFF, Assumptions
from clew.process.simulation.floor import Floor, Tally
from clew.process.simulation.years import assuming


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over the runs; `half` is half the width of its 95 % interval. Both None when nothing was counted."""

    mean: float | None
    half: float | None = None


@dataclass(frozen=True, slots=True)
class StepResult:
    step: str
    waiting: Estimate
    """Working hours until somebody took it."""
    working: Estimate
    late: Estimate
    """Share that missed the limit; without one, nothing."""


@dataclass(frozen=True, slots=True)
class RoleResult:
    role: str
    people: int
    utilisation: Estimate
    """Share of the working time that was worked."""
    queue: Estimate
    """Tasks that wait, on average over working time."""
    longest: int


@dataclass(frozen=True, slots=True)
class Report:
    """A simulation's result. Cycle times in working hours, and `calendar` in hours on the calendar."""

    workflow: str
    cases: int
    runs: int
    cycle: Estimate
    median: Estimate
    ninetieth: Estimate
    calendar: Estimate
    outcomes: dict[str, Estimate]
    """Share of the ended cases."""
    steps: tuple[StepResult, ...]
    roles: tuple[RoleResult, ...]
    stuck: dict[str, int]
    """Cases that could not go on, by why."""
    assumed: tuple[int, ...] = ()
    """Years that the calendar is not published for and the runs lasted into."""


def simulate(
    blueprint: Blueprint, workflow: Workflow, given: Assumptions, site: WorkingTime, start: datetime
) -> Report:
    """Run it. Years after the last published one are assumed to be worked as that one.

    Raises CalendarMissing when it begins before the first published year, or none is published.
    """
    years, site = site.calendar.years, assuming(site)
    roles = list(dict.fromkeys(role for _, step in workflow.walk() for role in roles_of(step)))
    staff = {role: given.staff.get(role, given.staff.get("*", DEFAULT_STAFF)) for role in roles}
    per_run = max(1, given.cases // given.runs)
    tallies = []
    for run in range(given.runs):
        walk = Walk(blueprint, workflow, staff=staff)
        tallies.append(Floor(walk, given, site, start, random.Random(f"{given.seed}/{run}")).run(per_run))
    return Report(
        workflow.name,
        per_run * given.runs,
        given.runs,
        cycle=_over(tallies, lambda each: _mean(each.cycle)),
        median=_over(tallies, lambda each: _quantile(each.cycle, 50)),
        ninetieth=_over(tallies, lambda each: _quantile(each.cycle, 90)),
        calendar=_over(tallies, lambda each: _mean(each.calendar)),
        outcomes={
            name: _over(tallies, lambda each, name=name: each.outcomes[name] / max(1, sum(each.outcomes.values())))  # type: ignore[misc]
            for name in sorted({name for each in tallies for name in each.outcomes})
        },
        steps=tuple(_step(tallies, step.path) for _, step in workflow.walk() if step.kind.human),
        roles=tuple(_role(tallies, role, staff[role]) for role in roles),
        stuck=_summed([each.stuck for each in tallies]),
        assumed=tuple(range(max(years) + 1, max(each.until.year for each in tallies) + 1)) if years else (),
    )


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of independent runs with its 95 % interval."""
    if not values:
        return Estimate(None)
    if len(values) < 2:
        return Estimate(values[0])
    return Estimate(fmean(values), student(len(values) - 1) * stdev(values) / sqrt(len(values)))


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, by Cornish and Fisher's expansion: right to 0.3 % from three runs on."""
    if freedom <= 2:
        return {1: 12.706, 2: 4.303}[freedom]
    z = 1.959963984540054
    g1 = (z**3 + z) / 4
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    g4 = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + g1 / freedom + g2 / freedom**2 + g3 / freedom**3 + g4 / freedom**4


def _step(tallies: Sequence[Tally], path: str) -> StepResult:
    return StepResult(
        path,
        _over(tallies, lambda each: _mean(each.waited.get(path, ()))),
        _over(tallies, lambda each: _mean(each.worked.get(path, ()))),
        _over(tallies, lambda each: _mean([float(late) for late in each.late.get(path, ())])),
    )


def _role(tallies: Sequence[Tally], role: str, people: int) -> RoleResult:
    def used(each: Tally) -> float | None:
        worked = sum(hours for person, hours in each.busy.items() if person.rpartition(" ")[0] == role)
        return worked / (people * each.span) if people and each.span else None

    queue = _over(tallies, lambda each: each.queue.get(role, 0.0) / each.span if each.span else None)
    return RoleResult(role, people, _over(tallies, used), queue, max(each.longest.get(role, 0) for each in tallies))


def _over(tallies: Sequence[Tally], measure: Callable[[Tally], float | None]) -> Estimate:
    return estimate([value for each in tallies if (value := measure(each)) is not None])


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _quantile(values: Sequence[float], share: int) -> float | None:
    if not values:
        return None
    return values[0] if len(values) == 1 else quantiles(values, n=100, method="inclusive")[share - 1]


def _summed(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in counts:
        for name, number in each.items():
            found[name] = found.get(name, 0) + number
    return dict(sorted(found.items(), key=lambda item: -item[1]))
