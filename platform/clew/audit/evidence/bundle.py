"""Writing an evidence bundle: a folder or zip that whoever has the verifier, and the log's public key, can prove.

evidence.json    what it is about, when it was made, what was redacted
checkpoint.txt   the signed checkpoint everything is proven against
keys.json        the keys the log names, the first one first
entries.jsonl    one entry of the log a line: index, header, fields, digest, inclusion proof
signatures.jsonl electronic signatures, with the bytes that were signed
releases/N.json  the project's files of every release that wrote one of the entries
index.html       the same for people
clew_verify.py   the stand-alone verifier
SHA256SUMS       the manifest
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from clew.audit import erasures
from clew.audit.emptied import ids_in
from clew.audit.errors import NothingSealed
from clew.audit.evidence import page
from clew.audit.evidence.collect import PAGE, About, Entry, entries, subjects, unsealed
from clew.audit.evidence.naming import Names
from clew.audit.sealing import checkpoints
from clew.audit.sealing.keys import named_keys, origin_of
from clew.audit.signatures import Signature, of_record, one
from clew.kernel.canonical import canonical_json
from clew.kernel.text import Locale
from clew.storage.engine import Connection, Database
from clew.storage.releases import numbered
from clew.storage.tables import Tables

FORMAT = "clew-evidence-1"
VERIFIER = Path(__file__).parents[1] / "verifier" / "clew_verify.py"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the bundle is to be. `hidden` names fields whose values are left out."""

    about: About
    locale: Locale
    made_at: datetime
    hidden: frozenset[str] = frozenset()


@dataclass(slots=True)
class Made:
    """What went into a bundle."""

    entries: int = 0
    signatures: int = 0
    size: int = 0
    unsealed: int = 0
    releases: list[int] = field(default_factory=list)


async def write_bundle(database: Database, tables: Tables, wanted: Wanted, path: Path) -> Made:
    """Write the evidence to `path`: a zip when its name ends so, else a new folder. Raises NothingSealed."""
    made = Made()
    async with database.read() as connection:
        checkpoint = await checkpoints.newest(connection)
        if checkpoint is None:
            raise NothingSealed
        made.size = checkpoint.size
        ids = await subjects(connection, tables, wanted.about) if wanted.about.record_id else {}
        flat = [each for some in ids.values() for each in some]
        made.unsealed = await unsealed(connection, wanted.about, flat, made.size)
        names = Names(connection, tables, wanted.hidden)
        await names.begin()
        if wanted.about.entity is not None and wanted.about.record_id is not None:
            await names.look_up({wanted.about.entity: {wanted.about.record_id}})
        reader = page.Reader(tables.blueprint, wanted.locale, names)
        origin, _ = await origin_of(connection)
        with _open(path) as bundle:
            await _entries(connection, bundle, reader, wanted, flat, checkpoint, made)
            bundle.put("checkpoint.txt", checkpoint.note)
            bundle.put("keys.json", _json([_key(each) for each in await named_keys(connection)]))
            for number in made.releases:
                await _release(database, bundle, number)
            bundle.put("clew_verify.py", VERIFIER.read_text(encoding="utf-8"))
            about = {
                "format": FORMAT,
                "origin": origin,
                **wanted.about.to_json(),
                "made_at": wanted.made_at,
                "locale": wanted.locale,
                "size": made.size,
                "entries": made.entries,
                "unsealed": made.unsealed,
                "redacted": sorted(wanted.hidden),
            }
            bundle.put("evidence.json", _json(about))
            bundle.finish()
    return made


async def _entries(
    connection: Connection,
    bundle: _Bundle,
    reader: page.Reader,
    wanted: Wanted,
    ids: list[Any],
    checkpoint: checkpoints.Stored,
    made: Made,
) -> None:
    """Entries, the page and signatures, row by row, so that a long period needs no memory."""
    seen: set[int] = set()
    signed: list[Signature] = []
    with bundle.stream("index.html") as html, bundle.stream("entries.jsonl") as lines:
        html.write(page.head(reader, _title(reader, wanted.about), _facts(reader, wanted, made)).encode())
        async for entry in _named(reader.names, entries(connection, wanted.about, ids, made.size, wanted.hidden)):
            line = {
                "index": entry.index,
                "leaf_id": entry.leaf_id,
                "header": entry.header_text,
                "fields": entry.values(),
                "digest": entry.digest,
                "proof": [each.hex() for each in entry.proof],
            }
            lines.write(canonical_json(line) + b"\n")
            html.write(page.row(reader, entry, wanted.hidden).encode())
            made.entries += 1
            if str(entry.header["release"]).isdigit():
                seen.add(int(entry.header["release"]))
            signed += await _signature(connection, entry.header, entry.values())
        html.write(page.foot(reader, signed, checkpoint.note).encode())
    made.releases = sorted(seen)
    made.signatures = len(signed)
    bare = {each.signature_id for each in signed if wanted.hidden or await _over_erased(connection, each)}
    text = "".join(canonical_json(_told(each, each.signature_id in bare)).decode() + "\n" for each in signed)
    bundle.put("signatures.jsonl", text)


