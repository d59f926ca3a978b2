"""One caller's view of the API: types made when first asked for, only of what the caller may see.

A hidden name is never generated, so it answers exactly like a name that does not exist, in validation and in
introspection alike. Features bring types and fields; they find each other through `Build.type`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from graphql import GraphQLArgument, GraphQLField, GraphQLInputField, GraphQLNamedType, GraphQLNonNull

from clew.access.decision import Decision, EntityAccess
from clew.api.names import Names
from clew.kernel.text import Bilingual, Locale
from clew.metadata import naming
from clew.metadata.blueprint import Blueprint, Entity, Field, FieldKind

SPEC = "clew"
"""Where a GraphQL field or argument keeps what the planner needs to know about it."""

Factory = Callable[[], GraphQLNamedType]


class Feature(Protocol):
    """A part of the generated API. All members are functions of the view, called lazily."""

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        """Types by name. Cheap: factories run only when the type is needed."""
        ...


class Build:
    """What a feature builds with."""

    def __init__(self, blueprint: Blueprint, decision: Decision, locale: Locale, names: Names) -> None:
        self.blueprint, self.decision, self.locale, self.names = blueprint, decision, locale, names
        self._factories: dict[str, Factory] = {}
        self._types: dict[str, GraphQLNamedType] = {}
        self._seen: dict[str, bool] = {}
        self._members: dict[str, tuple[tuple[str, str], ...]] = {}
        self._further: dict[str, list[Callable[[], dict[str, GraphQLField]]]] = {}

    # ── types ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, types: Iterable[tuple[str, Factory]]) -> None:
        """Make types known by name."""
        self._factories.update(types)

    def extend(self, type_: str, fields: Callable[[], dict[str, GraphQLField]]) -> None:
        """Fields of another feature's type, made when that type is."""
        self._further.setdefault(type_, []).append(fields)

    def extends(self, type_: str) -> bool:
        """Whether any feature before added fields to a type."""
        return type_ in self._further

    def further(self, type_: str) -> dict[str, GraphQLField]:
        """What other features add to a type."""
        return {name: each for make in self._further.get(type_, ()) for name, each in make().items()}

    def type(self, name: str) -> Any:
        """The type of this name; KeyError when the caller's view has none."""
        found = self._types.get(name)
        if found is None:
            found = self._types[name] = self._factories[name]()
        return found

    def has(self, name: str) -> bool:
        return name in self._factories

    def type_names(self) -> Iterable[str]:
        return self._factories.keys()

    # ── what the caller may see ───────────────────────────────────────────────────────────────────────────────────

    def access(self, entity: str) -> EntityAccess:
        return self.decision.on(entity)

    def sees_entity(self, name: str) -> bool:
        seen = self._seen.get(name)
        if seen is None:
            seen = self._seen[name] = name in self.blueprint.entities and self.decision.on(name).read.allowed
        return seen

    def entities(self) -> Iterable[Entity]:
        """The entities the caller may read."""
        return (entity for entity in self.blueprint.entities.values() if self.sees_entity(entity.name))

    def targets(self, field: Field) -> tuple[str, ...]:
        """The entities a reference may lead to that the caller may read."""
        return tuple(name for name in field.targets if self.sees_entity(name))

    def sees(self, entity: Entity, member: str) -> bool:
        """Whether a field or way back exists for the caller: it and what it leads to."""
        if member == "id":
            return True
        if not self.access(entity.name).sees(member):
            return False
        known = entity.fields.get(member)
        if known is None:
            inverse = entity.inverses[member]
            return self.sees_entity(inverse.source) and self.access(inverse.source).sees(inverse.field)
        if known.kind in (FieldKind.REF, FieldKind.MANY, FieldKind.ANY):
            return bool(self.targets(known))
        if known.kind is FieldKind.LINES:
            return bool(self.targets(known)) and self.access(known.target).sees("owner")
        return known.computed is None or "sql" in known.computed.runs_in

    def members(self, entity: Entity) -> tuple[tuple[str, str], ...]:
        """(API name, blueprint name) of every member the caller may see."""
        found = self._members.get(entity.name)
        if found is None:
            names = self.names.members[entity.name].items()
            found = self._members[entity.name] = tuple(each for each in names if self.sees(entity, each[1]))
        return found

    # ── making ────────────────────────────────────────────────────────────────────────────────────────────────────

    def text(self, *texts: Bilingual) -> str | None:
        """The first text there is, in the caller's language."""
        return next((text.to(self.locale) for text in texts if text), None)

    def say(self, zh: str, en: str) -> str:
        return zh if self.locale == "zh" else en

    def field(
        self,
        type_: Any,
        spec: Any,
        description: str | None = None,
        args: Mapping[str, GraphQLArgument] | None = None,
    ) -> GraphQLField:
        """An output field with what the planner needs to know."""
        return GraphQLField(type_, args=dict(args or {}), description=description, extensions={SPEC: spec})

    def input(self, type_: Any, spec: Any = None, description: str | None = None) -> GraphQLInputField:
        return GraphQLInputField(type_, description=description, extensions={SPEC: spec})


def entity_type(name: str, suffix: str = "") -> str:
    """The API type of an entity: `Lot`, `LotConnection` …"""
    return naming.type_name(name) + suffix


def required(type_: Any) -> Any:
    return GraphQLNonNull(type_)


def spec_of(definition: Any) -> Any:
    """What a feature left on a GraphQL field, argument or input field."""
    return (definition.extensions or {}).get(SPEC)
