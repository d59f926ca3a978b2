"""Names that were used before: the trail tells of a field or entity what was written of it, and of no other that once
had its name, whatever was dropped, created again or renamed meanwhile."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from tests.integration.write_journey import Plant, context
from tests.integration.write_journey import plant as small_plant

from clew.access.decision import ALWAYS, Decision, EntityAccess, FieldAccess, permit_all
from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.audit.erasure import erase
from clew.audit.evidence.collect import About
from clew.audit.sealing import log
from clew.audit.verify.whole import verify_trail
from clew.kernel.clock import SystemClock
from clew.metadata.load import load_sources
from clew.records.feed import Feed
from clew.records.reconcile import reconcile
from clew.runtime import TEXTS, api_features, stored_blueprint
from clew.storage.change import apply, plan
from clew.storage.engine import Database
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

ONE = """\
entity: lot
key: [code]
fields:
  code: {type: text, required: true, unique: true}
"""
NOTE, SECRET = "  note: {type: text}\n", "  secret: {type: text}\n"
OTHER = "entity: other\nkey: [code]\nfields:\n  code: {type: text, required: true}\n"


async def released(before: Plant | Database, *models: str) -> Plant:
    """The next release, and the plant as a server of it."""
    sources = {"clew.yaml": "project: small\n", **{f"models/{at}.yaml": text for at, text in enumerate(models)}}
    loaded = load_sources(sources)
    assert loaded.blueprint is not None, [f"{each.place} {each.message('en')}" for each in loaded.diagnostics]
    if not isinstance(before, Plant):
        return await small_plant(before, blueprint=loaded.blueprint, furnish=False)
    opened = before.database
    found = await plan(opened, loaded.blueprint, load=stored_blueprint)
    await apply(opened, found, load=stored_blueprint, texts=TEXTS, consents=frozenset(found.needs))
    return await small_plant(opened, blueprint=loaded.blueprint, fresh=False)


async def write(made: Plant, record: UUID, **values: Any) -> None:
    version = (await made.current("lot"))[record]["row_version"]
    await made.commands.update(made.why("x"), "lot", record, version, values)


async def asked(made: Plant, document: str, decision: Decision | None = None) -> Any:
    features = api_features(made.commands, Feed(made.database, SystemClock()), made.database)
    engine = GraphQLEngine(made.blueprint, made.tables, made.database, SystemClock(), features=features)
    caller = Caller(context(), decision or permit_all(made.blueprint))
    found = json.loads((await engine.execute(Question(document, None, {}, None), caller)).body)
    assert "errors" not in found, found
    return found["data"]


async def told(made: Plant, decision: Decision | None = None, entity: str = "lot") -> list[tuple[str, str | None]]:
    """What the record's own trail and that of everything tell alike: field and new value, the oldest first."""
    own = await asked(made, f"{{ {entity}s {{ nodes {{ audit {{ at changes {{ field new }} }} }} }} }}", decision)
    every = await asked(made, "{ auditTrail { nodes { at entity changes { field new } } } }", decision)
    entries = [each for node in own[f"{entity}s"]["nodes"] for each in node["audit"]]
    whole = [each for each in every["auditTrail"]["nodes"] if not each["entity"].startswith("clew.")]

    def said(found: list[Any]) -> list[tuple[str, str | None]]:
        changes = [(each["at"], change) for each in found for change in each["changes"]]
        return [(change["field"], change["new"]) for _, change in sorted(changes, key=lambda pair: pair[0])]

    assert said(entries) == said(whole)
    return [each for each in said(entries) if each[0] not in ("code", "thread_id")]


async def whole(made: Plant) -> list[str]:
    """What verifying finds."""
    await log.seal_all(made.database)
    report = await verify_trail(made.database)
    found = [*report.findings, *[each async for each in reconcile(made.database, made.tables)]]
    return [each.text().en for each in found]


async def test_a_field_that_is_created_again_begins_anew(database: TestDatabase) -> None:
    made = await released(await database.open(), ONE + NOTE)
    record = (await made.commands.create(made.call, "lot", {"code": "A", "note": "first"})).id
    await write(made, record, note="second")
    made = await released(made, ONE)
    assert await told(made) == []
    made = await released(made, ONE + NOTE)
    assert await told(made) == [], "that was another field"
    await write(made, record, note="third")
    assert await told(made) == [("note", "third")]
    assert await whole(made) == [], "and nothing of it was altered"
    made = await released(made, ONE + NOTE.replace("note", "remark").replace("text", "text, renamed_from: note"))
    await write(made, record, remark="fourth")
    assert await told(made) == [("remark", "third"), ("remark", "fourth")], "a field keeps its own under another name"
    assert await whole(made) == []


async def test_what_nobody_was_to_see_is_not_seen_under_a_name_that_is_free_again(database: TestDatabase) -> None:
    """`secret` becomes `sealed`, which only few see; then a field everybody sees is called `secret`."""
    made = await released(await database.open(), ONE + SECRET)
    record = (await made.commands.create(made.call, "lot", {"code": "A", "secret": "hush"})).id
    sealed = ONE + "  sealed: {type: text, renamed_from: secret}\n"
    made = await released(made, sealed)
    await write(made, record, sealed="hush hush")
    sealed = sealed.replace(", renamed_from: secret", "")
    made = await released(made, sealed + SECRET)
    await write(made, record, secret="open")
    assert await told(made) == [("sealed", "hush"), ("sealed", "hush hush"), ("secret", "open")]
    seen = {name: FieldAccess(ALWAYS) for name in ("code", "secret")}
    access = EntityAccess(ALWAYS, fields=MappingProxyType(seen), audit=ALWAYS)
    few = Decision("few", MappingProxyType({"lot": access}))
    assert await told(made, few) == [("secret", "open")]
    assert await whole(made) == []
    made = await released(made, sealed.replace("sealed: {type: text", "sealed: {type: text, personal: true") + SECRET)
    await erase(made.database, made.tables, context(), "release", About("lot", record), "asked")
    assert await told(made) == [("sealed", None), ("sealed", None), ("secret", "open")], "each of its own, no other"
    assert await whole(made) == []
    made = await released(made, sealed + SECRET)
    made = await released(made, sealed)
    assert await told(made) == [("sealed", None), ("sealed", None)], "what was dropped is told of nobody"
    assert await whole(made) == []


async def test_an_entity_that_is_created_again_begins_anew(database: TestDatabase) -> None:
    made = await released(await database.open(), ONE + NOTE, OTHER)
    await made.commands.create(made.call, "lot", {"code": "A", "note": "first"})
    made = await released(made, OTHER)
    made = await released(made, ONE + NOTE, OTHER)
    assert await told(made) == []
    await made.commands.create(made.call, "lot", {"code": "B", "note": "second"})
    assert await told(made) == [("note", "second")]
    assert await whole(made) == []
    crate = (ONE + NOTE).replace("entity: lot\n", "entity: crate\nrenamed_from: lot\n")
    made = await released(made, crate, OTHER)
    assert await told(made, entity="crate") == [("note", "second")]
    made = await released(made, crate.replace("renamed_from: lot\n", ""), OTHER, ONE + NOTE)
    await made.commands.create(made.call, "lot", {"code": "C", "note": "third"})
    everything = permit_all(made.blueprint)
    crates = Decision("crates", MappingProxyType({"crate": everything.entities["crate"]}))
    lots = Decision("lots", MappingProxyType({"lot": everything.entities["lot"]}))
    assert await told(made, crates, "crate") == [("note", "second")]
    assert await told(made, lots) == [("note", "third")]
    assert await whole(made) == []
