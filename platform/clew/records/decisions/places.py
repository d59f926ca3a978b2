"""Where the rule behind a check stands: file, line and column in the project's own YAML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from clew.metadata.blueprint import Blueprint, Entity
from clew.metadata.policies import EntityGrants


class Places:
    """Looks rules up in one Blueprint."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._blueprint = blueprint

    def of(self, kind: str, name: str, entity: Entity, roles: Iterable[str]) -> list[dict[str, Any]]:
        """The rules that a check of this kind and name went by: `{rule, at}`, with `role` and `effect` for grants."""
        if kind == "grant":
            return list(self._grants(name, entity, roles))
        if kind == "signature":
            return [*self._move(name, entity), *self._signs(name, roles)]
        if kind in ("state", "guard", "reason"):
            return self._move(name, entity) or self._field(name, entity)
        if kind == "rule":
            return [{"rule": each.name, "at": str(each.place)} for each in entity.rules if each.name == name]
        if kind == "frozen" and name == "void":
            return self._field("legal_hold", entity)
        if kind == "separation" and self._blueprint.policies is not None:
            known = self._blueprint.policies.separations.get(name)
            return [] if known is None else [{"rule": known.name, "at": str(known.place)}]
        if kind == "frozen":
            return [{"rule": f"{entity.name}.frozen_from", "at": str(entity.place)}]
        return []

    def _move(self, name: str, entity: Entity) -> list[dict[str, Any]]:
        move = entity.transitions.get(name.partition(":")[0])
        return [] if move is None else [{"rule": f"{entity.name}.{move.name}", "at": str(move.place)}]

    def _field(self, name: str, entity: Entity) -> list[dict[str, Any]]:
        known = entity.fields.get(name)
        return [] if known is None else [{"rule": f"{entity.name}.{name}", "at": str(known.place)}]

    def _signs(self, name: str, roles: Iterable[str]) -> Iterator[dict[str, Any]]:
        meaning = name.partition(":")[2]
        for role in self._lineage(roles):
            if meaning in role.signs:
                yield {"rule": f"signs {meaning}", "at": str(role.place), "role": role.name}

    def _grants(self, name: str, entity: Entity, roles: Iterable[str]) -> Iterator[dict[str, Any]]:
        for role in self._lineage(roles):
            for effect, granted in (("allow", role.may), ("deny", role.never)):
                yield from self._clauses(granted.get(entity.name), name, role.name, effect)

    @staticmethod
    def _clauses(grants: EntityGrants | None, name: str, role: str, effect: str) -> Iterator[dict[str, Any]]:
        if grants is None:
            return
        for clause in grants.actions.get(name, ()):
            yield {"rule": clause.text, "at": str(clause.place), "role": role, "effect": effect}
        known = grants.mask.get(name.removeprefix("field:"))
        if name.startswith("field:") and known is not None:
            for clause in known:
                yield {"rule": clause.text, "at": str(clause.place), "role": role, "effect": "mask"}

    def _lineage(self, roles: Iterable[str]) -> list[Any]:
        policies = self._blueprint.policies
        if policies is None:
            return []
        found = {each.name: each for name in roles for each in policies.lineage(name)}
        return list(found.values())
