"""Identifiers: UUIDv7 (RFC 9562), so that ids sort by time of birth and index pages stay warm."""

from __future__ import annotations

import os
import threading
import time
from uuid import UUID, SafeUUID

_lock = threading.Lock()
_last = 0
_RANDOM = 512
_pool = b""
"""Random bytes that no id has taken yet: the system is asked for many at once. A process that was forked has none."""
_new, _set, _unknown = object.__new__, object.__setattr__, SafeUUID.unknown


def _forget() -> None:
    global _pool
    _pool = b""


os.register_at_fork(after_in_child=_forget)


def uuid7() -> UUID:
    """A new UUIDv7. Within one process ids are strictly increasing (48-bit ms, 12-bit fraction, 62 random bits)."""
    global _last, _pool
    nanoseconds = time.time_ns()
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    stamp = (milliseconds << 12) | (rest * 4096 // 1_000_000)
    with _lock:
        if stamp <= _last:
            stamp = _last + 1
        _last = stamp
        taken = _pool or os.urandom(_RANDOM)
        _pool = taken[8:]
    random = int.from_bytes(taken[:8], "big") & 0x3FFF_FFFF_FFFF_FFFF
    value = ((stamp >> 12) << 80) | (0x7 << 76) | ((stamp & 0xFFF) << 64) | (0b10 << 62) | random
    # What UUID(int=value) makes, without looking at its other arguments: every row comes by here several times.
    made = _new(UUID)
    _set(made, "int", value)
    _set(made, "is_safe", _unknown)
    return made
