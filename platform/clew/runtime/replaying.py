"""What decides again, by any release, what was decided once."""

from __future__ import annotations

from uuid import UUID

from clew.access.deciding import Deciding
from clew.identity import accounts
from clew.identity.errors import SessionEnded
from clew.identity.people import person_of
from clew.kernel.context import Person
from clew.records.commands import Commands
from clew.records.decisions.replay import Replayer
from clew.runtime.release import OPERATOR
from clew.storage.engine import Connection


def replaying(commands: Commands) -> Replayer:
    """What decides again by any release. No separation binds the operator."""
    exempt = frozenset((OPERATOR.id,))
    return Replayer(commands.engine, lambda known: Deciding(known, OPERATOR.id), _person_now, exempt)


async def _person_now(connection: Connection, account: UUID) -> Person | None:
    """Who an account is today: without roles when it is disabled, None when there is no such account."""
    found = await accounts.find(connection, account)
    if found is None:
        return None
    try:
        return await person_of(connection, account, await connection.now())
    except SessionEnded:
        return Person(found.id, found.login, found.name, employee=found.employee)
