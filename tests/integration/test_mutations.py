"""Mutations through GraphQL: typed inputs, read back in the same transaction, coded errors at the input's path."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLInputObjectType
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.access.decision import permit_all
from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.api.inputs import Inputs
from clew.api.mutations import Mutations
from clew.api.view import READ_FEATURES
from clew.kernel.clock import SystemClock
from clew.kernel.context import Context
from clew.kernel.errors import ClewError
from clew.metadata import naming
from clew.metadata.blueprint import Origin
from clew.records.intake import Reader
from clew.records.signing.proven import Proof
from clew.storage.open import open_database
from clew.testing.databases import TestDatabase, in_thread

sys.path.insert(0, str(Path(__file__).parent))
from write_journey import Plant, mini, plant

pytestmark = pytest.mark.anyio


class Trusting:
    """Takes every secret for right; what a signature is worth is tested elsewhere."""

    async def prove(self, context: Context, components: Mapping[str, str]) -> Proof:
        return Proof(context.person.id, frozenset(components), SystemClock().now())


class Door:
    """The GraphQL engine over a plant."""

    def __init__(self, made: Plant) -> None:
        self.plant = made
        features = (*READ_FEATURES, Inputs(), Mutations(made.commands, Trusting()))
        self.engine = GraphQLEngine(made.blueprint, made.tables, made.database, SystemClock(), features=features)

    async def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        question = Question(document, variables=variables)
        answer = await self.engine.execute(question, Caller(self.plant.call.context, self.plant.decision))
        found: dict[str, Any] = json.loads(answer.body)
        return found

    async def do(self, document: str, **variables: Any) -> Any:
        found = await self.ask(document, **variables)
        assert "errors" not in found, found
        [payload] = found["data"].values()
        return payload

    async def refused(self, document: str, **variables: Any) -> tuple[str, Any]:
        found = await self.ask(document, **variables)
        extensions = found["errors"][0]["extensions"]
        return extensions["code"], extensions.get("input")


@pytest.fixture
async def door(database: TestDatabase) -> AsyncIterator[Door]:
    opened = await database.open()
    yield Door(await plant(opened))
    await opened.close()


CREATE = """mutation($input: LotCreateInput!, $key: String) {
  createLot(input: $input, idempotencyKey: $key) {
    lot { id number rowVersion qty state site { code } item { name lots { totalCount } } } replayed warnings { rule }
  } }"""
UPDATE = """mutation($id: ID!, $v: Int!, $input: LotUpdateInput!, $why: String) {
  updateLot(id: $id, rowVersion: $v, input: $input, reason: $why) { lot { qty rowVersion } } }"""


def lot_input(door: Door, **changes: Any) -> dict[str, Any]:
    ids = door.plant.ids
    return {"site": str(ids["SHA"]), "item": str(ids["RAW-1"]), "qty": "10.5", **changes}


async def test_a_mutation_answers_what_the_client_selects(door: Door) -> None:
    payload = await door.do(CREATE, input=lot_input(door))
    lot = payload["lot"]
    assert (lot["qty"], lot["state"], lot["site"]) == ("10.5000", "quarantine", {"code": "SHA"})
    assert lot["item"] == {"name": "无菌注射器", "lots": {"totalCount": 1}}
    assert payload["replayed"] is False
    changed = await door.do(UPDATE, id=lot["id"], v=1, input={"qty": "2"}, why="recount")
    assert changed == {"lot": {"qty": "2.0000", "rowVersion": 2}}
    assert await door.refused(UPDATE, id=lot["id"], v=1, input={"qty": "2"}, why="x") == ("CONFLICT", ["rowVersion"])
    assert await door.refused(UPDATE, id=lot["id"], v=2, input={"qty": "3"}) == ("REASON_REQUIRED", ["reason"])
    early = {"expOn": "2020-01-01"}
    assert await door.refused(UPDATE, id=lot["id"], v=2, input=early) == ("RULE", ["input", "expOn"])
    release = """mutation($id: ID!, $s: SignatureInput!) {
      releaseLot(id: $id, rowVersion: 2, signature: $s) { lot { state history { action } } } }"""
    signature = {"digest": "d", "meaning": "release", "login": "wang", "password": "p"}
    released = await door.do(release, id=lot["id"], s=signature)
    assert released["lot"]["state"] == "released"
    assert [each["action"] for each in released["lot"]["history"]][-1] == "create"
    void = 'mutation($id: ID!) { voidLot(id: $id, rowVersion: 3, reason: "double") { lot { rowVersion } } }'
    assert await door.do(void, id=lot["id"]) == {"lot": {"rowVersion": 4}}


async def test_an_idempotency_key_gives_the_same_answer(door: Door) -> None:
    one = await door.do(CREATE, input=lot_input(door), key="k")
    two = await door.do(CREATE, input=lot_input(door), key="k")
    assert one["lot"] == two["lot"]
    assert (one["replayed"], two["replayed"]) == (False, True)
    assert await door.refused(CREATE, input=lot_input(door, qty="1"), key="k") == (
        "IDEMPOTENCY_KEY_REUSED",
        ["idempotencyKey"],
    )


async def test_lines_links_and_polymorphic_references(door: Door) -> None:
    lot = (await door.do(CREATE, input=lot_input(door)))["lot"]
    create = """mutation($i: NonconformanceCreateInput!) { createNonconformance(input: $i) { nonconformance {
      id subject { __typename ... on Lot { number } } lots { nodes { number } }
      actions { nodes { id what done } } } } }"""
    given = {
        "site": str(door.plant.ids["SHA"]),
        "severity": "minor",
        "subject": {"lot": lot["id"]},
        "lots": [lot["id"]],
        "actions": [{"what": "隔离", "due": "2026-12-31"}],
    }
    made = (await door.do(create, i=given))["nonconformance"]
    assert made["subject"] == {"__typename": "Lot", "number": lot["number"]}
    assert made["lots"]["nodes"] == [{"number": lot["number"]}]
    [action] = made["actions"]["nodes"]
    assert (action["what"], action["done"]) == ("隔离", False)
    update = """mutation($id: ID!, $i: NonconformanceUpdateInput!) {
      updateNonconformance(id: $id, rowVersion: 1, input: $i) { nonconformance { actions { nodes { done } } } } }"""
    change = {"actions": {"update": [{"id": action["id"], "done": True}]}}
    assert (await door.do(update, id=made["id"], i=change))["nonconformance"]["actions"]["nodes"] == [{"done": True}]
    both = {**given, "subject": {"lot": lot["id"], "serialUnit": lot["id"]}}
    assert await door.refused(create, i=both) == ("BAD_INPUT", ["input", "subject"])
    bad = {**given, "actions": [{"what": "", "due": "2026-12-31"}]}
    assert await door.refused(create, i=bad) == ("VALUE_TEXT", ["input", "actions", 0, "what"])


async def test_bulk_and_upsert(door: Door) -> None:
    bulk = """mutation($rows: [LotCreateInput!]!, $mode: BulkMode) { createLots(inputs: $rows, mode: $mode) {
      committed lots { qty } rows { index code path rowVersion } } }"""
    rows = [lot_input(door, qty=qty) for qty in ("1", "-1", "2")]
    refused = await door.do(bulk, rows=rows, mode="all")
    assert (refused["committed"], refused["lots"]) == (False, [])
    good = await door.do(bulk, rows=rows, mode="good")
    assert good["lots"] == [{"qty": "1.0000"}, {"qty": "2.0000"}]
    assert good["rows"][1] == {"index": 1, "code": "VALUE_BOUNDS", "path": ["inputs", "1", "qty"], "rowVersion": None}
    upsert = """mutation($i: ItemCreateInput!) { upsertItem(input: $i) { created item { name rowVersion } } }"""
    given = {"itemNo": "X-1", "name": "甲", "kind": "raw", "baseUom": "pcs", "sterile": False}
    assert (await door.do(upsert, i=given))["created"] is True
    again = await door.do(upsert, i={**given, "name": "乙"})
    assert again == {"created": False, "item": {"name": "乙", "rowVersion": 2}}


def test_no_input_can_assign_what_the_platform_keeps() -> None:
    """Every input type of every entity, whole: no envelope, state, number or computed field is in any of them."""
    blueprint = mini()

    async def collect() -> dict[str, GraphQLInputObjectType]:
        opened = await open_database("sqlite://", clock=SystemClock())
        made = await plant(opened, blueprint=blueprint)
        door = Door(made)
        whole = door.engine.views.view(made.decision, "en").whole()
        await opened.close()
        return {name: each for name, each in whole.type_map.items() if isinstance(each, GraphQLInputObjectType)}

    inputs = in_thread(collect)
    seen = 0
    for entity in blueprint.entities.values():
        kept = {
            naming.field_name(each.name)
            for each in entity.fields.values()
            if each.computed is not None
            or each.name in ("state", "number", "corrects", "owner", "source_system", "external_id")
            or (each.origin is Origin.ENVELOPE)
        }
        for suffix in ("CreateInput", "UpdateInput", "LineUpdateInput"):
            type_ = inputs.get(naming.type_name(entity.name) + suffix)
            if type_ is not None:
                seen += 1
                allowed = {"id"} if suffix == "LineUpdateInput" else set()
                assert not (set(type_.fields) - allowed) & kept, type_.name
    assert seen > 15


STRANGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
FORBIDDEN = ("id", "row_version", "state", "number", "created_by", "updated_at", "voided_at", "corrects", "thread_id",
             "expired", "owner", "external_id", "__class__", "site_id", "")  # fmt: skip


def test_mass_assignment() -> None:
    """Whatever is put into an input, only known fields of the right type get through, and errors are coded."""
    blueprint = mini()
    entities = [each for each in blueprint.entities.values() if not each.derived]
    decision = permit_all(blueprint)
    refused: list[ClewError] = []
    reader = Reader(blueprint, date(2026, 3, 1))

    @settings(max_examples=300)
    @given(st.sampled_from(entities), st.data())
    def attempt(entity: Any, data: Any) -> None:
        names = st.sampled_from([*FORBIDDEN, *entity.fields]) | st.text(max_size=10)
        values = data.draw(st.dictionaries(names, STRANGE, max_size=4))
        try:
            intake = reader.read(
                entity, decision.on(entity.name), values, ("input",), creating=data.draw(st.booleans())
            )
        except ClewError as error:
            refused.append(error)
            return
        for name in (*intake.values, *intake.links, *intake.lines):
            field = entity.fields[name]
            assert name not in FORBIDDEN
            assert field.computed is None
            assert field.origin is Origin.DECLARED or name in ("site", "legal_hold")
        for name, value in intake.values.items():
            if entity.fields[name].kind in ("text", "long_text", "choice"):
                assert value is None or isinstance(value, str)

    attempt()
    assert refused
    assert {each.path[0] for each in refused} == {"input"}
    assert not {each.code for each in refused} & {"INTERNAL", "UNAVAILABLE"}
