"""The checkpoints a log is held against, in order of size: those of the database and those kept outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clew.audit.errors import NotACheckpoint
from clew.audit.sealing.checkpoints import Stored
from clew.audit.sealing.keys import NamedKey
from clew.audit.sealing.notes import Checkpoint, Note, key_hash, public_key, read_note
from clew.audit.sealing.outside import SUFFIX, folder_name
from clew.audit.verify.findings import Finding


@dataclass(frozen=True, slots=True)
class Keys:
    """Public keys by their hash, those that may be believed."""

    by_hash: Mapping[str, bytes]
    findings: tuple[Finding, ...]
    earlier: frozenset[str] = frozenset()
    """Those named before the trusted one. Nobody vouches for them but a later checkpoint of the trusted key, or of one
    endorsed under it, whose log begins with theirs: whoever owns the database can name any key first."""

    def judge(self, note: Note) -> Finding | None:
        public = self.by_hash.get(note.key)
        if public is not None and note.signed_by(public):
            return None
        return Finding("checkpoint_unsigned", size=note.checkpoint.size, detail=f"key {note.key}")


def keys_of(origin: str, named: Sequence[NamedKey], trusted: str | None) -> Keys:
    """The keys a log names, and what is wrong with them. `trusted` is a verifier key kept outside.

    A key that nobody endorsed counts only if it is the trusted one; those before the trusted one are `earlier`.
    """
    earlier: set[str] = set()
    good: dict[str, bytes] = {}
    findings = []
    begun = trusted is None
    before: str | None = None
    for each in named:
        try:
            public = public_key(each.key)
        except ValueError:
            findings.append(Finding("key_unendorsed", leaf_id=each.leaf_id, detail="unreadable"))
            continue
        if each.key == trusted:
            begun = True
        elif each.previous != before or not each.endorsed:
            findings.append(Finding("key_unendorsed", leaf_id=each.leaf_id, detail=key_hash(origin, public).hex()))
            continue
        before = each.key
        good[key_hash(origin, public).hex()] = public
        if not begun:
            earlier.add(key_hash(origin, public).hex())
    if not begun:
        findings.append(Finding("key_foreign", detail=trusted or ""))
    return Keys(good, tuple(findings), frozenset(earlier) if begun else frozenset())


def judge_stored(stored: Stored, origin: str, keys: Keys) -> Iterator[Finding]:
    """What is wrong with a checkpoint of the database by itself."""
    try:
        note = read_note(stored.note)
    except NotACheckpoint:
        yield Finding("checkpoint_altered", size=stored.size, detail="unreadable")
        return
    expected = Checkpoint(origin, stored.size, bytes.fromhex(stored.root), stored.at)
    if note.checkpoint != expected or note.key != stored.key:
        yield Finding("checkpoint_altered", size=stored.size)
    if (wrong := keys.judge(note)) is not None:
        yield wrong


class Outside:
    """The checkpoints of one log in a folder outside, read one by one."""

    def __init__(self, folder: Path, origin: str) -> None:
        here = folder / folder_name(origin)
        self._files = sorted((here if here.is_dir() else folder).glob(f"*{SUFFIX}"))
        self._origin = origin

    def __len__(self) -> int:
        return len(self._files)

    def notes(self) -> Iterator[Note]:
        """In order of size; those of other logs are passed over. Raises NotACheckpoint."""
        for file in self._files:
            try:
                note = read_note(file.read_text(encoding="utf-8"))
            except (NotACheckpoint, UnicodeDecodeError):
                raise NotACheckpoint(what=file) from None
            if note.checkpoint.origin == self._origin:
                yield note
