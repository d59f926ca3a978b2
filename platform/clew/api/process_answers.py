"""Types of what processes are answered with, made of their members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import GraphQLField, GraphQLList, GraphQLObjectType

from clew.api.build import Build, Factory, required

JSON: Mapping[str, Any] = {"ensure_ascii": False, "separators": (",", ":")}
USUAL = 50


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


def first_of(args: Mapping[str, Any], most: int) -> int:
    """How many are asked for; where nothing, or null, is said, as many as usual."""
    given = args.get("first")
    return max(0, min(USUAL if given is None else int(given), most))


def many(build: Build, name: str) -> Any:
    return required(GraphQLList(required(build.type(name))))
