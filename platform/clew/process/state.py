"""The state of one process instance: tokens, tasks, timers, incidents, what was done. Frozen, and JSON both ways.

A token stands at one step. A step with branches has a token of its own and one below it for each branch; it goes on
when enough of them have come to their end. Nothing here knows the time or the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from msgspec import Struct, convert, to_builtins
from msgspec.structs import replace

T = TypeVar("T")
_Numbered = TypeVar("_Numbered", "Token", "Task", "Timer", "Incident")
EMPTY: Mapping[int, Any] = MappingProxyType({})

TokenStatus = Literal["due", "open", "working", "blocked"]
"""due: its step has not begun; open: begun and waiting for somebody or something; working: an automatic step is to be
run; blocked: an incident stands in its way."""

TaskKind = Literal["task", "vote", "added", "copy"]
TaskStatus = Literal["open", "held", "done", "closed"]
"""held: another must come first; closed: ended without a decision of its own."""

Status = Literal["running", "suspended", "ended", "cancelled"]


class Subject(Struct, frozen=True, omit_defaults=True):
    """The record a token is about."""

    entity: str
    id: str


class Token(Struct, frozen=True, omit_defaults=True):
    id: int
    step: str
    """Path of the step it stands at."""
    subject: Subject
    status: TokenStatus = "due"
    parent: int | None = None
    branch: str = ""
    """Which branch of its parent it is: the branch's name, or the number of the element."""
    round: int = 1
    """How many times it has come to this step."""
    trail: tuple[str, ...] = ()
    """Names of the steps of its flow that it has done, in order."""
    back_to: str = ""
    """Where it goes when the step it was sent back to is done; empty: step by step."""
    reason: str = ""
    """Why it was sent here, when somebody sent it back."""
    branches: int = 0
    """How many branches it began with, when its step has branches."""
    ended: tuple[tuple[str, str], ...] = ()
    """Branches that came to their end, with their outcome."""


class Task(Struct, frozen=True, omit_defaults=True):
    id: int
    token: int
    step: str
    round: int
    kind: TaskKind
    post: str
    """The role it is asked of; empty for a plain task."""
    candidates: tuple[str, ...]
    """Who may take it: account ids."""
    status: TaskStatus = "open"
    assignee: str | None = None
    behalf: str | None = None
    """For whom the assignee acts: who delegated it."""
    outcome: str = ""
    comment: str = ""
    actor: str | None = None
    at: str = ""
    auto: bool = False
    """Done without asking again: the same person has agreed already."""
    added_by: str | None = None
    holds: int | None = None
    """The task that waits until this one is done."""
    urged: tuple[tuple[str, str], ...] = ()
    """Who has urged it, and when last; no longer ago than it takes until they may again."""

    @property
    def asked(self) -> tuple[str, ...]:
        """Who may do it: whoever has it, else whoever may take it."""
        return (self.assignee,) if self.assignee else self.candidates

    @property
    def lent(self) -> bool:
        """Whether somebody has taken it from its group for another."""
        return self.assignee is not None and self.assignee not in self.candidates


class Timer(Struct, frozen=True, omit_defaults=True):
    id: int
    token: int
    purpose: Literal["alert", "late", "wait", "legal"]
    share: int = 100
    whom: str = ""


class Incident(Struct, frozen=True, omit_defaults=True):
    """Something an operator must see to: nobody to ask, a guard before a step, an automatic step that failed."""

    id: int
    token: int
    kind: Literal["nobody", "entry", "failed", "left", "not_in_use", "already_running", "cancelled", "checkpoint"]
    """left: whoever was asked can do it no more, and nobody else can; already_running: the process that would be this
    step lives on its record by itself; cancelled: the process that is this step was cancelled by itself, and has come
    to no outcome; checkpoint: it would end without a step that must come before."""
    detail: str
    at: str


