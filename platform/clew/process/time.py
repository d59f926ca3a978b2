"""Clocks of an instance: set, stopped, going on, due. Each running clock has a job that fires when it is due."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from clew.expressions.tree import Checked
from clew.kernel.diagnostics import Place
from clew.kernel.errors import ClewError
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint
from clew.metadata.processes import Step, TimeLimit
from clew.metadata.working_time import PublishedYear, WorkingCalendar
from clew.process import store
from clew.process.calendar import WorkingTime
from clew.process.clocks import Limit, Running, TimeUnit, begin
from clew.process.store import Clock

if TYPE_CHECKING:
    from clew.process.handling import Handling

PLAIN = ""
"""The name of no calendar: only calendar days and hours can be counted."""
NO_MOMENT = "NO_MOMENT"
"""The trouble of a clock whose record does not say when it ends."""


async def set_timer(handling: Handling, number: int) -> None:
    """Start a timer's clock. A calendar that does not reach so far is trouble to be seen to, never a reason to stop."""
    state, unit = handling.state, handling.unit
    timer = state.timers.get(number)
    if timer is None:
        return
    token = state.tokens[timer.token]
    step = handling.workflow.step(token.step)
    site = await site_time(handling)
    running, trouble = await _running(handling, step, timer.purpose, site, unit.at)
    clock = Clock(number, token.id, timer.share, running, site.calendar.name, None, trouble)
    arm(handling, clock, site)
    if timer.purpose != "alert" or timer.share == 100:
        handling.writes.due(step.path, None if trouble else _full(running, site))


def arm(handling: Handling, clock: Clock, site: WorkingTime) -> datetime | None:
    """Set a clock to the moment it is due, which it tells: then it rings."""
    due, trouble = None, clock.trouble
    if not trouble:
        try:
            due = clock.running.due(site, clock.share)
        except ClewError as error:
            trouble = error.code
    clock = replace(clock, due_at=due, trouble=trouble)
    handling.writes.clock(clock)
    return due


async def stop(handling: Handling) -> None:
    """Every clock of the instance stands still."""
    site = await site_time(handling)
    for clock in await store.clocks(handling.unit.connection, handling.instance.id):
        stopped = replace(clock, running=_paused(clock.running, handling.unit.at, site), due_at=None)
        handling.writes.clock(stopped)


async def go_on(handling: Handling) -> None:
    """Every clock goes on from where it stood."""
    site, at = await site_time(handling), handling.unit.at
    for clock in await store.clocks(handling.unit.connection, handling.instance.id):
        running, trouble = clock.running.resume(at), ""
        if _unknown(clock):
            running, trouble = await _again(handling, clock, site, at)
        arm(handling, replace(clock, running=running, trouble=trouble), site)


async def republish(handling: Handling, earlier: Blueprint, at: datetime) -> tuple[str, ...]:
    """Count the running clocks by the calendar of the present release. `earlier` is the release before the one that
    went live at `at`: what was used up until then stays used up. A second time changes nothing. Clocks that stand still
    or count plain time are not touched. The paths of the steps whose time has moved."""
    code = await _site_code(handling)
    before = WorkingTime(calendar_of(earlier, code))
    site = WorkingTime(calendar_of(handling.engine.blueprint, code))
    changed = not _same(before.calendar, site.calendar)
    moved: list[str] = []
    for clock in await store.clocks(handling.unit.connection, handling.instance.id):
        timer, running, trouble = handling.state.timers.get(clock.number), clock.running, ""
        if timer is None or running.since is None or clock.trouble == NO_MOMENT:
            continue
        if _unknown(clock):
            running, trouble = await _again(handling, clock, site, running.since)
        elif not running.working or not (changed or clock.trouble):
            continue
        else:
            # What the calendar of then does not say is counted by the new one alone.
            with suppress(ClewError):
                running = running.moved(at, before)
        again = replace(clock, running=running, calendar=site.calendar.name, trouble=trouble)
        due = arm(handling, again, site)
        step = handling.state.tokens[clock.token].step
        if timer.purpose != "alert" or timer.share == 100:
            handling.writes.due(step, None if trouble else _full(running, site))
        if due != clock.due_at:
            moved.append(step)
    await handling.write()
    return tuple(dict.fromkeys(moved))


