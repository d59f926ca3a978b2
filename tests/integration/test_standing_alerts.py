"""Standing alerts: at a change and by the hour, once however many look, again only when it may; on both databases."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.integration.process_world import Works, small_works

from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.api.inputs import Inputs
from clew.api.mutations import Mutations
from clew.api.standing_alerts import StandingAlerts
from clew.api.subscriptions import Subscriptions
from clew.api.view import READ_FEATURES
from clew.kernel.clock import SystemClock
from clew.process import alerts as module
from clew.process.alerts import Alerts
from clew.records.feed import Feed
from clew.storage import process_tables, system
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

ALERTS = """\
alert: part_in_two_cases
label: {zh: 同一部件两次, en: A part in two cases}
severity: high
for: part
when: "cases.count(c, c.serious) >= 2"
at_once: [{event: case.create, of: parts}, {event: case.update, of: parts}]
again_after_days: 10
tell: boss
say: {zh: 同一部件出现两次, en: The same part twice}
---
alert: grave
for: case
when: "serious && state == 'open'"
tell: boss
start: handling
"""
STEPS = "  look: {who: clerk, output: [title]}\n"


@pytest.fixture
async def made(database: TestDatabase) -> Works:
    people = {"clerk": ["ann"], "boss": ["bob"]}
    return await small_works(await database.open(), STEPS, people=people, files={"alerts/a.yaml": ALERTS})


async def a_case(made: Works, **values: Any) -> UUID:
    return (await made.plant.commands.create(made.call("ann"), "case", values)).id


async def stands(made: Works) -> list[tuple[str, bool]]:
    rows = sorted(await made.plant.rows(process_tables.standing_alert), key=lambda row: row["id"])
    return [(row["alert"], row["ceased_at"] is None) for row in rows]


async def test_a_change_raises_it_once_however_many_look(made: Works) -> None:
    part = (await made.plant.commands.create(made.call("ann"), "part", {"code": "P1"})).id
    alerts = Alerts(made.processes)
    first = await a_case(made, serious=True, parts=[part])
    assert await alerts.drain() == 0
    await a_case(made, serious=True, parts=[part])
    known = made.plant.blueprint.alerts["part_in_two_cases"]
    found = await asyncio.gather(alerts.drain(), alerts.look(known), Alerts(made.processes).look(known))
    assert sum(found) == 1
    assert await stands(made) == [("part_in_two_cases", True)]
    [notice] = await made.plant.rows(process_tables.notice)
    assert (notice["person"], notice["about"], notice["en"]) == (
        made.people["bob"].id,
        "standing_alert",
        "The same part twice",
    )
    events = [row for row in await made.plant.rows(system.outbox) if row["type"] == "clew.standing_alert.raised"]
    assert len(events) == 1

    await alerts.sweep()
    assert [name for name, _ in await stands(made)].count("part_in_two_cases") == 1, "it stands: nothing new"
    earlier = notice["at"] - timedelta(days=11)
    await made.update(process_tables.standing_alert, at=earlier)
    assert await alerts.look(known) == 1, "again after ten days"
    await made.plant.commands.update(made.call("ann"), "case", first, 1, {"serious": False})
    assert await alerts.drain() == 0
    assert ("part_in_two_cases", True) not in await stands(made), "it has ceased"
    await made.plant.commands.update(made.call("ann"), "case", first, 2, {"serious": True})
    assert await alerts.drain() == 1, "and may come again"


async def test_the_hour_raises_what_no_change_did_and_starts_a_process(made: Works) -> None:
    grave = await a_case(made, serious=True)
    alerts = Alerts(made.processes)
    assert await alerts.drain() == 0, "no change is named"
    assert await alerts.sweep() == 1
    assert await alerts.sweep() == 0
    [instance] = await made.instances()
    assert (instance["record_id"], instance["workflow"]) == (grave, "handling")
    assert len(await made.tasks("ann")) == 1


async def test_what_cannot_be_looked_at_stands_in_no_others_way(
    made: Works, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither another record of the same alert nor another alert."""
    part = (await made.plant.commands.create(made.call("ann"), "part", {"code": "P1"})).id
    cases = [await a_case(made, serious=True, parts=[part]) for _ in range(3)]
    whom, alerts = module.begin_where_used, Alerts(made.processes)

    async def broken(engine: Any, unit: Any, workflow: str, record: UUID, why: str) -> Any:
        if record == cases[1]:
            raise RuntimeError("nobody can be found")
        return await whom(engine, unit, workflow, record, why)

    monkeypatch.setattr(module, "begin_where_used", broken)
    with pytest.raises(RuntimeError, match="nobody can be found"):
        await alerts.sweep()
    assert sorted(await stands(made)) == [("grave", True), ("grave", True), ("part_in_two_cases", True)]
    monkeypatch.setattr(module, "begin_where_used", whom)
    assert await alerts.sweep() == 1
    assert await alerts.sweep() == 0


