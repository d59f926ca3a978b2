"""Decision tables at work: in steps, guards and defaults, with what they said kept; on both databases."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.integration.pack_world import pack_plant
from tests.integration.process_world import Works, small_works
from tests.integration.test_forms import ask_as, less
from tests.unit.process.play import PROJECT

from clew.api.decision_tables import DecisionTables
from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.api.view import READ_FEATURES
from clew.kernel.clock import SystemClock
from clew.kernel.errors import ClewError
from clew.metadata.link.workflows import link_again, pinned_text
from clew.metadata.load import load_sources
from clew.records.errors import GuardFailed
from clew.storage import process_tables, system
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

TABLE = """\
decision: triage
label: {zh: 分诊, en: Triage}
inputs:
  title: {type: text}
  serious: {type: boolean}
outputs:
  verdict: {type: choice, of: [keep, scrap]}
  points: {type: integer}
default: refuse
rows:
  - [scratch, any, keep, 1]
  - [crack, true, scrap, 9]
  - [crack, false, keep, 3]
"""
STEPS = """\
  sort:
    decide:
      table: triage
      with: {title: "coalesce(title, '')"}
      set: {verdict: verdict}
      by: verdict
      then: {scrap: bin, any: shelf}
  bin: {who: clerk}
  over: {end: scrapped}
  shelf: {end: kept}
