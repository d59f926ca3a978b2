"""What was proven before the transaction: that the person in front of the screen is the signer, and what was on it.

Checking a secret is slow on purpose, so it happens before any row is locked. Inside the transaction only the binding is
checked: whose proof it is, how old, of what, and whether the components are enough (21 CFR 11.200).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from clew.kernel.context import Context

LOGIN = "login"
"""The identification code: it says who, and everybody may know it."""
PERSONAL = ("password", "pin", "totp", "sso")
"""Components only their owner can give; `sso` is a fresh sign-on at the identity provider."""
COMPONENTS = (LOGIN, *PERSONAL)

SESSION_BREAK = timedelta(minutes=10)
"""A session in which nothing was signed for longer is no longer one continuous period (domain F1)."""
PROOF_LASTS = timedelta(minutes=2)
"""A proof serves the request it was given with, however long that waits for its turn."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Components that somebody gave and that were right. `components` are names out of COMPONENTS."""

    account: UUID
    components: frozenset[str]
    at: datetime


@dataclass(frozen=True, slots=True)
class Signing:
    """A proof, and what the signer was shown: the version, the digest of its content, what the signature will mean."""

    proof: Proof
    row_version: int
    digest: str
    meaning: str


class Prover(Protocol):
    """Checks components against what is known of the caller; raises when one is wrong, and counts that."""

    async def prove(self, context: Context, components: Mapping[str, str]) -> Proof: ...


def enough(components: frozenset[str], *, continuing: bool) -> bool:
    """Whether these components carry a signature: all of them (who, and a secret) unless the session continues."""
    personal = components.intersection(PERSONAL)
    return bool(personal) and (continuing or len(components.intersection(COMPONENTS)) >= 2)
