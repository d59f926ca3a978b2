"""Clocks of an instance: set, stopped, going on, due. Each running clock has a job that fires when it is due."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from clew.expressions.tree import Checked
from clew.kernel.diagnostics import Place
from clew.kernel.errors import ClewError
from clew.kernel.ids import id_of
from clew.kernel.scalars import instant_text
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint
from clew.metadata.processes import Alert, Legal, Step, TimeLimit
from clew.metadata.working_time import PublishedYear, WorkingCalendar
from clew.process import store, words
from clew.process.calendar import BeyondTime, WorkingTime, midnight
from clew.process.clocks import Limit, Running, TimeUnit, begin
from clew.process.state import State, Timer, Token
from clew.process.store import Clock

if TYPE_CHECKING:
    from clew.process.handling import Handling

PLAIN = ""
"""The name of no calendar: only calendar days and hours can be counted."""
NO_MOMENT = "NO_MOMENT"
"""The trouble of a clock whose record does not say when it ends."""
YEARS = 100
"""What lies farther away is no time limit but a slip of the pen."""
_LONGEST = timedelta(days=36525)


async def set_timer(handling: Handling, number: int) -> None:
    """Start a timer's clock. A calendar that does not reach so far is trouble to be seen to, never a reason to stop."""
    state, unit = handling.state, handling.unit
    timer = state.timers.get(number)
    if timer is None:
        return
    token = state.tokens[timer.token]
    step = handling.workflow.step(token.step)
    site = await working_time(handling, token.id)
    running, trouble = await _running(handling, token, timer.purpose, site, unit.now)
    clock = Clock(number, token.id, timer.share, running, site.calendar.name, None, trouble)
    arm(handling, clock, site)
    if _shows_due(timer, step):
        handling.writes.due(token, None if trouble else _full(running, site))


def arm(handling: Handling, clock: Clock, site: WorkingTime) -> datetime | None:
    """Set a clock to the moment it is due, which it tells: then it rings."""
    due, error = (None, None) if clock.trouble else _rings(clock.running, site, clock.share)
    if error is not None:
        handling.stuck[clock.token] = error
    clock = replace(clock, due_at=due, trouble=clock.trouble if error is None else error.code)
    handling.writes.clock(clock)
    return due


def _rings(running: Running, site: WorkingTime, share: int) -> tuple[datetime | None, ClewError | None]:
    """When a clock rings, or why nobody knows."""
    try:
        return running.due(site, share), None
    except ClewError as error:
        return None, error
    except OverflowError:
        return None, BeyondTime(years=YEARS)


async def stop(handling: Handling) -> None:
    """Every clock of the instance stands still, but for those of the law."""
    for clock in await store.clocks(handling.unit.connection, handling.instance.id):
        if _lawful(handling, clock):
            continue
        site = await working_time(handling, clock.token)
        stopped = replace(clock, running=_paused(clock.running, handling.unit.now, site), due_at=None)
        handling.writes.clock(stopped)


async def go_on(handling: Handling) -> None:
    """Every clock goes on from where it stood, and its tasks are due so much later; one that ends at a moment of the
    record ends at that moment."""
    at = handling.unit.now
    for clock in await store.clocks(handling.unit.connection, handling.instance.id):
        if _lawful(handling, clock):
            continue
        site = await working_time(handling, clock.token)
        running, trouble = clock.running.resume(at), ""
        if _unknown(clock) or _ends_at_moment(handling, clock):
            running, trouble = await _again(handling, clock, site, at)
        _rearmed(handling, clock, running, trouble, site)


async def republish(handling: Handling, earlier: Blueprint, at: datetime) -> tuple[str, ...]:
    """Count the running clocks by the calendar of the present release. `earlier` is the release before the one that
    went live at `at`: what was used up until then stays used up. A second time changes nothing. Clocks that stand still
    or count plain time are not touched. The paths of the steps whose time has moved."""
    moved: list[str] = []
    for clock in await store.clocks(handling.unit.connection, handling.instance.id):
        code = await _site_code(handling, clock.token)
        before = WorkingTime(calendar_of(earlier, code))
        site = WorkingTime(calendar_of(handling.engine.blueprint, code))
        changed = not _same(before.calendar, site.calendar)
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
        if _rearmed(handling, clock, running, trouble, site):
            moved.append(handling.state.tokens[clock.token].step)
    await handling.write()
    return tuple(dict.fromkeys(moved))


async def follow(handling: Handling, before: State) -> None:
    """Clocks go on by the working time of whoever has the tasks now: what was used up elsewhere stays used up."""
    calendars = handling.engine.blueprint.calendars
    tokens = [each for each in handling.state.tokens if _hands(before, each) != _hands(handling.state, each)]
    if not tokens or not _by_site(handling.engine.blueprint):
        return
    for clock in await store.clocks(handling.unit.connection, handling.instance.id):
        running, trouble = clock.running, ""
        gone = clock.token not in tokens or clock.number not in handling.state.timers
        if gone or running.since is None or clock.trouble == NO_MOMENT:
            continue
        site = await working_time(handling, clock.token)
        if site.calendar.name == clock.calendar:
            continue
        if _unknown(clock):
            running, trouble = await _again(handling, clock, site, running.since)
        elif not running.working:
            continue
        elif clock.calendar in calendars:
            with suppress(ClewError):
                running = running.moved(handling.unit.now, WorkingTime(calendars[clock.calendar]))
        if _rearmed(handling, clock, running, trouble, site):
            step = handling.state.tokens[clock.token].step
            handling.writes.log("recounted", step=step, comment=site.calendar.name)


