"""The price of a document, found in one pass before anything is validated (threats 10–12).

Tokens are limited while parsing. Then every fragment is measured once and remembered, so a chain of fragments that
doubles itself costs one visit per fragment and is refused by its count, never expanded. Pages multiply what is inside
`edges` and `nodes`; a page size in a variable is priced at its value, a missing or null one at the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

from clew.api.errors import DiscoveryOff, FragmentCycle, TooLarge
from clew.api.planner import Paging


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may be."""

    characters: int = 200_000
    tokens: int = 4000
    depth: int = 20
    fields: int = 5000
    """Fields after all fragments are spread out."""
    aliases: int = 200
    duplicates: int = 20
    """How often one response key may be written in one selection."""
    pairs: int = 5000
    """Pairs of fields that answer under one key, which validation compares, in all definitions together."""
    directives: int = 100
    definitions: int = 100
    conditions: int = 300
    """Conditions of all filters together."""
    cost: int = 50_000
    discovery: bool = True
    paging: Paging = Paging()


_CAP = 10**12
_PRICES = {
    "totalCount": 20, "aggregate": 50, "groups": 100, "__schema": 500, "__type": 100,
    "replay": 200, "verified": 20, "problems": 20, "digest": 5,
}  # fmt: skip
"""What a field costs by itself, wherever it stands."""
ROOMS = {
    "auditTrail": 200, "decision": 20, "decisionsOf": 100, "alerts": 100, "standingAlerts": 500,
    "whyBlocked": 1000, "nextActors": 1000, "processInstance": 100, "processesOf": 100, "taskForm": 200,
    "myTasks": 100, "myTasksConnection": 100, "myProcesses": 100, "overseenProcesses": 500, "notices": 100,
    "processDefinitions": 100, "processMoves": 5000, "myPhrases": 20, "form": 20, "recordForm": 50,
    "decisionTables": 100, "askTable": 100,
    "accessMatrix": 2000, "accessWhoCan": 1000, "accessCan": 1000, "accessDifference": 2000, "accessUnused": 2000,
    "accessConflicts": 1000, "accessOrphans": 1000, "accessReviews": 500,
    "userAccounts": 500, "userRoleRequests": 200, "userEmergencies": 200, "userHandovers": 200, "myRoles": 20,
    "userConfirmations": 200, "userTokenRequests": 200,
}  # fmt: skip
"""What a root field costs that a room of the platform answers: some ten milliseconds are a thousand."""
_ROWS = {"myTasks": 2, "notices": 1, "myProcesses": 20, "overseenProcesses": 40, "processesOf": 20}
"""What each row of theirs costs, besides what is asked of it."""
_LISTS = frozenset({"decisionsOf", "history", "audit", "groups"})
_DISCOVERY = frozenset({"__schema", "__type"})
_PAGED = frozenset({"edges", "nodes"})
_ROOTS = frozenset({"Query", "Mutation", "Subscription"})


@dataclass(frozen=True, slots=True)
class Weight:
    """What a selection weighs: fixed cost, cost per row of the enclosing page, fields, aliases, depth."""

    cost: int = 0
    per_row: int = 0
    fields: int = 0
    aliases: int = 0
    depth: int = 0
    priced: bool = False
    """Whether a variable had a say."""

    def plus(self, other: Weight) -> Weight:
        return Weight(
            min(self.cost + other.cost, _CAP),
            min(self.per_row + other.per_row, _CAP),
            min(self.fields + other.fields, _CAP),
            min(self.aliases + other.aliases, _CAP),
            max(self.depth, other.depth),
            self.priced or other.priced,
        )


