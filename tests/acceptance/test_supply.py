"""From a requisition to paid goods in stock, with every refusal, return and detour on the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.acceptance import market_world as world
from tests.acceptance.at_work import Firm, opened
from tests.integration.pack_world import LATER, TODAY, Money

from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


async def requested(firm: Firm, amount: int, qty: int = 100) -> UUID:
    """A requisition that has been submitted."""
    ids = firm.ids
    given = {"item": ids["steel"], "qty": Decimal(qty), "need_by": LATER, "requester": firm.employees["planner"]}
    request = await firm.creates("planner", "purchase_requisition", site=ids["site"], **given)
    await firm.does("planner", "submit", est_amount=Money(Decimal(amount), "CNY"))
    return request


async def sourced(firm: Firm, **given: Any) -> None:
    what = {"suggested_supplier": firm.ids["supplier"], "order_price": Decimal(5), "cert_required": "en10204_3_1"}
    await firm.does("buyer", "source", "sourced", **{**what, **given})


async def on_order(firm: Firm) -> UUID:
    """A requisition whose order the supplier has confirmed; its line."""
    request = await requested(firm, 1000)
    await firm.does("department_head", "approve_head", "approve")
    await sourced(firm)
    await firm.does("buyer", "order")
    await firm.does("purchasing_manager", "approve", "approve")
    await firm.does("buyer", "send")
    line = await firm.only("purchase_order_line", requisition=request)
    await firm.updates("buyer", "purchase_order_line", line["id"], promised_on=LATER)
    await firm.does("buyer", "confirm", "confirm")
    found: UUID = line["id"]
    return found


async def arrived(firm: Firm, line: UUID, outcome: str = "accept", comment: str = "") -> UUID:
    given = {"po_line": line, "supplier_lot": "H-77", "qty": Decimal(100), "received_by": firm.employees["warehouse"]}
    receipt = await firm.creates("warehouse", "goods_receipt", site=firm.ids["site"], **given)
    await firm.does("warehouse", "check", outcome, comment, licence_checked=True, label_checked=True)
    return receipt


async def certified(firm: Firm, receipt: UUID) -> None:
    """The supplier's certificate brought by the warehouse and verified by supplier quality."""
    goods = await firm.record("goods_receipt", receipt)
    given = {"supplier": firm.ids["supplier"], "cert_no": "Q-77", "kind": "en10204_3_1", "lot": goods["lot"]}
    paper = {**given, "po_line": goods["po_line"], **world.PAPER}
    certificate = await firm.creates("warehouse", "material_certificate", site=firm.ids["site"], **paper)
    await firm.updates("sqe", "material_certificate", certificate, verified_by=firm.employees["sqe"])
    await firm.moves("sqe", "material_certificate", certificate, "verify")
    await firm.does("sqe", "certificate", "pass")


async def test_what_is_requested_is_sourced_received_released_and_paid(database: TestDatabase) -> None:
    """With a supplier that has to be qualified first, and an order that is returned once."""
    firm = await opened(database)
    ids = firm.ids
    request = await requested(firm, 60_000)
    thread = (await firm.record("purchase_requisition", request))["thread_id"]
    assert await firm.tasks("department_head", "approve_head") == [], "above 50,000 it does not end with the head"
    await firm.does("department_head", "agree_head", "approve")
    assert await firm.state("purchase_requisition", request) == "submitted", "the purchasing manager has to approve too"
    await firm.does("purchasing_manager", "approve_manager", "approve")
    dear = sourced(firm, order_price=Decimal(900))
    assert await firm.refusal(dear) == "NOT_FINISHED", "it is more than was requested"
    new = await firm.creates("sqe", "supplier", name="宏达钢管", country="DE", kind="material", risk_class="B")
    until = {"supplier": new, "item": ids["steel"], "basis": "sample", "valid_to": LATER}
    approval = await firm.creates("buyer", "supplier_approval", site=ids["site"], **until)
    await firm.does("buyer", "source", "qualify", "新供方", qualification=approval)
    assert await firm.state("supplier", new) == "evaluating"
    await firm.does("sqe", "review_papers", paper_note="齐全")
    await firm.does("qc_inspector", "test_sample", sample_note="合格")
    await firm.does("sqe", "opinion", opinion="建议批准")
    await firm.does("qa_manager", "decide", "approve")
    await firm.does("qa_manager", "activate")
    assert await firm.state("supplier", new) == "approved"
    assert await firm.state("supplier_approval", approval) == "active"

    await sourced(firm, suggested_supplier=new)
    await firm.does("buyer", "order")
    order = await firm.only("purchase_order", requisition=request)
    assert (order["supplier"], order["thread_id"], order["total"]) == (new, thread, Decimal("500.00"))
    await firm.does("purchasing_manager", "approve", "return", "付款条件")
    await firm.does("buyer", "amend", "done", payment_terms="月结 30 天")
    await firm.does("purchasing_manager", "approve", "approve")
    await firm.does("buyer", "send")
    line = await firm.only("purchase_order_line", requisition=request)
    confirming = firm.does("buyer", "confirm", "confirm")
    assert await firm.refusal(confirming) == "NOT_FINISHED", "no date is promised"
    await firm.updates("buyer", "purchase_order_line", line["id"], promised_on=LATER)
    await firm.does("buyer", "confirm", "confirm")

    receipt = await arrived(firm, line["id"])
    goods = await firm.record("goods_receipt", receipt)
    assert (goods["state"], await firm.state("lot", goods["lot"])) == ("quarantined", "quarantine")
    passing = firm.does("sqe", "certificate", "pass")
    assert await firm.refusal(passing) == "NOT_FINISHED", "no certificate is verified"
    ids["supplier"] = new
    await certified(firm, receipt)
    await world.inspected(firm)
    await firm.does("authorised_releaser", "release_lot", "release", **world.CHECKED)
    assert await firm.state("lot", goods["lot"]) == "released"
    await firm.does("warehouse", "put_away", put_location=ids["raw"])
    balance = await firm.only("inventory_balance", lot=goods["lot"])
    assert (balance["on_hand"], balance["quality_status"]) == (Decimal(100), "released")
    assert await firm.state("purchase_order", order["id"]) == "received"

    bill = {"po_line": line["id"], "goods_receipt": receipt, "qty": Decimal(100), "price": Decimal(5)}
    invoice = {"direction": "purchase", "invoice_no": "F-1", "supplier": new, "invoiced_on": TODAY, "lines": [bill]}
    await firm.creates("finance", "invoice", site=ids["site"], purchase_order=order["id"], **invoice)
    await firm.does("finance", "match", "differs", "缺抵扣联", match_result="price_differs")
    await firm.does("buyer", "clear", clearing_note="供应商补开")
    await firm.does("finance", "match_again", "matched", match_result="matched")
    await firm.does("finance_manager", "approve")
    await firm.does("finance", "pay")
    assert await firm.state("purchase_order", order["id"]) == "closed"
    ends = await firm.ends()
    assert (ends["purchasing_supply"], ends["goods_receiving"]) == (("ended", "supplied"), ("ended", "accepted"))
    assert ends["invoice_matching"] == ("ended", "paid")
    assert (await firm.record("lot", goods["lot"]))["thread_id"] == thread


