"""How long computed fields become once all they read is spread out, as the SQL of a read does.

A computed field that reads another contains it, as often as it names it: thirty fields that each name the one before
twice are a thousand million parts.
"""

from __future__ import annotations

from collections.abc import Mapping

from clew.expressions.tree import Base, Member, Node, children
from clew.metadata import rules
from clew.metadata.blueprint import Entity, Field
from clew.metadata.link.project import Linking

MAX_PARTS = 2_000
"""Parts of a computed field, with those of all it reads."""
_CAP = 10**9


def computed_size(linking: Linking) -> None:
    """Computed fields that are too long to be read."""
    spread = Spread(linking.entities)
    for entity in linking.entities.values():
        for field in entity.fields.values():
            if field.computed is not None and spread.field(entity, field) > MAX_PARTS:
                of = f"{entity.name}.{field.name}"
                linking.findings.add(rules.COMPUTED_TOO_DEEP, field.place, path=f"fields.{field.name}.is", name=of)


class Spread:
    """How many parts the computed fields of a project have."""

    def __init__(self, entities: Mapping[str, Entity]) -> None:
        self._entities = entities
        self._known: dict[tuple[str, str], int] = {}

    def field(self, entity: Entity, field: Field) -> int:
        if field.computed is None:
            return 1
        key = entity.name, field.name
        if key not in self._known:
            self._known[key] = 1  # what needs itself is a finding of its own
            self._known[key] = self._node(field.computed.root)
        return self._known[key]

    def _node(self, node: Node) -> int:
        count = 1 + sum(self._node(each) for each in children(node))
        if isinstance(node, Member) and node.of.type.base is Base.RECORD:
            count += sum(self._named(each, node.name) for each in node.of.type.entities)
        return min(count, _CAP)

    def _named(self, entity: str, name: str) -> int:
        known = self._entities.get(entity)
        field = known.fields.get(name) if known is not None else None
        return 0 if known is None or field is None or field.computed is None else self.field(known, field)
