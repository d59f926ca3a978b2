"""The pack's plant furnished to make and sell: the pump registered, licensed and identified for China, its inspections
planned, steel in stock; and what people do beside their tasks while an order is made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from tests.acceptance.at_work import Firm, opened
from tests.integration.pack_world import BORN, LATER, World
from tests.integration.uploaded_file import A_FILE

from clew.records.loading import Loader
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase

PAPER = {"file": [dict(A_FILE)], "sha256": A_FILE["sha256"]}
"""A paper as it is filled in: the file and its digest."""
CHECKED = {"checklist": [{"item": "批记录、检验、标签", "ok": True}]}
"""A checklist in which everything is in order."""


async def furnished(test: TestDatabase) -> Firm:
    """The plant at work, ready for the market."""
    firm = await opened(test)
    await furnish(firm, _market)
    return firm


async def furnish(firm: Firm, *rooms: Callable[[World], None]) -> None:
    """Put finished records into the plant, as they would have come from another system."""
    runtime = firm.runtime

    async def fill(connection: Connection) -> None:
        loader = Loader(connection, runtime.tables, runtime.operator_call("zh").context, str(runtime.number))
        await loader.begin()
        world = World(loader, firm.ids)
        for room in rooms:
            room(world)
        await loader.finish()

    await runtime.database.run_write(fill)


def _market(world: World) -> None:
    ids = world.ids
    pump, site = ids["pump"], ids["site"]
    file = (dict(A_FILE),)
    papers = {"holder": ids["legal"], "issued_on": BORN.date(), "expires_on": LATER, "file": file, "state": "active"}
    world.add(
        "registration", "registration", number="国械注准20260001", authority="NMPA", kind="NMPA_reg", items=[pump],
        **papers,
    )  # fmt: skip
    world.add(
        "licence", "registration", number="苏药监械生产许20260001", authority="NMPA", kind="mfg_licence", sites=[site],
        **papers,
    )  # fmt: skip
    world.add(
        "udi", "udi_device", issuer="GS1", di="06901234567892", item=pump, package_level="unit", market="CN",
        db_status="published", published_at=BORN, pi_flags=("lot", "exp"), state="published",
    )  # fmt: skip
    ids["requirement"] = world.add(
        "requirement", "technical_requirement", number="TR-PUMP", revision="A", item=pump, state="effective"
    )
    world.add(
        "clause", "technical_requirement_clauses", owner=ids["requirement"], clause="2.1", requirement="流量±5%",
        method="称重",
    )  # fmt: skip
    final = world.add(
        "final_plan", "inspection_plan", number="FQC-PUMP", rev="A", name="成品检验", item=pump, stage="FQC",
        sampling="c0", state="effective",
    )  # fmt: skip
    world.add("flow", "inspection_characteristic", owner=final, seq=1, name="流量", kind="attribute", severity="major")
    stock = {"site": site, "location": ids["raw"], "quality_status": "released", "reserved": Decimal(0)}
    world.add("steel_stock", "inventory_balance", item=ids["steel"], lot=ids["good"], on_hand=Decimal(500), **stock)


# ── what people do ────────────────────────────────────────────────────────────────────────────────────────────────────


async def ordered(firm: Firm, **values: Any) -> UUID:
    """A work order for pumps."""
    ids = firm.ids
    given = {"item": ids["pump"], "bom": ids["bom"], "routing": ids["routing"], "qty": Decimal(3), "due": LATER}
    return await firm.creates("planner", "work_order", site=ids["site"], **{**given, **values})


async def planned(firm: Firm, **values: Any) -> None:
    now = datetime.now(UTC)
    given = {"planned_start": now, "planned_end": now + timedelta(days=2), "markets": ["CN"], **values}
    await firm.does("planner", "plan", **given)


async def found_ready(firm: Firm) -> None:
    await firm.does("planner", "material_check", "ok")
    await firm.does("process_engineer", "equipment_check")
    await firm.does("production_supervisor", "people_check")
    await firm.does("process_engineer", "papers_check")


async def under_way(firm: Firm) -> None:
    """From the ready check to the running line."""
    await found_ready(firm)
    await firm.does("production_supervisor", "release", "release")
    await firm.does("operator", "clear_line")
    await firm.does("production_supervisor", "check_clearance", "clear")


async def begun(firm: Firm, order: UUID) -> UUID:
    """The operation given to the operator, who starts it."""
    work = await firm.record("work_order", order)
    operator = firm.employees["operator"]
    given = {"work_order": order, "operation": firm.ids["operation"], "lot": work["lot"], "operator": operator}
    execution = await firm.creates("production_supervisor", "operation_execution", site=firm.ids["site"], **given)
    await firm.moves("operator", "operation_execution", execution, "start", because="开工")
    return execution


async def finished(firm: Firm, order: UUID, execution: UUID) -> None:
    """Its steel consumed, the operation finished by its operator."""
    ids, operator = firm.ids, firm.employees["operator"]
    used = {"execution": execution, "component_lot": ids["good"], "qty": Decimal(6), "bom_line": ids["bom_line"]}
    base = {"site": ids["site"], "work_order": order, "consumed_by": operator}
    await firm.creates("operator", "material_consumption", **base, **used)
    await firm.updates("operator", "operation_execution", execution, good=Decimal(3))
    await firm.moves("operator", "operation_execution", execution, "finish", because="完工")


async def all_made(firm: Firm, order: UUID) -> None:
    """The operation executed, in-process checks done, the order completed."""
    await finished(firm, order, await begun(firm, order))
    await firm.does("production_supervisor", "execute", good_qty=Decimal(3))
    await firm.does("qc_inspector", "in_process")
    await firm.does("production_supervisor", "labels", "balanced")
    await firm.does("process_engineer", "environment", environment_note="合格")


async def inspected(firm: Firm, judgement: str = "accept", **values: Any) -> UUID:
    """The open inspection lot tested and judged; which it was."""
    (lot,) = [each for each in await firm.all("inspection_lot") if each["state"] in ("created", "testing")]
    for each in await firm.all("inspection_characteristic", owner=lot["plan"]):
        good = judgement != "reject"
        reading = {"value": Decimal("5.00") if good else Decimal(6)} if each["kind"] == "variable" else {"pass": good}
        for sample in range(1, lot["n"] + 1):
            result = {"inspection_lot": lot["id"], "characteristic": each["id"], "sample": sample, **reading}
            inspector = firm.employees["qc_inspector"]
            await firm.creates(
                "qc_inspector", "inspection_result", site=firm.ids["site"], inspector=inspector, **result
            )
    await firm.does("qc_inspector", "test", nonconforming=0 if judgement == "accept" else 1)
    await firm.does("qc_lead", "judge", judgement, **values)
    found: UUID = lot["id"]
    return found


async def reported(firm: Firm) -> None:
    clause = {"clause": "2.1", "found": "+1.2%", "pass": True}
    await firm.does("qc_lead", "sign_report", clauses=[clause], result="pass", **PAPER)


async def reviewed(firm: Firm) -> None:
    await firm.does("production_head", "production_review", "complete")
    await firm.does("qa_manager", "quality_review", "accept")


async def released(firm: Firm) -> None:
    """Production release, then market release, then the certificate."""
    await firm.does("authorised_releaser", "release_production", "release", **CHECKED)
    await firm.does("authorised_releaser", "release_market", "release", **CHECKED)
    await firm.does("authorised_releaser", "sign_certificate", **PAPER)


async def ncr_settled(firm: Firm, disposition: str, **given: Any) -> None:
    """A nonconformance from its containment to its closing."""
    await firm.does("qc_inspector", "contain", containment="隔离区")
    await firm.does("quality_engineer", "investigate", root_cause="夹具磨损", risk_looked_up=True)
    for login in ("rd_engineer", "production_supervisor", "qa_manager", "ra_manager"):
        waiting = await firm.tasks(login, "board")
        if waiting:
            await firm.does(login, "board", disposition, **(given if login == "qa_manager" else {}))
    if disposition == "scrap":
        await firm.does("warehouse", "scrap", "approve")
        await firm.does("production_supervisor", "scrap", "approve")
    else:
        await firm.does("production_supervisor", "execute")
    await firm.does("qa_manager", "verify", "release")
    await firm.does("qa_manager", "unblock")
    await firm.does("qa_manager", "close")
