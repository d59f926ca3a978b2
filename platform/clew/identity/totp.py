"""Codes of a code generator (RFC 6238), each good for once: the time step that was used is remembered (threat 26)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pyotp
import sqlalchemy as sa

from clew.identity.secrets import same
from clew.storage import identity_tables
from clew.storage.engine import Connection

STEP_SECONDS = 30
DRIFT = 1
"""Steps a generator's clock may be early or late."""
_c = identity_tables.credential


def new_key() -> str:
    """160 random bits, base32."""
    return pyotp.random_base32()


def address(key: str, login: str, issuer: str) -> str:
    """The `otpauth://` address that a generator reads as a QR code."""
    return pyotp.TOTP(key).provisioning_uri(name=login, issuer_name=issuer)


def step_of(key: str, code: str, at: datetime) -> int | None:
    """The time step whose code this is; None when it is none of those near `at`."""
    if len(code) != 6 or not code.isascii() or not code.isdigit():
        return None
    now = int(at.timestamp()) // STEP_SECONDS
    generator = pyotp.TOTP(key)
    # Every step is looked at, so that the time taken does not tell which one it was.
    found = [step for step in range(now - DRIFT, now + DRIFT + 1) if same(generator.generate_otp(step), code)]
    return found[-1] if found else None


async def spend(connection: Connection, account: UUID, step: int) -> bool:
    """Use the code of a step. False when it, or a later one, was used before: of many at once one is first."""
    once = sa.update(_c).where(_c.c.account == account, _c.c.totp_step < step).values(totp_step=step)
    return await connection.execute(once) == 1
