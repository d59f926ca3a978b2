"""The role book of a project's policies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from clew.access.separations import broken
from clew.identity.ports import AnyRole, RoleBook
from clew.metadata.policies import Policies

DECIDING = frozenset({"accounts", "assignments", "identities"})


@dataclass(frozen=True, slots=True)
class PolicyBook:
    """What `permissions/` says about roles."""

    policies: Policies

    def knows(self, role: str) -> bool:
        return role in self.policies.roles

    def given_to(self, role: str) -> str:
        return self.policies.roles[role].kind

    def conflicts(self, roles: Iterable[str], until: date | None = None) -> tuple[str, ...]:
        return broken(self.policies, roles, until)

    def administrators(self) -> tuple[str, ...]:
        """Roles that administer accounts: what a first administrator is given."""
        return tuple(role.name for role in self.policies.roles.values() if "accounts" in role.administer)

    def names(self) -> tuple[str, ...]:
        return tuple(self.policies.roles)

    def deciding(self) -> tuple[str, ...]:
        """Roles that look after accounts, grant roles or confirm identities."""
        return tuple(role.name for role in self.policies.roles.values() if DECIDING & role.administer)

    def administering(self) -> tuple[str, ...]:
        """Roles that administer anything."""
        return tuple(role.name for role in self.policies.roles.values() if role.administer)


def book_of(policies: Policies | None) -> RoleBook:
    return AnyRole() if policies is None else PolicyBook(policies)
