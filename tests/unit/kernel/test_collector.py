"""When cycles are looked for: not while a project is loaded, and not in what a server made before it answers."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from clew.kernel import collector


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_nothing_is_looked_for_meanwhile_and_everything_afterwards() -> None:
    with collector.uncollected():
        with collector.uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled(), "the inner one ends first"
    assert gc.isenabled()
    with pytest.raises(ValueError), collector.uncollected():
        raise ValueError
    assert gc.isenabled()


def test_what_a_start_made_stays_out_of_sight_until_it_is_released() -> None:
    with collector.starting():
        made = [{}]
    assert not any(each is made for each in gc.get_objects()), "kept aside"
    assert gc.isenabled()
    collector.release()
    assert any(each is made for each in gc.get_objects())


def test_a_start_that_failed_keeps_nothing_aside() -> None:
    thresholds = gc.get_threshold()
    with pytest.raises(ValueError), collector.starting():
        raise ValueError
    assert (gc.get_freeze_count(), gc.get_threshold(), gc.isenabled()) == (0, thresholds, True)
