"""What may be said to the machine (commands), what it must be told (facts), and what it asks for (effects)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from clew.metadata.processes import Alert
from clew.process.state import Subject

# ── commands ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts; `behalf` is whose duty it is when it is not their own."""

    person: str
    behalf: str | None = None

    @property
    def both(self) -> tuple[str, ...]:
        return (self.person,) if self.behalf is None else (self.person, self.behalf)


@dataclass(frozen=True, slots=True)
class Begin:
    """The process begins."""

    at: str


@dataclass(frozen=True, slots=True)
class Enter:
    """A token's step begins. The machine asks for it with `Advance`."""

    token: int
    at: str


@dataclass(frozen=True, slots=True)
class Claim:
    task: int
    actor: Actor
    at: str


@dataclass(frozen=True, slots=True)
class Unclaim:
    task: int
    actor: Actor
    at: str


@dataclass(frozen=True, slots=True)
class Decide:
    """A task is completed, or a vote cast."""

    task: int
    outcome: str
    actor: Actor
    at: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class AddSigner:
    """One person more is asked, before or after the one who asks (加签)."""

    task: int
    person: str
    where: Literal["before", "after"]
    actor: Actor
    at: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """The task becomes another's (转办); with `delegated` it stays the duty of the one who gives it (委托)."""

    task: int
    person: str
    actor: Actor
    at: str
    delegated: bool = False
    comment: str = ""


@dataclass(frozen=True, slots=True)
class SendBack:
    """To an earlier step (退回). `straight`: once mended it comes straight back, else step by step."""

    task: int
    to: str
    straight: bool
    actor: Actor
    at: str
    comment: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Whoever did the last step takes it back while nobody has touched the next one (撤回)."""

    token: int
    actor: Actor
    at: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Urge:
    """A reminder by a person (催办)."""

    task: int
    actor: Actor
    at: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Copy:
    """People are shown the case; each confirms having read it (抄送, 已阅)."""

    token: int
    people: tuple[str, ...]
    actor: Actor
    at: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class TimerFired:
    timer: int
    at: str


@dataclass(frozen=True, slots=True)
class RingAgain:
    """Alerts of the law that have rung are to ring once more: by what the record says now their moment is to come."""

    token: int
    alerts: tuple[Alert, ...]
    at: str


@dataclass(frozen=True, slots=True)
class EventArrived:
    token: int
    at: str


@dataclass(frozen=True, slots=True)
class ChildEnded:
    """The process that a call step runs has ended, or was cancelled."""

    token: int
    outcome: str
    at: str
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class ActionDone:
    token: int
    at: str


@dataclass(frozen=True, slots=True)
class ActionFailed:
    """An automatic step failed for the last time. `stays`: what should follow then cannot begin."""

    token: int
    error: str
    at: str
    stays: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    actor: Actor
    at: str
    reason: str


@dataclass(frozen=True, slots=True)
class Suspend:
    actor: Actor
    at: str
    reason: str
    above: bool = False
    """With the process it is part of."""


@dataclass(frozen=True, slots=True)
class Resume:
    actor: Actor
    at: str
    above: bool = False
    """With the process it is part of."""


@dataclass(frozen=True, slots=True)
class Reoffer:
    """Who can do the tasks of a token has changed: roles came and went. `Offer` asks for it. A step that found nobody
    to ask begins, if there is somebody now; `why` there may be: `roles`, `records`, `time` or `resumed`."""

    token: int
    at: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class RetryIncident:
    incident: int
    actor: Actor
    at: str
    reason: str


Command = (
    Begin
    | Enter
    | Claim
    | Unclaim
    | Decide
    | AddSigner
    | Transfer
    | SendBack
    | Withdraw
    | Urge
    | Copy
    | TimerFired
    | RingAgain
    | EventArrived
    | ChildEnded
    | ActionDone
    | ActionFailed
    | Cancel
    | Suspend
    | Resume
    | Reoffer
    | RetryIncident
)

# ── facts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Facts:
    """What the machine needs to know of the world for one command: compiled from the definition, read under lock.

    `people` is by post, or by the empty name for a plain task. `conditions` are those of a decision's branches.
    """

    entry: bool = True
    exit: bool = True
    people: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    also: frozenset[str] = frozenset()
    all_agree: bool = False
    enough: int | None = None
    conditions: tuple[bool, ...] = ()
    elements: tuple[Subject, ...] = ()
    about: Subject | None = None
    in_use: bool = True
    """Whether the process that a call step runs is in use for the record it would be about."""
    busy: bool = False
    """Whether one of it lives on that record already, by itself or as part of another."""
    able: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Everybody who could be asked, also those who are busier; by post as well."""


NO_FACTS = Facts()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which facts a command needs: those of a step's beginning, of its end, or of whom it can be asked now."""

    step: str
    subject: Subject
    moment: Literal["entry", "exit", "offer"]


# ── effects ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Advance:
    """Go on with a token: gather the facts of its step and give `Enter`."""

    token: int


@dataclass(frozen=True, slots=True)
class Offer:
    """Ask again who can do the tasks of a token: gather the facts and give `Reoffer`."""

    token: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of a step has come (`started` or an outcome): its states and effects are due, in this transaction."""

    token: int
    step: str
    moment: str
    subject: Subject
    against: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """Run an automatic step, in a transaction of its own, and say `ActionDone` in it."""

    token: int
    step: str


@dataclass(frozen=True, slots=True)
class SetTimer:
    timer: int


@dataclass(frozen=True, slots=True)
class DropTimer:
    timer: int


@dataclass(frozen=True, slots=True)
class StopClocks:
    """Every time limit stands still (suspension)."""


@dataclass(frozen=True, slots=True)
class RunClocks:
    """Time limits go on."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Somebody is told: `people`, or `whom` (a word such as supervisor, or a role)."""

    about: Literal["task", "alert", "legal", "urge", "copy", "added", "transfer", "returned", "incident", "ended"]
    token: int
    task: int = 0
    people: tuple[str, ...] = ()
    whom: str = ""
    share: int = 0
    comment: str = ""


@dataclass(frozen=True, slots=True)
class StartChild:
    token: int
    workflow: str
    subject: Subject


@dataclass(frozen=True, slots=True)
class StopChild:
    token: int
    reason: str


@dataclass(frozen=True, slots=True)
class Compensate:
    """Undo what a step did, as it says itself; without a step: what the process says of all of it."""

    step: str
    subject: Subject


@dataclass(frozen=True, slots=True)
class Ended:
    """The instance has come to its end."""

    outcome: str
    cancelled: bool = False


Effect = (
    Advance
    | Offer
    | Moment
    | Act
    | SetTimer
    | DropTimer
    | StopClocks
    | RunClocks
    | Tell
    | StartChild
    | StopChild
    | Compensate
    | Ended
)
