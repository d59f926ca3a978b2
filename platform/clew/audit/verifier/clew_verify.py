#!/usr/bin/env python3
"""Verifies an evidence bundle of Clew by itself, without the platform and without a network.

    python clew_verify.py bundle.zip [--key "<public key you trust>"] [--json]

Needs Python 3.9 or newer and the package `cryptography`. Shares no code with the platform; what it checks is described
in docs/audit-format.md. Exit code 0: everything holds; 1: something does not; 2: it is no bundle.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from typing import IO, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def canonical(value: Any) -> bytes:
    """Keys sorted, no spaces, UTF-8. There are no floating-point numbers in a bundle."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Bundle:
    """A folder or a zip file."""

    def __init__(self, path: str) -> None:
        self.folder = path if os.path.isdir(path) else None
        self.archive = None if self.folder else zipfile.ZipFile(path)

    def names(self) -> list[str]:
        if self.archive:
            return sorted(name for name in self.archive.namelist() if not name.endswith("/"))
        found: list[str] = []
        for here, _, files in os.walk(self.folder or "."):
            found += [os.path.relpath(os.path.join(here, name), self.folder).replace(os.sep, "/") for name in files]
        return sorted(found)

    def open(self, name: str) -> IO[bytes]:
        if self.archive:
            return self.archive.open(name)
        return open(os.path.join(self.folder or ".", *name.split("/")), "rb")

    def read(self, name: str) -> bytes:
        with self.open(name) as stream:
            return stream.read()

    def hash(self, name: str) -> str:
        found = hashlib.sha256()
        with self.open(name) as stream:
            for part in iter(lambda: stream.read(1 << 20), b""):
                found.update(part)
        return found.hexdigest()

    def lines(self, name: str) -> Iterator[Any]:
        if name in self.names():
            with self.open(name) as stream:
                for line in stream:
                    if line.strip():
                        yield json.loads(line)


# ── the log ───────────────────────────────────────────────────────────────────────────────────────────────────────


def root_from(index: int, size: int, entry: bytes, path: list[bytes]) -> bytes | None:
    """The root an inclusion proof leads to (RFC 9162 2.1.3.2); None when the proof has the wrong length."""
    number, last, found = index, size - 1, entry
    for sibling in path:
        if last == 0:
            return None
        if number % 2 == 1 or number == last:
            found = sha256(b"\x01" + sibling + found)
            while number % 2 == 0 and number != 0:
                number //= 2
                last //= 2
        else:
            found = sha256(b"\x01" + found + sibling)
        number //= 2
        last //= 2
    return found if last == 0 else None


def read_key(text: str) -> tuple[str, str, bytes]:
    """A verifier key `name+hash+base64` as (name, hash, raw key)."""
    name, mark, encoded = text.strip().split("+", 2)
    blob = base64.b64decode(encoded, validate=True)
    if len(blob) != 33 or blob[0] != 1 or sha256(name.encode() + b"\n" + blob)[:4].hex() != mark:
        raise ValueError("not a verifier key")
    return name, mark, blob[1:]