class Meter:
    """Weighs one document for one set of variables."""

    def __init__(self, document: DocumentNode, limits: Limits, variables: Mapping[str, Any]) -> None:
        self._limits, self._variables = limits, variables
        self._fragments: dict[str, FragmentDefinitionNode] = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self._known: dict[str, Weight] = {}
        self._open: set[str] = set()
        self._directives = 0
        if len(document.definitions) > limits.definitions:
            raise TooLarge(what="definitions", count=len(document.definitions), limit=limits.definitions)

    def weigh(self, operation: OperationDefinitionNode) -> Weight:
        """The weight of an operation; refuses what is too large."""
        # Fragments that no operation uses are validated too, so they are measured too.
        for name in self._fragments:
            self._fragment(name, 0)
        weight = self._selection(operation.selection_set, 0, root=True)
        limits = self._limits
        found = (
            ("fields", weight.fields, limits.fields),
            ("aliases", weight.aliases, limits.aliases),
            ("levels", weight.depth, limits.depth),
            ("cost", weight.cost + weight.per_row, limits.cost),
        )
        for what, count, limit in found:
            if count > limit:
                raise TooLarge(what=what, count=count if count < _CAP else "too many", limit=limit)
        return weight

    def _selection(self, selections: SelectionSetNode, level: int, *, root: bool = False) -> Weight:
        if level > self._limits.depth:
            raise TooLarge(what="levels", count=level, limit=self._limits.depth)
        total, keys = Weight(), dict[str, int]()
        for node in selections.selections:
            self._count_directives(node)
            if isinstance(node, FieldNode):
                key = node.alias.value if node.alias else node.name.value
                keys[key] = keys.get(key, 0) + 1
                if keys[key] > self._limits.duplicates:
                    raise TooLarge(what="repetitions of a field", count=keys[key], limit=self._limits.duplicates)
                total = total.plus(self._field(node, level, root))
            elif isinstance(node, InlineFragmentNode):
                total = total.plus(self._selection(node.selection_set, level + 1, root=root))
            elif isinstance(node, FragmentSpreadNode):
                total = total.plus(self._fragment(node.name.value, level))
        return total

    def _fragment(self, name: str, level: int) -> Weight:
        known = self._known.get(name)
        if known is not None:
            return known
        fragment = self._fragments.get(name)
        if fragment is None:
            return Weight()
        if name in self._open:
            raise FragmentCycle(name=name[:60])
        self._open.add(name)
        # Weighed at level 0, so that its depth can be added wherever it is spread.
        root = fragment.type_condition.name.value in _ROOTS
        found = self._known[name] = self._selection(fragment.selection_set, 0, root=root)
        self._open.discard(name)
        return found

    def _field(self, node: FieldNode, level: int, root: bool) -> Weight:
        name = node.name.value
        if name in _DISCOVERY and not self._limits.discovery:
            raise DiscoveryOff()
        own = Weight(_PRICES.get(name, 0) + (ROOMS.get(name, 0) if root else 0), 0, 1, 1 if node.alias else 0, 1)
        if node.selection_set is None:
            return own
        inner = self._selection(node.selection_set, level + 1)
        size, priced = self._page(node)
        within = min(inner.cost + size * inner.per_row, _CAP)
        row = _ROWS.get(name, 0) if root else 0
        if row or name in _LISTS:
            within = min(within * max(size, 1) + size * row, _CAP)
        fixed = own.cost + 1 + within
        if name in _PAGED:
            return Weight(0, fixed, inner.fields + 1, inner.aliases + own.aliases, inner.depth + 1, inner.priced)
        return Weight(fixed, 0, inner.fields + 1, inner.aliases + own.aliases, inner.depth + 1, inner.priced or priced)

    def _page(self, node: FieldNode) -> tuple[int, bool]:
        """The page size a field asks for, and whether a variable said so."""
        most, size, priced = self._limits.paging.most, self._limits.paging.default, False
        for argument in node.arguments or ():
            if argument.name.value not in ("first", "last"):
                continue
            value = argument.value
            if isinstance(value, IntValueNode):
                size = _bounded(value.value, most)
            elif isinstance(value, VariableNode):
                priced = True
                given = self._variables.get(value.name.value)
                size = self._limits.paging.default if given is None else _bounded(given, most)
        return size, priced

    def _count_directives(self, node: Any) -> None:
        self._directives += len(node.directives or ())
        if self._directives > self._limits.directives:
            raise TooLarge(what="directives", count=self._directives, limit=self._limits.directives)


def _bounded(size: Any, most: int) -> int:
    """A page size for pricing: what is out of bounds is refused later, with its own error."""
    try:
        return min(max(int(size), 0), most) if len(str(size)) < 12 else most
    except (TypeError, ValueError):
        return most
