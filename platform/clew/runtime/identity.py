"""What identity keeps across releases, and identity under the policies of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from clew.audit.trail import Trail
from clew.identity.book import book_of
from clew.identity.desk import Desk, desk
from clew.identity.policy import CredentialPolicy
from clew.identity.secrets import Hasher, Vault, installation_key
from clew.identity.sessions import Limits
from clew.kernel.clock import Clock
from clew.metadata.blueprint import Blueprint
from clew.process.people import OfferingWitness
from clew.settings import Settings
from clew.storage.engine import Database


@dataclass(frozen=True, slots=True)
class IdentityParts:
    """What identity keeps across releases."""

    vault: Vault
    policy: CredentialPolicy
    limits: Limits
    hasher: Hasher


def identity_parts(settings: Settings) -> IdentityParts:
    """What the settings say about credentials and sessions."""
    policy = CredentialPolicy(
        length=settings.password_length,
        max_age=timedelta(days=settings.password_days) if settings.password_days else None,
        pin_max_age=timedelta(days=settings.pin_days) if settings.pin_days else None,
        tries=settings.sign_in_tries,
        lock=timedelta(seconds=settings.sign_in_lock),
    )
    limits = Limits(timedelta(seconds=settings.session_idle), timedelta(seconds=settings.session_limit))

    def key() -> str | None:
        if settings.secret_key:
            return settings.secret_key
        # Many nodes on one server would each make a key of their own and not read each other's secrets.
        shared = settings.production and bool(settings.database_url)
        return None if shared else installation_key(settings.state_folder / "secret.key")

    return IdentityParts(Vault(key), policy, limits, Hasher())


def identity_desk(parts: IdentityParts, blueprint: Blueprint, database: Database, clock: Clock) -> Desk:
    """Identity under one release's policies, witnessed by the trail."""
    return desk(
        database,
        clock,
        OfferingWitness(Trail()),
        parts.vault,
        policy=parts.policy,
        limits=parts.limits,
        hasher=parts.hasher,
        roles=book_of(blueprint.policies),
    )
