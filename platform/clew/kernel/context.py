"""Who asks, from where, in which language. Passed explicitly; there is no ambient current user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from uuid import UUID

from clew.kernel.text import Locale


@dataclass(frozen=True, slots=True)
class Scope:
    """What the assignment to one role reaches: these sites and product families, None for all. Empty reaches none."""

    sites: tuple[UUID, ...] | None = ()
    families: tuple[str, ...] | None = ()


OPERATOR_ID = UUID("00000000-0000-7000-8000-000000000001")
"""Whoever works at this machine's command line."""
PLATFORM_ID = UUID("00000000-0000-7000-8000-000000000002")
"""The platform itself: timers, sealing, what happens by the calendar."""
NOWHERE = Scope()
EVERYWHERE = Scope(None, None)


def united(one: Scope, other: Scope) -> Scope | None:
    """What both give together; None when no single scope says exactly that (site A for family X, site B for Y)."""
    if _within(other.sites, one.sites) and _within(other.families, one.families):
        return one
    if _within(one.sites, other.sites) and _within(one.families, other.families):
        return other
    if _alike(one.families, other.families):
        return Scope(tuple(dict.fromkeys((*(one.sites or ()), *(other.sites or ())))), one.families)
    if _alike(one.sites, other.sites):
        return Scope(one.sites, tuple(dict.fromkeys((*(one.families or ()), *(other.families or ())))))
    return None


def _within(inner: tuple[object, ...] | None, outer: tuple[object, ...] | None) -> bool:
    return outer is None or (inner is not None and set(inner) <= set(outer))


def _alike(one: tuple[object, ...] | None, other: tuple[object, ...] | None) -> bool:
    return _within(one, other) and _within(other, one)


@dataclass(frozen=True, slots=True)
class Person:
    """The person or service account behind a request: what `user.` means in expressions.

    `id` is the account. `sites` and `families` are those of all assignments together; `scopes` keeps them apart by
    role, because a role held at one site says nothing about a role held at another.
    """

    id: UUID
    login: str
    name: str
    roles: tuple[str, ...] = ()
    sites: tuple[UUID, ...] = ()
    site: UUID | None = None
    department: UUID | None = None
    employee: UUID | None = None
    families: tuple[str, ...] = ()
    party: UUID | None = None
    """The supplier, customer or other record an external user acts for."""
    scopes: Mapping[str, Scope] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    def scope(self, role: str) -> Scope:
        """What the person's assignment to a role reaches; nothing when there is none."""
        return self.scopes.get(role, NOWHERE)

    def fact(self, name: str) -> Any:
        """`user.<name>`. `sites@<role>` and `families@<role>` are those of the assignment to one role; empty when
        they are not listed, because where an assignment is for all nothing asks."""
        fact, _, role = name.partition("@")
        if not role:
            return getattr(self, fact)
        scope = self.scope(role)
        return (scope.sites if fact == "sites" else scope.families) or ()


@dataclass(frozen=True, slots=True)
class Context:
    """One request's circumstances. `request_id` correlates log, trail and answer."""

    person: Person
    request_id: str
    locale: Locale = "en"
    on_behalf_of: Person | None = None
    client: str = ""
    channel: str = "api"
    session: str | None = field(default=None, repr=False)
    epoch: int = 0
