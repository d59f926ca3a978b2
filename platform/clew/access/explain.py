"""Why somebody may or may not: the policy lines that were asked, which of them held, and the one reason they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from clew.access.unite import Applied, Held, Unite
from clew.expressions.tree import Checked
from clew.metadata.policies import Clause

Reason = Literal["granted", "no_grant", "condition", "site", "family", "never"]
Truth = Callable[[Checked, bool], bool]
"""(condition, what counts when it cannot be decided) → whether it holds on the record at hand."""


@dataclass(frozen=True, slots=True)
class Step:
    """One policy line that speaks about the question. `held` is the role by which the person comes to it."""

    effect: Literal["allow", "deny"]
    role: str
    held: str
    clauses: tuple[Clause, ...]
    holds: bool
    """Whether it applies to this record."""
    outside: Literal["", "site", "family"] = ""
    """It would apply, but the record is not of the assignment's sites or families."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """`steps` are all lines that speak; the deciding ones are those that hold."""

    allowed: bool
    reason: Reason
    steps: tuple[Step, ...]


def explain(unite: Unite, entity: str, question: str, roles: Sequence[Held], truth: Truth) -> Explanation:
    """Why holders of these roles may or may not, on the record that `truth` speaks of."""
    allows, denies = unite.applied(entity, question, roles)
    steps = [*(_step(unite, each, truth, "allow") for each in allows)]
    forbidden = [*(_step(unite, each, truth, "deny") for each in denies)]
    every = (*steps, *forbidden)
    if any(each.holds for each in forbidden):
        return Explanation(False, "never", every)
    if any(each.holds for each in steps):
        return Explanation(True, "granted", every)
    if not steps:
        return Explanation(False, "no_grant", every)
    for each in steps:
        if each.outside:
            return Explanation(False, each.outside, every)
    return Explanation(False, "condition", every)


def _step(unite: Unite, applied: Applied, truth: Truth, effect: Literal["allow", "deny"]) -> Step:
    line, held = applied.line, applied.held
    holds = _holds(unite, applied, truth, effect)
    outside: Literal["", "site", "family"] = ""
    if effect == "allow" and not holds:
        everywhere = Applied(replace(line, own_sites=False, own_families=False), held)
        if _holds(unite, everywhere, truth, effect):
            elsewhere = Applied(replace(line, own_sites=False), held)
            outside = "site" if _holds(unite, elsewhere, truth, effect) or not line.own_families else "family"
            if line.own_sites and line.own_families and outside == "family":
                by_site = Applied(replace(line, own_families=False), held)
                outside = "family" if _holds(unite, by_site, truth, effect) else "site"
    return Step(effect, line.role, held.role, line.clauses, holds, outside)


def _holds(unite: Unite, applied: Applied, truth: Truth, effect: str) -> bool:
    condition = unite.condition(applied)
    return condition if isinstance(condition, bool) else truth(condition, effect == "deny")
