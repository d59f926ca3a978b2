"""Signatures bind content, need their components, and are given to what was shown (threats 29 to 31)."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.api.inputs import Inputs
from clew.api.mutations import Mutations
from clew.api.view import READ_FEATURES
from clew.kernel.clock import SystemClock
from clew.kernel.errors import Conflict, Forbidden
from clew.records.errors import SignatureRequired, Stale
from clew.records.exporting import export_file
from clew.records.signing.errors import (
    AlreadySigned,
    ComponentsMissing,
    NotASigner,
    NotWhatWasShown,
    RecordAltered,
)
from clew.records.signing.signatories import Act
from clew.records.source import Source
from clew.records.unit import Unit
from clew.storage import system
from clew.testing.databases import TestDatabase

sys.path.insert(0, str(Path(__file__).parent))
from signing_world import OTHER, PERSON, Office, office

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(database: TestDatabase) -> AsyncIterator[Office]:
    opened = await database.open()
    yield await office(opened)
    await opened.close()


async def test_a_transition_is_signed_as_one_with_its_record(desk: Office) -> None:
    lot = await desk.lot()
    await desk.release(lot)
    [signature] = await desk.signatures()
    assert (signature.meaning, signature.action, signature.row_version) == ("release", "transition:release", 2)
    assert (signature.account, signature.printed_name, signature.role) == (PERSON.id, "王工", "qc_inspector")
    assert signature.components_used == ("login", "password")
    said = signature.signed()
    assert said["content"]["fields"]["state"] == "released"
    assert said["content"]["links"] == {"parents": []}
    assert said["shown"]["row_version"] == 1
    assert said["local_time"].endswith("+08:00")
    leaves = [row for row in await desk.plant.rows(system.leaf) if row["action"].startswith("sign:")]
    assert [(row["record_id"], row["row_version"]) for row in leaves] == [(lot, 0)]
    assert signature.leaf_id == leaves[0]["leaf_id"]
    pending = {row["leaf_id"] for row in await desk.plant.rows(system.leaf_pending)}
    assert signature.leaf_id in pending
    assert await desk.problems() == []


# ── threat 29 ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def _tamper(desk: Office, *statements: str) -> None:
    """Change the database by other means, as somebody with all rights on it would."""
    async with desk.plant.database.migrate() as connection:
        for table in ("clew_signature", "clew_audit_leaf"):
            if connection.dialect == "postgresql":
                await connection.run_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            else:
                await connection.run_sql(f"DROP TRIGGER IF EXISTS {table}__no_update")
        for statement in statements:
            await connection.run_sql(statement)


TAMPERING = {
    "record in the history": ("UPDATE lot__history SET supplier_lot = 'X' WHERE row_version = 2", "history"),
    "present record": ("UPDATE lot SET supplier_lot = 'X'", "present rows"),
    "links": ("UPDATE lot__parents__history SET target = owner", "history"),
    "meaning": ("UPDATE clew_signature SET meaning = 'review'", "meaning is not what was signed"),
    "name": ("UPDATE clew_signature SET printed_name = '李工'", "printed_name is not what was signed"),
    "another version": ("UPDATE clew_signature SET row_version = 1", "row_version is not what was signed"),
    "bytes": ("UPDATE clew_signature SET signed_bytes = replace(signed_bytes, '王工', '李工')", "digest stored"),
    "leaf": ("UPDATE clew_audit_leaf SET header = replace(header, 'req-1', 'req-2') WHERE row_version = 0", "leaf"),
    "leaf gone": ("UPDATE clew_signature SET leaf_id = signature_id", "its leaf is missing"),
    "definition": ("UPDATE clew_release SET blueprint_digest = 'other'", "definition"),
}


@pytest.mark.parametrize("what", sorted(TAMPERING))
async def test_signature_binds_content(desk: Office, what: str) -> None:
    """Whatever is edited directly in the database, the signature no longer holds."""
    parent = await desk.lot()
    lot = await desk.lot(parents=[str(parent)])
    await desk.release(lot)
    assert await desk.problems() == []
    statement, said = TAMPERING[what]
    await _tamper(desk, statement)
    [problems] = await desk.problems()
    assert any(said in each for each in problems), problems


async def test_signature_binds_content_of_files_and_lines(desk: Office) -> None:
    made = desk.plant
    item = await made.commands.create(
        made.call, "item", {"item_no": "P-1", "name": "板", "boms": [{"position": 1, "component": made.ids["RAW-1"],
                                                                      "qty": "2"}]}
    )  # fmt: skip
    signing = await desk.signing(item.id, 1, "review", entity="item")
    step = {"workflow": "item_review", "step": "board", "digest": "d1"}

    async def work(unit: Unit) -> None:
        signer: Any = unit.engine.signer
        await signer.sign_step(unit, unit.entity("item"), item.id, "board", "review", unit.signing, step)

    await made.commands.run(desk.call(signing=signing), work)
    [signature] = await desk.signatures()
    assert signature.action == "step:board"
    assert signature.signed()["definition"] == step
    [line] = signature.signed()["content"]["lines"]["boms"]
    assert line["fields"]["qty"] == "2.0000"
    assert await desk.problems() == []
    with pytest.raises(AlreadySigned):
        await made.commands.run(desk.call(signing=await desk.signing(item.id, 1, "review", entity="item")), work)
    step["round"] = "2"  # asked anew
    await made.commands.run(desk.call(signing=await desk.signing(item.id, 1, "review", entity="item")), work)
    await _tamper(desk, "UPDATE bom_line__history SET qty = qty + 1")
    changed = await desk.problems()
    assert len(changed) == 2
    assert all("the version in the history is not what was signed" in each for each in changed)


async def test_signature_binds_content_of_files(desk: Office) -> None:
    made = desk.plant
    [(sha256, size)] = [(row["sha256"], row["size"]) for row in (await made.rows(system.blob))[:1]]
    evidence = [{"name": "a.png", "sha256": sha256, "size": size, "media_type": "image/png"}]
    lot = await desk.lot()
    given = {"site": made.ids["SHA"], "severity": "major", "subject": {"entity": "lot", "id": lot}, "lots": [lot],
             "evidence": evidence}  # fmt: skip
    report = await made.commands.create(made.call, "nonconformance", given)
    signing = await desk.signing(report.id, 1, "approval", entity="nonconformance")

    async def work(unit: Unit) -> None:
        signer: Any = unit.engine.signer
        entity = unit.entity("nonconformance")
        await signer.sign_step(unit, entity, report.id, "board", "approval", unit.signing, {})

    await made.commands.run(desk.call(signing=signing), work)
    assert await desk.problems() == []
    blobs: Any = made.commands.engine.blobs
    blobs.path(sha256).write_bytes(b"something else")
    [problems] = await desk.problems()
    assert problems == (f"file {sha256} is missing or changed",)


async def test_signature_binds_content_and_cannot_be_transplanted(desk: Office) -> None:
    """Moved to another record with every column adjusted, it still tells of the one it was given for."""
    first, second = await desk.lot(), await desk.lot(qty="99")
    await desk.release(first)
    await desk.release(second)
    quoted = {each: str(each) for each in (first, second)}
    moved = f"UPDATE clew_signature SET record_id = '{quoted[second]}' WHERE record_id = '{quoted[first]}'"
    await _tamper(desk, moved)
    [problems] = await desk.problems()
    assert "record_id is not what was signed" in problems
    rewritten = f"UPDATE clew_signature SET signed_bytes = replace(signed_bytes, '{quoted[first]}', '{quoted[second]}')"
    await _tamper(desk, rewritten)
    [problems] = await desk.problems()
    assert "the signed bytes do not have the digest stored with them" in problems
    assert "the version that was signed was not in the history then" in problems


async def test_signatures_can_only_be_added(desk: Office) -> None:
    await desk.release(await desk.lot())
    for verb in ("UPDATE clew_signature SET meaning = 'x'", "DELETE FROM clew_signature"):
        with pytest.raises(Exception, match="insert-only"):
            async with desk.plant.database.migrate() as connection:
                await connection.run_sql(verb)


# ── threat 31 ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_sign_what_you_saw(desk: Office) -> None:
    """A record that changed since it was displayed is a conflict, and nothing is written."""
    lot = await desk.lot()
    seen = await desk.signing(lot, 1)
    await desk.plant.commands.update(desk.plant.call, "lot", lot, 1, {"exp_on": "2030-01-01"})
    with pytest.raises(Stale) as stale:
        await desk.release(lot, 1, signing=seen)
    assert stale.value.status == 409
    with pytest.raises(Stale):
        await desk.release(lot, 2, signing=seen)
    with pytest.raises(NotWhatWasShown) as other:
        await desk.release(lot, 2, signing=replace(seen, row_version=2))
    assert (other.value.code, other.value.status) == ("NOT_WHAT_WAS_SHOWN", 409)
    with pytest.raises(NotWhatWasShown):
        await desk.release(lot, 2, meaning="approval")
    assert await desk.signatures() == []
    assert (await desk.plant.current("lot"))[lot]["state"] == "quarantine"
    await desk.release(lot, 2)


async def test_sign_what_you_saw_when_the_present_rows_were_changed_behind_the_history(desk: Office) -> None:
    lot = await desk.lot()
    seen = await desk.signing(lot, 1)
    await _tamper(desk, "UPDATE lot SET supplier_lot = 'X'")
    with pytest.raises(RecordAltered):
        await desk.release(lot, 1, signing=seen)
    assert await desk.signatures() == []


async def test_sign_what_you_saw_has_one_winner(desk: Office) -> None:
    """Several people sign the same version at once: one signature, one new version; the others are conflicts."""
    lot = await desk.lot()
    signings = [(person, await desk.signing(lot, 1, person=person)) for person in (PERSON, OTHER) * 3]
    done = await asyncio.gather(
        *(desk.release(lot, 1, signing=signing, person=person) for person, signing in signings), return_exceptions=True
    )
    refused = [each for each in done if isinstance(each, BaseException)]
    assert len(refused) == len(done) - 1
    assert all(isinstance(each, Conflict) for each in refused), refused
    assert len(await desk.signatures()) == 1
    assert (await desk.plant.current("lot"))[lot]["row_version"] == 2
    assert await desk.problems() == []


# ── who, and with what ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "unfit",
    [
        {"kind": "service"},
        {"kind": "external"},
        {"active": False},
        {"employee": None},
        {"may_sign": False},
        {"role": None},
        {"administers": True},
    ],
)
async def test_who_may_not_sign(desk: Office, unfit: dict[str, Any]) -> None:
    lot = await desk.lot()
    desk.people.known[PERSON.id] = replace(desk.people.known[PERSON.id], **unfit)
    with pytest.raises(NotASigner):
        await desk.release(lot)
    desk.people.known.clear()
    with pytest.raises(NotASigner):
        await desk.release(lot)
    assert await desk.signatures() == []
    assert (await desk.plant.current("lot"))[lot]["state"] == "quarantine"


async def test_a_proof_serves_its_owner_for_a_moment(desk: Office) -> None:
    lot = await desk.lot()
    with pytest.raises(NotASigner):
        await desk.release(lot, signing=await desk.signing(lot, 1, person=OTHER))
    seen = await desk.signing(lot, 1)
    old = replace(seen, proof=replace(seen.proof, at=seen.proof.at - timedelta(minutes=3)))
    with pytest.raises(ComponentsMissing):
        await desk.release(lot, signing=old)
    with pytest.raises(SignatureRequired):
        await desk.plant.commands.transition(desk.plant.call, "lot", lot, "release", 1)


async def test_others_may_object(database: TestDatabase) -> None:
    """The seam for separation of duties: an objection undoes everything."""
    heard: list[Act] = []

    class NotTheMaker:
        async def object(self, act: Act, unit: Unit) -> None:
            heard.append(act)
            if act.record["created_by"] == act.signatory.account:
                raise Forbidden(action="sign", what=act.entity.label)

    opened = await database.open()
    desk = await office(opened, NotTheMaker())
    lot = await desk.lot()
    with pytest.raises(Forbidden):
        await desk.release(lot)
    await desk.release(lot, person=OTHER)
    assert [each.meaning for each in heard] == ["release", "release"]
    assert [each.account for each in await desk.signatures()] == [OTHER.id]
    await opened.close()


# ── through GraphQL ───────────────────────────────────────────────────────────────────────────────────────────────

RELEASE = """mutation($id: ID!, $v: Int!, $s: SignatureInput!) { releaseLot(id: $id, rowVersion: $v, signature: $s) {
  lot { state rowVersion signatures { totalCount nodes { meaning validFor current verified } } } } }"""
LOOK = """query($id: ID!) { lot(id: $id) { rowVersion signable { digest rowVersion }
  signatures(first: 1) { totalCount edges { cursor node { id } } pageInfo { hasNextPage endCursor }
    nodes { meaning action printedName role signedAt localTime timeZone components reason validFor current verified
            problems } } } }"""


class Screen:
    """A signer before the GraphQL door."""

    def __init__(self, desk: Office) -> None:
        made = self.plant = desk.plant
        self.desk = desk
        features = (*READ_FEATURES, Inputs(), Mutations(made.commands, desk.secrets))
        self.engine = GraphQLEngine(made.blueprint, made.tables, made.database, SystemClock(), features=features)

    async def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        context = replace(self.plant.call.context, client="10.0.0.1")
        answer = await self.engine.execute(
            Question(document, variables=variables), Caller(context, self.plant.decision)
        )
        found: dict[str, Any] = json.loads(answer.body)
        return found


async def test_signing_through_graphql(desk: Office) -> None:
    screen = Screen(desk)
    lot = str(await desk.lot(supplier_lot=None))
    shown = (await screen.ask(LOOK, id=lot))["data"]["lot"]
    assert shown["signatures"] == {
        "totalCount": 0,
        "edges": [],
        "pageInfo": {"hasNextPage": False, "endCursor": None},
        "nodes": [],
    }
    seen = {"digest": shown["signable"]["digest"], "meaning": "release"}
    secret = {"login": "wang", "password": "open sesame"}
    wrong = await screen.ask(RELEASE, id=lot, v=1, s={**seen, **secret, "password": "x"})
    assert wrong["errors"][0]["extensions"]["code"] == "TEST_WRONG_SECRET"
    bare = await screen.ask(RELEASE, id=lot, v=1, s={**seen, "login": "wang"})
    assert bare["errors"][0]["extensions"]["code"] == "SIGNATURE_COMPONENTS"
    assert desk.secrets.tries == 1
    other = await screen.ask(RELEASE, id=lot, v=1, s={**seen, **secret, "digest": "0"})
    assert other["errors"][0]["extensions"]["code"] == "NOT_WHAT_WAS_SHOWN"
    done = await screen.ask(RELEASE, id=lot, v=1, s={**seen, **secret})
    assert "errors" not in done, done
    assert done["data"]["releaseLot"]["lot"] == {
        "state": "released", "rowVersion": 2,
        "signatures": {"totalCount": 1, "nodes": [
            {"meaning": "release", "validFor": 2, "current": True, "verified": True}]},
    }  # fmt: skip
    [signature] = await desk.signatures()
    await desk.plant.commands.update(desk.plant.call, "lot", signature.record_id, 2, {"exp_on": "2031-01-01"})
    after = (await screen.ask(LOOK, id=lot))["data"]["lot"]["signatures"]
    [node] = after["nodes"]
    assert (node["validFor"], node["current"], node["verified"], node["problems"]) == (2, False, True, [])
    assert node["components"] == ["login", "password"]
    assert node["localTime"].endswith("+08:00")
    await _tamper(desk, "UPDATE lot__history SET supplier_lot = 'X' WHERE row_version = 2")
    [node] = (await screen.ask(LOOK, id=lot))["data"]["lot"]["signatures"]["nodes"]
    assert (node["verified"], node["problems"]) == (False, ["the version in the history is not what was signed"])


async def test_a_secret_is_never_written_into_a_document(desk: Office) -> None:
    screen = Screen(desk)
    lot = await desk.lot()
    document = f"""mutation {{ releaseLot(id: "{lot}", rowVersion: 1, signature: {{digest: "d", meaning: "release",
      login: "wang", password: "open sesame"}}) {{ created }} }}"""
    found = await screen.ask(document)
    assert found["errors"][0]["extensions"]["code"] == "SECRET_IN_DOCUMENT"
    assert desk.secrets.tries == 0


async def test_the_digest_shown_tells_nothing_to_who_guesses(desk: Office) -> None:
    """The same content elsewhere has another digest, because it is keyed by the database."""
    lot = await desk.lot()
    digest = await desk.shown(lot, 1)
    await desk.release(lot)
    [signature] = await desk.signatures()
    assert signature.signed()["shown"]["record_sha256"] != digest


async def test_one_bad_signature_does_not_hide_a_good_one(desk: Office) -> None:
    for _ in range(2):
        await desk.release(await desk.lot())
    first = (await desk.signatures())[0].record_id
    await _tamper(desk, f"UPDATE lot__history SET supplier_lot = 'X' WHERE id = '{first}' AND row_version = 2")
    assert len(await desk.problems()) == 1


# ── exports ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("format_", ["csv", "xlsx", "jsonl"])
async def test_an_export_shows_the_signatures_of_its_records(desk: Office, tmp_path: Path, format_: Any) -> None:
    """Printed name, time and meaning go with the records, and say which version they belong to (21 CFR 11.50(b))."""
    made = desk.plant
    signed, changed, other = [await desk.lot() for _ in range(3)]
    await desk.release(signed)
    await desk.release(changed)
    await made.commands.update(made.call, "lot", changed, 2, {"exp_on": "2031-01-01"})
    source = Source(
        made.database, made.blueprint, made.tables, made.decision, made.call.context, SystemClock().now(), "1"
    )
    file = tmp_path / f"lots.{format_}"
    await export_file(source, "lot", file, format_)
    if format_ == "csv":
        with (tmp_path / "lots.signatures.csv").open(encoding="utf-8-sig", newline="") as opened:
            _, *rows = [tuple(row) for row in csv.reader(opened)]
    elif format_ == "xlsx":
        _, *rows = load_workbook(file)["signatures"].iter_rows(values_only=True)
    else:
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        kept = [list(line.values())[1:] for line in lines if line["_entity"] == "signatures"]
        rows = [tuple(json.dumps(value, ensure_ascii=False).strip('"') for value in line) for line in kept]
    found = {(row[0], str(row[1]), row[2], row[3], row[4], row[11]) for row in rows}
    assert found == {
        (str(signed), "2", "true", "release", "王工", "true"),
        (str(changed), "2", "false", "release", "王工", "true"),
    }
    assert str(other) not in {row[0] for row in rows}
