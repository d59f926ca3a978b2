"""What a unit of work knows of what it has written: versions, warnings, marks to go back to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from clew.kernel.text import Bilingual
from clew.records.numbers import Restart

MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Warned:
    """A rule with `warn: true` that does not hold; reported, not refused."""

    rule: str
    entity: str
    record_id: UUID
    say: Bilingual


class TooEarly(Restart):
    """A row carries a later time than this transaction (a clock was set back): begin again no earlier than `floor`."""

    def __init__(self, floor: datetime) -> None:
        self.floor = floor
        super().__init__(floor)


@dataclass(frozen=True, slots=True)
class Version:
    """One version this unit has written: the leaf it will get."""

    action: str
    entity: str
    record_id: UUID
    row_version: int
    changes: dict[str, tuple[Any, Any]]
    process_step: str | None = None
    """Under whose authority it was written, where that was a process's."""

    def merged(self, action: str, more: Mapping[str, tuple[Any, Any]], lists: Collection[str] = ()) -> Version:
        """With a second write of the same record in the same transaction. A new value, so that an undo has the old.
        `lists`: the fields of which it is told what came and went.

        Whatever is more than a change of fields gives the version its name: what a reviewer looks for is the
        transition, not that fields were filled in with it.
        """
        changes = dict(self.changes)
        for name, (old, new) in more.items():
            if name in lists and name in changes:
                moved = both_moves(changes[name][1], new)
                changes[name] = (None, moved)
                if not moved:
                    del changes[name]
                continue
            was = changes[name][0] if name in changes else old
            changes[name] = (was, new)
        known, move = self.action, "transition:"
        if known == "update" or action == "void" or (known.startswith(move) and action.startswith(move)):
            known = action
        return replace(self, action=known, changes=changes)


def both_moves(one: Mapping[str, Sequence[Any]], other: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """What came into a list, changed in it and went out of it, of two changes one after the other."""
    came, went, then_came, then_went = (
        set(moved.get(kind, ())) for moved in (one, other) for kind in ("added", "removed")
    )
    added, removed = (came - then_went) | (then_came - went), (went - then_came) | (then_went - came)
    changed = {*one.get("changed", ()), *other.get("changed", ())} - came - then_came - then_went
    found = {"added": sorted(added), "changed": sorted(changed), "removed": sorted(removed)}
    return {kind: ids for kind, ids in found.items() if ids}


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a unit stood, to go back to when one row of many is refused: lengths only, because an import marks often
    and has written much."""

    noted: int
    removed: int
    events: int
    warnings: int
    postings: int
    traces: int
    at_end: int