async def _named(names: Names, found: AsyncIterator[Entry]) -> AsyncIterator[Entry]:
    """The same entries; what they refer to is looked up for many of them at once."""
    waiting: list[Entry] = []
    async for entry in found:
        waiting.append(entry)
        if len(waiting) == PAGE:
            await names.learn(waiting)
            for each in waiting:
                yield each
            waiting = []
    await names.learn(waiting)
    for each in waiting:
        yield each


async def _signature(connection: Connection, header: Mapping[str, Any], fields: Mapping[str, Any]) -> list[Signature]:
    """The signature an entry tells of."""
    if not str(header["action"]).startswith("sign:"):
        return []
    wanted = fields.get("signature", {}).get("n")
    if wanted is None:
        found = await of_record(connection, [header["entity"]], header["record_id"])
        return [each for each in found if str(each.leaf_id) == header["leaf_id"]]
    known = await one(connection, wanted)
    return [known] if known is not None else []


async def _over_erased(connection: Connection, signature: Signature) -> bool:
    """Whether the signed bytes hold personal values that were erased since: they are kept, and not handed out."""
    try:
        content = signature.signed().get("content")
    except ValueError:
        return False
    found = await erasures.of_records(connection, ids_in(content))
    return any(each.at >= signature.signed_at for some in found.values() for each in some)


def _told(signature: Signature, bare: bool) -> dict[str, Any]:
    """A signature as a line. `bare`: the signed bytes stay away, because they hold the whole record."""
    told = signature.row()
    if bare:
        told["signed_bytes"] = None
    return told


async def _release(database: Database, bundle: _Bundle, number: int) -> None:
    found = await numbered(database, number)
    kept = {
        "number": found.number,
        "digest": found.digest,
        "blueprint_digest": found.blueprint_digest,
        "compiler": found.compiler,
        "sources": dict(found.sources),
    }
    bundle.put(f"releases/{number}.json", _json(kept))


def _title(reader: page.Reader, about: About) -> str:
    if about.entity is not None:
        name = reader.names.known.get(str(about.record_id), str(about.record_id))
        return f"{reader.say('证据:', 'Evidence: ')}{reader.entity(about.entity)} {name}"
    begin, end = about.begin or "…", about.end or "…"
    return f"{reader.say('证据:', 'Evidence: ')}{begin} – {end}"


def _facts(reader: page.Reader, wanted: Wanted, made: Made) -> list[tuple[str, str]]:
    facts = [
        *(
            [(reader.say("记录标识", "Id of the record"), str(wanted.about.record_id))]
            if wanted.about.record_id
            else []
        ),
        (reader.say("生成时间", "Made"), wanted.made_at.isoformat(timespec="seconds")),
        (reader.say("日志条数", "Entries of the log"), str(made.size)),
    ]
    if made.unsealed:
        facts.append((reader.say("尚未封存", "Not sealed yet"), str(made.unsealed)))
    if wanted.hidden:
        facts.append((reader.say("已遮盖字段", "Redacted fields"), ", ".join(sorted(wanted.hidden))))
    return facts


def _key(named: Any) -> dict[str, Any]:
    return {"key": named.key, "previous": named.previous, "endorsement": named.endorsement}


def _json(value: Any) -> str:
    return json.dumps(json.loads(canonical_json(value)), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


# ── folder or zip ─────────────────────────────────────────────────────────────────────────────────────────────────


class _Bundle:
    """Files and their manifest. Streams are written to a working folder first: a zip holds one open file at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, text: str) -> None:
        file = self._folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    @contextmanager
    def stream(self, name: str) -> Iterator[IO[bytes]]:
        with (self._folder / name).open("wb") as stream:
            yield stream

    def finish(self) -> None:
        lines = []
        for file in sorted(each for each in self._folder.rglob("*") if each.is_file()):
            found = hashlib.sha256()
            with file.open("rb") as stream:
                for part in iter(lambda stream=stream: stream.read(1 << 20), b""):  # type: ignore[misc]
                    found.update(part)
            lines.append(f"{found.hexdigest()}  {file.relative_to(self._folder).as_posix()}\n")
        self.put("SHA256SUMS", "".join(lines))


@contextmanager
def _open(path: Path) -> Iterator[_Bundle]:
    """A bundle that appears at `path` when it is whole, or not at all."""
    if path.exists():
        raise FileExistsError(17, "exists already", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".evidence-", dir=path.parent))
    try:
        yield _Bundle(folder)
        if path.suffix == ".zip":
            part = folder.with_suffix(".part")
            with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
                for file in sorted(each for each in folder.rglob("*") if each.is_file()):
                    archive.write(file, file.relative_to(folder).as_posix())
            part.rename(path)
        else:
            folder.rename(path)
            path.chmod(0o755)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
