"""A clock for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class ManualClock:
    """Stands still until told to move; each question may also let a fixed step pass."""

    def __init__(self, start: datetime = datetime(2026, 1, 5, 8, tzinfo=UTC), step: timedelta = timedelta()) -> None:
        self._now, self._step = start, step
        self._elapsed = 0.0

    def now(self) -> datetime:
        self.advance(self._step)
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, by: timedelta) -> None:
        self._now += by
        self._elapsed += by.total_seconds()

    def turn(self, to: datetime) -> None:
        """Show another time, also an earlier one; none passes."""
        self._now = to
