"""Time limits that cannot be kept: a step has less time than the shortest way through the steps inside it may take."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from clew.kernel.text import Bilingual
from clew.metadata.processes import Flow, Step, StepKind, TimeLimit, Workflow

HOURS = {"h": 1.0, "cd": 24.0, "wh": 3.0, "wd": 24.0}
"""How long each unit is on the wall, at the least: of a calendar day at most eight hours are worked."""


def too_short(workflow: Workflow) -> Iterator[tuple[str, Bilingual]]:
    """The path of every step whose limit is below what the limits inside it add up to, and what to say of it."""
    for _, step in workflow.walk():
        if step.limit is None or not step.kind.nested:
            continue
        needs = [shortest(flow) for flow in step.flows.values()]
        needed = sorted(needs)[: step.needed or None][-1] if needs else 0.0
        has = hours(step.limit)
        if needed > has:
            say = Bilingual(
                f"「{step.label.to('zh')}」限时 {step.limit.amount} {step.limit.unit},"
                f"而其中各步骤按各自时限相加至少需要 {needed:g} 小时(按日历时间)。",
                f"“{step.label.to('en')}” has {step.limit.amount} {step.limit.unit}, and the limits of its steps "
                f"add up to {needed:g} hours on the calendar at the least.",
            )
            yield step.path, say


def shortest(flow: Flow) -> float:
    """The least sum of limits, in hours on the calendar, on any way through a flow."""
    best: dict[str, float] = {}
    waiting: list[tuple[float, str]] = [(0.0, flow.first.name)]
    while waiting:
        spent, name = heappop(waiting)
        if name in best:
            continue
        best[name] = spent
        step = flow.steps[name]
        after = spent + (hours(step.limit) if step.limit is not None else 0.0)
        targets = _targets(step)
        if step.kind is StepKind.END or None in targets:
            return after
        for target in targets:
            if target is not None:
                heappush(waiting, (after, target))
    return 0.0


def hours(limit: TimeLimit) -> float:
    """A limit in hours on the calendar, at the least."""
    return limit.amount * HOURS[limit.unit]


def _targets(step: Step) -> set[str | None]:
    if step.branches:
        return {each.to for each in step.branches}
    return {step.target(name) for name in (*step.outcomes, *(() if step.outcomes else ("done",)))}
