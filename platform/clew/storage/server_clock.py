"""The database server's clock, without a round trip per question.

A reading is carried forward by how much time has passed here since. It was taken before it arrived, so what comes out
is never ahead of the server, and behind it by no more than the way of one answer.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from clew.kernel.clock import Clock, SystemClock

_KEPT = 1.0
"""Seconds a reading is carried forward: the server's clock may be set, and ours may run at another pace."""
_APART = 0.02
"""Seconds our two clocks may disagree; more, and this machine has slept or its time was set meanwhile."""


class ServerClock:
    """The last reading of one server's clock."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._read: tuple[datetime, float, datetime] | None = None

    def note(self, instant: datetime) -> None:
        """The server has just said this."""
        self._read = instant, self._clock.monotonic(), self._clock.now()

    def now(self) -> datetime | None:
        """The server's time; None when it has to be asked."""
        if self._read is None:
            return None
        instant, ticks, told = self._read
        passed = self._clock.monotonic() - ticks
        if passed > _KEPT or abs((self._clock.now() - told).total_seconds() - passed) > _APART:
            return None
        return instant + timedelta(seconds=passed)
