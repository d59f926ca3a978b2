"""The server's clock carried forward: never ahead of it, asked again when it can no longer be trusted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from clew.storage.server_clock import ServerClock

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


class Machine:
    """A machine whose two clocks are moved by hand."""

    def __init__(self) -> None:
        self.wall, self.ticks = START, 100.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.ticks

    def wait(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.ticks += seconds


def test_it_must_be_asked_first() -> None:
    assert ServerClock(Machine()).now() is None


def test_a_reading_goes_on_with_the_time_that_passes() -> None:
    machine = Machine()
    clock = ServerClock(machine)
    server = START + timedelta(minutes=7)
    clock.note(server)
    machine.wait(0.25)
    assert clock.now() == server + timedelta(seconds=0.25)


def test_a_reading_is_kept_for_a_moment_only() -> None:
    machine = Machine()
    clock = ServerClock(machine)
    clock.note(START)
    machine.wait(1.5)
    assert clock.now() is None


def test_a_machine_that_slept_or_was_set_asks_again() -> None:
    machine = Machine()
    clock = ServerClock(machine)
    for seconds in (5.0, -5.0):
        clock.note(START)
        machine.wait(0.1)
        assert clock.now() is not None
        machine.wall += timedelta(seconds=seconds)
        assert clock.now() is None
