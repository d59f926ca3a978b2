"""A complaint that becomes a report to an authority, a nonconformance and a recall, along one thread."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.acceptance.fixed_staff import done, ends, only, record, staffed
from tests.integration.pack_world import TODAY, pack_plant
from tests.integration.process_world import Works
from tests.integration.test_process_time import time_passes

from clew.kernel.errors import ClewError
from clew.process import jobs
from clew.storage import process_tables
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


async def complained(made: Works, **values: Any) -> UUID:
    given = {
        "site": made.plant.ids["site"],
        "aware_at": datetime.now(UTC) - timedelta(hours=2),
        "device_name": "输液泵",
        "item": made.plant.ids["pump"],
        "lot": made.plant.ids["made"],
        "complainant_name": "王护士",
        "complainant_phone": "0512-000",
        "description": "流速偏快",
        "harm": "serious",
        **values,
    }
    complaint = (await made.plant.commands.create(made.call("caller"), "complaint", given)).id
    await jobs.drain(made.processes)
    return complaint


async def triaged(made: Works, decision: str, *, investigate: bool) -> None:
    await done(made, "customer_service")
    await done(made, "safety_officer", "approve", reportability=[{"market": "CN", "decision": decision}])
    why = {} if investigate else {"rationale": "同类投诉已调查"}
    await done(made, "qa_manager", "approve", investigate=investigate, **why)
    await done(made, "service_manager", "approve", correction="已更换")


async def test_a_complaint_becomes_a_report_a_nonconformance_and_a_recall(database: TestDatabase) -> None:
    made = staffed(await pack_plant(await database.open()), "caller")
    ids = made.plant.ids
    complaint = await complained(made)
    thread = (await record(made, "complaint", complaint))["thread_id"]
    await triaged(made, "reportable", investigate=True)
    assert (await record(made, "complaint", complaint))["state"] == "triaged"
    event = await only(made, "adverse_event")
    assert (event["market"], event["category"], event["state"]) == ("CN", "serious_injury", "drafting")

    await done(made, "safety_officer", step="draft", narrative="流速偏快致过量")
    await done(made, "medical_reviewer", "agree", step="medical", medical_opinion="与器械可能有关")
    await done(made, "ra_manager", "agree", step="approve")
    await done(made, "safety_officer", step="submit")
    await done(made, "safety_officer", step="acknowledge", authority_ref="SZ-2026-1")
    await done(made, "safety_officer", step="close")
    event = await only(made, "adverse_event")
    assert event["state"] == "closed"
    assert event["submitted_at"] is not None
    assert (await ends(made))["adverse_event_clock"] == ("ended", "submitted"), "the legal clock stops with it"

    await done(made, "quality_engineer", step="trace", trace_note="一批,未发运")
    with pytest.raises(ClewError) as refused:
        await done(made, "quality_engineer", step="investigate", cause="泵管磨损", defect=ids["defect"])
    assert refused.value.code == "NOT_FINISHED", "the sample or the history record is reviewed first"
    found = {"cause": "泵管磨损", "defect": ids["defect"], "evidence_reviewed": True}
    await done(made, "quality_engineer", step="investigate", **found)
    nonconformances = (await made.plant.current("nonconformance")).values()
    (born,) = [each for each in nonconformances if each["complaint"] == complaint]
    assert (born["state"], born["thread_id"]) == ("open", thread)
    assert (await ends(made))["nonconformance_handling"][0] == "running"

    await done(made, "safety_officer", "evaluate", step="decide")
    await done(made, "qa_manager", "evaluate", step="decide")
    assert (await record(made, "complaint", complaint))["state"] == "decided"
    action = await only(made, "field_action")
    assert (action["state"], action["thread_id"]) == ("evaluating", thread)
    holds = [each for each in (await made.plant.current("inventory_hold")).values() if each["cause_id"] == action["id"]]
    assert [(each["lot"], each["state"]) for each in holds] == [(ids["made"], "active")], "held before anybody decides"
    await recalled(made, action["id"])
    assert (await record(made, "lot", ids["made"]))["state"] == "recalled"

    await done(made, "customer_service", step="reply", reply="已更换并召回该批")
    await done(made, "qa_manager", step="close")
    assert (await record(made, "complaint", complaint))["state"] == "closed"
    finished = await ends(made)
    assert finished["trace_aftersales"] == finished["adverse_event_reporting"] == ("ended", "closed")
    assert finished["field_action_recall"] == ("ended", "closed")
    assert {each["thread_id"] for each in await made.instances()} == {thread}, "one thread through all of it"


async def recalled(made: Works, action: UUID) -> None:
    decided = {"class_cn": "class_1", "measures": ["withdraw"], "shipped_qty": "10.0000"}
    await done(made, "qa_manager", "recall", step="evaluate", **decided)
    for login in ("ra_manager", "medical_reviewer"):
        await done(made, login, "recall", step="evaluate")
    assert (await record(made, "field_action", action))["state"] == "evaluating", "all four agree"
    await done(made, "management_representative", "recall", step="evaluate")
    await done(made, "recall_lead", step="start_measures")
    assert {each["step"].split("/")[-1] for each in await made.tasks("recall_lead")} == {"notify_1"}, "class 1: a day"
    line = {"customer": made.plant.ids["customer"], "qty": "10.0000", "notified_at": datetime.now(UTC)}
    await done(made, "recall_lead", step="notify_1", consignees={"add": [line]})
    await done(made, "ra_manager", step="report_plan", plan_submitted_on=TODAY)
    (mine,) = [
        each for each in (await made.plant.current("field_action_consignees")).values() if each["owner"] == action
    ]
    back = {"id": mine["id"], "ack_at": datetime.now(UTC), "returned": "9.0000"}
    with pytest.raises(ClewError) as refused:
        await done(made, "recall_lead", step="execute", consignees={"update": [back]})
    assert refused.value.code == "NOT_FINISHED", "one piece is not accounted for"
    back = {**back, "consumed": "1.0000"}
    await done(made, "recall_lead", step="execute", consignees={"update": [back]})
    await done(made, "recall_lead", step="effectiveness", effectiveness="100.00", conclusion="全部落实")
    await done(made, "qa_manager", "approve", step="close")
    await done(made, "management_representative", "approve", step="close")
    assert (await record(made, "field_action", action))["state"] == "closed"


async def test_a_report_nobody_writes_warns_by_the_calendar(database: TestDatabase) -> None:
    """Twenty days in China from awareness, holidays included: warned at half, three quarters, nine tenths, and due."""
    made = staffed(await pack_plant(await database.open()), "caller")
    await complained(made)
    await triaged(made, "reportable", investigate=False)
    told = []
    for _ in range(4):
        await time_passes(made, 24 * 21)
        await jobs.drain(made.processes)
        rows = await made.plant.rows(process_tables.notice)
        told.append(sum("法定时限" in each["zh"] for each in rows))
    assert told == [1, 3, 6, 10], "one more is told each time"
    assert (await ends(made))["adverse_event_clock"] == ("ended", "overdue")