def _same(one: WorkingCalendar, other: WorkingCalendar) -> bool:
    """Whether two calendars say the same of working time."""
    return (one.name, one.zone, one.week, one.years) == (other.name, other.zone, other.week, other.years)


def _unknown(clock: Clock) -> bool:
    """Whether a clock could not be set, because nobody knew its limit."""
    return bool(clock.trouble) and not clock.running.budget


async def _again(handling: Handling, clock: Clock, site: WorkingTime, at: datetime) -> tuple[Running, str]:
    """The clock as it is when it is set from `at` on."""
    step = handling.workflow.step(handling.state.tokens[clock.token].step)
    return await _running(handling, step, handling.state.timers[clock.number].purpose, site, at)


async def site_time(handling: Handling) -> WorkingTime:
    """The working time of the case's site: its own calendar, else the default one, else none."""
    return WorkingTime(calendar_of(handling.engine.blueprint, await _site_code(handling)))


async def _site_code(handling: Handling) -> str | None:
    blueprint = handling.engine.blueprint
    code: str | None = None
    site = handling.instance.site
    known = blueprint.entities.get("site")
    if site is not None and known is not None and "code" in known.fields:
        table = handling.unit.engine.tables.current("site")
        code = await handling.unit.connection.fetch_value(sa.select(table.c.code).where(table.c.id == site))
    return code


def calendar_of(blueprint: Blueprint, site: str | None) -> WorkingCalendar:
    """The calendar a site works by."""
    calendars = blueprint.calendars.values()
    own = next((each for each in calendars if site is not None and site in each.sites), None)
    default = own or next((each for each in calendars if each.default), None)
    if default is not None:
        return default
    return WorkingCalendar(PLAIN, Bilingual(), blueprint.project.time_zone, ((),) * 7, _NO_YEARS, Place("clew.yaml"))


_NO_YEARS: Mapping[int, PublishedYear] = MappingProxyType({})


async def _running(
    handling: Handling, step: Step, purpose: str, site: WorkingTime, at: datetime
) -> tuple[Running, str]:
    """A clock that begins at `at`, and what stands in its way."""
    limit: TimeLimit | None = step.limit
    if purpose == "wait" and step.wait is not None:
        if step.wait.until is not None:
            return await _until(handling, step, site)
        limit = step.wait.limit
    assert limit is not None
    if purpose != "wait" and step.minutes is not None:
        minutes = await _value(handling, step, step.minutes)
        if minutes is not None and minutes > 0:
            return Running(timedelta(minutes=float(minutes)), True, timedelta(0), at), ""
    try:
        return begin(Limit(limit.amount, TimeUnit(limit.unit)), at, site), ""
    except ClewError as error:
        return Running(timedelta(0), False, timedelta(0), at), error.code


async def _until(handling: Handling, step: Step, site: WorkingTime) -> tuple[Running, str]:
    """A clock that ends at a date or instant of the record."""
    assert step.wait is not None
    assert step.wait.until is not None
    at = handling.unit.at
    found = await _value(handling, step, step.wait.until)
    if isinstance(found, date) and not isinstance(found, datetime):
        found = datetime.combine(found, time(), ZoneInfo(site.calendar.zone)).astimezone(UTC)
    if found is None:
        return Running(timedelta(0), False, timedelta(0), at), NO_MOMENT
    return Running(max(found - at, timedelta(0)), False, timedelta(0), at), ""


async def _value(handling: Handling, step: Step, expression: Checked) -> Any:
    """What an expression of a step says of the record it is about; None without one."""
    token = next(each for each in handling.state.tokens.values() if each.step == step.path)
    entity = handling.unit.engine.blueprint.entities[token.subject.entity]
    record = await handling.unit.lock(entity, UUID(token.subject.id))
    return await handling.unit.judge.value(expression, entity, record) if record is not None else None


def _paused(running: Running, at: datetime, site: WorkingTime) -> Running:
    try:
        return running.pause(at, site)
    except ClewError:
        # The calendar does not say how this time was worked; what was counted so far stays.
        return replace(running, since=None)


def _full(running: Running, site: WorkingTime) -> datetime | None:
    try:
        return running.due(site)
    except ClewError:
        return None
