"""Processes as the Blueprint keeps them: linked, type-checked, frozen. The machine and the engine run nothing else.

A process is a flow of steps about one record. A parallel step holds a flow per branch, a for-each step one flow that is
run for each record of a relation; so every step has exactly one flow it stands in, and where a step goes on is always
a step of that same flow. Steps are known by their path (`assess/quality/verdict`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

from clew.expressions.tables import Table
from clew.expressions.tree import Checked
from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual
from clew.metadata.forms import Form

EMPTY: Mapping[str, Any] = MappingProxyType({})
STARTED, DONE, STARTER = "started", "done", "starter"
ANY = "any"
LATE = "late"
CANCELLED = "cancelled"
"""What follows a process that was called off, in the step that runs it as a part."""
SEPARATOR = "/"


class StepKind(StrEnum):
    TASK = "task"
    APPROVAL = "approval"
    ACTION = "action"
    DECISION = "decision"
    PARALLEL = "parallel"
    EACH = "for_each"
    WAIT = "wait"
    CALL = "call"
    END = "end"

    @property
    def human(self) -> bool:
        return self in (StepKind.TASK, StepKind.APPROVAL)

    @property
    def nested(self) -> bool:
        return self in (StepKind.PARALLEL, StepKind.EACH)


class ApprovalMode(StrEnum):
    COUNTERSIGN = "countersign"
    ANY_SIGN = "any_sign"
    ONE_BY_ONE = "one_by_one"


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold, and what a person is told when it does not."""

    when: Checked
    say: Bilingual = Bilingual()


@dataclass(frozen=True, slots=True)
class Who:
    """Whom a step asks: the union of what is named, narrowed by what is demanded."""

    roles: tuple[str, ...] = ()
    positions: tuple[str, ...] = ()
    person: Checked | None = None
    manager_of: Checked | None = None
    starter: bool = False
    actor_of: str | None = None
    least_loaded: bool = False
    qualified_for: Checked | None = None

    @property
    def by_records(self) -> bool:
        """Whether records say who is asked, so that it changes with them."""
        return bool(self.positions or self.reads)

    @property
    def reads(self) -> frozenset[tuple[str, ...]]:
        """The paths from the step's record by which it says so."""
        expressions = (self.person, self.manager_of, self.qualified_for)
        return frozenset().union(*(each.reads for each in expressions if each is not None))

    @property
    def named(self) -> bool:
        """Whether somebody is asked who need hold none of its roles."""
        return bool(self.positions or self.person or self.manager_of or self.starter or self.actor_of)


@dataclass(frozen=True, slots=True)
class Outcome:
    name: str
    label: Bilingual
    against: bool = False
    """A vote against."""
    comment: bool = False
    """A comment must be given."""


@dataclass(frozen=True, slots=True)
class Approval:
    """How the votes of several posts become one outcome.

    `enough` is a number of votes, `share` a percentage of all votes, `enough_of` an expression; without any of them
    everybody must agree (any_sign: one).
    """

    mode: ApprovalMode
    posts: tuple[str, ...]
    also: tuple[tuple[str, Checked], ...] = ()
    enough: int | None = None
    share: int | None = None
    enough_of: Checked | None = None
    all_when: Checked | None = None
    must: frozenset[str] = frozenset()
    veto: frozenset[str] = frozenset()
    once: bool = False
    among: str = ""
    """A role that everybody who is asked holds beside their post, such as the membership of a board."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value an action writes: an expression over `of` (this record, or each record of the action), or that record
    itself."""

    of: Literal["this", "each"]
    expression: Checked | None = None
    """None: the record itself."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing the platform does. `each` is the relation whose records it is done for, None for this record."""

    kind: Literal["set", "create", "move", "start", "notify", "run"]
    place: Place
    entity: str
    """The entity written, moved or started about."""
    each: str | None = None
    where: Checked | None = None
    """Only those records of the relation for which it holds."""
    when: Checked | None = None
    """Only when this holds of the step's record."""
    values: tuple[tuple[str, Value], ...] = ()
    transition: str = ""
    workflow: str = ""
    who: Who | None = None
    say: Bilingual = Bilingual()
    because: str = ""
    run: str = ""
    """The plugin's action."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Whom to tell when `share` per cent of the time limit has passed: assignee, supervisor, department_head, owner,
    or a role."""

    share: int
    whom: str


