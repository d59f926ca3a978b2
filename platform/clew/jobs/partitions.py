"""The job that makes next months' partitions before they are needed (PostgreSQL)."""

from __future__ import annotations

from clew.storage.engine import Database
from clew.storage.partitions import ensure_partitions

KIND = "ensure_partitions"


async def run(database: Database) -> int:
    """How many partitions were made. Run it daily; it is harmless at any time."""
    return await ensure_partitions(database)