def _rearmed(handling: Handling, clock: Clock, running: Running, trouble: str, site: WorkingTime) -> bool:
    """A clock counted on by another working time, and its tasks' due time with it; whether it is due another time."""
    due = arm(handling, replace(clock, running=running, calendar=site.calendar.name, trouble=trouble), site)
    token = handling.state.tokens[clock.token]
    if _shows_due(handling.state.timers[clock.number], handling.workflow.step(token.step)):
        full = None if trouble else _full(running, site)
        handling.writes.due(token, full)
    return due != clock.due_at


def _hands(state: State, token: int) -> tuple[str | None, ...]:
    """Who has the open tasks of a token; None for one that nobody has taken."""
    mine = [each for each in state.tasks_of(token) if each.status in ("open", "held") and each.kind != "copy"]
    return tuple(each.assignee for each in mine)


def _same(one: WorkingCalendar, other: WorkingCalendar) -> bool:
    """Whether two calendars say the same of working time."""
    return (one.name, one.zone, one.week, one.years) == (other.name, other.zone, other.week, other.years)


def _unknown(clock: Clock) -> bool:
    """Whether a clock could not be set, because nobody knew its limit."""
    return bool(clock.trouble) and not clock.running.budget


async def _again(handling: Handling, clock: Clock, site: WorkingTime, at: datetime) -> tuple[Running, str]:
    """The clock as it is when it is set from `at` on."""
    token = handling.state.tokens[clock.token]
    return await _running(handling, token, handling.state.timers[clock.number].purpose, site, at)


async def recount_moments(handling: Handling) -> tuple[str, ...]:
    """Clocks of the law, and of waits for a moment, by the moments that the record says now. An alert of the law that
    has rung rings once more when its moment is yet to come by then. The paths of the steps whose time has moved."""
    moved: list[str] = []
    for clock in await store.clocks(handling.unit.connection, handling.instance.id):
        standing = clock.running.since is None
        if not _lawful(handling, clock) and (standing or not _ends_at_moment(handling, clock)):
            continue
        site = await working_time(handling, clock.token)
        running, trouble = await _again(handling, clock, site, handling.unit.now)
        if _rearmed(handling, clock, running, trouble, site):
            moved.append(handling.state.tokens[clock.token].step)
    await handling.tell_stuck()
    await handling.write()
    for number, alerts in [each async for each in _rung_too_early(handling)]:
        moved.append(handling.state.tokens[number].step)
        await handling.run(words.RingAgain(number, alerts, instant_text(handling.unit.now)), {})
    return tuple(dict.fromkeys(moved))


async def _rung_too_early(handling: Handling) -> AsyncIterator[tuple[int, tuple[Alert, ...]]]:
    """Alerts of the law that have rung, and whose moment is yet to come by what the record says now; by token."""
    for token in handling.state.tokens.values():
        legal = handling.workflow.step(token.step).legal
        waiting = [each for each in handling.state.timers.values() if (each.token, each.purpose) == (token.id, "legal")]
        rung = [each for each in legal.alerts if each not in map(_alert_of, waiting)] if legal is not None else []
        if not rung or not handling.state.begun(token):
            continue
        site = await working_time(handling, token.id)
        running, trouble = await _running(handling, token, "legal", site, handling.unit.now)
        due = [(each, None if trouble else _rings(running, site, each.share)[0]) for each in rung]
        later = tuple(each for each, at in due if at is not None and at > handling.unit.now)
        if later:
            yield token.id, later


def _alert_of(timer: Timer) -> Alert:
    return Alert(timer.share, timer.whom)


def _lawful(handling: Handling, clock: Clock) -> bool:
    timer = handling.state.timers.get(clock.number)
    return timer is not None and timer.purpose == "legal"


def _ends_at_moment(handling: Handling, clock: Clock) -> bool:
    timer = handling.state.timers.get(clock.number)
    if timer is None or timer.purpose != "wait":
        return False
    wait = handling.workflow.step(handling.state.tokens[clock.token].step).wait
    return wait is not None and wait.until is not None


def _shows_due(timer: Timer, step: Step) -> bool:
    """Whether tasks are due when this clock has run out: by the step's own limit, else by that of the law."""
    if timer.purpose == "legal":
        return timer.share == 100 and step.limit is None
    return timer.purpose != "alert" or timer.share == 100