def signed_by(raw: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def good_keys(listed: Any, trusted: str | None, problems: list[str]) -> dict[str, bytes]:
    """Raw keys by hash. The first is believed (or must be the trusted one); each later one needs the one before."""
    good: dict[str, bytes] = {}
    before: tuple[str, bytes] | None = None
    begun = trusted is None
    for each in listed:
        try:
            _, mark, raw = read_key(each["key"])
        except (ValueError, KeyError, binascii.Error):
            problems.append("a key cannot be read")
            continue
        if each["key"] == trusted:
            begun = True
        elif before is not None:
            statement = b"clew.audit key\n" + each["key"].encode() + b"\n"
            try:
                said = base64.b64decode(each.get("endorsement") or "", validate=True)
                endorsed = each.get("previous") == before[0] and signed_by(before[1], said, statement)
            except (ValueError, binascii.Error):
                endorsed = False
            if not endorsed:
                problems.append(f"key {mark} is not endorsed by the one before it")
                continue
        if begun:
            good[mark] = raw
        before = (each["key"], raw)
    if not begun:
        problems.append("the trusted key is not among the keys of this log")
    return good


def read_checkpoint(text: str, keys: dict[str, bytes], problems: list[str]) -> tuple[str, int, bytes] | None:
    """(origin, size, root) of a note whose signature holds; None otherwise."""
    try:
        body, signatures = text.split("\n\n", 1)
        origin, size, root = body.split("\n")[:3]
        dash, name, encoded = signatures.strip("\n").split(" ")
        blob = base64.b64decode(encoded, validate=True)
        number, exact = int(size), base64.b64decode(root, validate=True)
        if dash != "\u2014" or name != origin or len(blob) != 68 or len(exact) != 32:
            raise ValueError
    except (ValueError, binascii.Error):
        problems.append("checkpoint.txt is not a checkpoint")
        return None
    raw = keys.get(blob[:4].hex())
    if raw is None or not signed_by(raw, blob[4:], (body + "\n").encode()):
        problems.append("the checkpoint is not signed by a key that may be believed")
        return None
    return origin, number, exact


# ── the entries ───────────────────────────────────────────────────────────────────────────────────────────────────


def check_entry(entry: Any, size: int, root: bytes) -> Iterator[str]:
    """What is wrong with one entry: its values, its digest, its place in the log."""
    header, fields = entry["header"], entry["fields"]
    if canonical(json.loads(header)).decode() != header:
        yield "header is not canonical"
    pairs = []
    for name in sorted(fields):
        kept = fields[name]
        pairs.append([name, kept["c"]])
        if "s" in kept:
            sealed = canonical([kept["s"], name, kept.get("o"), kept.get("n")])
            if sha256(sealed).hex() != kept["c"]:
                yield f"value of {name} is not the one that was sealed"
        elif "o" in kept or "n" in kept:
            yield f"value of {name} stands without its salt"
    digest = sha256(b"\x00" + header.encode() + b"\n" + canonical(pairs))
    if digest.hex() != entry["digest"]:
        yield "header or fields are not the ones that were sealed"
    path = [bytes.fromhex(each) for each in entry["proof"]]
    if not 0 <= entry["index"] < size or root_from(entry["index"], size, digest, path) != root:
        yield "it is not in the log of the checkpoint"


def gaps(versions: dict[tuple[str, str], list[int]]) -> Iterator[str]:
    """Records whose versions in the bundle do not run from 1 without a gap."""
    for (entity, record), numbers in sorted(versions.items()):
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            yield f"{entity} {record}: versions {sorted(numbers)}"


def check_gone(gone: list[Any], left_out: list[str], erased: dict[str, list[Any]]) -> Iterator[str]:
    """Values that are not here: left out of the bundle, or erased by an event that was sealed after they were."""
    for index, record, name in gone:
        if name not in left_out and not any(
            name in each["fields"] and index < each["index"] for each in erased.get(record, [])
        ):
            yield f"entry {index}: the value of {name} is gone, and no erasure tells of it"


def read_erasure(entry: Any, header: Any) -> dict[str, Any]:
    """What an entry tells of an erasure: fields of a record, by whom, when and why."""
    said = {key: kept.get("n") for key, kept in entry["fields"].items()}
    found = {key: header[key] for key in ("actor", "at", "reason")}
    return {**found, "entity": said.get("entity"), "record_id": header["record_id"], "index": entry["index"],
            "fields": said.get("fields") or []}  # fmt: skip


def check_signature(each: Any, told: dict[str, Any], problems: list[str]) -> None:
    """A signature: its bytes have the digest that a sealed entry tells of."""
    name = "signature {}".format(each.get("signature_id"))
    entry = told.get(each.get("leaf_id"))
    if entry is None:
        problems.append(name + ": the entry that tells of it is not in the bundle")
        return
    sealed = {key: kept.get("n") for key, kept in entry["fields"].items() if "s" in kept}
    header = json.loads(entry["header"])
    if sealed.get("signature") != each["signature_id"] or sealed.get("digest") != each["digest"]:
        problems.append(name + ": it is not the one the log tells of")
    if (header["entity"], header["record_id"]) != (each["entity"], each["record_id"]):
        problems.append(name + ": it belongs to another record")
    text = each.get("signed_bytes")
    if text is None:
        return  # left out: it holds values that are redacted or were erased; its digest is proven all the same
    if sha256(text.encode()).hex() != each["digest"]:
        problems.append(name + ": the signed bytes are not the ones that were signed")
    said = json.loads(text)
    for key in ("record_id", "row_version", "meaning", "printed_name", "signed_at", "account"):
        if said.get(key) != each.get(key):
            problems.append(f"{name}: {key} is not what was signed")
    if header["actor"] != said.get("account") or header["action"] != "sign:" + said.get("meaning", ""):
        problems.append(name + ": the log names another signer or meaning")


def check_release(release: Any, entries: list[Any], problems: list[str]) -> bool:
    """A release's files are the ones the log tells of."""
    for entry in entries:
        sealed = {key: kept.get("n") for key, kept in entry["fields"].items()}
        if sealed.get("number") == release["number"]:
            if sealed.get("sources") != sha256(canonical(release["sources"])).hex():
                problems.append("release {}: its files are not the ones that went live".format(release["number"]))
            return True
    return False


# ── the whole ─────────────────────────────────────────────────────────────────────────────────────────────────────


def check_manifest(bundle: Bundle, problems: list[str]) -> None:
    listed: dict[str, str] = {}
    for line in bundle.read("SHA256SUMS").decode().splitlines():
        mark, _, name = line.partition("  ")
        listed[name] = mark
    for name in bundle.names():
        if name == "SHA256SUMS":
            continue
        if name not in listed:
            problems.append(f"{name} is not in the manifest")
        elif bundle.hash(name) != listed.pop(name):
            problems.append(f"{name} was changed after the bundle was made")
    problems += [f"{name} is missing" for name in sorted(listed)]


def verify(path: str, trusted: str | None = None) -> tuple[dict[str, Any], list[str]]:
    """(facts, problems). Nothing is believed but the key: trusted, or the first the bundle names."""
    bundle = Bundle(path)
    problems: list[str] = []
    about = json.loads(bundle.read("evidence.json"))
    facts: dict[str, Any] = {"about": about, "unproven_releases": []}
    facts.update(dict.fromkeys(("entries", "signatures", "redacted", "erased", "releases"), 0))
    facts["erasures"] = []
    check_manifest(bundle, problems)
    listed = json.loads(bundle.read("keys.json"))
    keys = good_keys(listed, trusted, problems)
    checkpoint = read_checkpoint(bundle.read("checkpoint.txt").decode(), keys, problems)
    facts["key"] = trusted or (listed[0]["key"] if listed else None)
    if checkpoint is None:
        return facts, problems
    facts["origin"], facts["size"], root = checkpoint[0], checkpoint[1], checkpoint[2]
    facts["root"] = root.hex()
    versions: dict[tuple[str, str], list[int]] = {}
    told: dict[str, Any] = {}
    live: list[Any] = []
    named: set[Any] = set()
    gone: list[Any] = []
    erased: dict[str, list[Any]] = {}
    left_out = about.get("redacted") or []
    for entry in bundle.lines("entries.jsonl"):
        facts["entries"] += 1
        wrong = check_entry(entry, facts["size"], root)
        problems += ["entry {}: {}".format(entry.get("index"), each) for each in wrong]
        header = json.loads(entry["header"])
        gone += [(entry["index"], header["record_id"], key) for key, kept in entry["fields"].items() if "s" not in kept]
        if header["entity"] == "clew.erasure" and header["action"] == "erase":
            facts["erasures"].append(read_erasure(entry, header))
            erased.setdefault(header["record_id"], []).append(facts["erasures"][-1])
        if header["row_version"] > 0:
            versions.setdefault((header["entity"], header["record_id"]), []).append(header["row_version"])
        if header["action"].startswith("sign:"):
            told[header["leaf_id"]] = entry
        if header["entity"] == "clew.release":
            live.append(entry)
        if header["entity"] == "clew.log" and header["action"] == "key":
            named.add(entry["fields"].get("key", {}).get("n"))
    unnamed = [each["key"] for each in listed if each["key"] not in named]
    problems += [f"key {each} is not named in the log" for each in unnamed]
    if about.get("record_id"):
        problems += ["a version is missing: " + each for each in gaps(versions)]
    facts["redacted"] = sum(name in left_out for _, _, name in gone)
    facts["erased"] = len(gone) - facts["redacted"]
    problems += check_gone(gone, left_out, erased)
    untold = set(told)
    for each in bundle.lines("signatures.jsonl"):
        facts["signatures"] += 1
        check_signature(each, told, problems)
        untold.discard(each["leaf_id"])
    problems += [
        "the signature that entry {} tells of is missing".format(told[each]["index"]) for each in sorted(untold)
    ]
    for name in bundle.names():
        if name.startswith("releases/"):
            release = json.loads(bundle.read(name))
            facts["releases"] += 1
            if not check_release(release, live, problems):
                facts["unproven_releases"].append(release["number"])
    return facts, problems


def main() -> int:
    parser = argparse.ArgumentParser(description="Verify an evidence bundle of Clew, offline.")
    parser.add_argument("bundle")
    parser.add_argument("--key", help="the public key you trust (clew audit key show); without it the bundle's first")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    try:
        facts, problems = verify(given.bundle, given.key)
    except (OSError, KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile) as problem:
        print(f"not a bundle that can be read: {type(problem).__name__}: {problem}", file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps({"ok": not problems, "problems": problems, **facts}, ensure_ascii=False, indent=2))
        return 1 if problems else 0
    for each in problems:
        print("FAILED  " + each)
    if not problems:
        print("OK  {entries} entries, {signatures} signatures, {releases} releases".format(**facts))
        print("    log {origin}, {size} entries, root {root}".format(**facts))
        print("    {redacted} values are redacted, {erased} were erased".format(**facts))
        for each in facts["erasures"]:
            print("    erased, told by entry {index}: {entity} {record_id} by {actor} at {at}: {reason}".format(**each))
        print("    signed under key {key}".format(**facts))
        if not given.key:
            print("    Compare this key with the one you were given another way.")
        for each in facts["unproven_releases"]:
            print(f"    The files of release {each} are not told of in the log.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
