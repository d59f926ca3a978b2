"""Why a person can or cannot: from each assignment over its role and what that inherits to the policy line and its
condition, with the values that made it true or false. Pure: the facts are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

from clew.access.judgement import Judgement
from clew.access.lines import Line
from clew.access.review.matrix import AT_SITES, OF_FAMILIES
from clew.access.review.words import in_words
from clew.access.unite import Held
from clew.expressions.rewrite import assigned, truth
from clew.expressions.tree import Checked
from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual
from clew.metadata.policies import Policies

Force = Literal["in force", "not yet", "expired", "ended", "requested", "refused", "unknown role", "account disabled"]


@dataclass(frozen=True, slots=True)
class Holding:
    """An assignment, as far as the reasons need it."""

    assignment: UUID
    role: str
    kind: str
    sites: tuple[UUID, ...] | None
    families: tuple[str, ...] | None
    valid_from: datetime
    valid_to: datetime | None
    force: Force
    delegator: UUID | None = None

    @property
    def held(self) -> Held:
        return Held(self.role, self.sites is not None, self.families is not None)


@dataclass(frozen=True, slots=True)
class Test:
    """One condition of a line, as it is asked for one assignment. `words` and `text` are how it is said and written."""

    words: Bilingual
    text: str
    place: Place
    condition: Checked | None
    """None when it always holds."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A condition with its outcome on the record: None where it was not asked (there is no record)."""

    test: Test
    holds: bool | None
    values: Mapping[str, Any]
    """What it read: path → value."""
    names: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """For values that are people or records: path → what these are called."""


@dataclass(frozen=True, slots=True)
class Link:
    """One chain: assignment → role → … → role whose line it is → line → its conditions."""

    holding: Holding
    way: tuple[str, ...]
    line: Line
    tried: tuple[Tried, ...]

    @property
    def holds(self) -> bool:
        """Whether the line applies to the record, as far as conditions go."""
        return all(each.holds is not False for each in self.tried)


def tests_of(judgement: Judgement, line: Line, holding: Holding) -> tuple[Test, ...]:
    """The conditions of a line for one assignment: its clauses, then site and family where these limit it."""
    limits = {"sites": holding.sites is not None, "families": holding.families is not None}

    def bound(condition: Checked | None) -> Checked | None:
        if condition is None:
            return None
        found = assigned(condition, holding.role, limits)
        return None if truth(found) is True else found

    tests = [
        Test(in_words(judgement.blueprint, each.condition), each.text, each.place, bound(each.condition))
        for each in line.clauses
    ]
    reach = judgement.policies.reach.get(line.entity)
    if reach is not None:
        if line.own_sites and holding.sites is not None and reach.site is not None:
            tests.append(Test(AT_SITES, "sites: own", judgement.policies.roles[line.role].place, bound(reach.site)))
        if line.own_families and holding.families is not None and reach.family is not None:
            place = judgement.policies.roles[line.role].place
            tests.append(Test(OF_FAMILIES, "families: own", place, bound(reach.family)))
    return tuple(tests)


def way_to(policies: Policies, role: str, source: str) -> tuple[str, ...]:
    """From a role over what it inherits to the role whose line it is: the shortest way."""
    ways: list[tuple[str, ...]] = [(role,)]
    seen = {role}
    for way in ways:
        if way[-1] == source:
            return way
        for parent in policies.roles[way[-1]].inherits:
            if parent not in seen:
                seen.add(parent)
                ways.append((*way, parent))
    return (role, source)


def lines_for(
    judgement: Judgement, holding: Holding, entity: str, question: str
) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """The lines that allow, and those that forbid, through one assignment."""
    verdict = judgement.verdict(holding.role, entity, question)
    return verdict.allows, verdict.denies


def roles_that_could(judgement: Judgement, entity: str, question: str) -> tuple[str, ...]:
    """Roles to which some line allows it at all."""
    return tuple(name for name in sorted(judgement.policies.roles) if judgement.verdict(name, entity, question).allows)