async def working_time(handling: Handling, token: int) -> WorkingTime:
    """By which working time a token's clocks run: that of the site of whoever has its tasks; of the case's site while
    nobody has taken one, and where people of several sites have them (domain F11). The site's own calendar, else the
    default one, else none."""
    blueprint = handling.engine.blueprint
    code = await _site_code(handling, token) if _by_site(blueprint) else None
    return WorkingTime(calendar_of(blueprint, code))


def _by_site(blueprint: Blueprint) -> bool:
    """Whether some site has a calendar of its own."""
    return any(each.sites for each in blueprint.calendars.values())


async def _site(handling: Handling, token: int) -> UUID | None:
    hands, connection = _hands(handling.state, token), handling.unit.connection
    if hands and None not in hands:
        sites = {await handling.engine.staff.site_of(connection, id_of(each)) for each in hands if each}
        if len(sites) == 1 and None not in sites:
            return sites.pop()
    return handling.instance.site


async def _site_code(handling: Handling, token: int) -> str | None:
    blueprint = handling.engine.blueprint
    code: str | None = None
    site = await _site(handling, token)
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
    handling: Handling, token: Token, purpose: str, site: WorkingTime, at: datetime
) -> tuple[Running, str]:
    """A clock that begins at `at`, and what stands in its way."""
    step = handling.workflow.step(token.step)
    limit: TimeLimit | None = step.limit
    if purpose == "legal" and step.legal is not None:
        return await _legal(handling, token, step.legal, site)
    if purpose == "wait" and step.wait is not None:
        if step.wait.until is not None:
            return await _until(handling, token, step.wait.until, site)
        limit = step.wait.limit
    assert limit is not None
    if purpose != "wait" and step.minutes is not None:
        minutes = await _value(handling, token, step.minutes)
        if minutes is not None and minutes > 0:
            if minutes > _LONGEST / timedelta(minutes=1):
                return _no_clock(handling, token, BeyondTime(years=YEARS))
            return Running(timedelta(minutes=float(minutes)), True, timedelta(0), at), ""
    try:
        running = begin(Limit(limit.amount, TimeUnit(limit.unit)), at, site)
    except ClewError as error:
        return _no_clock(handling, token, error)
    except OverflowError:
        return _no_clock(handling, token, BeyondTime(years=YEARS))
    return (running, "") if running.budget <= _LONGEST else _no_clock(handling, token, BeyondTime(years=YEARS))


def _no_clock(handling: Handling, token: Token, error: ClewError) -> tuple[Running, str]:
    """A clock that does not run; somebody is told."""
    handling.stuck[token.id] = error
    return Running(timedelta(0), False, timedelta(0), handling.unit.now), error.code


async def _until(handling: Handling, token: Token, until: Checked, site: WorkingTime) -> tuple[Running, str]:
    """A clock that ends at a date or instant of the record."""
    at = handling.unit.now
    try:
        found = await _moment_of(handling, token, until, site)
    except BeyondTime as error:
        return _no_clock(handling, token, error)
    if found is None:
        return Running(timedelta(0), False, timedelta(0), at), NO_MOMENT
    return Running(max(found - at, timedelta(0)), False, timedelta(0), at), ""


async def _legal(handling: Handling, token: Token, legal: Legal, site: WorkingTime) -> tuple[Running, str]:
    """Calendar time between two moments of the record; a last day that is named counts as a whole."""
    at = handling.unit.now
    try:
        start = await _moment_of(handling, token, legal.start, site)
        until = await _moment_of(handling, token, legal.until, site, whole=True)
    except BeyondTime as error:
        return _no_clock(handling, token, error)
    if start is None or until is None:
        return Running(timedelta(0), False, timedelta(0), at), NO_MOMENT
    return Running(max(until - start, timedelta(0)), False, at - start, at), ""


async def _moment_of(
    handling: Handling, token: Token, expression: Checked, site: WorkingTime, *, whole: bool = False
) -> datetime | None:
    """The instant a token's record says; a day begins, or with `whole` ends, at midnight of the site. Raises
    BeyondTime."""
    found: Any = await _value(handling, token, expression)
    try:
        if isinstance(found, date) and not isinstance(found, datetime):
            found = midnight(found + timedelta(days=whole), site.zone)
        moment: datetime | None = found
        if moment is not None and abs(moment - handling.unit.now) > _LONGEST:
            raise BeyondTime(years=YEARS)
    except OverflowError:
        raise BeyondTime(years=YEARS) from None
    return moment


async def _value(handling: Handling, token: Token, expression: Checked) -> Any:
    """What an expression of a step says of the record its token is about; None without one."""
    entity = handling.unit.engine.blueprint.entities[token.subject.entity]
    record = await handling.unit.lock(entity, id_of(token.subject.id))
    return await handling.unit.judge.value(expression, entity, record) if record is not None else None


def _paused(running: Running, at: datetime, site: WorkingTime) -> Running:
    try:
        return running.pause(at, site)
    except ClewError:
        # The calendar does not say how this time was worked; what was counted so far stays.
        return replace(running, since=None)


def _full(running: Running, site: WorkingTime) -> datetime | None:
    return _rings(running, site, 100)[0]
