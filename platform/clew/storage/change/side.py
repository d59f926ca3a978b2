"""One release as the planner of a change sees it."""

from __future__ import annotations

from dataclasses import dataclass

from clew.metadata.blueprint import Blueprint
from clew.storage.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Side:
    """What a release says, and where it is kept."""

    blueprint: Blueprint
    catalog: Catalog
