"""The keys checkpoints are signed with: read from outside the database, named in the log, changed under the old one.

The private key never touches the database. Its public half stands in the trail as an event about the log, in force
from there on; a later key is endorsed by the one before it, so whoever knows the first can follow.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from clew.audit.errors import AuditKeyMissing, AuditKeyUnknown, AuditKeyUnreadable
from clew.audit.leaf import told
from clew.audit.sealing.notes import public_key, verifier_key
from clew.audit.trail import record_event
from clew.kernel.context import Context
from clew.settings import Settings
from clew.storage import system
from clew.storage.engine import Connection

ACTION, SUBJECT = "key", "clew.log"
_PEM = "-----BEGIN"


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A public key as the trail names it. `endorsement` is the signature of the key before over `statement(key)`."""

    leaf_id: UUID
    key: str
    previous: str | None
    endorsement: str | None

    @property
    def endorsed(self) -> bool:
        """Whether the key before says so. The first needs nobody's word: it is compared with what was kept outside."""
        if self.previous is None:
            return True
        if self.endorsement is None:
            return False
        try:
            before = Ed25519PublicKey.from_public_bytes(public_key(self.previous))
            before.verify(base64.b64decode(self.endorsement), statement(self.key))
        except (InvalidSignature, ValueError):
            return False
        return True


def statement(key: str) -> bytes:
    """What the old key signs to hand over to a new one."""
    return f"clew.audit key\n{key}\n".encode()


def new_key() -> str:
    """A fresh private key as PEM text."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def read_key(text: str) -> Ed25519PrivateKey:
    """The key of a PEM text. Raises AuditKeyUnreadable."""
    try:
        key = load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError):
        raise AuditKeyUnreadable from None
    if not isinstance(key, Ed25519PrivateKey):
        raise AuditKeyUnreadable
    return key


def configured_key(settings: Settings) -> Ed25519PrivateKey:
    """The key the settings name. While developing, a missing one is made.

    Raises AuditKeyMissing, AuditKeyUnreadable.
    """
    if settings.audit_key.startswith(_PEM):
        return read_key(settings.audit_key)
    file = settings.audit_key_file
    if not file.exists():
        if settings.audit_key or settings.production:
            raise AuditKeyMissing(file=file)
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass  # another process was quicker
        else:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(new_key())
    return read_key(file.read_text(encoding="utf-8"))


async def origin_of(connection: Connection) -> tuple[str, UUID]:
    """The log's name and the database's id it is made of."""
    database_id = await connection.fetch_value(sa.select(system.platform.c.database_id))
    return f"clew.audit/{database_id}", database_id


async def named_keys(connection: Connection) -> list[NamedKey]:
    """All keys the trail names, in their order."""
    leaf, (_, database_id) = system.leaf, await origin_of(connection)
    query = sa.select(leaf.c.leaf_id, leaf.c.fields).where(
        leaf.c.record_id == database_id, leaf.c.row_version == 0, leaf.c.entity == SUBJECT, leaf.c.action == ACTION
    )
    rows = await connection.fetch(query.order_by(leaf.c.at, leaf.c.leaf_id))
    return [_named(row[0], row[1]) for row in rows]


def _named(leaf_id: UUID, fields: str) -> NamedKey:
    said = told(fields)
    return NamedKey(leaf_id, str(said.get("key") or ""), said.get("previous"), said.get("endorsement"))


async def ensure_named(connection: Connection, context: Context, release: str, key: Ed25519PrivateKey) -> str:
    """Name the first key in the trail, or see that the configured one is the last named. Its verifier key.

    Raises AuditKeyUnknown.
    """
    origin, database_id = await origin_of(connection)
    mine, known = verifier_key(origin, key.public_key().public_bytes_raw()), await named_keys(connection)
    if not known:
        await record_event(connection, context, release, ACTION, SUBJECT, database_id, {"key": mine})
    elif known[-1].key != mine:
        raise AuditKeyUnknown(expected=_short(known[-1].key), found=_short(mine))
    return mine


async def rotate(
    connection: Connection,
    context: Context,
    release: str,
    new: Ed25519PrivateKey,
    old: Ed25519PrivateKey | None,
    reason: str,
) -> str:
    """Name another key; the verifier key. Without `old` (it is lost) nobody endorses it, and verification says so.

    Raises AuditKeyUnknown when `old` is not the key in force.
    """
    origin, database_id = await origin_of(connection)
    known = await named_keys(connection)
    previous = known[-1].key if known else None
    if old is not None and verifier_key(origin, old.public_key().public_bytes_raw()) != previous:
        raise AuditKeyUnknown(
            expected=_short(previous or "—"), found=_short(verifier_key(origin, old.public_key().public_bytes_raw()))
        )
    mine = verifier_key(origin, new.public_key().public_bytes_raw())
    particulars = {
        "key": mine,
        "previous": previous,
        "endorsement": base64.b64encode(old.sign(statement(mine))).decode() if old is not None else None,
        "possession": base64.b64encode(new.sign(statement(mine))).decode(),
    }
    await record_event(connection, context, release, ACTION, SUBJECT, database_id, particulars, reason)
    return mine


def _short(key: str) -> str:
    return key.split("+")[1] if key.count("+") >= 2 else key
