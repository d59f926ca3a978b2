"""Master data, periodic duties and a design project, each from its beginning to its end and the ways back."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.acceptance import market_world as world
from tests.acceptance.at_work import Firm, opened
from tests.integration.pack_world import BORN, TODAY, AnyRef, World

from clew.process.calendar_starts import CalendarStarts
from clew.storage import system
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

DEPARTMENTS = {
    "rd": "rd_engineer",
    "ra": "ra_specialist",
    "purchasing": "buyer",
    "quality": "quality_engineer",
    "finance": "finance",
}


async def contributed(firm: Firm) -> None:
    for department, login in DEPARTMENTS.items():
        mine = {"department": department, "done": True, "by": firm.employees[login]}
        await firm.does(login, f"{department}_fields", contributions={"add": [mine]})


async def test_master_data_is_asked_for_completed_and_published(database: TestDatabase) -> None:
    firm = await opened(database)
    await firm.hire(("steward", ("data_steward",)))
    given = {"kind": "create", "entity_name": "item", "subject": "新钢管", "reason": "新产品"}
    request = await firm.creates("rd_engineer", "master_data_request", requester=firm.employees["rd_engineer"], **given)
    await firm.moves("rd_engineer", "master_data_request", request, "submit")
    assert await firm.refusal(firm.does("steward", "search", "accept")) == "NOT_FINISHED", "duplicates come first"
    await firm.does("steward", "search", "accept", duplicates_searched=True, duplicates_found="无")
    by_hand = firm.does("steward", "code", assigned_code="IT-STEEL-2")
    assert await firm.refusal(by_hand) == "ACTION_REFUSED", "the coding rule gives it"
    fields = {"name": "新钢管", "type": "raw", "base_uom": "pcs", "make_buy": "buy"}
    await firm.does("steward", "code", proposed=fields)
    (draft,) = [each["id"] for each in await firm.all("item") if each["name"] == "新钢管"]
    code = (await firm.record("item", draft))["item_no"]
    assert (await firm.record("master_data_request", request))["assigned_code"] == code
    await contributed(firm)
    await firm.does("steward", "approve", "again", "财务字段不全")
    for department, login in DEPARTMENTS.items():
        more = {"proposed": {**fields, "specification": "8 mm"}} if department == "rd" else {}
        await firm.does(login, f"{department}_fields", **more)
    await firm.does("steward", "approve", "approve")
    assert await firm.state("master_data_request", request) == "published"
    made = await firm.record("item", draft)
    assert (made["state"], made["specification"]) == ("in_review", "8 mm"), "as approved, before any change order"
    told = {each["type"] for each in await firm.rows(system.outbox) if each["record_id"] in (request, draft)}
    assert told >= {"clew.item.submit", "clew.master_data_request.publish"}

    given = {"kind": "retire", "entity_name": "item", "subject": "停用", "reason": "不再使用"}
    given["existing"] = AnyRef("item", firm.ids["steel"])
    request = await firm.creates("rd_engineer", "master_data_request", requester=firm.employees["rd_engineer"], **given)
    await firm.moves("rd_engineer", "master_data_request", request, "submit")
    await firm.does("steward", "search", "reject", "仍有工单使用", duplicates_searched=True)
    assert await firm.state("master_data_request", request) == "rejected"


async def due(firm: Firm, kind: str, **values: Any) -> UUID:
    given = {"kind": kind, "subject": kind, "criteria": "ISO 13485", "lead_auditor": firm.employees["quality_engineer"]}
    duty = await firm.creates("qa_manager", "quality_audit", planned_on=TODAY, **given, **values)
    await firm.time_passes(48)
    return duty


async def test_a_duty_comes_round_again(database: TestDatabase) -> None:
    """A self-inspection goes to the authority and plans the next; a watch opens a renewal; suppliers are scored."""
    firm = await opened(database)
    duty = await due(firm, "self_inspection", year=TODAY.year - 1, every_months=12)
    await firm.does("quality_engineer", "prepare", inputs="体系文件")
    await firm.does("quality_engineer", "carry_out", conclusion="符合")
    await firm.does("ra_specialist", "submit", submitted_on=TODAY)
    await firm.does("management_representative", "approve_top", "supplement", "缺附件")
    await firm.does("quality_engineer", "supplement", conclusion="符合,附件已补")
    await firm.does("management_representative", "approve_top", "close")
    assert await firm.state("quality_audit", duty) == "closed"
    (following,) = [each for each in await firm.all("quality_audit") if each["id"] != duty]
    assert (following["state"], following["year"]) == ("planned", TODAY.year)
    assert following["planned_on"].year == TODAY.year + 1

    def papers(room: World) -> None:
        file = ({"name": "a.pdf", "sha256": "0" * 64, "size": 1, "media_type": "application/pdf"},)
        room.add(
            "licence", "registration", number="许20260001", authority="NMPA", kind="mfg_licence",
            sites=[firm.ids["site"]], holder=firm.ids["legal"], issued_on=BORN.date(),
            expires_on=TODAY + timedelta(days=100), file=file, state="active",
        )  # fmt: skip

    await world.furnish(firm, papers)
    await due(firm, "licence_watch")
    filing = await firm.only("filing_task")
    assert (filing["renewal"], filing["registration"]) == (True, firm.ids["licence"])
    await due(firm, "supplier_reevaluation")
    card = await firm.only("supplier_scorecard")
    assert (card["grade"], card["score"]) == ("A", Decimal(100))

    # What the calendar begins by itself, from the first of January to the tenth of February of 2026.
    starts, known = CalendarStarts(firm.runtime.processes), len(await firm.all("quality_audit"))
    await starts.look(datetime(2026, 1, 1, tzinfo=UTC))
    await starts.look(datetime(2026, 2, 10, 12, tzinfo=UTC))
    begun = sorted(await firm.all("quality_audit"), key=lambda each: str(each["number"]))[known:]
    assert Counter(each["kind"] for each in begun) == {
        "self_inspection": 1,  # fifty working days before the end of March
        "supplier_reevaluation": 2,
        "licence_watch": 2,
    }
    (site,) = [each["audited_site"] for each in begun if each["kind"] == "self_inspection"]
    assert site == firm.ids["site"]
    daily = [each for each in await firm.all("planning_run") if each["daily"]]
    assert len(daily) == 28, "each working day, the Sunday that made up for the new year holiday too"
