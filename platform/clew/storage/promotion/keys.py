"""Ed25519 keys that seal bundles: the private one in a file of the installation, public ones known to production."""

from __future__ import annotations

import hashlib
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from clew.kernel.canonical import canonical_json
from clew.storage.promotion.errors import KeyUnreadable

_DOMAIN = b"clew-promotion-1\n"
"""Put before what is sealed, so that a seal of ours means nothing anywhere else."""
_PREFIX = "ed25519:"


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A private key. `id` is the first 16 hex digits of the SHA-256 of its public half."""

    id: str
    public: str
    """`ed25519:` and the raw public key in base64."""
    _private: Ed25519PrivateKey

    def seal(self, content: Mapping[str, Any]) -> str:
        """Base64 of the signature over the canonical form of `content`."""
        return b64encode(self._private.sign(_DOMAIN + canonical_json(content))).decode()


def new_key(file: Path) -> SealingKey:
    """Make a key and write it where only its owner may read. Raises FileExistsError rather than replace one."""
    private = Ed25519PrivateKey.generate()
    text = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(text)
    return _of(private)


def read_key(file: Path) -> SealingKey:
    """Raises KeyUnreadable."""
    try:
        private = load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as problem:
        raise KeyUnreadable(file=file, what=str(problem)) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyUnreadable(file=file, what=type(private).__name__)
    return _of(private)


def read_trusted(file: Path) -> dict[str, str]:
    """Public keys of a file, one a line (`ed25519:…`, a name may follow), by their ids. Raises KeyUnreadable."""
    found: dict[str, str] = {}
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        for line in lines:
            if line.strip() and not line.startswith("#"):
                public = line.split()[0]
                found[key_id(public)] = public
    except (OSError, ValueError) as problem:
        raise KeyUnreadable(file=file, what=str(problem)) from None
    if not found:
        raise KeyUnreadable(file=file, what="empty")
    return found


def key_id(public: str) -> str:
    """Raises ValueError for a text that is no public key."""
    return hashlib.sha256(_raw(public)).hexdigest()[:16]


def sealed_by(public: str, content: Mapping[str, Any], seal: str) -> bool:
    """Whether `seal` is the signature of this key over exactly this content."""
    try:
        key = Ed25519PublicKey.from_public_bytes(_raw(public))
        key.verify(b64decode(seal, validate=True), _DOMAIN + canonical_json(content))
    except (InvalidSignature, ValueError):
        return False
    return True


def _of(private: Ed25519PrivateKey) -> SealingKey:
    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    public = _PREFIX + b64encode(raw).decode()
    return SealingKey(key_id(public), public, private)


def _raw(public: str) -> bytes:
    if not public.startswith(_PREFIX):
        raise ValueError("a public key begins with ed25519:")
    raw = b64decode(public.removeprefix(_PREFIX), validate=True)
    if len(raw) != 32:
        raise ValueError("an Ed25519 public key has 32 bytes")
    return raw
