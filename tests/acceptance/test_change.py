"""A change from request to effectiveness, and an emergency that nobody ratifies, on both databases."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from tests.acceptance.fixed_staff import done, ends, moved, only, record, staffed
from tests.integration.pack_world import BORN, TODAY, AnyRef, pack_plant
from tests.integration.process_world import Works
from tests.integration.test_process_time import time_passes

from clew.kernel.errors import ClewError
from clew.process import jobs
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

ASSESSORS = {
    "rd": "rd_engineer",
    "qa": "quality_engineer",
    "ra": "ra_specialist",
    "process": "process_engineer",
    "purchase": "buyer",
    "finance": "service_manager",
}


async def requested(made: Works, **values: Any) -> UUID:
    given = {
        "type": "material",
        "subject": "钢管改供应商",
        "reason": "原供应商停产",
        "requested_by": made.plant.ids["li"],
        "affected": [{"object": AnyRef("item", made.plant.ids["steel"])}],
        **values,
    }
    request = (await made.plant.commands.create(made.call("author"), "change_request", given)).id
    await moved(made, "author", "change_request", request, "submit")
    return request


def verdict(made: Works, dept: str, says: str = "ok") -> dict[str, Any]:
    return {
        "dept": dept,
        "verdict": says,
        "note": "已核对",
        "assessed_by": made.plant.ids["li"],
        "assessed_at": BORN,
    }


async def assessed(made: Works, **says: str) -> None:
    """Every function gives its verdict; regulatory affairs says what each market needs."""
    for dept, login in ASSESSORS.items():
        markets = {"reg_impact": [{"market": "CN", "verdict": "file"}]} if dept == "ra" else {}
        line = verdict(made, dept, says.get(dept, "ok"))
        await done(made, login, step=f"{dept}_verdict", impacts={"add": [line]}, **markets)


async def test_a_change_from_request_to_effectiveness(database: TestDatabase) -> None:
    made = staffed(await pack_plant(await database.open()), "author")
    ids = made.plant.ids
    request = await requested(made)
    with pytest.raises(ClewError) as refused:
        await done(made, "change_coordinator", "accept")
    assert refused.value.code == "NOT_FINISHED", "the class is to be stated first"
    await done(made, "change_coordinator", "accept", **{"class": "major", "used_in": [ids["pump"]]})
    assert (await record(made, "change_request", request))["state"] == "assessing"

    await assessed(made, purchase="object")
    assert [each["step"] for each in await made.tasks()] == ["answer_objections"], "an objection is answered once"
    await done(made, "change_coordinator")
    for dept, login in ASSESSORS.items():
        await done(made, login, step=f"{dept}_verdict")
    assert (await record(made, "change_request", request))["state"] == "board"

    for login in ("rd_head", "production_head", "qa_manager"):
        await done(made, login, "approve")
    assert (await record(made, "change_request", request))["state"] == "board", "regulatory affairs must agree"
    await done(made, "ra_manager", "approve")
    assert (await record(made, "change_request", request))["state"] == "approved"
    order, filing = await only(made, "change_order"), await only(made, "filing_task")
    assert (order["state"], order["change_request"]) == ("planned", request)
    assert (filing["market"], filing["trigger_id"]) == ("CN", request)
    thread = (await record(made, "change_request", request))["thread_id"]
    assert {order["thread_id"], filing["thread_id"]} == {thread}, "one thread"

    affected = await made.plant.commands.create(
        made.call("change_coordinator"),
        "affected_item",
        {
            "change_order": order["id"],
            "object": AnyRef("item", ids["steel"]),
            "from_rev": "A",
            "to_rev": "B",
            "action": "revise",
            "stock_disposition": "use",
            "wip_disposition": "use",
            "open_po_disposition": "hold",
        },
    )
    await done(made, "change_coordinator", effective_markets=["EU"])
    for login, step in (
        ("doc_controller", "revise"),
        ("process_engineer", "revise_structure"),
        ("buyer", "tell_suppliers"),
        ("trainer", "train"),
        ("ra_specialist", "file"),
    ):
        await done(made, login, step=step)
    await done(made, "quality_engineer", step="validate", validation_result="pass")
    await done(made, "rd_engineer", step="risk", risk_note="无新风险")
    assert (await record(made, "change_order", order["id"]))["state"] == "verifying"

    dates = {"effective_on": TODAY, "effectiveness_due": TODAY}
    with pytest.raises(ClewError) as refused:
        await done(made, "qa_manager", "release", **dates)
    assert refused.value.code == "NOT_FINISHED", "an affected item is still open"
    await moved(made, "change_coordinator", "affected_item", affected.id, "finish")
    await done(made, "qa_manager", "release", **dates)
    assert (await record(made, "change_order", order["id"]))["state"] == "released"
    await time_passes(made, 1)
    await jobs.drain(made.processes)
    await done(made, "department_head", "approve", effectiveness="来料合格率未下降")
    await done(made, "qa_manager", "approve")
    assert (await record(made, "change_order", order["id"]))["state"] == "closed"
    await done(made, "change_coordinator")
    assert (await record(made, "change_request", request))["state"] == "closed"
    assert (await ends(made))["change_evaluation"] == ("ended", "closed")
    assert (await ends(made))["change_execution"] == ("ended", "closed")
    signed = [meaning for _, meaning in dict.fromkeys(made.signer.signed)]
    assert signed == ["approval"] * 4 + ["release"] + ["approval"] * 2


async def test_an_emergency_that_nobody_ratifies_is_held(database: TestDatabase) -> None:
    made = staffed(await pack_plant(await database.open()), "author")
    good = made.plant.ids["good"]
    request = await requested(made, urgency="emergency")
    await done(made, "change_coordinator", "accept", **{"class": "major"})
    assert {each["post"] for each in await made.tasks()} == {"quality_head", "qa_manager"}
    why = {"emergency_reason": "停线", "emergency_lots": [good]}
    await done(made, "quality_head", "approve", **why)
    await done(made, "qa_manager", "approve")
    assert (await record(made, "change_request", request))["emergency_approved_at"] is not None
    assert len(await made.tasks()) == 6, "the functions assess at once"

    await time_passes(made, 24 * 30)
    await jobs.drain(made.processes)
    holds = [each for each in (await made.plant.current("inventory_hold")).values() if each["cause_id"] == request]
    assert [(each["lot"], each["state"]) for each in holds] == [(good, "active")]
    assert (await record(made, "change_request", request))["emergency_lapsed"]
    assert (await ends(made))["change_evaluation"][0] == "running", "the board still decides"
