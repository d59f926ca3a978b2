"""A change from request to effectiveness, and an emergency that nobody ratifies, by the pack's own roles."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from tests.acceptance.at_work import AnyRef, Firm, opened
from tests.integration.pack_world import BORN, TODAY

from clew.storage import system
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

AUTHOR = "doc_controller"
ASSESSORS = {
    "rd": "rd_engineer",
    "qa": "quality_engineer",
    "ra": "ra_specialist",
    "process": "process_engineer",
    "purchase": "buyer",
    "finance": "finance",
}


async def requested(firm: Firm, **values: Any) -> UUID:
    given = {
        "type": "material",
        "subject": "钢管改供应商",
        "reason": "原供应商停产",
        "requested_by": firm.employees[AUTHOR],
        "affected": [{"object": AnyRef("item", firm.ids["steel"])}],
        **values,
    }
    request = await firm.creates(AUTHOR, "change_request", **given)
    await firm.moves(AUTHOR, "change_request", request, "submit")
    return request


def verdict(firm: Firm, dept: str, says: str = "ok") -> dict[str, Any]:
    by = firm.employees[ASSESSORS[dept]]
    return {"dept": dept, "verdict": says, "note": "已核对", "assessed_by": by, "assessed_at": BORN}


async def assessed(firm: Firm, **says: str) -> None:
    """Every function gives its verdict; regulatory affairs says what each market needs."""
    for dept, login in ASSESSORS.items():
        markets = {"reg_impact": [{"market": "CN", "verdict": "file"}]} if dept == "ra" else {}
        line = verdict(firm, dept, says.get(dept, "ok"))
        await firm.does(login, f"{dept}_verdict", impacts={"add": [line]}, **markets)


async def test_a_change_from_request_to_effectiveness(database: TestDatabase) -> None:
    firm = await opened(database)
    ids = firm.ids
    request = await requested(firm)
    assert await firm.refusal(firm.does("change_coordinator", "screen", "accept")) == "NOT_FINISHED", "state the class"
    await firm.does("change_coordinator", "screen", "accept", **{"class": "major", "used_in": [ids["pump"]]})
    assert await firm.state("change_request", request) == "assessing"

    await assessed(firm, purchase="object")
    assert list(await firm.waiting()) == ["change_evaluation.answer_objections"], "an objection is answered once"
    await firm.does("change_coordinator", "answer_objections")
    for dept, login in ASSESSORS.items():
        await firm.does(login, f"{dept}_verdict")
    assert await firm.state("change_request", request) == "board"

    for login in ("rd_head", "production_head", "qa_manager"):
        await firm.does(login, "board", "approve")
    assert await firm.state("change_request", request) == "board", "regulatory affairs must agree"
    await firm.does("ra_manager", "board", "approve")
    assert await firm.state("change_request", request) == "approved"
    order, filing = await firm.only("change_order"), await firm.only("filing_task")
    assert (order["state"], order["change_request"]) == ("planned", request)
    assert (filing["market"], filing["trigger_id"]) == ("CN", request)
    thread = (await firm.record("change_request", request))["thread_id"]
    assert {order["thread_id"], filing["thread_id"]} == {thread}, "one thread"

    affected = await firm.creates(
        "change_coordinator",
        "affected_item",
        change_order=order["id"],
        object=AnyRef("item", ids["steel"]),
        from_rev="A",
        to_rev="B",
        action="revise",
        stock_disposition="use",
        wip_disposition="use",
        open_po_disposition="hold",
    )
    await firm.does("change_coordinator", "plan", effective_markets=["EU"])
    for login, step in (
        ("doc_controller", "revise"),
        ("process_engineer", "revise_structure"),
        ("buyer", "tell_suppliers"),
        ("trainer", "train"),
        ("ra_specialist", "file"),
    ):
        await firm.does(login, step)
    await firm.does("quality_engineer", "validate", validation_result="pass")
    await firm.does("rd_engineer", "risk", risk_note="无新风险")
    assert await firm.state("change_order", order["id"]) == "verifying"

    dates = {"effective_on": TODAY, "effectiveness_due": TODAY}
    refused = await firm.refusal(firm.does("qa_manager", "release", "release", **dates))
    assert refused == "NOT_FINISHED", "an affected item is still open"
    await firm.moves("change_coordinator", "affected_item", affected, "finish")
    await firm.does("qa_manager", "release", "release", **dates)
    assert await firm.state("change_order", order["id"]) == "released"
    await firm.time_passes(1)
    await firm.does("department_head", "effectiveness", "approve", effectiveness="来料合格率未下降")
    await firm.does("qa_manager", "confirm", "approve")
    assert await firm.state("change_order", order["id"]) == "closed"
    await firm.does("change_coordinator", "close")
    assert await firm.state("change_request", request) == "closed"
    ends = await firm.ends()
    assert (ends["change_evaluation"], ends["change_execution"]) == (("ended", "closed"), ("ended", "closed"))
    signed = sorted(await firm.rows(system.signature), key=lambda each: each["signed_at"])
    assert [each["meaning"] for each in signed] == ["approval"] * 4 + ["release"] + ["approval"] * 2


async def test_an_emergency_that_nobody_ratifies_is_held(database: TestDatabase) -> None:
    firm = await opened(database)
    good = firm.ids["good"]
    request = await requested(firm, urgency="emergency")
    await firm.does("change_coordinator", "screen", "accept", **{"class": "major"})
    assert await firm.waiting() == {"change_evaluation.emergency": ["qa_manager", "quality_head"]}
    why = {"emergency_reason": "停线", "emergency_lots": [good]}
    await firm.does("quality_head", "emergency", "approve", **why)
    await firm.does("qa_manager", "emergency", "approve")
    assert (await firm.record("change_request", request))["emergency_approved_at"] is not None
    assert len(await firm.waiting()) == 6, "the functions assess at once"

    await firm.time_passes(24 * 30)
    holds = await firm.all("inventory_hold", cause_id=request)
    assert [(each["lot"], each["state"]) for each in holds] == [(good, "active")]
    assert (await firm.record("change_request", request))["emergency_lapsed"]
    assert (await firm.ends())["change_evaluation"][0] == "running", "the board still decides"
