"""What a plugin is given that fills an empty database with demonstration records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Move:
    """A later version of a record: when, by which transition or `update`, and what it changed."""

    at: datetime
    action: str
    changed: Mapping[str, Any]


class Loading(Protocol):
    """Takes finished records with their history and copies them in."""

    @property
    def waiting(self) -> int:
        """Rows collected since the last flush."""
        ...

    @property
    def loaded(self) -> Mapping[str, int]:
        """Records per entity so far."""
        ...

    def add(self, entity: str, values: Mapping[str, Any], *, at: datetime, moves: Sequence[Move] = ()) -> UUID:
        """Add a record born at `at` and changed by `moves` in order. Values are canonical Python values by field."""
        ...

    async def flush(self) -> None:
        """Copy in what was collected. By then every reference it holds must have its target."""
        ...


@dataclass(frozen=True, slots=True)
class SeedOrder:
    """What is to be filled, how much, and where to. All of it is one unit of work: done or undone together."""

    size: str
    """small, medium or large."""
    today: date
    """The last day of the story. The same day and size must give the same records."""
    blueprint: Any
    """The release's `clew.metadata.blueprint.Blueprint`."""
    loader: Loading
    files: Mapping[str, Mapping[str, Any]]
    """Stored sample files by name (`pdf`, `image`), as values of a `files` field without their `name`."""
    report: Callable[[int, int], None]
    """Tell how many records of about how many are made."""
