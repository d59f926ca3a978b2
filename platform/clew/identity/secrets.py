"""Secrets at rest: slow hashes of what people know, digests of random tokens, sealed keys of code generators.

Passwords and PINs are argon2id hashes. Tokens are random, so their SHA-256 is enough. A TOTP key must be read again,
so it is encrypted (AES-256-GCM) with the installation's key, which comes from the settings and is never stored in the
database.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clew.identity.errors import SecretKeyMissing

LONGEST_SECRET = 256
"""Characters of a password that are looked at; longer input is refused before any work."""
_NONCE = 12


@dataclass(frozen=True, slots=True)
class Cost:
    """What one argon2id hash costs (RFC 9106, second recommended choice)."""

    passes: int = 3
    memory: int = 65_536
    """KiB."""
    lanes: int = 4


class Hasher:
    """argon2id in threads, a bounded number at a time: one hash takes the memory of `Cost`."""

    def __init__(self, cost: Cost | None = None, at_once: int = 4) -> None:
        cost = cost or Cost()
        self._argon = PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory, parallelism=cost.lanes)
        self._dummy = self._argon.hash(secrets.token_hex(16))
        self._room = asyncio.Semaphore(at_once)
        self.verified = 0
        """Verifications done, real and dummy: what a test of threat 28 counts."""

    async def hash(self, secret: str) -> str:
        async with self._room:
            return await asyncio.to_thread(self._argon.hash, secret)

    async def verify(self, stored: str | None, secret: str) -> bool:
        """Whether the secret is the one. Without a stored hash the same work is done; the answer is no."""
        async with self._room:
            right = await asyncio.to_thread(self._verify, stored or self._dummy, secret[:LONGEST_SECRET])
        self.verified += 1
        return right and stored is not None and len(secret) <= LONGEST_SECRET

    def _verify(self, stored: str, secret: str) -> bool:
        try:
            return self._argon.verify(stored, secret)
        except (VerificationError, InvalidHashError):
            return False


def new_token(prefix: str = "") -> str:
    """A random secret of 256 bits, ready for a header or cookie."""
    return prefix + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """How a random token is kept."""
    return hashlib.sha256(token.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


class Vault:
    """Seals small secrets with the installation's key. Without a key nothing can be sealed or opened."""

    def __init__(self, key: str | Callable[[], str | None] | None) -> None:
        """`key` may be asked for when it is first needed."""
        self._ask = key if callable(key) else lambda: key
        self._made: bytes | None = None

    def seal(self, secret: str, owner: UUID | str) -> str:
        """The sealed text. `owner` binds it: copied to another account it cannot be opened. Raises SecretKeyMissing."""
        nonce = os.urandom(_NONCE)
        sealed = self._cipher().encrypt(nonce, secret.encode(), str(owner).encode())
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def open(self, sealed: str, owner: UUID | str) -> str:
        """Raises SecretKeyMissing when it was sealed with another key or for another owner."""
        try:
            raw = base64.urlsafe_b64decode(sealed)
            return self._cipher().decrypt(raw[:_NONCE], raw[_NONCE:], str(owner).encode()).decode()
        except (InvalidTag, ValueError):
            raise SecretKeyMissing from None

    def sign(self, text: str) -> str:
        """A short proof that this installation made the text."""
        return hmac.new(self._key(), b"sign\x00" + text.encode(), hashlib.sha256).hexdigest()[:43]

    def _cipher(self) -> AESGCM:
        return AESGCM(self._key())

    def _key(self) -> bytes:
        if self._made is None:
            key = self._ask()
            if not key:
                raise SecretKeyMissing
            self._made = hashlib.sha256(b"clew vault 1\x00" + key.encode()).digest()
        return self._made


def installation_key(file: Path) -> str:
    """The key in a file that only its owner can read; made, once, when it is not there."""
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
    try:
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text(encoding="ascii").strip()
    with os.fdopen(made, "w", encoding="ascii") as opened:
        opened.write(secrets.token_urlsafe(32) + "\n")
    return file.read_text(encoding="ascii").strip()
