"""Refuses writes while checkpoints cannot leave the database, where the settings say that this matters more."""

from __future__ import annotations

from datetime import timedelta

from clew.audit.errors import CheckpointUndelivered
from clew.audit.sealing.outside import deliveries
from clew.records.participants import Change, Quiet
from clew.records.unit import Unit


class CheckpointsFirst(Quiet):
    """A participant in every write: nothing is written once a place has failed for `limit`."""

    name = "checkpoints"

    def __init__(self, seconds: float) -> None:
        self._limit = timedelta(seconds=seconds)

    async def check(self, change: Change, unit: Unit) -> None:
        """Raises CheckpointUndelivered."""
        for each in await deliveries(unit.connection):
            if each.failing_since is not None and unit.at - each.failing_since > self._limit:
                raise CheckpointUndelivered(place=each.place, since=each.failing_since)
