"""What a plan says of processes, roles, separations and decision tables, on both databases."""

from __future__ import annotations

import pytest
from tests.integration.review_world import ROLES, SEPARATIONS, project
from tests.integration.test_access_processes import WORKFLOW, running

from clew.storage.change import Plan, plan
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

TABLE = """
decision: risk_class
label: {zh: 风险等级, en: Risk class}
inputs: {score: {type: integer, min: 0, max: 9}}
outputs: {level: {type: choice, of: [high, low]}}
hit: first
rows:
  - ["> 5", high]
  - [any, low]
"""
SECOND = WORKFLOW.replace("lot_check", "second_check")
LATER = WORKFLOW.replace("approve: done", "approve: file").replace(
    "  done: {label", "  file: {label: {zh: 归档, en: File}, who: releaser, within: 4 wh}\n  done: {label"
)


async def test_a_plan_tells_what_happens_to_definitions(database: TestDatabase) -> None:
    made, engine = await running(database)
    await engine.start(await made.call("ina"), "lot_check", made.lots["here"])
    roles = ROLES.replace("label: {zh: 员工, en: Employee}", "label: {zh: 员工, en: Staff}").replace(
        "role: trainee\n", "role: apprentice\n"
    )
    apart = SEPARATIONS.replace("buyer_is_not_sqe", "buyer_is_not_releaser").replace("[sqe]", "[releaser]")
    files = {"workflows/check.yaml": LATER, "workflows/second.yaml": SECOND, "rules/risk.yaml": TABLE}
    after = project(roles, apart, **files)
    found = await plan(made.database, after)
    told = {(each.sign, each.kind, each.name): (each.effect.en, dict(each.counts)) for each in found.definitions}
    assert told["~", "process", "lot_check"] == (
        "new steps: file; steps changed: agree; the definition they began with stays with 1 running case",
        {"running": 1},
    )
    assert told["+", "process", "second_check"] == ("3 steps, about lot", {"running": 0})
    assert told["~", "role", "employee"][1] == {"holders": 5}, "through the roles that inherit it"
    assert told["+", "role", "apprentice"] == ("nobody holds it until it is given", {"holders": 0})
    assert told["-", "role", "trainee"][1] == {"holders": 0}
    assert ("+", "separation", "buyer_is_not_releaser") in told
    assert told["-", "separation", "buyer_is_not_sqe"][0] == "no longer enforced"
    assert ("+", "decision_table", "risk_class") in told
    text = found.text("en")
    assert "  ~ changed process “Lot check” (lot_check): new steps: file" in text
    assert "Who gains or loses what: clew access diff" in text
    assert "流程“批次检查”(lot_check)有变化" in found.text("zh")
    assert Plan.from_json(found.to_json()).definitions == found.definitions
    assert not (await plan(made.database, made.plant.blueprint)).definitions