"""
GUARDED = PROJECT["models/a.yaml"].replace(
    "check: {from: open, to: checked}",
    "check: {from: open, to: checked, when: \"title != null && decide('triage', 'points', title, serious) < 9\"}",
)


async def works(database: TestDatabase) -> Works:
    files = {"rules/t.yaml": TABLE, "models/a.yaml": GUARDED}
    return await small_works(await database.open(), STEPS, people={"clerk": ["ann"]}, files=files)


async def test_a_step_asks_a_table_and_the_timeline_keeps_what_it_said(database: TestDatabase) -> None:
    made = await works(database)
    version = made.plant.blueprint.decisions["triage"].version
    ids = {}
    for title, serious in (("crack", True), ("crack", False), ("dent", True)):
        case = await made.plant.commands.create(made.call("ann"), "case", {"title": title, "serious": serious})
        ids[title, serious] = case.id
        await made.processes.start(made.call("ann"), "handling", case.id)
    states = {each["record_id"]: each["state"] for each in await made.instances()}
    assert [each["step"] for each in states[ids["crack", True]]["tokens"]] == ["bin"]
    assert states[ids["crack", False]]["outcome"] == "kept"
    assert [each["kind"] for each in states[ids["dent", True]]["incidents"]] == ["entry"], "not decided is no decision"
    cases = await made.plant.current("case")
    assert cases[ids["crack", True]]["verdict"] == "scrap"
    assert cases[ids["dent", True]]["verdict"] is None
    said = [
        json.loads(row["comment"])
        for row in await made.plant.rows(process_tables.process_log)
        if row["what"] == "decided"
    ]
    assert sorted(each["rows"] for each in said) == [[2], [3]]
    assert {each["version"] for each in said} == {version}


async def test_what_a_table_was_asked_is_for_who_sees_it(database: TestDatabase) -> None:
    """The timeline keeps what a table was asked: fields of the record. Who does not see them sees that it was asked,
    also in the answer to a command (threat 22)."""
    made = await works(database)
    case = await made.plant.commands.create(made.call("ann"), "case", {"title": "crack", "serious": True})
    started = await made.processes.start(made.call("ann"), "handling", case.id)
    asking = "query($p: ID!) { processInstance(id: $p) { timeline { what comment } } }"
    starting = (
        'mutation($r: ID!) { startProcess(workflow: "handling", record: $r) { process { timeline { what comment } } } }'
    )
    all_ = made.plant.decision
    for hidden, seen in (((), True), (("title",), False), (("verdict",), True)):
        decision = less(all_, "case", hidden)
        asked = await ask_as(made, "ann", decision, asking, p=str(started.process))
        another = await made.plant.commands.create(made.call("ann"), "case", {"title": "crack", "serious": True})
        said = (await ask_as(made, "ann", decision, starting, r=str(another.id)))["process"]
        for found in (asked, said):
            [told] = [each["comment"] for each in found["timeline"] if each["what"] == "decided"]
            assert (told is not None and "crack" in told) is seen, hidden
            assert (told is None) is not seen


async def test_an_instance_keeps_the_tables_it_began_with(database: TestDatabase) -> None:
    made = await works(database)
    old = made.plant.blueprint
    (row,) = [old.workflows["handling"]]
    text = pinned_text(row.place.file, old)
    later = load_sources({**old.sources, "rules/t.yaml": TABLE.replace("true, scrap", "true, keep")})
    assert later.blueprint is not None
    assert later.blueprint.workflows["handling"].digest != row.digest, "what a table says is part of the process"
    again, problems = link_again("handling", row.place.file, text, later.blueprint)
    assert not problems
    assert again is not None
    assert again.digest == row.digest
    assert again.step("sort").table == old.decisions["triage"].table


async def test_a_kept_decision_says_which_table_in_which_version_said_what(database: TestDatabase) -> None:
    made = await works(database)
    for title in ("scratch", "crack", "dent"):
        case = await made.plant.commands.create(made.call("ann"), "case", {"title": title, "serious": True})
        work = made.plant.commands.transition(made.call("ann"), "case", case.id, "check", 1)
        if title == "scratch":
            await work
        else:
            with pytest.raises(GuardFailed):
                await work
    kept = [json.loads(row["body"]) for row in await made.plant.rows(system.decision)]
    facts = [check["facts"] for each in kept for check in each["checks"] if check["kind"] == "guard"]
    said = {each["title"]: each["decide(triage)"] for each in facts}
    assert said["scratch"]["rows"] == [1]
    assert said["crack"]["outputs"] == {"verdict": "scrap", "points": 9}
    assert "no row" in said["dent"]["undecided"]
    assert {each["version"] for each in said.values()} == {made.plant.blueprint.decisions["triage"].version}


async def test_what_a_table_says_can_be_asked(database: TestDatabase) -> None:
    made = await works(database)
    plant = made.plant
    features = (*READ_FEATURES, DecisionTables())
    engine = GraphQLEngine(plant.blueprint, plant.tables, plant.database, SystemClock(), features=features)

    async def ask(document: str, **variables: Any) -> Any:
        call = made.call("ann")
        answer = await engine.execute(Question(document, variables=variables), Caller(call.context, call.decision))
        return json.loads(answer.body)

    listed = await ask("{ decisionTables { name label rows inputs version } }")
    [table] = listed["data"]["decisionTables"]
    assert (table["name"], table["label"], table["rows"]) == ("triage", "Triage", 3)
    assert table["inputs"][0] == {"name": "title", "type": "text", "codes": None}
    asking = 'query($i: JSON!) { askTable(table: "triage", inputs: $i) { rows outputs undecided } }'
    found = (await ask(asking, i={"title": "crack", "serious": True}))["data"]["askTable"]
    assert found == {"rows": [2], "outputs": {"verdict": "scrap", "points": 9}, "undecided": None}
    assert (await ask(asking, i={"title": "dent", "serious": True}))["data"]["askTable"]["outputs"] is None
    wrong = await ask(asking, i={"serious": 5})
    assert wrong["errors"][0]["extensions"]["code"] == "TABLE_INPUT"
    assert wrong["errors"][0]["extensions"]["input"] == ["inputs", "serious"]


async def test_an_inspection_lot_is_sampled_by_the_plan(database: TestDatabase) -> None:
    plant = await pack_plant(database)
    ids = plant.ids
    line = {"seq": 1, "name": "外观", "kind": "attribute", "severity": "major", "aql": "0.65"}
    plan = await plant.commands.create(
        plant.call,
        "inspection_plan",
        {
            "number": "IP-9",
            "name": "外观",
            "item": ids["steel"],
            "stage": "FQC",
            "sampling": "aql",
            "characteristics": [line],
        },
    )
    given = {"site": ids["site"], "lot": ids["good"], "plan": plan.id, "aql": "0.65"}

    async def made(**values: Any) -> dict[str, Any]:
        lot = await plant.commands.create(plant.call, "inspection_lot", {**given, **values})
        return (await plant.current("inspection_lot"))[lot.id]

    found = await made(lot_size=500)
    assert [found[name] for name in ("code_letter", "n", "ac", "re")] == ["H", 80, 1, 2]
    assert (await made(lot_size=15))["n"] == 15, "a sample as large as the lot is all of it"
    tight = await made(lot_size=500, severity="tightened")
    assert (tight["n"], tight["ac"]) == (125, 1)
    for wrong, code in (({"n": 79}, "RULE"), ({"ac": 2, "re": 3}, "RULE"), ({"aql": "1.0"}, "RULE")):
        with pytest.raises(ClewError) as refused:
            await made(lot_size=500, **wrong)
        assert refused.value.code == code
    with pytest.raises(ClewError) as refused:
        await made(lot_size=100, severity="tightened")
    assert refused.value.code == "UNDECIDABLE", "the standard's cells that nobody checked are not made up"
    by_hand = {"code_letter": "F", "n": 32, "ac": 0, "re": 1}
    assert (await made(lot_size=100, severity="tightened", **by_hand))["n"] == 32
