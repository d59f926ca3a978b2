"""A work order from its plan to the market, and every way in which it is held, returned or not released."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from tests.acceptance import market_world as world
from tests.acceptance.market_world import CHECKED, furnished
from tests.integration.pack_world import BORN, LATER, World

from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


async def test_a_lot_is_made_and_released_to_the_market(database: TestDatabase) -> None:
    firm = await furnished(database)
    order = await world.ordered(firm)
    assert await firm.refusal(firm.does("planner", "plan")) == "NOT_FINISHED", "dates are asked for"
    await world.planned(firm)
    frozen = await firm.all("work_order_components", owner=order)
    assert [(each["qty"], each["component"]) for each in frozen] == [(Decimal(6), firm.ids["steel"])]
    await world.under_way(firm)
    work = await firm.record("work_order", order)
    assert work["state"] == "running"
    lot = await firm.record("lot", work["lot"])
    assert (lot["state"], lot["thread_id"]) == ("quarantine", work["thread_id"])
    assert lot["exp_on"] == lot["mfg_on"] + timedelta(days=365)

    await world.all_made(firm, order)
    assert await firm.state("work_order", order) == "completed"
    await world.inspected(firm)
    report = await firm.only("factory_test_report")
    assert (report["state"], report["result"]) == ("drafted", "fail"), "nothing is taken to pass by itself"
    await world.reported(firm)
    assert (await firm.only("edhr"))["state"] == "compiled", "complete by what is known"
    dhr = (await firm.only("edhr"))["id"]
    await firm.updates("production_head", "edhr", dhr, production_reviewer=firm.employees["production_head"])
    by_hand = firm.moves("production_head", "edhr", dhr, "review")
    assert await firm.refusal(by_hand) == "MOVED_BY_PROCESS", "its process asks for the review now"
    await firm.does("production_head", "production_review", "return", comment="缺环境记录")
    await firm.does("production_supervisor", "complete")
    await world.reviewed(firm)
    await firm.does("authorised_releaser", "release_production", "release", **CHECKED)
    assert await firm.state("lot", lot["id"]) == "quarantine", "production release opens no market"
    releasing = firm.does("authorised_releaser", "release_market", "release")
    assert await firm.refusal(releasing) == "RULE", "the checklist comes first"
    await firm.does("authorised_releaser", "release_market", "release", **CHECKED)
    assert await firm.state("lot", lot["id"]) == "released"
    await firm.does("authorised_releaser", "sign_certificate", **world.PAPER)
    assert (await firm.only("product_certificate"))["state"] == "issued"
    assert (await firm.only("factory_test_report"))["state"] == "issued"
    assert await firm.state("work_order", order) == "closed"
    assert (await firm.only("edhr"))["state"] == "archived"
    taken = await firm.only("inventory_movement", doc_id=order)
    assert (taken["type"], taken["qty"], taken["to_location"]) == ("receipt", Decimal(3), firm.ids["store"])
    assert taken["performed_by"] == firm.employees["authorised_releaser"], "whoever released it answers for it"
    stock = await firm.only("inventory_balance", lot=lot["id"], location=firm.ids["store"])
    assert (stock["quality_status"], stock["on_hand"]) == ("released", Decimal(3))
    assert (await firm.ends())["production_release"] == ("ended", "released")
    assert await firm.threads() == {work["thread_id"]}, "one thread through all of it"


async def test_what_is_rejected_is_held_reworked_and_inspected_again(database: TestDatabase) -> None:
    """Short of material first; a critical parameter stops the line; the final inspection rejects; scrap ends it."""
    firm = await furnished(database)
    order = await world.ordered(firm, qty=Decimal(300))
    await world.planned(firm)
    assert await firm.refusal(firm.does("planner", "material_check", "ok")) == "NOT_FINISHED", "600 of 500"
    await firm.does("planner", "material_check", "not_ok", comment="缺 100")
    await firm.does("planner", "shortage", readiness_note="已催交")
    more = {"site": firm.ids["site"], "location": firm.ids["store"], "item": firm.ids["steel"], "lot": firm.ids["good"]}
    stock = {"on_hand": Decimal(200), "reserved": Decimal(0), "quality_status": "released"}

    def arrived(world: World) -> None:
        world.add("more_steel", "inventory_balance", **more, **stock)

    await world.furnish(firm, arrived)
    await firm.does("planner", "material_check", "ok")
    await firm.does("process_engineer", "equipment_check")
    await firm.does("production_supervisor", "people_check")
    await firm.does("process_engineer", "papers_check")
    await firm.does("production_supervisor", "release", "return", comment="改期")
    await world.planned(firm)
    await world.under_way(firm)
    execution = await world.begun(firm, order)
    reading = {"name": "扭矩", "value": Decimal("9.0"), "lsl": Decimal(1), "usl": Decimal(2), "critical": True}
    await firm.updates("operator", "operation_execution", execution, params=[reading])
    deviation = await firm.only("deviation")
    hold = await firm.only("inventory_hold", cause_id=deviation["id"])
    assert (hold["state"], deviation["object_id"]) == ("active", execution), "stopped and held at once"
    await firm.does("quality_engineer", "assess", impact="minor", assessment="可返调")
    await firm.does("qa_manager", "decide", "approve")
    await firm.does("qa_manager", "lift")
    assert (await firm.only("inventory_hold", cause_id=deviation["id"]))["state"] == "released"
    await world.finished(firm, order, execution)
    await firm.does("production_supervisor", "execute", good_qty=Decimal(300))
    await firm.does("qc_inspector", "in_process")
    await firm.does("production_supervisor", "labels", "balanced")
    await firm.does("process_engineer", "environment", environment_note="合格")

    await world.inspected(firm, "reject")
    await firm.does("qc_inspector", "open_ncr", defect=firm.ids["defect"])
    work = await firm.record("work_order", order)
    ncr = await firm.only("nonconformance", work_order=order)
    assert (ncr["source"], ncr["thread_id"]) == ("FQC", work["thread_id"])
    assert (await firm.only("inventory_hold", cause_id=ncr["id"]))["state"] == "active"
    await world.ncr_settled(firm, "scrap")
    assert await firm.state("lot", work["lot"]) == "rejected"
    assert (await firm.ends())["production_release"] == ("ended", "rejected")


async def test_contract_manufacture_needs_an_agreement_in_force(database: TestDatabase) -> None:
    firm = await furnished(database)
    ids = firm.ids
    assert await firm.refusal(world.ordered(firm, contracted=True)) == "REQUIRED", "an agreement is named"

    def agreed(room: World) -> None:
        makes, holds = ("contract_manufacturer",), ("registrant",)
        maker = room.add("maker", "legal_entity", code="LE2", name="代工厂", country="DE", roles=makes)
        holder = room.add("holder", "legal_entity", code="LE3", name="注册人", country="DE", roles=holds)
        file = ({"name": "a.pdf", "sha256": "0" * 64, "size": 1, "media_type": "application/pdf"},)
        for name, item, until in (("other", "steel", LATER), ("valid", "pump", LATER)):
            room.add(
                name, "contract_manufacturing_agreement", number=f"CMA-{name}", registrant=holder, manufacturer=maker,
                items=[ids[item]], file=file, valid_from=BORN.date(), valid_to=until, state="active",
            )  # fmt: skip

    await world.furnish(firm, agreed)
    not_covered = world.ordered(firm, contracted=True, agreement=ids["other"])
    assert await firm.refusal(not_covered) == "RULE", "it does not cover the item"
    order = await world.ordered(firm, contracted=True, agreement=ids["valid"])
    await world.planned(firm)
    await world.under_way(firm)
    await world.all_made(firm, order)
    await world.inspected(firm)
    await world.reported(firm)
    await world.reviewed(firm)
    await firm.does("authorised_releaser", "release_production", "release", **CHECKED)
    file = world.PAPER["file"]
    await firm.does("qa_manager", "maker_file", "return", comment="缺签名页", maker_file=file)
    mended = [{**file[0], "name": "mended.pdf"}]
    await firm.does("production_head", "maker_file_mended", maker_file=mended)
    await firm.does("qa_manager", "maker_file", "accept")
    until = {"conditional_qty": Decimal(1), "conditional_until": LATER, "conditions": "仅限临床评价"}
    await firm.does("authorised_releaser", "release_market", "conditional", **until)
    # The site has no place apart for what is released conditionally: the warehouse gives one.
    await firm.does("warehouse", "put_away", receipt_location=ids["back"], good_qty=Decimal(3))
    work = await firm.record("work_order", order)
    assert (await firm.state("lot", work["lot"]), work["state"]) == ("conditional", "closed")
    assert (await firm.ends())["production_release"] == ("ended", "conditional")
    assert await firm.all("product_certificate") == [], "no certificate for what is released conditionally"
