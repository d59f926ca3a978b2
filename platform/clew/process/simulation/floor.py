"""One run of a simulation: cases come in, the machine moves them, people take what waits longest, time passes.

The same machine as in the engine decides every move. People work one thing at a time, in the working time of the
calendar, on whatever they are asked that has waited longest. Whoever is known from the record only, and no role, is
taken never to be busy.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from heapq import heappop, heappush

from clew.kernel.errors import ClewError
from clew.metadata.processes import Step, StepKind
from clew.process import machine
from clew.process.calendar import WorkingTime
from clew.process.clocks import Limit, TimeUnit, begin
from clew.process.offers import needed_elsewhere
from clew.process.proof.entry import entry_facts
from clew.process.proof.explore import Walk, outcomes_of
from clew.process.proof.knowledge import PRESENT
from clew.process.proof.limits import shortest
from clew.process.proof.world import Refused, World
from clew.process.run import Run
from clew.process.simulation.assumptions import Assumptions, StepAssumption
from clew.process.state import Task, Token
from clew.process.words import (
    Act,
    ActionDone,
    Actor,
    Begin,
    ChildEnded,
    Command,
    Decide,
    Effect,
    Enter,
    EventArrived,
    Facts,
    SetTimer,
    TimerFired,
)

_NONE = StepAssumption()
LONGEST_CASE = 2_000
"""Moves after which a case is given up as one that never ends."""


@dataclass(slots=True)
class Case:
    number: int
    world: World
    arrived: datetime
    ended: datetime | None = None
    outcome: str = ""
    stuck: str = ""
    moves: int = 0


@dataclass(slots=True)
class Waiting:
    """A task that waits for somebody. `role` is how its queue is called."""

    case: Case
    task: int
    step: Step
    role: str
    since: datetime


@dataclass(slots=True)
class Tally:
    """What one run has counted. Times are working hours."""

    cycle: list[float] = field(default_factory=list)
    calendar: list[float] = field(default_factory=list)
    """Cycle times in hours on the calendar."""
    until: datetime = field(default=datetime.min.replace(tzinfo=UTC))
    """When the last case had ended."""
    outcomes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    stuck: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    waited: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By step: how long its tasks waited to be taken."""
    worked: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    late: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    busy: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """By person: hours of work."""
    queue: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """By role: tasks waiting, summed over working hours."""
    longest: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    span: float = 0.0
    """Working hours the run lasted."""
    unfinished: int = 0


