"""The trail as one list over GraphQL: who sees which entries of it, page by page, and what the watches raised."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from write_journey import Plant, a_lot, context, plant

from clew.access.decision import ALWAYS, NEVER, Decision, EntityAccess, FieldAccess, Grant, permit_all
from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.audit.exports import record_export
from clew.audit.sealing import log
from clew.audit.trail import record_event
from clew.expressions.check import check
from clew.kernel.clock import SystemClock
from clew.kernel.ids import uuid7
from clew.metadata.schema import BlueprintSchema
from clew.records.feed import Feed
from clew.records.query import entries
from clew.runtime import api_features
from clew.storage import system
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
TRAIL = """query($where: AuditTrailWhere, $first: Int, $after: Cursor, $last: Int, $before: Cursor) {
  auditTrail(where: $where, first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { id } }
    nodes { id index at by action entity recordId rowVersion reason changes { field old new } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""


@dataclass
class House:
    """A plant with an engine over all features."""

    plant: Plant
    engine: GraphQLEngine
    everything: Decision
    ids: dict[str, UUID]

    async def ask(self, decision: Decision, document: str = TRAIL, **variables: Any) -> dict[str, Any]:
        caller = Caller(context(), decision)
        answer = await self.engine.execute(Question(document, None, variables, None), caller)
        found: dict[str, Any] = json.loads(answer.body)
        return found

    async def trail(self, decision: Decision, **variables: Any) -> dict[str, Any]:
        found = await self.ask(decision, **variables)
        assert "errors" not in found, found
        shown: dict[str, Any] = found["data"]["auditTrail"]
        return shown

    def granting(self, administers: frozenset[str] = frozenset(), **entities: EntityAccess) -> Decision:
        """A decision with nothing but this."""
        digest = str(uuid7())
        return Decision(digest, MappingProxyType(entities), administers=administers)

    def on_lots(self, audit: Grant = ALWAYS, read: Grant = ALWAYS, hide: str = "qty") -> EntityAccess:
        names = (*self.plant.blueprint.entities["lot"].fields,)
        fields = {name: FieldAccess(ALWAYS) for name in names if name != hide}
        return EntityAccess(read, fields=MappingProxyType(fields), audit=audit)

    def where(self, condition: str) -> Grant:
        return Grant(True, (check(condition, BlueprintSchema.of(self.plant.blueprint), "lot"),))


@pytest.fixture
async def house(database: TestDatabase) -> House:
    """Two lots (the second changed), a sign-in refused, an export of lots, a signature on the first lot."""
    made = await plant(await database.open())
    one = await made.commands.create(made.call, "lot", a_lot(made, qty="7"))
    two = await made.commands.create(made.call, "lot", a_lot(made, qty="8"))
    await made.commands.update(made.why("more"), "lot", two.id, 1, {"qty": "9", "exp_on": "2031-01-01"})
    person = uuid7()

    async def tell(connection: Connection) -> None:
        told = {"path": "login"}
        await record_event(connection, context(), "1", "prove.refuse", "clew.account", person, told)
        asked = {"asked": '{"qty": "secret"}'}
        await record_event(connection, context(), "1", "process:start", "clew.process", uuid7(), asked)
        passed = {"clause": "ISO 13485:2016 8.3.1", "record": one.id}
        await record_event(connection, context(), "1", "process:checkpoint", "clew.process", uuid7(), passed)
        await record_event(connection, context(), "1", "sign:review", "lot", one.id, {"qty": "secret"})

    await made.database.run_write(tell)
    await record_export(made.database, context(), "1", "lot", {"filter": "qty == secret"})
    features = api_features(made.commands, Feed(made.database, SystemClock()), made.database)
    engine = GraphQLEngine(made.blueprint, made.tables, made.database, SystemClock(), None, features)
    return House(made, engine, permit_all(made.blueprint), {"one": one.id, "two": two.id, "person": person})


async def test_the_whole_trail_is_there_for_who_may_read_all(house: House) -> None:
    leaves = await house.plant.rows(system.leaf)
    shown = await house.trail(house.everything, first=500)
    assert [each["id"] for each in shown["nodes"]] == sorted((str(each["leaf_id"]) for each in leaves), reverse=True)
    assert all(each["index"] is None for each in shown["nodes"])
    await log.seal_all(house.plant.database)
    shown = await house.trail(house.everything, first=500)
    assert sorted(int(each["index"]) for each in shown["nodes"]) == list(range(len(leaves)))
    (changed,) = [each for each in shown["nodes"] if each["action"] == "update"]
    assert changed["changes"] == [
        {"field": "exp_on", "old": None, "new": "2031-01-01"},
        {"field": "qty", "old": "8.0000", "new": "9.0000"},
    ]
    assert (changed["reason"], changed["entity"], changed["recordId"]) == ("more", "lot", str(house.ids["two"]))


async def test_the_trail_says_how_many_entries_one_sees(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def count(decision: Decision, where: str = "") -> int | None:
        found = await house.ask(decision, f"{{ auditTrail(first: 1{where}) {{ totalCount nodes {{ id }} }} }}")
        total: int | None = found["data"]["auditTrail"]["totalCount"]
        return total

    leaves = len(await house.plant.rows(system.leaf))
    assert await count(house.everything) == leaves
    assert await count(house.everything, ', where: {action: "update"}') == 1
    one = house.granting(lot=house.on_lots(read=house.where("qty < 8.0")))
    assert await count(one) == len((await house.trail(one))["nodes"]) < leaves
    monkeypatch.setattr(entries, "MOST_COUNTED", leaves - 1)
    assert await count(house.everything) is None
    assert await count(one) == 2


async def test_without_the_right_the_trail_does_not_exist(house: House) -> None:
    """Exactly as a name that does not exist, in answers and in introspection."""
    unknown = await house.ask(house.everything, "{ auditTrial { nodes { id } } }")
    for decision in (
        house.granting(),
        house.granting(lot=house.on_lots(audit=NEVER)),
        house.granting(frozenset({"accounts"})),
    ):
        for name, document in {"auditTrail": "{ auditTrail { nodes { id } } }", "alerts": "{ alerts { id } }"}.items():
            found = await house.ask(decision, document)
            assert found["errors"][0]["extensions"]["code"] == unknown["errors"][0]["extensions"]["code"]
            listed = await house.ask(decision, "{ __schema { queryType { fields { name } } } }")
            if "data" in listed:
                assert name not in {each["name"] for each in listed["data"]["__schema"]["queryType"]["fields"]}
    reader = house.granting(lot=house.on_lots())
    assert "errors" in await house.ask(reader, "{ alerts { id } }")


async def test_entries_of_no_record_need_the_right_to_look_after_the_trail(house: House) -> None:
    reader = house.granting(lot=house.on_lots())
    seen = {each["action"] for each in (await house.trail(reader))["nodes"]}
    assert seen == {"create", "update", "sign:review"}
    only = house.granting(frozenset({"audit"}))
    told = (await house.trail(only))["nodes"]
    assert {each["entity"] for each in told} >= {"clew.account", "clew.process"}
    assert all(each["entity"].startswith("clew.") for each in told)
    [passed] = (await house.trail(only, where={"action": "process:checkpoint"}))["nodes"]
    assert {"field": "clause", "old": None, "new": "ISO 13485:2016 8.3.1"} in passed["changes"]
    both = house.granting(frozenset({"audit"}), lot=house.on_lots())
    assert {each["action"] for each in (await house.trail(both, where={"entity": "lot"}))["nodes"]} == {*seen, "export"}


async def test_nothing_hidden_is_told(house: House) -> None:
    """A hidden field, what a process was asked, the filter of an export: none of them, by whatever way."""
    both = house.granting(frozenset({"audit"}), lot=house.on_lots())
    text = json.dumps(await house.trail(both))
    assert "secret" not in text
    assert '"qty"' not in text
    (changed,) = (await house.trail(both, where={"action": "update"}))["nodes"]
    assert [each["field"] for each in changed["changes"]] == ["exp_on"]
    (refused,) = (await house.trail(both, where={"action": "prove.refuse"}))["nodes"]
    assert refused["changes"] == [{"field": "path", "old": None, "new": "login"}]


@pytest.mark.parametrize("granted", ["audit", "read"])
async def test_conditions_on_records_hold_in_the_trail(house: House, granted: str) -> None:
    only = house.where("qty < 8.0")
    decision = house.granting(lot=house.on_lots(**{granted: only}))
    nodes = (await house.trail(decision))["nodes"]
    assert {each["recordId"] for each in nodes} == {str(house.ids["one"])}
    hidden = await house.trail(decision, where={"recordId": str(house.ids["two"])})
    assert hidden["nodes"] == []
    assert hidden["pageInfo"]["hasNextPage"] is False


async def test_filters(house: House) -> None:
    nodes = (await house.trail(house.everything))["nodes"]
    middle = nodes[3]["at"]
    later = (await house.trail(house.everything, where={"period": {"from": middle}}))["nodes"]
    before = (await house.trail(house.everything, where={"period": {"to": middle}}))["nodes"]
    assert [*later, *before] == nodes
    assert later
    assert before
    by = (await house.trail(house.everything, where={"actor": nodes[0]["by"]}))["nodes"]
    assert by == nodes
    assert (await house.trail(house.everything, where={"actor": str(uuid7())}))["nodes"] == []
    about = {"entity": "clew.account", "recordId": str(house.ids["person"]), "action": "prove.refuse"}
    assert len((await house.trail(house.everything, where=about))["nodes"]) == 1
    assert (await house.trail(house.everything, where={"entity": "no_such"}))["nodes"] == []


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_pages_meet_at_both_ends(house: House, size: int) -> None:
    whole = [each["id"] for each in (await house.trail(house.everything, first=500))["nodes"]]
    for forward in (True, False):
        seen: list[str] = []
        cursor: str | None = None
        while True:
            asked = {"first": size, "after": cursor} if forward else {"last": size, "before": cursor}
            page = await house.trail(house.everything, **asked)
            ids, info = [each["id"] for each in page["nodes"]], page["pageInfo"]
            assert [each["node"]["id"] for each in page["edges"]] == ids
            assert (info["startCursor"], info["endCursor"]) == (page["edges"][0]["cursor"], page["edges"][-1]["cursor"])
            seen = [*seen, *ids] if forward else [*ids, *seen]
            assert info["hasPreviousPage" if forward else "hasNextPage"] is (cursor is not None)
            cursor = info["endCursor" if forward else "startCursor"]
            if not info["hasNextPage" if forward else "hasPreviousPage"]:
                break
        assert seen == whole


async def test_bad_pages_and_cursors_are_refused(house: House) -> None:
    for variables in (
        {"first": 1, "last": 1},
        {"first": 501},
        {"after": "zz"},
        {"after": json.dumps(["x", "y"]).encode().hex()},
    ):
        found = await house.ask(house.everything, **variables)
        assert found["errors"][0]["extensions"]["code"] in ("BAD_INPUT", "BAD_PAGE", "BAD_CURSOR"), found


async def test_alerts_tell_what_they_are_about_to_who_may_know(house: House) -> None:
    row = {"watch": "w", "severity": "high", "at": (await house.plant.rows(system.leaf))[0]["at"], "index": 1}
    row = {**row, "counted": uuid7(), "record_id": house.ids["one"], "actor": None, "times": 3}

    async def raise_(connection: Connection) -> None:
        for entity in ("lot", "clew.account"):
            await connection.execute(system.watch_alert.insert(), {**row, "id": uuid7(), "entity": entity})

    await house.plant.database.run_write(raise_)
    document = "{ alerts(first: 5) { __typename watch severity index entity recordId times } }"
    found = await house.ask(house.granting(frozenset({"audit"})), document)
    one = {"__typename": "AuditAlert", "watch": "w", "severity": "high", "index": "1", "times": 3}
    told = {**one, "entity": "clew.account", "recordId": str(house.ids["one"])}
    assert found["data"]["alerts"] == [told, {**one, "entity": None, "recordId": None}]
    found = await house.ask(house.everything, document)
    assert [each["entity"] for each in found["data"]["alerts"]] == ["clew.account", "lot"]
