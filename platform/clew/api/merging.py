"""How much work the merging of fields will be for validation, found before it (threats 10 and 11).

Validation compares every two fields that answer under the same key, on every level: a key written twice on each of ten
levels is a few kilobytes of text and a million comparisons. Here the same fields are only counted, each once, and the
document is refused when their pairs are too many.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionSetNode,
)

from clew.api.errors import TooLarge


def check_merging(document: DocumentNode, pairs: int, fields: int) -> None:
    """Raise TooLarge when all definitions together have more pairs or, fragments spread out, more fields than allowed.

    Fragments must be known to be free of cycles.
    """
    count = _Count(document, pairs, fields)
    for each in document.definitions:
        inner = getattr(each, "selection_set", None)
        if inner is not None:
            count.level([inner])


class _Count:
    def __init__(self, document: DocumentNode, pairs: int, fields: int) -> None:
        self._fragments = {
            each.name.value: each.selection_set
            for each in document.definitions
            if isinstance(each, FragmentDefinitionNode)
        }
        self._most_pairs, self._most_fields = pairs, fields
        self._pairs, self._fields = 0, 0

    def level(self, sets: Iterable[SelectionSetNode]) -> None:
        """Count what is merged here, then each key's inner selections, merged."""
        by_key: dict[str, list[FieldNode]] = {}
        seen: set[str] = set()
        for each in sets:
            self._collect(each, by_key, seen)
        for nodes in by_key.values():
            self._pairs += len(nodes) * (len(nodes) - 1) // 2
        if self._pairs > self._most_pairs:
            raise TooLarge(what="repetitions of fields", count=self._pairs, limit=self._most_pairs)
        for nodes in by_key.values():
            inner = [node.selection_set for node in nodes if node.selection_set is not None]
            if inner:
                self.level(inner)

    def _collect(self, selections: SelectionSetNode, by_key: dict[str, list[FieldNode]], seen: set[str]) -> None:
        for node in selections.selections:
            if isinstance(node, FieldNode):
                self._fields += 1
                if self._fields > self._most_fields:
                    raise TooLarge(what="fields", count=self._fields, limit=self._most_fields)
                by_key.setdefault((node.alias or node.name).value, []).append(node)
            elif isinstance(node, FragmentSpreadNode):
                name = node.name.value
                # Spread twice into one selection a fragment is merged once.
                if name not in seen and name in self._fragments:
                    seen.add(name)
                    self._collect(self._fragments[name], by_key, seen)
            elif isinstance(node, InlineFragmentNode):
                self._collect(node.selection_set, by_key, seen)


__all__ = ["check_merging"]
