"""Ways round a mask through time: what was hidden while it was there is told by no trail, search or `asOf`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from read_world import INSPECTOR, MOMENTS, SITES, World, context, mini, pour, uid

from clew.access.decision import ALWAYS, Decision, EntityAccess, FieldAccess, Grant
from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.expressions.check import check
from clew.kernel.clock import SystemClock
from clew.metadata.schema import BlueprintSchema
from clew.records.commands import Commands
from clew.records.feed import Feed
from clew.runtime import api_features
from clew.storage import system
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
LOT, MOVED, ITEM, SUPPLIER = uid(4, 1), uid(4, 2), uid(2, 1), uid(3, 1)


def decision() -> Decision:
    """Lots of the own sites, their quantity only while released; names of suppliers only while active."""
    blueprint = mini()
    schema = BlueprintSchema.of(blueprint)

    def access(entity: str, read: str | None, **masks: str) -> EntityAccess:
        known = blueprint.entities[entity]
        fields = {name: FieldAccess(ALWAYS, ALWAYS) for name in (*known.fields, *known.inverses)}
        fields |= {name: FieldAccess(Grant(True, (check(each, schema, entity),))) for name, each in masks.items()}
        grant = ALWAYS if read is None else Grant(True, (check(read, schema, entity),))
        return EntityAccess(grant, fields=MappingProxyType(fields), audit=ALWAYS)

    return Decision(
        "through-time",
        MappingProxyType(
            {
                "lot": access("lot", "site in user.sites", qty="state == 'released'"),
                "supplier": access("supplier", None, name="state == 'active'"),
            }
        ),
    )


def a_world() -> World:
    made = World()
    for at, id in enumerate(SITES):
        made.add("site", id, (0, {"code": f"S{at}X", "name": f"厂{at}", "name__sort": ""}))
    item = {"item_no": "I1", "name": "件", "name__sort": "", "kind": "raw", "base_uom": "pcs", "sterile": False}
    made.add("item", ITEM, (0, item))
    supplier = {"number": "SUP1", "name__sort": ""}
    shown, hidden = {"name": "公开名称", "state": "active"}, {"name": "秘密重组", "state": "draft"}
    made.add("supplier", SUPPLIER, (0, supplier | shown), (2, supplier | hidden))
    lot = {"number": "L1", "item": ITEM}
    made.add(
        "lot",
        LOT,
        (0, lot | {"site": SITES[0], "state": "released", "qty": Decimal(1)}),
        (1, lot | {"site": SITES[0], "state": "quarantine", "qty": Decimal(2)}),
        (2, lot | {"site": SITES[2], "state": "released", "qty": Decimal(3)}),
    )
    # At a site of others at first, and once between.
    other, mine = lot | {"number": "L2", "site": SITES[2]}, lot | {"number": "L2", "site": SITES[0]}
    made.add(
        "lot",
        MOVED,
        (0, other | {"state": "released", "qty": Decimal(4)}),
        (1, mine | {"state": "released", "qty": Decimal(5)}),
        (2, other | {"state": "released", "qty": Decimal(6)}),
        (3, mine | {"state": "released", "qty": Decimal(7)}),
    )
    return made


async def leaf(connection: Connection, version: int, old: str, new: str, of: UUID = LOT) -> None:
    fields = json.dumps({"qty": {"c": "c", "s": "s", "o": old, "n": new}})
    values = {
        "leaf_id": uid(8, version + (0 if of == LOT else 10)), "at": MOMENTS[version - 1], "action": "update",
        "entity": "lot", "record_id": of,
        "row_version": version, "actor": uid(9, 1), "header": '{"reason":"r"}', "fields": fields, "digest": "d" * 64,
    }  # fmt: skip
    await connection.execute(sa.insert(system.leaf), values)


async def event(connection: Connection, at: int) -> None:
    """Something about the lot that made no version, such as a signature: while it was here, and while elsewhere."""
    values = {
        "leaf_id": uid(8, 20 + at), "at": MOMENTS[at] + timedelta(seconds=1), "action": f"event {at}", "entity": "lot",
        "record_id": MOVED, "row_version": 0, "actor": uid(9, 1), "header": '{"reason":"r"}', "fields": "{}",
        "digest": "d" * 64,
    }  # fmt: skip
    await connection.execute(sa.insert(system.leaf), values)


@pytest.fixture
async def ask(database: TestDatabase) -> AsyncIterator[Any]:
    opened = await database.open()
    tables = await pour(opened, mini(), a_world())
    async with opened.write() as connection:
        await leaf(connection, 2, "1.0000", "2.0000")
        await leaf(connection, 3, "2.0000", "3.0000")
        for version in (1, 2, 3, 4):
            await leaf(connection, version, f"{version + 2}.0000", f"{version + 3}.0000", MOVED)
        for at in (1, 2):
            await event(connection, at)
    commands = Commands(opened, mini(), tables, release="1")
    features = api_features(commands, Feed(opened, SystemClock()), opened)
    engine = GraphQLEngine(mini(), tables, opened, SystemClock(), None, features)

    async def of(document: str, moment: int, **variables: Any) -> Any:
        given = {"t": MOMENTS[moment].isoformat(), **variables}
        caller = Caller(context(INSPECTOR), decision())
        found = json.loads((await engine.execute(Question(document, None, given), caller)).body)
        assert "errors" not in found, found
        return found["data"]

    yield of
    await opened.close()


TRAIL = "query($t: DateTime, $id: ID!) { lot(id: $id, asOf: $t) { audit { rowVersion changes { field old new } } } }"


async def test_the_trail_as_of_a_moment_knows_nothing_later(ask: Any) -> None:
    """The lot has moved to a site of others: what happened there is not told through a moment before it."""
    found = await ask(TRAIL, 1, id=str(LOT))
    assert [each["rowVersion"] for each in found["lot"]["audit"]] == [2]


async def test_the_trail_tells_no_value_that_was_hidden_while_it_was_there(ask: Any) -> None:
    found = await ask(TRAIL, 1, id=str(LOT))
    assert found["lot"]["audit"][0]["changes"] == [{"field": "qty", "old": "1.0000", "new": None}]
    assert (await ask(TRAIL, 0, id=str(LOT)))["lot"] == {"audit": []}
    assert (await ask(TRAIL, 2, id=str(LOT)))["lot"] is None


async def test_a_version_that_is_hidden_leaves_no_trace_behind_any_door(ask: Any) -> None:
    """Neither who made it, nor when, nor why; whatever the record shows today, and whichever way it is asked."""
    document = """query($t: DateTime, $id: ID!) { lot(id: $id, asOf: $t) {
        history { rowVersion by action reason record { qty } } audit { rowVersion action changes { old new } } } }"""
    found = (await ask(document, 3, id=str(MOVED)))["lot"]
    shown = [(each["rowVersion"], each["record"]) for each in found["history"]]
    assert shown == [(4, {"qty": "7.0000"}), (2, {"qty": "5.0000"})]
    told = [(each["rowVersion"], each["action"]) for each in found["audit"]]
    assert told == [(4, "update"), (0, "event 1"), (2, "update")]
    assert found["audit"][0]["changes"] == [{"old": None, "new": "7.0000"}]
    trail = """query($id: ID) { auditTrail(where: {recordId: $id}) {
        totalCount nodes { rowVersion action changes { old new } } } }"""
    listed = (await ask(trail, 0, id=str(MOVED)))["auditTrail"]
    assert sorted((each["rowVersion"], each["action"]) for each in listed["nodes"]) == sorted(told)
    assert listed["totalCount"] == len(told)
    assert "6.0000" not in json.dumps(listed)
    counted = "query($t: DateTime) { lots(asOf: $t) { totalCount nodes { number } } }"
    for moment, numbers in ((0, ["L1"]), (1, ["L1", "L2"]), (2, []), (3, ["L2"])):
        lots = (await ask(counted, moment))["lots"]
        assert sorted(each["number"] for each in lots["nodes"]) == numbers
        assert lots["totalCount"] == len(numbers)


async def test_a_search_as_of_does_not_tell_what_is_hidden_today(ask: Any) -> None:
    document = "query($t: DateTime, $q: String) { suppliers(search: $q, asOf: $t) { totalCount nodes { name } } }"
    assert await ask(document, 0, q="秘密") == {"suppliers": {"totalCount": 0, "nodes": []}}
    assert (await ask("query($t: DateTime) { suppliers(asOf: $t) { nodes { name } } }", 0))["suppliers"] == {
        "nodes": [{"name": "公开名称"}]
    }
