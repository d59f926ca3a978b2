"""Plan and apply in one go, for an empty database: tests, demo, `clew dev` on safe changes."""

from __future__ import annotations

from clew.metadata.blueprint import Blueprint
from clew.storage.change.apply import Signer, apply
from clew.storage.change.plan import plan
from clew.storage.engine import Database
from clew.storage.releases import Release


async def install(database: Database, blueprint: Blueprint) -> Release:
    """Apply `blueprint` as the first release of an empty database."""
    made = await plan(database, blueprint, load=lambda _sources: blueprint)
    return await apply(database, made, load=lambda _sources: blueprint, signer=Signer(note="install"))
