"""The chores of the trail, done with the other upkeep: seal what is pending, sign checkpoints, send them away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from clew.audit.sealing import checkpoints, log, outside
from clew.audit.sealing.keys import configured_key, ensure_named
from clew.jobs.upkeep import Chore
from clew.kernel.context import PLATFORM_ID, Context, Person
from clew.kernel.ids import uuid7
from clew.settings import Settings
from clew.storage import releases, system
from clew.storage.engine import Connection, Database

PLATFORM = Person(PLATFORM_ID, "clew", "Clew", ("platform",))
"""Who acts when the platform does something by itself."""


def platform_context() -> Context:
    return Context(PLATFORM, str(uuid7()), channel="upkeep")


@dataclass(frozen=True, slots=True)
class Sealer:
    """What one installation does with its trail."""

    database: Database
    settings: Settings

    def chores(self) -> tuple[Chore, ...]:
        found = [Chore("audit.seal", timedelta(seconds=1), self.seal, self.waiting)]
        found.append(Chore("audit.sign", timedelta(seconds=1), self.sign, self.grown))
        for number, place in enumerate(outside.places(self.settings)):
            found.append(_delivery(self.database, number, place))
        return tuple(found)

    async def waiting(self) -> bool:
        """Whether leaves are pending."""
        async with self.database.read() as connection:
            return await connection.fetch_one(_ANY) is not None

    async def seal(self) -> int:
        return await log.seal_all(self.database)

    async def grown(self) -> bool:
        """Whether the log has entries no checkpoint covers, and the last one is old enough."""
        async with self.database.read() as connection:
            size, before = await log.size_of(connection), await checkpoints.newest(connection)
            if before is None:
                return size > 0
            every = timedelta(seconds=self.settings.audit_checkpoint_every)
            return size != before.size and await connection.now() - before.at >= every

    async def sign(self, every: timedelta | None = None) -> checkpoints.Stored | None:
        """Sign a checkpoint now; the key is named in the log first. Raises what forbids to sign."""
        key = configured_key(self.settings)

        async def name(connection: Connection) -> None:
            release = await releases.current_number(connection)
            await ensure_named(connection, platform_context(), str(release), key)

        async with self.database.read() as connection:
            if self.settings.audit_outside_folder is not None:
                await outside.check_continues(connection, outside.Folder(self.settings.audit_outside_folder))
        await self.database.run_write(name)
        await log.seal_all(self.database)
        return await checkpoints.sign(self.database, key, checkpoints.AT_ONCE if every is None else every)


def _delivery(database: Database, number: int, place: outside.Place) -> Chore:
    async def act() -> int:
        return await outside.deliver(database, place)

    async def wanted() -> bool:
        async with database.read() as connection:
            return bool(await outside.undelivered(connection, [place]))

    return Chore(f"audit.deliver.{number}", timedelta(seconds=2), act, wanted)


_ANY = sa.select(sa.literal(1)).select_from(system.leaf_pending).limit(1)