async def test_what_is_not_wanted_or_not_good_goes_back(database: TestDatabase) -> None:
    firm = await opened(database)
    request = await requested(firm, 1000)
    await firm.does("department_head", "approve_head", "reject", "已有库存")
    assert await firm.state("purchase_requisition", request) == "rejected"
    request = await requested(firm, 600_000)
    await firm.does("department_head", "agree_head", "approve")
    await firm.does("purchasing_manager", "agree_manager", "approve")
    await firm.does("finance_manager", "approve_finance", "reject", "超预算")
    assert await firm.state("purchase_requisition", request) == "rejected", "above 500,000 finance has to agree too"

    line = await on_order(firm)
    refused = await arrived(firm, line, "refuse", "标签破损")
    await firm.does("warehouse", "send_back")
    assert await firm.state("goods_receipt", refused) == "returned"
    receipt = await arrived(firm, line)
    await certified(firm, receipt)
    await world.inspected(firm, "reject")
    await firm.does("qc_inspector", "open_ncr", defect=firm.ids["defect"])
    goods = await firm.record("goods_receipt", receipt)
    ncr = await firm.only("nonconformance", origin_id=receipt)
    assert (ncr["source"], ncr["supplier"], ncr["thread_id"]) == ("IQC", firm.ids["supplier"], goods["thread_id"])
    await world.ncr_settled(firm, "return")
    await firm.does("warehouse", "send_back")
    assert await firm.state("lot", goods["lot"]) == "rejected"
    assert await firm.state("goods_receipt", receipt) == "returned"
    assert await firm.state("purchase_order_line", line) == "open", "it is still owed"


async def test_a_low_score_asks_for_correction(database: TestDatabase) -> None:
    firm = await opened(database)
    supplier = await firm.creates("sqe", "supplier", name="宏达钢管", country="DE", kind="material", risk_class="B")
    await firm.moves("sqe", "supplier", supplier, "evaluate")
    await firm.moves("qa_manager", "supplier", supplier, "approve")
    for period, grade in (("2026-01", "C"), ("2026-02", "C")):
        given = {"supplier": supplier, "period": period, "score": Decimal(65), "grade": grade}
        await firm.creates("sqe", "supplier_scorecard", **given)
        await firm.does("sqe", "confirm")
    await firm.does("sqe", "correct")
    assert await firm.state("supplier", supplier) == "conditional"
    assert (await firm.only("scar"))["supplier"] == supplier


async def test_net_requirements_become_requisitions_and_work_orders(database: TestDatabase) -> None:
    """An order for more pumps than there are: a work order for them, a requisition for their steel, one thread."""
    firm = await world.furnished(database)
    ids = firm.ids
    line = {"line": 1, "item": ids["pump"], "qty": Decimal(400), "due": TODAY + timedelta(days=60)}
    given = {"customer": ids["customer"], "market": "CN", "lines": [line], "ordered_on": TODAY}
    order = await firm.creates("sales", "sales_order", site=ids["site"], **given)
    await firm.does("sales", "check", "confirm")
    run = await firm.only("planning_run")
    assert (run["state"], run["cause_id"]) == ("calculated", order)
    needs = {each["item"]: each for each in await firm.all("planning_run_needs", owner=run["id"])}
    # 10 pumps are being made; their 20 pieces of steel come off the 500 in stock and 100 on order.
    assert needs[ids["pump"]]["qty"] == Decimal(390)
    assert needs[ids["steel"]]["qty"] == 390 * 2 + 20 - 500 - 100
    pegs = await firm.all("planning_run_pegs", owner=run["id"])
    assert {each["demand_id"] for each in pegs} == {order}
    await firm.does("planner", "confirm", "again", "再算一次")
    await firm.does("planner", "confirm", "confirm")
    request = await firm.only("purchase_requisition")
    work = await firm.only("work_order", demand_id=order)
    thread = (await firm.record("sales_order", order))["thread_id"]
    assert (request["qty"], request["demand_id"], work["qty"]) == (Decimal(200), order, Decimal(390))
    assert {request["thread_id"], work["thread_id"], run["thread_id"]} == {thread}
    assert datetime.now(UTC).date() <= work["due"]
