"""Signed records whose personal data was erased lawfully: told apart from altered ones, here and offline (F1, F3)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent))
from signing_world import Office, office
from test_audit_checkpoints import a_sealer
from test_audit_evidence import bundle, proven, resum
from test_audit_retention import wrongs
from write_journey import Plant, context, plant

from clew.audit.erasure import erase
from clew.audit.evidence.collect import About
from clew.audit.leaf import redact
from clew.audit.verify.whole import verify_trail
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_sources
from clew.records.signing.verify import Verifier
from clew.records.unit import Unit
from clew.runtime import TEXTS, stored_blueprint
from clew.storage import system
from clew.storage.change import apply
from clew.storage.change import plan as plan_change
from clew.storage.redaction import leaves_open
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
SECRETS = ("张三丰", "13800138000", "膝关节")


def clinic(phone: str = "phone: {type: text, personal: true}") -> Blueprint:
    model = f"""
entity: consent
label: {{zh: 知情同意, en: Consent}}
states: [draft, given]
fields:
  code: {{type: text, required: true}}
  name: {{type: text, required: true, personal: true}}
  {phone}
  visits:
    type: lines
    fields:
      note: {{type: long_text, personal: true}}
      fee: {{type: decimal, scale: 2}}
"""
    project = "project: kept\nlabel: {zh: 保存, en: Kept}\ntime_zone: Asia/Shanghai\n"
    loaded = load_sources({"clew.yaml": project, "models/consent.yaml": model})
    assert loaded.blueprint is not None, [str(each) for each in loaded.diagnostics]
    return loaded.blueprint


async def signed(desk: Office, version: int, consent: UUID) -> None:
    signing = await desk.signing(consent, version, "approval", entity="consent")

    async def work(unit: Unit) -> None:
        signer: Any = unit.engine.signer
        await signer.sign_step(unit, unit.entity("consent"), consent, "board", "approval", unit.signing, {"v": version})

    await desk.plant.commands.run(desk.call(signing=signing), work)


async def renamed(made: Plant) -> Plant:
    """`phone` becomes `mobile`."""
    new = clinic("mobile: {type: text, personal: true, renamed_from: phone}")
    change = await plan_change(made.database, new, load=stored_blueprint)
    await apply(made.database, change, load=stored_blueprint, texts=TEXTS, consents=frozenset(change.needs))
    return await plant(made.database, blueprint=new, fresh=False)


async def test_an_erased_signed_record_is_proven_and_not_taken_for_an_altered_one(
    database: TestDatabase, tmp_path: Path
) -> None:
    opened = await database.open()
    desk = await office(opened, blueprint=clinic(), furnish=False)
    made = desk.plant
    given = {
        "code": "C-1",
        "name": "张三丰",
        "phone": "13800138000",
        "visits": [{"note": "膝关节置换", "fee": "10.00"}],
    }
    consent: Any = (await made.commands.create(made.call, "consent", given)).id
    await signed(desk, 1, consent)
    sealer, about = a_sealer(opened, tmp_path), About("consent", consent)
    await sealer.sign()
    await bundle(made, about, tmp_path / "before", hidden=[])
    assert all(secret in (tmp_path / "before" / "signatures.jsonl").read_text() for secret in SECRETS)

    made = await renamed(made)
    verifier = Verifier(made.commands.engine)
    done = await erase(opened, made.tables, context(), "1", about, "Art. 17")
    assert done.fields == {"consent": ["name", "mobile"], "consent_visits": ["note"]}
    leaves = "".join(row["fields"] for row in await made.rows(system.leaf))
    assert [secret for secret in SECRETS if secret in leaves] == [], "under their former names too"
    await sealer.sign()

    # Nothing is wrong; what is gone is told, with who and why.
    assert await wrongs(made) == []
    told = {each.record_id: each for each in (await verify_trail(opened)).erasures}
    assert sorted(told[consent].fields) == ["mobile", "name", "phone"]
    assert (told[consent].actor, told[consent].reason) == (context().person.id, "Art. 17")
    judged = [each async for each in verifier.judged(opened)]
    assert [(each.problems, each.erased and each.erased.reason) for each in judged] == [((), "Art. 17")]

    # A bundle proves it offline, tells of it, and does not hand out what was erased.
    for name, where in (("one", about), ("all", About())):
        await bundle(made, where, tmp_path / name)
        said = proven(tmp_path / name)
        assert (said["ok"], said["signatures"], said["redacted"], said["erased"]) == (True, 1, 0, 3)
        assert {(each["record_id"], each["reason"]) for each in said["erasures"]} >= {(str(consent), "Art. 17")}
        files = [each for each in (tmp_path / name).rglob("*") if each.is_file()]
        whole = b"".join(each.read_bytes() for each in files).decode()
        assert [secret for secret in SECRETS if secret in whole] == []
    assert "已依程序清除" in (tmp_path / "one" / "index.html").read_text()

    # Who takes a value out of a bundle, or the erasure, or the signature, is seen.
    await _forge(tmp_path / "one", "entries.jsonl", lambda each: _without(each, "code"))
    assert any("code is gone" in each for each in proven(tmp_path / "one", code=1)["problems"])
    await _forge(tmp_path / "all", "entries.jsonl", lambda each: "clew.erasure" not in each["header"] and each)
    assert any("name is gone" in each for each in proven(tmp_path / "all", code=1)["problems"])
    (tmp_path / "before" / "signatures.jsonl").write_text("")
    resum(tmp_path / "before")
    assert any("signature that entry" in each for each in proven(tmp_path / "before", code=1)["problems"])

    # What was written after the erasure is not explained by it; what was not personal never was.
    await made.commands.update(made.why("again"), "consent", consent, 1, {"mobile": "13900139000"})
    await sealer.sign()
    async with opened.migrate(rows_only=True) as connection, leaves_open(connection):
        rows = [row for row in await made.rows(system.leaf) if row["record_id"] == consent and row["row_version"] == 2]
        bare = sa.update(system.leaf).where(system.leaf.c.leaf_id == rows[0]["leaf_id"])
        await connection.execute(bare.values(fields=redact(rows[0]["fields"], ["mobile"])))
    found = (await verify_trail(opened)).findings
    assert [(each.kind, each.detail) for each in found] == [("leaf_unexplained_redaction", "mobile")]
    history = made.tables.history("consent")
    async with opened.migrate(rows_only=True) as connection:
        await connection.execute(sa.update(history).where(history.c.row_version == 1).values(name="李四"))
    assert any("name (erased)" in each for each in await wrongs(made)), "what stands in an erased value's place"
    [broken] = [each async for each in verifier.broken(opened)]
    assert "the version in the history is not what was signed" in broken.problems


def _without(entry: Any, name: str) -> Any:
    entry["fields"] = {key: {"c": kept["c"]} if key == name else kept for key, kept in entry["fields"].items()}
    return entry


async def _forge(folder: Path, name: str, change: Any) -> None:
    lines = [json.loads(each) for each in (folder / name).read_text().splitlines()]
    kept = [changed for each in lines if (changed := change(each))]
    (folder / name).write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in kept))
    resum(folder)
