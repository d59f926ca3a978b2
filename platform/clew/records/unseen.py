"""What is told of a refusal by a rule that reads what the caller may not see, and that it is kept and cannot go on.

A refusal in words (which rule, at which field) tells of a hidden value; so do many refusals of values that are tried
one by one. So nothing is told but that there is such a rule, each refusal stands in the trail, and whoever has met many
writes nothing for a while.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from clew.audit.trail import record_event
from clew.expressions.reads import OLD
from clew.expressions.tree import Checked, Member, Name, walk
from clew.kernel.context import Context
from clew.metadata.blueprint import Entity
from clew.records.errors import RefusedUnseen, TooManyUnseen
from clew.records.sight import shown_ways
from clew.storage.engine import Connection, Database

if TYPE_CHECKING:
    from clew.records.unit import Unit

ACTION = "write.refuse"
MOST = 20
"""Refusals of one account within WITHIN, after which it writes nothing until the earliest is that old."""
WITHIN = timedelta(minutes=10)
_KEPT = 10_000
"""Accounts that one node remembers."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """One refusal: of which record, by which rule or guard. For the trail only."""

    entity: str
    record_id: UUID
    name: str


async def may_know(unit: Unit, entity: Entity, record: Mapping[str, Any], condition: Checked) -> bool:
    """Whether the caller sees all that a condition reads of a record they write, as it was and as it would be."""
    ways = {path[1:] if path[:1] == (OLD,) else path for path in condition.reads}
    for node in walk(condition.root):
        if isinstance(node, Member) and isinstance(node.of, Name) and node.of.name == "old":
            ways.add((node.name,))
    return await shown_ways(unit.engine.blueprint, unit.decision, unit.judge, entity, record, ways)


def refusal(unit: Unit, entity: Entity, record_id: UUID, name: str) -> RefusedUnseen:
    """What is raised. Raises TooManyUnseen instead where there were too many, also in one request of many rows."""
    unit.unseen.append(Unseen(entity.name, record_id, name))
    unit.engine.unseen.ready(unit.context.person.id, unit.at, len(unit.unseen))
    return RefusedUnseen()


@dataclass(slots=True)
class Book:
    """How many such refusals each account has met lately at this node."""

    met: dict[UUID, tuple[datetime, ...]] = field(default_factory=dict)

    def ready(self, account: UUID, at: datetime, more: int = 0) -> None:
        """Raises TooManyUnseen for who has met too many, with these that are not counted yet."""
        if account not in self.met and more <= MOST:
            return
        lately = self._lately(account, at)
        if len(lately) + more > MOST or (not more and len(lately) >= MOST):
            wait = WITHIN - (at - lately[0]) if lately else WITHIN
            raise TooManyUnseen(minutes=max(1, math.ceil(wait / timedelta(minutes=1))))

    async def keep(
        self, database: Database, context: Context, release: str, refused: Sequence[Unseen], at: datetime
    ) -> None:
        """Count refusals, and tell the trail, in a transaction of its own: theirs was undone. A client that goes away
        meanwhile does not take them along."""
        account = context.person.id
        self.met[account] = (*self._lately(account, at), *(at for _ in refused))
        while len(self.met) > _KEPT:
            del self.met[next(iter(self.met))]

        async def tell(connection: Connection) -> None:
            for each in refused:
                told = {"rule": each.name}
                await record_event(connection, context, release, ACTION, each.entity, each.record_id, told)

        await asyncio.shield(database.run_write(tell))

    def _lately(self, account: UUID, at: datetime) -> tuple[datetime, ...]:
        # What a clock that was ahead has noted counts no more.
        return tuple(each for each in self.met.get(account, ()) if abs(at - each) < WITHIN)
