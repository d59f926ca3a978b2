"""Whether a decision table has gaps or overlaps, with a case that shows it. Exact; where it would take too long it says
that it cannot tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from clew.expressions.cells import NULL, Points, contains, meet

Box = tuple[Points, ...]
Case = tuple[int, ...]
BUDGET = 200_000
"""Steps of one search."""


class TooLarge(Exception):
    """The search was given up."""


@dataclass(slots=True)
class _Search:
    domains: Sequence[Points]
    boxes: Sequence[Box]
    left: int = BUDGET
    covered: set[tuple[int, tuple[int, ...]]] = field(default_factory=set)

    def gap(self, at: int, active: tuple[int, ...]) -> Case | None:
        """A case from column `at` on that none of the active rows has."""
        if not active:
            return tuple(_nearest(points) for points in self.domains[at:])
        if at == len(self.domains):
            return None
        if (at, active) in self.covered:
            return None
        for low, high in _pieces(self.domains[at], [self.boxes[each][at] for each in active]):
            self.left -= 1 + len(active) // 8
            if self.left < 0:
                raise TooLarge
            inside = tuple(each for each in active if contains(self.boxes[each][at], low))
            rest = self.gap(at + 1, inside)
            if rest is not None:
                return (_nearest(((low, high),)), *rest)
        self.covered.add((at, active))
        return None


def gap(domains: Sequence[Points], boxes: Sequence[Box]) -> Case | None:
    """A case that no row has; None when there is none. Raises TooLarge."""
    return _Search(domains, boxes).gap(0, tuple(range(len(boxes))))


def overlap(one: Box, other: Box) -> Case | None:
    """A case that two rows share."""
    case = []
    for first, second in zip(one, other, strict=True):
        both = meet(first, second)
        if not both:
            return None
        case.append(_nearest(both))
    return tuple(case)


def _pieces(domain: Points, cells: Sequence[Points]) -> list[tuple[int, int]]:
    """The domain cut wherever a cell begins or ends."""
    cuts = sorted({low for cell in cells for low, _ in cell} | {high + 1 for cell in cells for _, high in cell})
    found = []
    for low, high in domain:
        edges = [low, *(each for each in cuts if low < each <= high), high + 1]
        found += [(begin, end - 1) for begin, end in pairwise(edges)]
    return found


def _nearest(points: Points) -> int:
    """A point a person recognises: a bound that somebody wrote rather than the end of the world."""
    present = [each for each in points if each != (NULL, NULL)] or list(points)
    low, high = present[0]
    return low if abs(low) <= abs(high) or low == NULL else high
