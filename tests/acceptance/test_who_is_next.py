"""Whom a record waits for, and a person's work as it changes, through GraphQL with the pack's own roles."""

from __future__ import annotations

import json

import pytest
from tests.acceptance.at_work import opened
from tests.acceptance.test_nonconformance import found

from clew.api import process_waiting
from clew.api.exchange import Question
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

NEXT = "query($r: ID!) { nextActors(record: $r) { workflow step label post people incident } }"
MINE = "subscription { myWorkChanged { tasks { step } notices { about step } } }"


async def test_a_lot_waits_for_whoever_its_nonconformance_asks(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_waiting, "LOOK_ANYWAY_SECONDS", 1_000_000.0)
    firm = await opened(database)
    question = Question(MINE, variables={})
    work = firm.runtime.graphql.stream(question, await firm.caller("quality_engineer"))
    assert json.loads((await anext(work)).body)["data"]["myWorkChanged"] == {"tasks": [], "notices": []}

    await found(firm)
    (waits,) = (await firm.ask("qc_inspector", NEXT, r=firm.ids["good"]))["nextActors"]
    assert waits == {
        "workflow": "nonconformance_handling", "step": "contain", "label": "Contain", "post": None,
        "people": ["qc_inspector"], "incident": None,
    }  # fmt: skip
    assert (await firm.ask("buyer", NEXT, r=firm.ids["good"]))["nextActors"] == [], "nothing for who does not see it"

    await firm.does("qc_inspector", "contain", containment="隔离区")
    now = json.loads((await anext(work)).body)["data"]["myWorkChanged"]
    assert now["tasks"] == [{"step": "investigate"}]
    assert {"about": "task", "step": "investigate"} in now["notices"]
    told = "{ myProcesses { timeline { what step actorName behalfName } } }"
    (mine,) = (await firm.ask("qc_inspector", told))["myProcesses"]
    done = {"what": "decide", "step": "contain", "actorName": "qc_inspector", "behalfName": None}
    assert done in mine["timeline"], "who did what, by name"
    copied = "mutation($p: ID!, $q: [ID!]!) { copyProcess(process: $p, people: $q) { replayed } }"
    (mine,) = (await firm.ask("qc_inspector", "{ processes: myProcesses { id } }"))["processes"]
    await firm.ask("qc_inspector", copied, p=mine["id"], q=[firm.people["buyer"]])
    assert [each["step"] for each in await firm.tasks("buyer")] == ["investigate"], "copied to me"
    await work.aclose()