class Floor:
    """A run with its own dice."""

    def __init__(self, walk: Walk, given: Assumptions, site: WorkingTime, start: datetime, dice: random.Random) -> None:
        self.walk, self.given, self.site, self.dice = walk, given, site, dice
        self.workflow = walk.workflow
        self.now = self.start = start
        self.tally = Tally()
        self.events: list[tuple[datetime, int, Callable[[], None]]] = []
        self.queue: list[Waiting] = []
        self.busy: set[str] = set()
        self.serial = 0
        self.entered: dict[tuple[int, int, str, int], datetime] = {}
        self.measured_from = 0
        self.taken: set[tuple[int, int]] = set()
        """Tasks somebody works on, by case and task."""
        self.begun: set[tuple[int, int, str, int]] = set()
        """Sub-processes and waits that run, by case, token, step and round."""

    def run(self, cases: int) -> Tally:
        """Let so many cases through; those that only warm the house up are not counted."""
        self.measured_from = int(cases * self.given.warm_up)
        day = self._hours_a_day()
        at = self.start
        for number in range(cases):
            gap = timedelta(hours=self.dice.expovariate(self.given.per_day / day))
            at = self.site.due(at, gap)
            self._later(at, partial(self._arrive, number))
        while self.events:
            when, _, what = heappop(self.events)
            self._pass(when)
            what()
            self._hand_out()
        self.tally.span = _hours(self.site.elapsed(self.start, self.now))
        self.tally.until = self.now
        return self.tally

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _hours_a_day(self) -> float:
        day = self.site.working_day(self.site.day_of(self.start), 1)
        return sum(_hours(end - begin) for begin, end in self.site.spans(day)) or 8.0

    def _later(self, at: datetime, what: Callable[[], None]) -> None:
        self.serial += 1
        heappush(self.events, (at, self.serial, what))

    def _pass(self, when: datetime) -> None:
        if when <= self.now:
            return
        if self.queue:
            hours = _hours(self.site.elapsed(self.now, when))
            for each in self.queue:
                self.tally.queue[each.role] += hours
        self.now = when

    # ── cases ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _arrive(self, number: int) -> None:
        case = Case(number, self.walk.play.beginnings()[0], self.now)
        self._give(case, Begin(self._at()))

    def _give(self, case: Case, command: Command, facts: Facts | None = None, actors: tuple[str, ...] = ()) -> None:
        """A command, and every step that begins because of it."""
        try:
            effects = self._step(case, command, facts or Facts(), actors)
            while True:
                token = next((each for each in case.world.state.tokens.values() if each.status == "due"), None)
                if token is None or not case.world.state.live:
                    break
                effects += self._enter(case, token)
                case.moves += 1
                if case.moves > LONGEST_CASE:
                    self._stick(case, "it never ended")
                    return
        except (Refused, ClewError) as problem:
            step = self.workflow.step(next(iter(case.world.state.tokens.values())).step).path
            self._stick(case, f"{step}: {problem.why.to('en') if isinstance(problem, Refused) else problem.code}")
            return
        self._see_to(case, effects)

    def _step(self, case: Case, command: Command, facts: Facts, actors: tuple[str, ...]) -> list[Effect]:
        result = machine.step(self.workflow, case.world.state, command, facts)
        worlds = self.walk.play.follow(replace(case.world, state=result.state), result.effects, actors)
        case.world = self.dice.choice(worlds)
        return list(result.effects)

    def _enter(self, case: Case, token: Token) -> list[Effect]:
        step = self.workflow.step(token.step)
        self.entered[case.number, token.id, token.step, token.round] = self.now
        variants = list(entry_facts(self.walk.cast, case.world, token, step))
        said = self._of(step)
        if step.branches:
            ways = sorted({_way(facts) for facts, _, _ in variants})
            weights = [said.branches[way] if way < len(said.branches) else 1.0 for way in ways]
            if sum(weights) <= 0:
                weights = [1.0] * len(ways)
            way = self.dice.choices(ways, weights)[0]
            variants = [each for each in variants if _way(each[0]) == way]
        if said.elements is not None:
            variants = [each for each in variants if len(each[0].elements) == min(said.elements, 2)] or variants
        facts, world, _ = self.dice.choice(variants)
        case.world = world
        return self._step(case, Enter(token.id, self._at()), facts, ())

    def _see_to(self, case: Case, effects: list[Effect]) -> None:
        """Ask people, set clocks, run what runs by itself, for whatever is open now."""
        state = case.world.state
        if not state.live:
            self._end(case)
            return
        if state.incidents:
            incident = next(iter(state.incidents.values()))
            self._stick(case, f"{incident.kind}: {incident.detail}")
            return
        waiting = {(each.case.number, each.task) for each in self.queue}
        for task in state.tasks.values():
            if task.status == "open" and task.kind != "copy" and (case.number, task.id) not in waiting | self.taken:
                step = self.workflow.step(task.step)
                role = task.post or (step.who.roles[0] if step.who is not None and step.who.roles else step.path)
                self.queue.append(Waiting(case, task.id, step, role, self.now))
                length = sum(each.role == role for each in self.queue)
                self.tally.longest[role] = max(self.tally.longest[role], length)
        for effect in effects:
            if isinstance(effect, SetTimer):
                self._set_timer(case, effect.timer)
            elif isinstance(effect, Act):
                self._after(case, effect.token, lambda token: ActionDone(token, self._at()), (0.0, 0.0, 0.0))
        for token in state.tokens.values():
            step = self.workflow.step(token.step)
            mark = (case.number, token.id, token.step, token.round)
            if token.status != "open" or mark in self.begun:
                continue
            if step.kind is StepKind.CALL:
                self.begun.add(mark)
                child = self.walk.blueprint.workflows[step.call]
                usual = max(shortest(child.flow) / 3, 1.0)
                ends = partial(self._ended, self._outcome(step, outcomes_of(child)))
                self._after(case, token.id, ends, (usual / 2, usual, usual * 2))
            elif step.kind is StepKind.WAIT and step.wait is not None and step.wait.entity:
                self.begun.add(mark)
                self._after(case, token.id, lambda at: EventArrived(at, self._at()), (4.0, 16.0, 60.0))

    def _ended(self, outcome: str, token: int) -> Command:
        return ChildEnded(token, outcome, self._at())

    def _set_timer(self, case: Case, number: int) -> None:
        timer = case.world.state.timers.get(number)
        if timer is None or timer.purpose in ("alert", "legal"):
            return
        token = case.world.state.tokens[timer.token]
        step = self.workflow.step(token.step)
        limit = step.limit if timer.purpose == "late" else step.wait.limit if step.wait is not None else None
        if limit is not None:
            due = begin(Limit(limit.amount, TimeUnit(limit.unit)), self.now, self.site).due(self.site) or self.now
        else:
            due = self.site.due(self.now, timedelta(hours=self._takes(step, (4.0, 16.0, 60.0))))

        def fire() -> None:
            if number in case.world.state.timers and not case.stuck:
                self._give(case, TimerFired(number, self._at()))

        self._later(due, fire)

    def _after(
        self, case: Case, token: int, command: Callable[[int], Command], usual: tuple[float, float, float]
    ) -> None:
        step = self.workflow.step(case.world.state.tokens[token].step)
        due = self.site.due(self.now, timedelta(hours=self._takes(step, usual)))

        def happen() -> None:
            at = case.world.state.tokens.get(token)
            if at is not None and at.step == step.path and case.world.state.live and not case.stuck:
                if step.kind is StepKind.ACTION:
                    try:
                        case.world = self.dice.choice(
                            self.walk.play.acted(case.world, list(step.actions), at.subject, step)
                        )
                    except Refused as problem:
                        self._stick(case, f"{step.path}: {problem.why.to('en')}")
                        return
                self._give(case, command(token))

        self._later(due, happen)

    # ── people ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _hand_out(self) -> None:
        """Whoever is free takes what has waited longest of what they are asked."""
        left = []
        for each in self.queue:
            task = each.case.world.state.tasks.get(each.task)
            if task is None or task.status != "open" or not each.case.world.state.live or each.case.stuck:
                continue
            person = self._free(each.case, task)
            if person is None:
                left.append(each)
            else:
                self._take(each, task, person)
        self.queue = left

    def _free(self, case: Case, task: Task) -> str | None:
        asked = (task.assignee,) if task.assignee is not None else task.candidates
        voted = {
            other.actor
            for other in case.world.state.tasks_of(task.token)
            if other.status == "done" or (case.number, other.id) in self.taken
        }
        free = [each for each in asked if each not in self.busy | voted]
        if task.kind == "vote":
            run, token = Run(self.workflow, case.world.state, self._at()), case.world.state.tokens[task.token]
            free = [each for each in free if not needed_elsewhere(run, token, task, (each,))]
        return free[0] if free else None

    def _take(self, each: Waiting, task: Task, person: str) -> None:
        hours = self._takes(each.step, _usual(each.step))
        if each.case.number >= self.measured_from:
            self.tally.waited[each.step.path].append(_hours(self.site.elapsed(each.since, self.now)))
            self.tally.worked[each.step.path].append(hours)
        if self.walk.cast.role_of(person) is not None and not person.endswith(" 0"):
            self.busy.add(person)
            self.tally.busy[person] += hours
        self.taken.add((each.case.number, each.task))
        self._later(self.site.due(self.now, timedelta(hours=hours)), lambda: self._finish(each, task, person))

    def _finish(self, each: Waiting, task: Task, person: str) -> None:
        self.busy.discard(person)
        case, step = each.case, each.step
        self.taken.discard((case.number, each.task))
        now = case.world.state.tasks.get(each.task)
        if now is None or now.status != "open" or case.stuck or not case.world.state.live:
            return
        token = case.world.state.tokens[task.token]
        outcome = self._outcome(step, tuple(step.outcomes), self._voted(case, task))
        known = case.world.of(token.subject).forgets(step.outputs)
        if not step.outcomes[outcome].against:
            known = known.told({name: PRESENT for name in step.must_outputs if name in self.walk.read})
        case.world = case.world.knowing(token.subject, known).later()
        entered = self.entered.get((case.number, token.id, token.step, token.round), self.now)
        done = len(case.world.state.done)
        self._give(case, Decide(task.id, outcome, Actor(person), self._at(), "-"), Facts(exit=True), (person,))
        if step.limit is not None and len(case.world.state.done) > done and case.number >= self.measured_from:
            due = begin(Limit(step.limit.amount, TimeUnit(step.limit.unit)), entered, self.site).due(self.site)
            self.tally.late[step.path].append(due is not None and self.now > due)

    def _voted(self, case: Case, task: Task) -> str:
        """What the votes before this one came to: people of one board mostly agree."""
        cast = [each.outcome for each in case.world.state.tasks_of(task.token) if each.status == "done"]
        return cast[0] if cast else ""

    # ── dice ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _of(self, step: Step) -> StepAssumption:
        return self.given.steps.get(step.path, self.given.steps.get(step.name, _NONE))

    def _takes(self, step: Step, usual: tuple[float, float, float]) -> float:
        least, likeliest, most = self._of(step).takes or usual
        return self.dice.triangular(least, most, likeliest) if most > least else least

    def _outcome(self, step: Step, known: tuple[str, ...], voted: str = "") -> str:
        odds = self._of(step).outcomes
        weights = [odds.get(name, 0.0) for name in known] if odds else [_odds(step, name) for name in known]
        if sum(weights) <= 0:
            weights = [1.0] * len(known)
        if voted in known and self.dice.random() < 0.8:
            return voted
        return self.dice.choices(known, weights)[0]

    # ── ends ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _end(self, case: Case) -> None:
        if case.ended is not None:
            return
        case.ended, case.outcome = self.now, case.world.state.outcome
        if case.number >= self.measured_from:
            self.tally.outcomes[case.outcome] += 1
            self.tally.cycle.append(_hours(self.site.elapsed(case.arrived, self.now)))
            self.tally.calendar.append(_hours(self.now - case.arrived))

    def _stick(self, case: Case, why: str) -> None:
        if not case.stuck:
            case.stuck = why
            self.tally.stuck[why] += 1

    def _at(self) -> str:
        return self.now.isoformat()


def _way(facts: Facts) -> int:
    return next((at for at, holds in enumerate(facts.conditions) if holds), len(facts.conditions))


def _usual(step: Step) -> tuple[float, float, float]:
    """How long a task takes when nothing is said: a small part of its limit, in working hours."""
    if step.limit is None:
        return 0.25, 1.0, 4.0
    hours = step.limit.amount * {"wh": 1.0, "wd": 8.0, "cd": 5.7, "h": 1.0}[step.limit.unit]
    return hours * 0.05, hours * 0.15, hours * 0.5


def _odds(step: Step, name: str) -> float:
    """Outcomes against are the rarer ones when nothing is said."""
    outcome = step.outcomes.get(name)
    return 0.15 if outcome is not None and outcome.against else 1.0


def _hours(span: timedelta) -> float:
    return span.total_seconds() / 3600
