"""Small Blueprints built by hand, for tests that want no YAML."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint, Entity, EntityClass, Field, FieldKind, Origin, Unique
from clew.metadata.project import Project

PLACE = Place("sample.yaml", 1, 1)
LABEL = Bilingual("样例", "Sample")


def field(name: str, kind: FieldKind | str = FieldKind.TEXT, **options: Any) -> Field:
    return Field(name, FieldKind(kind), LABEL, PLACE, **options)


def envelope() -> list[Field]:
    def own(name: str, kind: str, **options: Any) -> Field:
        return field(name, kind, origin=Origin.ENVELOPE, **options)

    return [
        own("id", "id", required=True),
        own("row_version", "integer", required=True),
        own("created_at", "datetime", required=True),
        own("updated_at", "datetime", required=True),
        own("voided_at", "datetime"),
    ]


def entity(name: str, fields: Iterable[Field], **options: Any) -> Entity:
    every = {each.name: each for each in (*envelope(), *fields)}
    options.setdefault("plural", f"{name}s")
    return Entity(name, LABEL, PLACE, EntityClass.MASTER, MappingProxyType(every), **options)


def unique(*fields: str, **options: Any) -> Unique:
    return Unique("_".join(fields), fields, PLACE, **options)


def blueprint(*entities: Entity) -> Blueprint:
    named = {each.name: each for each in entities}
    digest = hashlib.sha256(repr(sorted(named.items())).encode()).hexdigest()
    return Blueprint(
        Project("sample", LABEL, "1.0.0", "en", PLACE),
        MappingProxyType(named),
        MappingProxyType({}),
        MappingProxyType({}),
        digest,
        MappingProxyType({"sample": digest}),
    )


class Shelf:
    """Stands in for the loader: gives back the Blueprint that a stored source bundle was made from."""

    def __init__(self, *known: Blueprint) -> None:
        self._known = {each.digest: each for each in known}

    def __call__(self, sources: Mapping[str, str]) -> Blueprint:
        return self._known[sources["sample"]]
