"""A believable group to look at: sites, items, lots, orders, inspections. The same size gives the same records."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from clew.runtime import Runtime

Progress = Callable[[str, int, int], None]
"""Told what is being made, how many of how many are done."""


class Size(StrEnum):
    """How much: seconds, a minute, or a million lots."""

    small = "small"
    medium = "medium"
    large = "large"


async def run_seed(runtime: Runtime, size: Size, progress: Progress) -> int:
    """Fill an empty database; the number of records made. A database that has records already is left alone (0)."""
    return 0