class Done(Struct, frozen=True, omit_defaults=True):
    """A step that came to an end, in one of its rounds. Nothing is ever taken out of this list; earlier rounds may be
    put together (`process.history`)."""

    step: str
    token: int
    round: int
    outcome: str
    actors: tuple[str, ...]
    at: str
    subject: Subject
    times: int = 1
    """How many rounds this stands for: all that ended so, up to this one."""
    before: tuple[str, ...] = ()
    """Who took part in the earlier ones of them."""

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody who took part, in whichever round."""
        return (*self.actors, *self.before)


class State(Struct, frozen=True, omit_defaults=True):
    """One instance. `serial` is the last number given to a token, task, timer or incident."""

    workflow: str
    digest: str
    """Of the definition it is pinned to."""
    subject: Subject
    starter: str
    status: Status = "running"
    outcome: str = ""
    tokens: Mapping[int, Token] = EMPTY
    tasks: Mapping[int, Task] = EMPTY
    timers: Mapping[int, Timer] = EMPTY
    incidents: Mapping[int, Incident] = EMPTY
    done: tuple[Done, ...] = ()
    serial: int = 0
    halted: tuple[str, ...] = ()
    """Why it is suspended: `own`, `above` (with the process it is part of), or both."""

    @property
    def live(self) -> bool:
        return self.status in ("running", "suspended")

    def tasks_of(self, token: int) -> tuple[Task, ...]:
        """Every task of a token's present round."""
        at = self.tokens.get(token)
        if at is None:
            return ()
        return tuple(
            each
            for each in self.tasks.values()
            if each.token == token and each.step == at.step and each.round == at.round
        )

    def begun(self, token: Token) -> bool:
        """Whether the step a token stands at has begun."""
        kinds = {each.kind for each in self.incidents.values() if each.token == token.id}
        return token.status in ("open", "working") or not kinds.isdisjoint(("left", "failed", "cancelled"))

    def steps_of(self, token: int) -> int:
        """How many steps a token has behind it."""
        return sum(each.times for each in self.done if each.token == token)

    def unasked(self) -> dict[int, Token]:
        """The tokens at whose step an incident stands because nobody was found to ask."""
        stopped = [each.token for each in self.incidents.values() if each.kind == "nobody"]
        return {each: self.tokens[each] for each in stopped if each in self.tokens}

    def below(self, token: int) -> tuple[Token, ...]:
        return tuple(each for each in self.tokens.values() if each.parent == token)

    def to_json(self) -> dict[str, Any]:
        """Plain data for storage."""
        return {
            "workflow": self.workflow,
            "digest": self.digest,
            "subject": to_builtins(self.subject),
            "starter": self.starter,
            "status": self.status,
            "outcome": self.outcome,
            "tokens": to_builtins(list(self.tokens.values())),
            "tasks": to_builtins(list(self.tasks.values())),
            "timers": to_builtins(list(self.timers.values())),
            "incidents": to_builtins(list(self.incidents.values())),
            "done": to_builtins(list(self.done)),
            "serial": self.serial,
            **({"halted": list(self.halted)} if self.halted else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> State:
        return cls(
            data["workflow"],
            data["digest"],
            convert(data["subject"], Subject),
            data["starter"],
            data["status"],
            data["outcome"],
            _numbered(Token, data["tokens"]),
            _numbered(Task, data["tasks"]),
            _numbered(Timer, data["timers"]),
            _numbered(Incident, data["incidents"]),
            convert(data["done"], tuple[Done, ...]),
            data["serial"],
            tuple(data.get("halted", ())),
        )


def put(items: Mapping[int, T], number: int, item: T) -> Mapping[int, T]:
    """The mapping with one item more or another in its place, in the order of the numbers."""
    found = {**items, number: item}
    in_order = number in items or number > max(items, default=0)
    return MappingProxyType(found if in_order else dict(sorted(found.items())))


def without(items: Mapping[int, T], *numbers: int) -> Mapping[int, T]:
    return MappingProxyType({number: each for number, each in items.items() if number not in numbers})


def _numbered(cls: type[_Numbered], data: list[Any]) -> Mapping[int, _Numbered]:
    made: list[_Numbered] = convert(data, list[cls])  # type: ignore[valid-type]
    return MappingProxyType({each.id: each for each in made})


__all__ = ["Done", "Incident", "State", "Subject", "Task", "Timer", "Token", "put", "replace", "without"]
