"""A GraphQL schema whose types come into being when somebody looks at them.

graphql-core collects every reachable type when a schema is made; with some 1,500 types and one view per set of grants
that would cost seconds and hundreds of megabytes. Validation of a document touches a handful. Only introspection and
printing see the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphql import (
    DirectiveLocation,
    GraphQLDirective,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    introspection_types,
    specified_directives,
)
from graphql.type.schema import InterfaceImplementations

from clew.api.build import Build, entity_type

IF_VISIBLE = GraphQLDirective(
    "ifVisible",
    [DirectiveLocation.FIELD, DirectiveLocation.INLINE_FRAGMENT, DirectiveLocation.FRAGMENT_SPREAD],
    description="Silently left out when it does not exist for the caller, so that one document serves several roles.",
)
DIRECTIVES = (*specified_directives, IF_VISIBLE)


class LazyTypes(dict[str, GraphQLNamedType]):
    """Types by name, made on demand; looks like a full mapping."""

    def __init__(self, build: Build) -> None:
        super().__init__(introspection_types)
        self._build = build

    def get(self, name: str, default: Any = None) -> Any:
        found = super().get(name)
        if found is None and self._build.has(name):
            found = self[name] = self._build.type(name)
        return found if found is not None else default

    def __missing__(self, name: str) -> GraphQLNamedType:
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found  # type: ignore[no-any-return]

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and self._build.has(name))

    def complete(self) -> None:
        """Make every type there is."""
        for name in list(self._build.type_names()):
            self.get(name)

    def __iter__(self) -> Iterator[str]:
        self.complete()
        return super().__iter__()

    def keys(self) -> Any:
        self.complete()
        return super().keys()

    def values(self) -> Any:
        self.complete()
        return super().values()

    def items(self) -> Any:
        self.complete()
        return super().items()


class LazySchema(GraphQLSchema):
    """The schema of one view. Valid by construction; a test prints and validates a whole one."""

    def __init__(self, build: Build) -> None:
        self.build = build
        self.assume_valid = True
        self._validation_errors = []
        self.description, self.extensions, self.ast_node, self.extension_ast_nodes = None, {}, None, ()
        self.query_type = build.type("Query")
        self.mutation_type = build.type("Mutation") if build.has("Mutation") else None
        self.subscription_type = build.type("Subscription") if build.has("Subscription") else None
        self.directives = DIRECTIVES
        self._lazy = LazyTypes(build)
        self.type_map = self._lazy
        self._implementations_map, self._sub_type_map = {}, {}

    def get_implementations(self, interface_type: GraphQLInterfaceType) -> InterfaceImplementations:
        objects = [self.build.type(entity_type(entity.name)) for entity in self.build.entities()]
        assert all(isinstance(each, GraphQLObjectType) for each in objects)
        return InterfaceImplementations(objects=objects if interface_type.name == "Node" else [], interfaces=[])

    def whole(self) -> GraphQLSchema:
        """An ordinary schema with all the types, for printing and for introspection."""
        self._lazy.complete()
        return GraphQLSchema(
            self.query_type, self.mutation_type, self.subscription_type, directives=DIRECTIVES, assume_valid=True
        )
