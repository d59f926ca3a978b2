"""Evidence bundles: made on both databases, proven by the stand-alone verifier in a process of its own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from test_audit_checkpoints import a_sealer
from test_audit_verify import busy
from write_journey import Plant, a_lot, plant

from clew.audit.errors import NothingSealed
from clew.audit.evidence.bundle import Made, Wanted, write_bundle
from clew.audit.evidence.collect import About
from clew.audit.releases import release_recorder
from clew.audit.sealing.keys import named_keys
from clew.kernel.context import Context, Person
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def proven(bundle: Path, *more: str, code: int = 0) -> dict[str, Any]:
    """What the verifier inside the bundle says of it, run without anything of the platform in reach."""
    verifier = bundle / "clew_verify.py"
    if bundle.suffix == ".zip":
        verifier = bundle.with_suffix(".py")
        with zipfile.ZipFile(bundle) as archive:
            verifier.write_bytes(archive.read("clew_verify.py"))
    said = subprocess.run(
        [sys.executable, "-I", str(verifier), str(bundle), "--json", *more], capture_output=True, text=True, check=False
    )
    assert said.returncode == code, said.stdout + said.stderr
    found: dict[str, Any] = json.loads(said.stdout) if said.stdout else {}
    return found


async def a_case(made: Plant) -> UUID:
    """A nonconformance with lines, changed and moved on."""
    lot = (await made.commands.create(made.call, "lot", a_lot(made))).id
    actions = [{"what": "测量 <b>", "due": "2026-12-01"}, {"what": "check", "due": "2026-12-02"}]
    given = {"site": made.ids["SHA"], "severity": "minor", "lots": [lot], "actions": actions}
    given["subject"] = {"entity": "lot", "id": lot}
    case = (await made.commands.create(made.call, "nonconformance", given)).id
    fewer = [{"what": "again", "due": "2026-12-03"}]
    await made.commands.update(made.why("fewer"), "nonconformance", case, 1, {"actions": fewer})
    return case


async def sealed(made: Plant, folder: Path) -> None:
    made.commands.engine.release = "1"
    async with made.database.write() as connection:
        person = Person(UUID(int=3), "operator", "Operator")
        await release_recorder(Context(person, "r"))(connection, 1)
    await a_sealer(made.database, folder).sign()


async def bundle(made: Plant, about: About, path: Path, **more: Any) -> Made:
    wanted = Wanted(about, more.pop("locale", "zh"), NOW, frozenset(more.pop("hidden", ())))
    return await write_bundle(made.database, made.tables, wanted, path)


async def test_a_record_with_its_lines_is_proven_elsewhere(database: TestDatabase, tmp_path: Path) -> None:
    made = await plant(await database.open())
    case = await a_case(made)
    about = About("nonconformance", case)
    with pytest.raises(NothingSealed):
        await bundle(made, about, tmp_path / "none.zip")
    assert not (tmp_path / "none.zip").exists()
    await sealed(made, tmp_path)
    done = await bundle(made, about, tmp_path / "case.zip")
    assert done.unsealed == 0
    said = proven(tmp_path / "case.zip")
    assert said["ok"] is True
    # two versions of the case, three lines made and at least two taken out, the release, the key
    assert said["entries"] == done.entries >= 2 + 3 + 2 + 2
    async with made.database.read() as connection:
        (key,) = await named_keys(connection)
    assert proven(tmp_path / "case.zip", "--key", key.key)["ok"] is True
    other = key.key[:-6] + ("AAAA" if key.key[-6:-2] != "AAAA" else "BBBB") + key.key[-2:]
    assert proven(tmp_path / "case.zip", "--key", other, code=1)["problems"] != []
    with zipfile.ZipFile(tmp_path / "case.zip") as archive:
        page = archive.read("index.html").decode()
    assert "测量 &lt;b&gt;" in page
    assert "原因:fewer" in page
    # Names and keys beside the ids, of the record, of what it refers to, and of its lines' owner.
    number, lot = await named(made, "nonconformance", case), await made.rows(made.tables.current("lot"))
    assert f"<h1>证据:不合格品 {number}</h1>" in page
    assert f"{lot[0]['number']} <code>{lot[0]['id']}</code>" in page
    assert f"SHA <code>{made.ids['SHA']}</code>" in page
    assert f": 新增 {lot[0]['number']} <code>" in page
    assert "轻微 <code>minor</code>" in page, "codes are said in words"
    assert ": 已开立 <code>open</code>" in page


async def named(made: Plant, entity: str, id: UUID) -> str:
    (row,) = [each for each in await made.rows(made.tables.current(entity)) if each["id"] == id]
    return str(row["number"])


async def test_a_name_made_of_a_redacted_field_is_left_out(database: TestDatabase, tmp_path: Path) -> None:
    made = await plant(await database.open())
    case = await a_case(made)
    await sealed(made, tmp_path)
    await bundle(made, About("nonconformance", case), tmp_path / "b", hidden=["number"], locale="en")
    page = (tmp_path / "b" / "index.html").read_text(encoding="utf-8")
    assert await named(made, "nonconformance", case) not in page
    assert f"<code>{case}</code>" in page
    assert f"SHA <code>{made.ids['SHA']}</code>" in page, "the key of a site is another field"
    assert proven(tmp_path / "b")["ok"] is True


async def test_what_proves_the_rest_is_never_redacted(database: TestDatabase, tmp_path: Path) -> None:
    """A record's field may be called as a particular of the log's own: keys, releases and signatures stay."""
    made = await plant(await database.open())
    case = await a_case(made)
    await sealed(made, tmp_path)
    hidden = ["number", "key", "sources", "signature", "digest", "fields"]
    await bundle(made, About("nonconformance", case), tmp_path / "b", hidden=hidden)
    said = proven(tmp_path / "b")
    assert (said["ok"], said["unproven_releases"], said["redacted"]) == (True, [], 1)


async def test_redacted_fields_are_gone_and_the_rest_is_proven(database: TestDatabase, tmp_path: Path) -> None:
    made = await plant(await database.open())
    case = await a_case(made)
    await sealed(made, tmp_path)
    await bundle(made, About("nonconformance", case), tmp_path / "b", hidden=["what", "severity"], locale="en")
    said = proven(tmp_path / "b")
    assert said["ok"] is True
    assert said["redacted"] > 3
    whole = b"".join(each.read_bytes() for each in sorted((tmp_path / "b").rglob("*")) if each.is_file())
    assert "测量".encode() not in whole
    assert b"again" not in whole
    assert b"redacted" in (tmp_path / "b" / "index.html").read_bytes()


async def test_a_period_and_what_is_not_sealed_yet(database: TestDatabase, tmp_path: Path) -> None:
    made = await plant(await database.open())
    await busy(made, tmp_path, 40)
    await sealed(made, tmp_path)
    await made.commands.create(made.call, "lot", a_lot(made))
    hour = timedelta(hours=1)
    async with made.database.read() as connection:
        now = await connection.now()
    done = await bundle(made, About(begin=now - hour, end=now + hour), tmp_path / "all.zip")
    assert (done.entries, done.unsealed) == (done.size, 1)
    assert proven(tmp_path / "all.zip")["entries"] == done.size
    none = await bundle(made, About(begin=now + hour), tmp_path / "later.zip")
    assert none.entries < done.entries
    assert proven(tmp_path / "later.zip")["ok"] is True


def resum(folder: Path) -> None:
    """A manifest that fits again, as a forger would write."""
    lines = []
    for file in sorted(each for each in folder.rglob("*") if each.is_file() and each.name != "SHA256SUMS"):
        lines.append(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder).as_posix()}\n")
    (folder / "SHA256SUMS").write_text("".join(lines))


async def test_a_forged_bundle_is_seen(database: TestDatabase, tmp_path: Path) -> None:
    """Every file changed, with and without a fitting manifest; entries altered, dropped, exchanged, redacted badly."""
    made = await plant(await database.open())
    case = await a_case(made)
    await sealed(made, tmp_path)
    folder = tmp_path / "b"
    await bundle(made, About("nonconformance", case), folder)
    for file in sorted(each for each in folder.rglob("*") if each.is_file() and each.suffix != ".py"):
        whole = file.read_bytes()
        file.write_bytes(whole[:-3] + b"x" + whole[-2:])
        assert proven(folder, code=2 if file.suffix in (".json", ".jsonl") else 1).get("problems", ["unread"]) != []
        file.write_bytes(whole)
    assert proven(folder)["ok"] is True
    entries = folder / "entries.jsonl"
    lines = entries.read_text(encoding="utf-8").splitlines()
    first = [each for each in lines if '\\"row_version\\":1}' in each and '\\"entity\\":\\"nonconformance\\"' in each]
    assert len(first) == 1
    forged = {
        "reason": [each.replace("fewer", "fever") for each in lines],
        "value": [each.replace('"again"', '"never"') for each in lines],
        "dropped": [each for each in lines if each not in first],
        "index": [each.replace('"index":', '"index":1') for each in lines],
        "added": [each.replace('"fields":{', '"fields":{"extra":{"c":"00"},', 1) for each in lines],
    }
    for name, changed in forged.items():
        assert changed != lines, name
        entries.write_text("\n".join(changed) + "\n", encoding="utf-8")
        resum(folder)
        assert proven(folder, code=1)["problems"] != [], name
    entries.write_text("\n".join(lines) + "\n", encoding="utf-8")
    resum(folder)
    assert proven(folder)["ok"] is True
