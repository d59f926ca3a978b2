"""Taking a condition apart at its `&&` and `||`, and choosing the fewest actions that would make it hold.

Pure: what is true of each atom, and which actions would make a false one true, is said by whoever asks.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar, cast

from clew.expressions.algebra import BOOLEAN
from clew.expressions.rewrite import remade, sure
from clew.expressions.tree import AnyNode, Binary, Checked, Node, Unary

BOUND = 256
"""Ways out that are kept side by side; with more the cheapest go on and the answer is no longer surely the smallest."""

Deed = TypeVar("Deed", bound=Hashable)


@dataclass(frozen=True, slots=True, eq=False)
class Atom:
    """A part that is asked as a whole. `node` is without the negation; `condition` has it."""

    node: Node
    negated: bool
    condition: Checked


@dataclass(frozen=True, slots=True, eq=False)
class Every:
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Some:
    parts: tuple[Part, ...]


Part: TypeAlias = Atom | Every | Some


@dataclass(frozen=True, slots=True)
class Advice(Generic[Deed]):
    """`deeds` make the condition hold; None: nothing that anybody could do does. `exact`: no way is smaller."""

    deeds: frozenset[Deed] | None
    exact: bool = True


@dataclass(slots=True)
class _Search(Generic[Deed]):
    ways: Mapping[Atom, frozenset[Deed] | None]
    burden: Mapping[Deed, int]
    exact: bool = field(default=True)

    def cost(self, deeds: frozenset[Deed]) -> tuple[int, int]:
        return sum(self.burden.get(each, 0) for each in deeds), len(deeds)

    def order(self, deeds: frozenset[Deed]) -> tuple[tuple[int, int], list[str]]:
        """By cost, and always the same among equals."""
        return self.cost(deeds), sorted(map(repr, deeds))


def taken_apart(checked: Checked) -> Part:
    """The condition as a tree over its atoms; `!` is moved inwards."""
    return _part(checked, checked.root, False)


def atoms(part: Part) -> Iterator[Atom]:
    if isinstance(part, Atom):
        yield part
    else:
        for each in part.parts:
            yield from atoms(each)


def holding(part: Part, truths: Mapping[Atom, bool]) -> bool:
    """Whether the tree holds with these truths."""
    if isinstance(part, Atom):
        return truths[part]
    return (all if isinstance(part, Every) else any)(holding(each, truths) for each in part.parts)


def in_the_way(part: Part, truths: Mapping[Atom, bool]) -> Iterator[Atom]:
    """The false atoms that keep the tree from holding."""
    if holding(part, truths):
        return
    if isinstance(part, Atom):
        yield part
    else:
        for each in part.parts:
            yield from in_the_way(each, truths)


def least(
    part: Part,
    ways: Mapping[Atom, frozenset[Deed] | None],
    burden: Mapping[Deed, int] | None = None,
    anyway: frozenset[Deed] = frozenset(),
) -> Advice[Deed]:
    """The fewest deeds after which the tree holds. `ways` says of each atom which deeds it takes, all of them: none
    where it is true, None where nothing helps. Ways with less `burden` go before shorter ones. `anyway` is done in any
    case and so costs nothing more."""
    search: _Search[Deed] = _Search(ways, burden or {})
    found = [each | anyway for each in _alternatives(part, search)]
    return Advice(min(found, key=search.order) if found else None, search.exact)


def _alternatives(part: Part, search: _Search[Deed]) -> list[frozenset[Deed]]:
    """Sets of deeds that suffice, the least first, none a part of another."""
    if isinstance(part, Atom):
        way = search.ways[part]
        return [] if way is None else [way]
    if isinstance(part, Some):
        return _kept({each for inner in part.parts for each in _alternatives(inner, search)}, search)
    found: list[frozenset[Deed]] = [frozenset()]
    for inner in part.parts:
        more = _alternatives(inner, search)
        found = _kept({one | other for one in found for other in more}, search)
    return found


def _kept(sets: set[frozenset[Deed]], search: _Search[Deed]) -> list[frozenset[Deed]]:
    kept: list[frozenset[Deed]] = []
    for each in sorted(sets, key=search.order):
        if not any(other <= each for other in kept):
            if len(kept) == BOUND:
                search.exact = False
                break
            kept.append(each)
    return kept


def _part(checked: Checked, node: Node, negated: bool) -> Part:
    match cast(AnyNode, node):
        case Unary(op="!", operand=operand):
            return _part(checked, operand, not negated)
        case Binary(op="&&" | "||" as op, left=left, right=right):
            kind = Every if (op == "&&") is not negated else Some
            parts: list[Part] = []
            for each in (_part(checked, left, negated), _part(checked, right, negated)):
                parts += each.parts if isinstance(each, kind) else (each,)
            return kind(tuple(parts))
        case _:
            root = Unary("!", sure(node), BOOLEAN, node.span) if negated else sure(node)
            return Atom(node, negated, remade(checked, root, checked.source[node.span.start : node.span.end]))
