"""Types of what processes are answered with, made of their members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import GraphQLField, GraphQLList, GraphQLObjectType

from clew.api.build import Build, Factory, required

JSON: Mapping[str, Any] = {"ensure_ascii": False, "separators": (",", ":")}


def object_of(build: Build, name: str, members: Mapping[str, Any]) -> Factory:
    def fields() -> dict[str, GraphQLField]:
        found = {}
        for key, type_ in members.items():
            if isinstance(type_, str):
                inner = build.type(type_.lstrip("!"))
                type_ = required(inner) if type_.startswith("!") else required(GraphQLList(required(inner)))
            found[key] = build.field(type_, None)
        return found

    return lambda: GraphQLObjectType(name, fields)


def many(build: Build, name: str) -> Any:
    return required(GraphQLList(required(build.type(name))))