@dataclass(frozen=True, slots=True)
class Legal:
    """A time limit of the law, in calendar time between two moments of the record: nothing pauses it."""

    start: Checked
    until: Checked
    alerts: tuple[Alert, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a regulation or standard demands and a step fulfils: the process reaches no outcome of `before` without
    it."""

    clauses: tuple[str, ...]
    before: tuple[str, ...]
    """Outcomes of the process."""


@dataclass(frozen=True, slots=True)
class TimeLimit:
    amount: int
    unit: str
    """wh, wd, cd or h."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What a wait step waits for: a time, an event (`entity.verb`) about this record, or whichever comes first."""

    limit: TimeLimit | None = None
    until: Checked | None = None
    entity: str = ""
    verb: str = ""
    where: Checked | None = None
    same: str = ""
    """The field of the event's record that refers to this one; empty when the event is about this record itself."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A way on by condition; the last may have none."""

    to: str
    when: Checked | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step. Attributes that do not apply to its kind keep their defaults."""

    name: str
    path: str
    kind: StepKind
    label: Bilingual
    place: Place
    help: Bilingual = Bilingual()
    who: Who | None = None
    approval: Approval | None = None
    outcomes: Mapping[str, Outcome] = field(default_factory=lambda: EMPTY)
    choose: str = ""
    """The field that takes the outcome's name as its value."""
    next: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    """Outcome, `done` or `any` → step of the same flow."""
    follows: str | None = None
    """The step that stands next; None for the last of its flow, where the flow ends."""
    entry: Condition | None = None
    exit: Condition | None = None
    form: str = ""
    layout: Form | None = None
    """The form of that name, as it was when the definition was made."""
    phrases: tuple[Bilingual, ...] = ()
    """Words offered for the comment."""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    must_outputs: tuple[str, ...] = ()
    owner: str = ""
    limit: TimeLimit | None = None
    minutes: Checked | None = None
    """Working minutes it may take on its record instead of `limit`, which holds where this is missing."""
    alerts: tuple[Alert, ...] = ()
    when_late: str | None = None
    legal: Legal | None = None
    checkpoint: Checkpoint | None = None
    sign: str | None = None
    apart: tuple[str, ...] = ()
    """Paths of steps whose actors may not do this one; `starter`."""
    states: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    """Moment → the state its record reaches."""
    effects: Mapping[str, tuple[Action, ...]] = field(default_factory=lambda: EMPTY)
    """Moment → actions, in the transaction of the moment."""
    actions: tuple[Action, ...] = ()
    """What an automatic step does."""
    branches: tuple[Branch, ...] = ()
    table: Table | None = None
    """The decision table that a decision asks; it is as it was when the definition was made."""
    asked: tuple[Checked, ...] = ()
    """A value for each of its inputs."""
    flows: Mapping[str, Flow] = field(default_factory=lambda: EMPTY)
    """Branch → its flow; a for-each step has one, named `each`."""
    each: str = ""
    needed: int | None = None
    """How many branches must be done; None is all of them."""
    wait: Wait | None = None
    call: str = ""
    about: str = ""
    outcome: str = ""
    returns_to: frozenset[str] | None = None
    """Names of steps it may be sent back to; None: every earlier one of its flow."""
    retries: int = 0
    on_error: str | None = None
    compensate: tuple[Action, ...] = ()

    def inside(self) -> Iterator[Step]:
        """This step and every step of its flows."""
        yield self
        for flow in self.flows.values():
            for each in flow.steps.values():
                yield from each.inside()

    def effects_of(self, moment: str) -> tuple[Action, ...]:
        """The actions of a moment: its own, and those of every outcome that is not against."""
        found = self.effects.get(moment, ())
        against = moment in self.outcomes and self.outcomes[moment].against
        if moment in (STARTED, LATE) or against:
            return found
        return (*found, *(each for name in (DONE, ANY) if name != moment for each in self.effects.get(name, ())))

    def favourable(self, outcome: str) -> bool:
        """Whether the step has come to what it is there for: done, or an outcome that is not against."""
        return outcome == DONE or (outcome in self.outcomes and not self.outcomes[outcome].against)

    def target(self, outcome: str) -> str | None:
        """The step that follows an outcome; None when the flow ends here."""
        if outcome in self.next:
            return self.next[outcome]
        return self.next.get(ANY, self.follows)


@dataclass(frozen=True, slots=True)
class Flow:
    """Steps in the order written; the first is where it begins. `entity` is what its expressions read."""

    entity: str
    steps: Mapping[str, Step]

    @property
    def first(self) -> Step:
        return next(iter(self.steps.values()))


@dataclass(frozen=True, slots=True)
class Schedule:
    """By the calendar: `ahead` of a day of each period, once for each record of `each`, or once.

    `month` is 0 except in a year; `day` 0 is the last of the period. Without `values` it is about the record itself.
    """

    every: Literal["year", "quarter", "month", "week", "day"]
    month: int = 0
    day: int = 0
    ahead: TimeLimit | None = None
    each: str = ""
    where: Checked | None = None
    values: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """How it begins: by a person of one of the roles, when an event happens to a record, or by the calendar."""

    roles: tuple[str, ...] = ()
    entity: str = ""
    verb: str = ""
    when: Checked | None = None
    schedule: Schedule | None = None


@dataclass(frozen=True, slots=True)
class Active:
    """Where and since when a process is in use: `when` over the record that it would be about."""

    when: Checked
    sites: tuple[str, ...] = ()
    since: str = ""
    """The first day."""


@dataclass(frozen=True, slots=True)
class Workflow:
    """A process of the project."""

    name: str
    label: Bilingual
    place: Place
    entity: str
    flow: Flow
    digest: str
    """Over what it means: two texts with the same meaning have the same."""
    help: Bilingual = Bilingual()
    sop: str = ""
    owner: str = ""
    starts: tuple[Start, ...] = ()
    at_start: tuple[Action, ...] = ()
    phrases: tuple[Bilingual, ...] = ()
    """Words offered for the comment of every step, after the step's own."""
    active: Active | None = None
    """None: everywhere, at once. It is about beginnings alone, so it is no part of the digest."""
    on_cancel: tuple[Action, ...] = ()
    """Done when an instance is cancelled, wherever it stands, after what its steps undo."""
    _places: dict[str, tuple[Flow, Step]] = field(default_factory=dict, init=False, compare=False, repr=False)

    def undoing(self, step: str) -> tuple[Action, ...]:
        """What is done about a step that was done when the process is cancelled; of no step: about all of it."""
        return self.step(step).compensate if step else self.on_cancel

    def addressed(self, digest: str) -> Workflow:
        """The same with its digest."""
        return replace(self, digest=digest)

    def walk(self) -> Iterator[tuple[Flow, Step]]:
        """Every step with the flow it stands in, outer ones first."""
        waiting = [self.flow]
        while waiting:
            flow = waiting.pop(0)
            for step in flow.steps.values():
                yield flow, step
                waiting.extend(step.flows.values())

    def step(self, path: str) -> Step:
        """The step at a path. Raises KeyError."""
        return self.place_of(path)[1]

    def place_of(self, path: str) -> tuple[Flow, Step]:
        """The step at a path and its flow. Raises KeyError."""
        known = self._places.get(path)
        if known is None:
            known = self._places[path] = self._find(path)
        return known

    def _find(self, path: str) -> tuple[Flow, Step]:
        flow, parts = self.flow, path.split(SEPARATOR)
        step = flow.steps[parts[0]]
        for branch, name in zip(parts[1::2], parts[2::2], strict=True):
            flow = step.flows[branch]
            step = flow.steps[name]
        return flow, step
