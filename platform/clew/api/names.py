"""Every name the API of one release has, and who brought it. Two owners of one name are an error that names both."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from clew.api.errors import NameClash
from clew.metadata import naming
from clew.metadata.blueprint import Blueprint, Entity


class Claims:
    """Names given out in one space."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}

    def claim(self, name: str, owner: str) -> str:
        """Take a name; whoever comes second is told about the first."""
        first = self._owners.setdefault(name, owner)
        if first != owner:
            raise NameClash(name=name, first=first, second=owner)
        return name

    def owner(self, name: str) -> str | None:
        return self._owners.get(name)


class Names:
    """The API names of one Blueprint."""

    def __init__(self, blueprint: Blueprint) -> None:
        self.types, self.queries, self.mutations = Claims(), Claims(), Claims()
        for name in naming.SHARED_TYPES:
            self.types.claim(name, "the platform")
        for codes in blueprint.code_lists.values():
            who = f"code list {codes.name}"
            for type_name in naming.code_types(codes.name):
                self.types.claim(type_name, who)
        self.members: Mapping[str, Mapping[str, str]] = MappingProxyType(
            {entity.name: self._entity(entity) for entity in blueprint.entities.values()}
        )
        for name in ("node", "decision", "decisionsOf", "decisionTables", "askTable", "form", "recordForm", "taskForm"):
            self.queries.claim(name, "the platform")

    def _entity(self, entity: Entity) -> Mapping[str, str]:
        who = f"entity {entity.name} ({entity.place})"
        base = naming.type_name(entity.name)
        for suffix in naming.ENTITY_TYPES:
            self.types.claim(base + suffix, who)
        if entity.states:
            for suffix in naming.STATE_TYPES:
                self.types.claim(base + suffix, f"states of {who}")
        self.queries.claim(naming.one_query(entity.name), who)
        self.queries.claim(naming.list_query(entity.plural), f"list of {who}")
        if entity.key:
            self.queries.claim(naming.key_query(entity.name, entity.key), f"key of {who}")
        claims = Claims()
        for taken in ("history", "audit", "signatures", "signable", "__typename", "and", "or", "not", "isNull"):
            claims.claim(taken, "the platform")
        members: dict[str, str] = {}
        for name in (*entity.fields, *entity.inverses):
            members[claims.claim(naming.field_name(name), f"{entity.name}.{name}")] = name
        return MappingProxyType(members)
