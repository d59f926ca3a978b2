"""A complaint that becomes a report to an authority, a nonconformance and a recall, along one thread."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.acceptance.at_work import Firm, opened
from tests.integration.pack_world import TODAY

from clew.storage import process_tables
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


async def complained(firm: Firm, **values: Any) -> UUID:
    given = {
        "site": firm.ids["site"],
        "aware_at": datetime.now(UTC) - timedelta(hours=2),
        "device_name": "输液泵",
        "item": firm.ids["pump"],
        "lot": firm.ids["made"],
        "complainant_name": "王护士",
        "complainant_phone": "0512-000",
        "description": "流速偏快",
        "harm": "serious",
        **values,
    }
    return await firm.creates("customer_service", "complaint", **given)


async def triaged(firm: Firm, decision: str, *, investigate: bool) -> None:
    await firm.does("customer_service", "intake")
    markets = [{"market": "CN", "decision": decision}]
    await firm.does("safety_officer", "triage", "approve", reportability=markets)
    why = {} if investigate else {"rationale": "同类投诉已调查"}
    await firm.does("qa_manager", "triage", "approve", investigate=investigate, **why)
    await firm.does("service_manager", "triage", "approve", correction="已更换")


async def test_a_complaint_becomes_a_report_a_nonconformance_and_a_recall(database: TestDatabase) -> None:
    firm = await opened(database)
    ids = firm.ids
    complaint = await complained(firm)
    thread = (await firm.record("complaint", complaint))["thread_id"]
    await triaged(firm, "reportable", investigate=True)
    assert await firm.state("complaint", complaint) == "triaged"
    event = await firm.only("adverse_event")
    assert (event["market"], event["category"], event["state"]) == ("CN", "serious_injury", "drafting")

    await firm.does("safety_officer", "draft", narrative="流速偏快致过量")
    await firm.does("medical_reviewer", "medical", "agree", medical_opinion="与器械可能有关")
    await firm.does("ra_manager", "approve", "agree")
    await firm.does("safety_officer", "submit")
    await firm.does("safety_officer", "acknowledge", authority_ref="SZ-2026-1")
    await firm.does("safety_officer", "adverse_event_reporting.close")
    event = await firm.only("adverse_event")
    assert event["state"] == "closed"
    assert event["submitted_at"] is not None
    assert (await firm.ends())["adverse_event_clock"] == ("ended", "submitted"), "the legal clock stops with it"

    await firm.does("quality_engineer", "trace", trace_note="一批,未发运")
    found = {"cause": "泵管磨损", "defect": ids["defect"]}
    refused = await firm.refusal(firm.does("quality_engineer", "trace_aftersales.investigate", **found))
    assert refused == "NOT_FINISHED", "the sample or the history record is reviewed first"
    await firm.does("quality_engineer", "trace_aftersales.investigate", **found, evidence_reviewed=True)
    born = await firm.only("nonconformance", complaint=complaint)
    assert (born["state"], born["thread_id"]) == ("open", thread)
    assert (await firm.ends())["nonconformance_handling"][0] == "running"

    await firm.does("safety_officer", "decide", "evaluate")
    await firm.does("qa_manager", "decide", "evaluate")
    assert await firm.state("complaint", complaint) == "decided"
    action = await firm.only("field_action")
    assert (action["state"], action["thread_id"]) == ("evaluating", thread)
    holds = await firm.all("inventory_hold", cause_id=action["id"])
    assert [(each["lot"], each["state"]) for each in holds] == [(ids["made"], "active")], "held before anybody decides"
    await recalled(firm, action["id"])
    assert await firm.state("lot", ids["made"]) == "recalled"

    await firm.does("customer_service", "reply", reply="已更换并召回该批")
    await firm.does("qa_manager", "trace_aftersales.close")
    assert await firm.state("complaint", complaint) == "closed"
    finished = await firm.ends()
    assert finished["trace_aftersales"] == finished["adverse_event_reporting"] == ("ended", "closed")
    assert finished["field_action_recall"] == ("ended", "closed")
    assert await firm.threads() == {thread}, "one thread through all of it"


async def recalled(firm: Firm, action: UUID) -> None:
    decided = {"class_cn": "class_1", "measures": ["withdraw"], "shipped_qty": "10.0000"}
    await firm.does("management_representative", "evaluate", "none", "影响交付")
    await firm.does("qa_manager", "evaluate", "recall", **decided)
    assert await firm.state("field_action", action) == "evaluating"
    assert [each["state"] for each in await firm.all("inventory_hold", cause_id=action)] == ["active"]
    assert len((await firm.waiting())["field_action_recall.evaluate"]) == 4, "one alone stops no recall: all four anew"
    await firm.does("qa_manager", "evaluate", "recall")
    for login in ("ra_manager", "medical_reviewer"):
        await firm.does(login, "evaluate", "recall")
    assert await firm.state("field_action", action) == "evaluating", "all four agree"
    await firm.does("management_representative", "evaluate", "recall")
    await firm.does("recall_lead", "start_measures")
    assert [each["step"].split("/")[-1] for each in await firm.tasks("recall_lead")] == ["notify_1"], "class 1: a day"
    line = {"customer": firm.ids["customer"], "qty": "10.0000", "notified_at": datetime.now(UTC)}
    await firm.does("recall_lead", "notify_1", consignees={"add": [line]})
    await firm.does("ra_manager", "report_form", report_form_on=TODAY)
    await firm.does("ra_manager", "report_plan", plan_submitted_on=TODAY)
    mine = await firm.only("field_action_consignees", owner=action)
    back = {"id": mine["id"], "ack_at": datetime.now(UTC), "returned": "9.0000"}
    refused = await firm.refusal(firm.does("recall_lead", "execute", consignees={"update": [back]}))
    assert refused == "NOT_FINISHED", "one piece is not accounted for"
    await firm.does("recall_lead", "execute", consignees={"update": [{**back, "consumed": "1.0000"}]})
    await firm.does("recall_lead", "effectiveness", effectiveness="100.00", conclusion="全部落实")
    await firm.does("qa_manager", "field_action_recall.close", "approve")
    await firm.does("management_representative", "close", "approve")
    assert await firm.state("field_action", action) == "closed"


async def test_a_report_nobody_writes_warns_by_the_calendar(database: TestDatabase) -> None:
    """Twenty days in China from awareness, holidays included: warned at half, three quarters, nine tenths, and due."""
    firm = await opened(database)
    await complained(firm)
    await triaged(firm, "reportable", investigate=False)
    # It counts also while both processes about it are suspended.
    ask = 'mutation($p: ID!) { suspendProcess(process: $p, reason: "等资料") { replayed } }'
    for each in await firm.rows(process_tables.process):
        answers = {"adverse_event_clock": "ra_manager", "adverse_event_reporting": "safety_officer"}
        if each["workflow"] in answers:
            await firm.ask(answers[each["workflow"]], ask, p=each["id"])
    told = []
    for days in (10, 5, 3, 2):
        await firm.time_passes(24 * days + 1)
        told.append(sum(each["about"] == "legal" for each in await firm.rows(process_tables.notice)))
    assert told == [1, 3, 6, 10], "one more is told each time"
    assert (await firm.ends())["adverse_event_clock"][0] == "suspended"
