"""Ways round a mask through time: what was hidden while it was there is told by no trail, search or `asOf`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
import sqlalchemy as sa
from read_world import INSPECTOR, MOMENTS, SITES, World, context, mini, pour, uid

from clew.access.decision import ALWAYS, Decision, EntityAccess, FieldAccess, Grant
from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.expressions.check import check
from clew.kernel.clock import SystemClock
from clew.metadata.schema import BlueprintSchema
from clew.storage import system
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
LOT, ITEM, SUPPLIER = uid(4, 1), uid(2, 1), uid(3, 1)


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
    return made


async def leaf(connection: Connection, version: int, old: str, new: str) -> None:
    fields = json.dumps({"qty": {"c": "c", "s": "s", "o": old, "n": new}})
    values = {
        "leaf_id": uid(8, version), "at": MOMENTS[version - 1], "action": "update", "entity": "lot", "record_id": LOT,
        "row_version": version, "actor": uid(9, 1), "header": '{"reason":"r"}', "fields": fields, "digest": "d" * 64,
    }  # fmt: skip
    await connection.execute(sa.insert(system.leaf), values)


@pytest.fixture
async def ask(database: TestDatabase) -> AsyncIterator[Any]:
    opened = await database.open()
    tables = await pour(opened, mini(), a_world())
    async with opened.write() as connection:
        await leaf(connection, 2, "1.0000", "2.0000")
        await leaf(connection, 3, "2.0000", "3.0000")
    engine = GraphQLEngine(mini(), tables, opened, SystemClock())

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


async def test_a_search_as_of_does_not_tell_what_is_hidden_today(ask: Any) -> None:
    document = "query($t: DateTime, $q: String) { suppliers(search: $q, asOf: $t) { totalCount nodes { name } } }"
    assert await ask(document, 0, q="秘密") == {"suppliers": {"totalCount": 0, "nodes": []}}
    assert (await ask("query($t: DateTime) { suppliers(asOf: $t) { nodes { name } } }", 0))["suppliers"] == {
        "nodes": [{"name": "公开名称"}]
    }
