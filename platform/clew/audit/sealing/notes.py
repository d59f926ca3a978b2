"""Checkpoints as text: signed notes in the form transparency logs use (C2SP `tlog-checkpoint`, `signed-note`).

    clew.audit/<database id>
    <entries>
    <root, base64>
    at <instant>

    — clew.audit/<database id> <base64 of 4 bytes key hash, 64 bytes Ed25519 signature>

What is signed is the text before the empty line, its last line feed included.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from clew.audit.errors import NotACheckpoint
from clew.kernel.scalars import instant_text, parse_instant

_ED25519 = b"\x01"
_AT = "at "


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: so many entries under this root, at this time."""

    origin: str
    size: int
    root: bytes
    at: datetime

    def text(self) -> str:
        lines = (self.origin, str(self.size), _b64(self.root), _AT + instant_text(self.at))
        return "\n".join(lines) + "\n"

    def signed(self, key: Ed25519PrivateKey) -> str:
        """The note: text and signature line."""
        body, public = self.text(), key.public_key().public_bytes_raw()
        blob = key_hash(self.origin, public) + key.sign(body.encode())
        return f"{body}\n— {self.origin} {_b64(blob)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A checkpoint as it was read, with the key hash and signature it carries."""

    checkpoint: Checkpoint
    key: str
    signature: bytes
    body: str

    def signed_by(self, public: bytes) -> bool:
        """Whether this public key signed it."""
        if key_hash(self.checkpoint.origin, public).hex() != self.key:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(self.signature, self.body.encode())
        except InvalidSignature:
            return False
        return True


def read_note(text: str) -> Note:
    """A note's parts. Raises NotACheckpoint; says nothing about whether the signature is good."""
    try:
        body, _, signatures = text.partition("\n\n")
        origin, size, root, at = body.split("\n")
        dash, name, blob64 = signatures.rstrip("\n").split(" ")
        blob = base64.b64decode(blob64, validate=True)
        if dash != "—" or name != origin or len(blob) != 68 or not at.startswith(_AT):
            raise ValueError
        checkpoint = Checkpoint(origin, _count(size), base64.b64decode(root, validate=True), parse_instant(at[3:]))
    except ValueError:
        raise NotACheckpoint(what=repr(text[:40])) from None
    if len(checkpoint.root) != 32 or checkpoint.text() != body + "\n":
        raise NotACheckpoint(what=repr(text[:40]))
    return Note(checkpoint, blob[:4].hex(), blob[4:], body + "\n")


def key_hash(name: str, public: bytes) -> bytes:
    """What tells a log's keys apart (signed-note): the beginning of SHA-256 over name, line feed, algorithm, key."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def verifier_key(name: str, public: bytes) -> str:
    """A public key as text, to be kept by those who verify: `<name>+<key hash>+<base64>`."""
    return f"{name}+{key_hash(name, public).hex()}+{_b64(_ED25519 + public)}"


def public_key(text: str) -> bytes:
    """The raw public key of a verifier key. Raises ValueError when it is none."""
    name, key, blob64 = text.strip().split("+", 2) if text.count("+") >= 2 else ("", "", "")
    blob = base64.b64decode(blob64, validate=True)
    if len(blob) != 33 or blob[:1] != _ED25519 or key_hash(name, blob[1:]).hex() != key:
        raise ValueError("not a verifier key")
    return blob[1:]


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or (text != "0" and text.startswith("0")):
        raise ValueError(text)
    return int(text)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
