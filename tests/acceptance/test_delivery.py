"""From a sales order to the customer and back: licence, allocation, review, shipment, proof, invoice, return."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.acceptance import market_world as world
from tests.acceptance.at_work import Firm
from tests.acceptance.market_world import furnish, furnished
from tests.integration.pack_world import BORN, LATER, TODAY, World

from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


def stocked(firm: Firm) -> Any:
    """Two released lots of pumps, the older one expiring first, and one that expires too soon."""
    ids = firm.ids

    def room(world: World) -> None:
        for name, days, qty in (("late", 300, 10), ("early", 200, 4), ("soon", 5, 50)):
            made = TODAY - timedelta(days=365 - days)
            lot = world.lot(
                name, item=ids["pump"], source="production", work_order=ids["work"], mfg_on=made,
                exp_on=made + timedelta(days=365), state="released",
            )  # fmt: skip
            where = {"site": ids["site"], "location": ids["store"], "quality_status": "released"}
            world.add(
                f"stock:{name}", "inventory_balance", item=ids["pump"], lot=lot, on_hand=Decimal(qty),
                reserved=Decimal(0), **where,
            )  # fmt: skip
            world.add(
                f"release:{name}", "release_decision", site=ids["site"], number=f"RD-{name}", lot=lot, kind="market",
                market="CN", outcome="release", decided_by=ids["zhao"], decided_at=BORN, state="decided",
            )  # fmt: skip
        world.add("reason", "reason_code", kind="return", code="R1", name={"zh": "拒收", "en": "Refused"})

    return room


async def wanted(firm: Firm, qty: int = 6, **values: Any) -> UUID:
    line = {"line": 1, "item": firm.ids["pump"], "qty": Decimal(qty), "price": Decimal(100), "due": LATER}
    given = {"customer": firm.ids["customer"], "market": "CN", "ordered_on": TODAY, "min_shelf_life": 90}
    return await firm.creates("sales", "sales_order", site=firm.ids["site"], lines=[line], **{**given, **values})


async def reviewed(firm: Firm, shipment: UUID, login: str) -> None:
    """The delivery note of a shipment checked and signed by somebody."""
    ok = {"lot_ok": True, "label_ok": True, "package_ok": True, "papers_ok": True}
    checks = [
        {"lot": each["lot"], "qty": each["qty"], **ok} for each in await firm.all("shipment_line", owner=shipment)
    ]
    given = {"shipment": shipment, "reviewer": firm.employees[login], "result": "pass", "checks": checks}
    note = await firm.creates(login, "delivery_review", site=firm.ids["site"], **given)
    await firm.moves(login, "delivery_review", note, "review")


async def test_an_order_is_allocated_shipped_delivered_and_invoiced(database: TestDatabase) -> None:
    firm = await furnished(database)
    await firm.hire(("second", ("warehouse",)))
    await furnish(firm, stocked(firm))
    ids = firm.ids
    order = await wanted(firm)
    thread = (await firm.record("sales_order", order))["thread_id"]
    await firm.does("sales", "check", "confirm")
    await firm.does("planner", "allocate")
    shipment = await firm.only("shipment")
    lines = await firm.all("shipment_line", owner=shipment["id"])
    taken = [(each["lot"], each["qty"]) for each in sorted(lines, key=lambda each: each["line"])]
    assert taken == [(ids["early"], 4), (ids["late"], 2)], "first expired first out, with 90 days left"
    assert (await firm.only("inventory_balance", lot=ids["early"]))["reserved"] == 4

    await firm.moves("qc_inspector", "lot", ids["early"], "block", because="待查")
    assert await firm.refusal(firm.does("warehouse", "pick", "packed")) == "RULE", "a hold in the middle"
    await firm.does("warehouse", "pick", "replace", "批次被冻结")
    lines = await firm.all("shipment_line", owner=shipment["id"])
    assert [(each["lot"], each["qty"]) for each in lines] == [(ids["late"], 6)]
    assert (await firm.only("inventory_balance", lot=ids["early"]))["reserved"] == 0
    await firm.does("warehouse", "pick", "packed")
    assert await firm.tasks("warehouse", "review") == [], "never by the picker"
    await firm.does("second", "review", "fail", "箱唛不符")
    await firm.hire(("third", ("warehouse",)))
    await firm.does("second", "repack")
    assert await firm.tasks("second", "review") == [], "whoever packed it again does not review it either"
    await firm.does("third", "review", "fail", "箱唛仍不符")
    await firm.does("warehouse", "repack")
    unsigned = firm.does("third", "review", "pass")
    assert await firm.refusal(unsigned) == "NOT_FINISHED", "the delivery note is to be signed"
    await reviewed(firm, shipment["id"], "third")
    await firm.does("third", "review", "pass")
    await firm.does("warehouse", "ship", carrier="顺丰", waybill="SF1")
    balance = await firm.only("inventory_balance", lot=ids["late"])
    assert (balance["on_hand"], balance["reserved"]) == (4, 0)
    proof = {"delivered_at": datetime.now(UTC), "proof_of_delivery": world.PAPER["file"]}
    await firm.does("sales", "deliver", "delivered", **proof)
    await firm.does("finance", "bill", invoice_no="S-1")
    invoice = await firm.only("invoice")
    assert (invoice["direction"], invoice["customer"]) == ("sales", ids["customer"])
    assert await firm.state("sales_order", order) == "closed"
    assert await firm.threads() == {thread}

    line = {"item": ids["pump"], "lot": ids["late"], "qty": Decimal(2)}
    given = {"customer": ids["customer"], "shipment": shipment["id"], "reason": ids["reason"], "lines": [line]}
    back = await firm.creates("sales", "return_authorisation", site=ids["site"], **given)
    await firm.does("sales", "agree", "approve")
    (mine,) = await firm.all("return_authorisation_lines", owner=back)
    here = {"id": mine["id"], "received_qty": Decimal(2)}
    await firm.does("warehouse", "receive", location=ids["back"], lines={"update": [here]})
    fit = {"id": mine["id"], "disposition": "restock"}
    await firm.does("qc_inspector", "inspect", lines={"update": [fit]})
    await firm.does("qa_manager", "restock", "refuse", "包装破损")
    await firm.does("qc_inspector", "inspect_again", lines={"update": [{**fit, "disposition": "scrap"}]})
    assert await firm.state("return_authorisation", back) == "closed"
    assert (await firm.ends())["goods_return"] == ("ended", "settled")


async def test_a_customer_without_a_licence_gets_nothing(database: TestDatabase) -> None:
    firm = await furnished(database)
    await furnish(firm, stocked(firm))
    order = await wanted(firm)
    customers = firm.runtime.tables.current("customer")

    async def lapse(connection: Connection) -> None:
        await connection.execute(sa.update(customers).values(licence_expires=TODAY - timedelta(days=1)))

    await firm.runtime.database.run_write(lapse)
    assert await firm.refusal(firm.does("sales", "check", "confirm")) == "NOT_FINISHED"
    await firm.does("sales", "check", "cancel", "许可证过期")
    assert await firm.state("sales_order", order) == "cancelled"


async def test_from_demand_to_shipment_to_complaint_to_recall(database: TestDatabase) -> None:
    """One thread from what a customer asked for to what is fetched back from them."""
    firm = await furnished(database)
    await firm.hire(("second", ("warehouse",)))
    ids = firm.ids
    order = await wanted(firm, qty=13)
    thread = (await firm.record("sales_order", order))["thread_id"]
    await firm.does("sales", "check", "confirm")
    await firm.does("planner", "confirm", "confirm")
    work = await firm.only("work_order", demand_id=order)
    assert (work["qty"], work["markets"]) == (Decimal(3), ["CN"]), "ten of thirteen are being made already"
    await world.planned(firm)
    await world.under_way(firm)
    await world.all_made(firm, work["id"])
    await world.inspected(firm)
    await world.reported(firm)
    await world.reviewed(firm)
    await world.released(firm)
    lot = (await firm.record("work_order", work["id"]))["lot"]
    stock = await firm.only("inventory_balance", lot=lot)
    assert (stock["quality_status"], stock["on_hand"]) == ("released", Decimal(3)), "released, hence in stock"
    # The ten that were being made before are counted in with them.
    into = {"type": "receipt", "item": ids["pump"], "lot": lot, "to_location": ids["store"], "to_status": "released"}
    by = {"performed_by": firm.employees["warehouse"]}
    await firm.creates("warehouse", "inventory_movement", site=ids["site"], qty=Decimal(10), **into, **by)
    await firm.does("planner", "settle_shortage", "in_stock")
    await firm.does("planner", "allocate")
    shipment = await firm.only("shipment")
    await firm.does("warehouse", "pick", "packed")
    await reviewed(firm, shipment["id"], "second")
    await firm.does("second", "review", "pass")
    await firm.does("warehouse", "ship", carrier="顺丰")
    proof = {"delivered_at": datetime.now(UTC), "proof_of_delivery": world.PAPER["file"]}
    await firm.does("warehouse", "deliver", "delivered", **proof)
    await firm.does("finance", "bill", invoice_no="S-2")
    assert await firm.state("sales_order", order) == "closed"

    complaint = await firm.creates(
        "customer_service", "complaint", site=ids["site"], aware_at=datetime.now(UTC) - timedelta(hours=2),
        device_name="输液泵", item=ids["pump"], lot=lot, complainant_name="王护士", complainant_phone="0512-000",
        description="流速偏快", harm="serious",
    )  # fmt: skip
    assert (await firm.record("complaint", complaint))["thread_id"] == thread
    await firm.does("customer_service", "intake")
    await firm.does("safety_officer", "triage", "approve", reportability=[{"market": "CN", "decision": "reportable"}])
    await firm.does("qa_manager", "triage", "approve", investigate=True)
    await firm.does("service_manager", "triage", "approve")
    await firm.does("quality_engineer", "trace", trace_note="全部发往一家客户")
    found = {"cause": "泵管磨损", "defect": ids["defect"], "evidence_reviewed": True}
    await firm.does("quality_engineer", "investigate", **found)
    await firm.does("safety_officer", "decide", "evaluate")
    await firm.does("qa_manager", "decide", "evaluate")
    action = await firm.only("field_action")
    decided = {"class_cn": "class_2", "measures": ["withdraw"], "shipped_qty": Decimal(13)}
    await firm.does("qa_manager", "evaluate", "recall", **decided)
    for login in ("ra_manager", "medical_reviewer", "management_representative"):
        await firm.does(login, "evaluate", "recall")
    await firm.does("recall_lead", "start_measures")
    told = {"customer": ids["customer"], "qty": Decimal(13), "notified_at": datetime.now(UTC)}
    await firm.does("recall_lead", "notify_3", consignees={"add": [told]})
    await firm.does("ra_manager", "report_form", report_form_on=TODAY)
    await firm.does("ra_manager", "report_plan", plan_submitted_on=TODAY)
    (mine,) = await firm.all("field_action_consignees", owner=action["id"])
    back = {"id": mine["id"], "ack_at": datetime.now(UTC), "returned": Decimal(13)}
    await firm.does("recall_lead", "execute", consignees={"update": [back]})
    assert await firm.state("lot", lot) == "recalled"
    await firm.does("recall_lead", "effectiveness", effectiveness=Decimal(100), conclusion="全部收回")
    await firm.does("qa_manager", "close", "approve")
    await firm.does("management_representative", "close", "approve")
    assert await firm.state("field_action", action["id"]) == "closed"
    assert await firm.threads() == {thread}, "one thread from the demand to the recall"
    followed = (
        "planning_run", "work_order", "lot", "inspection_lot", "edhr", "release_decision", "product_certificate",
        "shipment", "delivery_review", "invoice", "adverse_event", "nonconformance", "field_action",
    )  # fmt: skip
    lost = {name for name in followed if not await firm.all(name, thread_id=thread)}
    assert lost == set(), "every kind of record on the way is on it"
