"""Scenarios as they are played: linked names, values as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that happens, or, as `then`, is expected. `kind` is one of `spec.scenario.ACTS`."""

    kind: str
    what: str
    """The entity created, the record updated, the transition, the step, the workflow, the time."""
    place: Place
    by: str = ""
    of: str = ""
    name: str = ""
    values: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    outcome: str = "done"
    comment: str = ""
    because: str = ""
    refused: str = ""
    expected: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario. `records` are those it is given, in order: name, entity, values."""

    name: str
    label: Bilingual
    place: Place
    people: Mapping[str, tuple[str, ...]]
    records: tuple[tuple[str, str, Mapping[str, Any]], ...]
    at: str
    acts: tuple[Act, ...]
    workflow: str = ""
    moves: tuple[Mapping[str, Any], ...] = ()
