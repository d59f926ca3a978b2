"""Who asks, from where, in which language. Passed explicitly; there is no ambient current user."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from clew.kernel.text import Locale


@dataclass(frozen=True, slots=True)
class Person:
    """The person or service account behind a request: what `user.` means in expressions."""

    id: UUID
    login: str
    name: str
    roles: tuple[str, ...] = ()
    sites: tuple[UUID, ...] = ()
    site: UUID | None = None
    department: UUID | None = None
    employee: UUID | None = None


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
