"""What an entity or field has been called, from which release to which: a name that is free again may be given anew,
and what was written under it before belongs to whatever had it then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from clew.storage.engine import Connection
from clew.storage.system import release

_LIVE = release.c.state.in_([sa.literal_column("'live'"), sa.literal_column("'settled'")])


@dataclass(frozen=True, slots=True)
class Called:
    """A name, from the release that followed `after` to the one that followed `until`; 0 is the beginning, None now."""

    name: str
    after: int = 0
    until: int | None = None

    def to_json(self) -> list[Any]:
        return [self.name, self.after, self.until]


Names = tuple[Called, ...]
"""Oldest first; the last one is today's."""


def followed(before: Names, name: str, base: int) -> Names:
    """The names of something in the release after `base`, that had these until then."""
    if before[-1].name == name:
        return before
    return (*before[:-1], Called(before[-1].name, before[-1].after, base), Called(name, base))


def during(at: sa.ColumnElement[Any], called: Called) -> Iterator[sa.ColumnElement[bool]]:
    """That a moment lies in the time in which something was called so."""
    if called.after:
        yield at >= _live_after(called.after)
    if called.until is not None:
        yield at < _live_after(called.until)


def _live_after(number: int) -> sa.ScalarSelect[Any]:
    """When the release that followed another went live."""
    later = release.c.number > sa.literal_column(str(int(number)))
    return sa.select(sa.func.min(release.c.live_at)).where(later, _LIVE).scalar_subquery()


@dataclass(frozen=True, slots=True)
class Moments:
    """When releases went live, for whoever looks at moments that have been read already."""

    live: tuple[tuple[int, datetime], ...]

    def covers(self, called: Called, at: datetime) -> bool:
        """As `during`."""
        begun, ended = self._after(called.after), None if called.until is None else self._after(called.until)
        return (not called.after or (begun is not None and at >= begun)) and (
            called.until is None or (ended is not None and at < ended)
        )

    def _after(self, number: int) -> datetime | None:
        return min((at for each, at in self.live if each > number), default=None)


async def moments(connection: Connection) -> Moments:
    rows = await connection.fetch(sa.select(release.c.number, release.c.live_at).where(_LIVE))
    return Moments(tuple((row[0], row[1]) for row in rows if row[1] is not None))


def words(names: Sequence[Called]) -> tuple[str, ...]:
    """Every name it ever had."""
    return tuple(dict.fromkeys(each.name for each in names))
