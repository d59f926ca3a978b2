"""Rooms above that must act inside a write (trace edges, quality gates, process effects) implement this port.

For every change, in the order the runtime registered them: first all `derive`, then all `check`, then the row is
written and its rules hold, then all `effect`. Whatever a participant raises undoes the whole transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol
from uuid import UUID

from clew.metadata.blueprint import Entity, Transition

if TYPE_CHECKING:
    from clew.records.unit import Unit

Verb = Literal["create", "update", "void", "transition", "correct", "remove", "post"]


@dataclass(frozen=True, slots=True)
class Change:
    """One record about to be written, or just written. `old` is None for a new record, `new` for a removed line."""

    entity: Entity
    verb: Verb
    id: UUID
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None
    transition: Transition | None = None

    @property
    def action(self) -> str:
        """How the trail names it."""
        return f"transition:{self.transition.name}" if self.transition else self.verb


class Participant(Protocol):
    """A room that takes part in writes. `Unit` offers the connection, the circumstances and further commands."""

    name: str

    def wants(self, entity: Entity) -> bool:
        """Asked once per entity and release."""
        ...

    async def derive(self, change: Change, unit: Unit) -> Mapping[str, Any]:
        """Canonical values to set on the record before it is written."""
        ...

    async def check(self, change: Change, unit: Unit) -> None:
        """Raise to refuse."""
        ...

    async def effect(self, change: Change, unit: Unit) -> None:
        """Act on what was written, in the same transaction."""
        ...

    async def answered(self, change: Change, unit: Unit) -> None:
        """Somebody answers for a transition that is made by no act of theirs alone: a process moved the record when
        their step began, or will when enough have voted as they do. Raise to refuse."""
        ...


class Signer(Protocol):
    """Takes the electronic signature a transition asks for. Without one such transitions are refused."""

    async def sign(self, change: Change, meaning: str, unit: Unit) -> None:
        """Record the signature in this transaction, or raise."""
        ...

    async def sign_step(
        self,
        unit: Unit,
        entity: Entity,
        record_id: UUID,
        step: str,
        meaning: str,
        signing: Any,
        definition: Mapping[str, Any],
    ) -> None:
        """The same for a step of a process, over the record the step is about."""
        ...


class Quiet:
    """A participant that does nothing; real ones override what they need."""

    name = "quiet"

    def wants(self, entity: Entity) -> bool:
        return True

    async def derive(self, change: Change, unit: Unit) -> Mapping[str, Any]:
        return {}

    async def check(self, change: Change, unit: Unit) -> None:
        return None

    async def effect(self, change: Change, unit: Unit) -> None:
        return None

    async def answered(self, change: Change, unit: Unit) -> None:
        return None
