"""What a project says of itself: its name and language, whose records are its people, what its plugins do and carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual


@dataclass(frozen=True, slots=True)
class People:
    """Which entity's records are people: its login and name fields, the ways to department and site, and the states in
    which an account is disabled (`away`) or everything ends (`left`)."""

    entity: str
    login: str
    name: str
    department: str | None = None
    site: str | None = None
    away: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    manager: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Assignments:
    """Which entity's records give roles, field by field; they count in the states of `active`."""

    entity: str
    person: str
    role: str
    sites: str | None
    families: str | None
    start: str
    end: str | None
    delegator: str | None
    active: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Positions:
    """Positions: their code, the states in which they count (empty: all), the line entity that lists holders, its
    reference to the person and the days it began and ended."""

    entity: str
    lines: str
    person: str
    end: str
    start: str | None = None
    code: str = "code"
    active: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Training:
    """Records of training: of whom, in what, until when, and the states in which they count."""

    entity: str
    person: str
    course: str
    end: str | None
    valid: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """Which records of the project stand for what `clew.identity` knows."""

    people: People
    assignments: Assignments | None = None
    positions: Positions | None = None
    training: Training | None = None


@dataclass(frozen=True, slots=True)
class PluginAction:
    """What a plugin does with a record of an entity in an automatic step."""

    name: str
    plugin: str
    entity: str
    label: Bilingual
    place: Place
    """Where its plugin is named."""
    writes: frozenset[str] | None = None
    """The only fields of the record it may write; None for any."""
    makes: frozenset[str] | None = None
    """What it makes: an entity whose records it creates, or `entity.transition` (`void` too); None for anything."""

    def may_make(self, entity: str, verb: str) -> bool:
        """Whether it says that it creates records of an entity (`create`), or moves them so."""
        return self.makes is None or (entity if verb == "create" else f"{entity}.{verb}") in self.makes


@dataclass(frozen=True, slots=True)
class Channel:
    """A way by which a plugin carries notices to people, beside the application's own."""

    name: str
    plugin: str
    place: Place
    """Where its plugin is named."""
    about: tuple[str, ...] = ()
    """Kinds of notices it carries; empty: all."""


@dataclass(frozen=True, slots=True)
class Project:
    name: str
    label: Bilingual
    version: str
    locale: str
    place: Place
    time_zone: str = "UTC"
    company: str = ""
    identity: Identity | None = None
    actions: Mapping[str, PluginAction] = field(default_factory=lambda: MappingProxyType({}))
    channels: Mapping[str, Channel] = field(default_factory=lambda: MappingProxyType({}))
