"""An entity and its fields under new names: everything that called them by the old ones still finds them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from write_journey import Plant, context, plant

from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.audit.sealing import log
from clew.kernel.clock import SystemClock
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_sources
from clew.records.feed import Feed
from clew.records.reconcile import reconcile
from clew.records.values import AnyRef
from clew.runtime import TEXTS, api_features, stored_blueprint
from clew.storage import nodes
from clew.storage.change import apply, resume
from clew.storage.change import plan as plan_change
from clew.storage.errors import NodesBehind
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
PROJECT = "project: sample\nversion: 1.0.0\nlabel: {zh: 样例, en: Sample}\n"
MODELS = """
entity: lot
label: {zh: 批次, en: Lot}
class: transaction
number: "L{seq:4}"
key: [number]
fields:
  supplier_lot: {type: text, search: true}
  qty: {type: integer}
---
entity: unit
label: {zh: 单件, en: Unit}
class: transaction
key: [serial]
fields:
  serial: {type: text}
---
entity: hold
label: {zh: 扣留, en: Hold}
class: transaction
number: "H{seq:4}"
key: [number]
fields:
  subject: {type: any, of: [lot, unit], required: true}
"""


def project(renamed: bool = False) -> Blueprint:
    models = MODELS
    if renamed:
        models = models.replace("entity: lot\n", "entity: batch\nrenamed_from: lot\n").replace(
            "[lot, unit]", "[batch, unit]"
        )
        models = models.replace("supplier_lot: {", "vendor_lot: {renamed_from: supplier_lot, ")
    loaded = load_sources({"clew.yaml": PROJECT, "models/all.yaml": models})
    assert loaded.blueprint is not None, [each.message("en") for each in loaded.diagnostics]
    return loaded.blueprint


async def ask(made: Plant, document: str) -> Any:
    features = api_features(made.commands, Feed(made.database, SystemClock()), made.database)
    engine = GraphQLEngine(made.blueprint, made.tables, made.database, SystemClock(), None, features)
    answer = await engine.execute(Question(document, None, {}, None), Caller(context(), made.decision))
    found = json.loads(answer.body)
    assert "errors" not in found, found
    return found["data"]


async def test_what_is_renamed_is_found_under_its_new_name(database: TestDatabase) -> None:
    opened = await database.open()
    made = await plant(opened, blueprint=project(), furnish=False)
    origin = {"source_system": "erp", "external_id": "7"}
    lot = await made.commands.create(
        made.why("first", foreign=True), "lot", {"supplier_lot": "ABC-77", "qty": 1, **origin}
    )
    await made.commands.update(made.why("second"), "lot", lot.id, 1, {"supplier_lot": "ABC-78"})
    await made.commands.create(made.call, "hold", {"subject": AnyRef("lot", lot.id)})
    await log.seal_all(opened)
    moment = (await ask(made, "{ holds { nodes { createdAt } } }"))["holds"]["nodes"][0]["createdAt"]

    await nodes.beat(opened, "old", 1)
    change = await plan_change(opened, project(renamed=True), load=stored_blueprint)
    with pytest.raises(NodesBehind):  # it would go on writing the old name
        await apply(opened, change, load=stored_blueprint, texts=TEXTS)
    await nodes.leave(opened, "old")
    await resume(opened, load=stored_blueprint, texts=TEXTS)
    after = await plant(opened, blueprint=project(renamed=True), fresh=False)

    found = await ask(
        after,
        """{ holds(where: {subject: {batch: {number: {eq: "L0001"}}}}) { nodes {
                subject { __typename ... on Batch { number vendorLot } } } }
             batches(search: "abc-7") { nodes {
                history { rowVersion reason record { vendorLot } }
                audit { rowVersion changes { field old new } } } } }""",
    )
    subject = {"__typename": "Batch", "number": "L0001", "vendorLot": "ABC-78"}
    assert found["holds"]["nodes"] == [{"subject": subject}]
    then = await ask(after, f'{{ holds(asOf: "{moment}") {{ nodes {{ subject {{ ... on Batch {{ number }} }} }} }} }}')
    assert then["holds"]["nodes"] == [{"subject": {"number": "L0001"}}]
    (batch,) = found["batches"]["nodes"]
    assert [each["reason"] for each in batch["history"]] == ["second", "first"]
    told = {each["rowVersion"]: each["changes"] for each in batch["audit"]}
    assert told[2] == [{"field": "vendor_lot", "old": "ABC-77", "new": "ABC-78"}]

    # Numbers go on after the eight that were fetched, and what another system calls it is still it.
    second = await after.commands.create(after.call, "batch", {"qty": 2})
    assert (await after.current("batch"))[second.id]["number"] == "L0009"
    again = await after.commands.upsert(after.why("third", foreign=True), "batch", {"qty": 3, **origin})
    assert again.id == lot.id
    assert [each.text().en async for each in reconcile(opened, after.tables)] == []
