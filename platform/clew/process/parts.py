"""What happens to a process happens to the processes that are part of it, in the same transaction.

Nobody may decide a task of a process that was called off with the one above it, not even for the moment that a worker
would need to come round to it. The part is locked after the whole, never the other way about: the end of a part reaches
the whole by a job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.scalars import instant_text
from clew.process import store
from clew.process.words import Actor, Cancel, Command, Resume, Suspend
from clew.storage import process_tables

if TYPE_CHECKING:
    from clew.process.handling import Handling

_p = process_tables.process


async def stop(handling: Handling, token: int, reason: str) -> None:
    """The part that a step runs is called off: the step was, or its time ran out."""
    await _tell(handling, Cancel(_actor(handling), instant_text(handling.unit.at), reason), token)


async def suspend(handling: Handling) -> None:
    """What is part of a suspended process stands still with it."""
    await _tell(handling, Suspend(_actor(handling), instant_text(handling.unit.at), "", above=True))


async def resume(handling: Handling) -> None:
    """And goes on with it, unless it was suspended by itself."""
    await _tell(handling, Resume(_actor(handling), instant_text(handling.unit.at), above=True))


def _actor(handling: Handling) -> Actor:
    """Whoever does it to the whole does it to its parts."""
    context = handling.unit.context
    return Actor(str(context.person.id), str(context.on_behalf_of.id) if context.on_behalf_of else None)


async def _tell(handling: Handling, command: Command, token: int | None = None) -> None:
    for part in await _living(handling, token):
        instance = await store.load(handling.unit.connection, part, lock=True)
        if instance is not None and instance.state.live:
            await handling.engine.handle(handling.unit, instance, command)


async def _living(handling: Handling, token: int | None) -> list[UUID]:
    """The live parts of an instance, or of one of its steps, in a fixed order."""
    mine = [_p.c.parent == handling.instance.id, _p.c.status.in_(store.LIVE)]
    if token is not None:
        mine.append(_p.c.parent_token == token)
    query = sa.select(_p.c.id).where(*mine).order_by(_p.c.id)
    return [row[0] for row in await handling.unit.connection.fetch(query)]
