"""The API as one caller sees it: a lazy schema for a decision and a language, and the release's name table."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from graphql import GraphQLSchema, print_schema

from clew.access.decision import Decision
from clew.api.aggregates import Aggregates
from clew.api.build import Build, Feature
from clew.api.connections import Connections
from clew.api.filters import Filters
from clew.api.lazy_schema import LazySchema
from clew.api.leaves import Leaves
from clew.api.names import Names
from clew.api.ordering import Ordering
from clew.api.records import Records
from clew.api.roots import Roots
from clew.api.signatures import SignatureTypes
from clew.kernel.text import Locale
from clew.metadata.blueprint import Blueprint

READ_FEATURES: tuple[Feature, ...] = (
    Leaves(),
    Filters(),
    Ordering(),
    Aggregates(),
    Connections(),
    Records(),
    SignatureTypes(),
    Roots(),
)


class View:
    """One caller's API."""

    def __init__(self, build: Build, features: Iterable[Feature]) -> None:
        self.build = build
        for feature in features:
            build.add(feature.types(build))
        self.schema = LazySchema(build)
        self._whole: GraphQLSchema | None = None
        self.documents: OrderedDict[Any, Any] = OrderedDict()

    def whole(self) -> GraphQLSchema:
        """The complete schema, for introspection."""
        if self._whole is None:
            self._whole = self.schema.whole()
        return self._whole

    def sdl(self) -> str:
        """The schema as text."""
        return print_schema(self.whole())


class Views:
    """The views of one release, by decision and language; the least recently used goes first."""

    def __init__(self, blueprint: Blueprint, features: Iterable[Feature] = READ_FEATURES, keep: int = 64) -> None:
        self.blueprint, self._features, self._keep = blueprint, tuple(features), keep
        self.names = Names(blueprint)
        self._views: OrderedDict[tuple[str, Locale], View] = OrderedDict()

    def view(self, decision: Decision, locale: Locale) -> View:
        """The view of a decision."""
        key = (decision.digest, locale)
        found = self._views.get(key)
        if found is None:
            found = View(Build(self.blueprint, decision, locale, self.names), self._features)
            self._views[key] = found
            if len(self._views) > self._keep:
                self._views.popitem(last=False)
        else:
            self._views.move_to_end(key)
        return found
