"""What identity needs from rooms above it: a witness for what happened, and a role book that says what roles mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any, Protocol
from uuid import UUID

from clew.kernel.context import Context, Person
from clew.storage.engine import Connection

NOBODY = Person(id=UUID(int=0), login="", name="")
"""Who acts before anybody has proved who they are."""


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """Something the trail must know: `action` such as `login` or `account.disable`, and about which `subject`.

    `particulars` never hold a secret, and never what a stranger typed as a login: people type passwords there.
    """

    action: str
    subject: str
    subject_id: UUID
    context: Context
    particulars: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    reason: str | None = None


class Witness(Protocol):
    """Writes a security event into the trail, in the transaction of `connection`."""

    async def record(self, connection: Connection, event: SecurityEvent) -> None: ...


class RoleBook(Protocol):
    """What the policies say about roles."""

    def knows(self, role: str) -> bool: ...

    def given_to(self, role: str) -> str:
        """Whom the role may be given to: person, service or external."""
        ...

    def conflicts(self, roles: Iterable[str], until: date | None = None) -> tuple[str, ...]:
        """Separations that one holder of all these roles breaks, of those that have begun by the day `until`."""
        ...

    def names(self) -> tuple[str, ...]:
        """All roles, where they are known."""
        ...

    def deciding(self) -> tuple[str, ...]:
        """Roles whose holders decide about the access of others."""
        ...

    def administering(self) -> tuple[str, ...]:
        """Roles that administer anything of the platform."""
        ...


class AnyRole:
    """The role book of a project without policies: every name is a role, and none excludes another."""

    def knows(self, role: str) -> bool:
        return True

    def given_to(self, role: str) -> str:
        return ""

    def conflicts(self, roles: Iterable[str], until: date | None = None) -> tuple[str, ...]:
        return ()

    def names(self) -> tuple[str, ...]:
        return ()

    def deciding(self) -> tuple[str, ...]:
        return ()

    def administering(self) -> tuple[str, ...]:
        return ()