async def test_it_is_listed_and_acknowledged_by_whoever_was_told(made: Works) -> None:
    await a_case(made, serious=True)
    alerts, plant = Alerts(made.processes), made.plant
    await alerts.sweep()
    features = (*READ_FEATURES, Inputs(), Mutations(plant.commands), StandingAlerts(alerts))
    engine = GraphQLEngine(plant.blueprint, plant.tables, plant.database, SystemClock(), features=features)

    async def ask(login: str, document: str, **variables: Any) -> Any:
        call = made.call(login)
        answer = await engine.execute(Question(document, variables=variables), Caller(call.context, call.decision))
        return json.loads(answer.body)

    listing = "{ standingAlerts(standing: true) { id alert label severity entity acknowledgedAt } }"
    [one] = (await ask("ann", listing))["data"]["standingAlerts"]
    assert (one["alert"], one["entity"], one["severity"]) == ("grave", "Case", "medium")
    seen = 'mutation($id: ID!) { acknowledgeAlert(id: $id, comment: "seen") { acknowledgedBy comment } }'
    refused = await ask("ann", seen, id=one["id"])
    assert refused["errors"][0]["extensions"]["code"] == "ALERT_NOT_TOLD"
    for _ in range(2):
        answer = (await ask("bob", seen, id=one["id"]))["data"]["acknowledgeAlert"]
        assert answer == {"acknowledgedBy": str(made.people["bob"].id), "comment": "seen"}
    types = sorted(each["type"] for each in await plant.rows(system.outbox) if each["entity"] == "standing_alert")
    assert types == ["clew.standing_alert.acknowledged", "clew.standing_alert.raised"]
    leaves = [row for row in await plant.rows(system.leaf) if row["action"] == "alert:acknowledge"]
    assert len(leaves) == 1, "the trail keeps who has seen it"


async def test_alerts_that_stand_are_pushed_as_they_come_and_go(made: Works) -> None:
    alerts, plant = Alerts(made.processes), made.plant
    feed = Feed(plant.database, SystemClock(), poll=0.01)
    features = (*READ_FEATURES, Inputs(), Mutations(plant.commands), StandingAlerts(alerts, feed))
    features = (*features, Subscriptions(feed, plant.database))
    engine = GraphQLEngine(plant.blueprint, plant.tables, plant.database, SystemClock(), features=features)
    call = made.call("ann")
    question = Question("subscription { standingAlertsChanged { alert acknowledgedAt } }", variables={})
    stream = engine.stream(question, Caller(call.context, call.decision))

    async def told() -> list[Any]:
        async with asyncio.timeout(60):
            found: list[Any] = json.loads((await anext(stream)).body)["data"]["standingAlertsChanged"]
        return found

    assert await told() == []
    case = await a_case(made, serious=True)
    await alerts.sweep()
    assert await told() == [{"alert": "grave", "acknowledgedAt": None}]
    await plant.commands.update(made.call("ann"), "case", case, 1, {"serious": False})
    await alerts.sweep()
    assert await told() == []
    await stream.aclose()
