"""When the interpreter looks for cycles, which takes longer the more there is: not while a great deal is made that
stays, and never again through what stays as long as the process."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Without looking for cycles: a project is a great many objects made at once which nearly all stay, and to look
    through them again and again takes a third of the time of loading it."""
    looking = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looking:
            gc.enable()


@contextmanager
def starting() -> Iterator[None]:
    """What a server makes before it answers: modules, the release, the plans. It is not looked through meanwhile, and
    not afterwards either, until `release` says that some of it may go; the rest calmly. After a start that failed all
    is as before.
    """
    with uncollected():
        yield
        gc.collect()  # what is kept from here on is never looked through: a third of a second for a twentieth of it
        gc.freeze()
        calm()


def calm() -> None:
    """From now on look less often than the interpreter does by itself: requests make few cycles, and every look walks
    what releases and drivers keep. The first look comes when there is more than some dozens of requests under way hold:
    to walk what they are about to let go is a twentieth of what a write costs. Memory stays bounded, as the oldest are
    still looked at in time."""
    gc.set_threshold(50_000, 10, 20)


def release() -> None:
    """Look through everything again: what `starting` made is about to be replaced."""
    gc.unfreeze()
