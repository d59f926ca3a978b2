"""What is known of a lot that was made: its history record by exception, the test report, the certificate."""

from __future__ import annotations

from typing import Any

from clew.records.values import AnyRef
from clew.sdk import Refused, Row, Work

_SETTLED = ("closed", "void")


async def compile_history(work: Work) -> None:
    """The device history record of an order's lot: a section for each kind of evidence, complete or not, and every
    exception a reviewer has to look at. Compiled again after it was returned; what is accepted stays."""
    order = await work.record()
    executions = await work.find("operation_execution", work_order=order["id"])
    sections = await _sections(work, order, executions)
    values = {"sections": sections, "exceptions": await _exceptions(work, order, executions)}
    known = await work.find("edhr", lot=order["lot"])
    if known and known[0]["state"] not in ("open", "rejected"):
        return
    if known:
        record = known[0]["id"]
        await work.update("edhr", record, values)
    else:
        identity = {"site": order["site"], "item": order["item"], "lot": order["lot"], "work_order": order["id"]}
        record = await work.create("edhr", {**identity, **values})
    if all(each["complete"] for each in sections):
        await work.move("edhr", record, "compile")


async def _sections(work: Work, order: Row, executions: list[Row]) -> list[dict[str, Any]]:
    posted = await work.find("material_consumption", work_order=order["id"], state="posted")
    consumed = {each["bom_line"] for each in posted}
    frozen = await work.find("work_order_components", owner=order["id"])
    inspections = await work.find("inspection_lot", lot=order["lot"])
    labels = await work.find("label_job", work_order=order["id"])
    reports = await work.find("factory_test_report", lot=order["lot"])
    sections = {
        "清场 Line clearance": order["line_cleared_by"] is not None and order["clearance_checked_by"] is not None,
        "工序 Operations": bool(executions) and all(each["state"] in ("done", "aborted") for each in executions),
        "投料 Consumption": all(each["bom_line"] in consumed for each in frozen if each["trace_required"]),
        "标签 Labels": all(each["state"] == "reconciled" for each in labels),
        "环境 Environment": order["environment_note"] is not None,
        "检验 Inspection": bool(inspections) and all(each["state"] in ("judged", "closed") for each in inspections),
        "出厂检验报告 Factory test report": all(each["state"] != "drafted" for each in reports),
    }
    return [{"name": name, "complete": complete} for name, complete in sections.items()]


async def _exceptions(work: Work, order: Row, executions: list[Row]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def note(entity: str, row: Row, text: str, *, resolved: bool) -> None:
        about = AnyRef(entity, row["id"])
        found.append({"description": f"{text} {row['number']}", "about": about, "resolved": resolved})

    for row in await work.find("nonconformance", work_order=order["id"]):
        note("nonconformance", row, "不合格 nonconformance", resolved=row["state"] in _SETTLED)
    objects = [AnyRef("work_order", order["id"]), AnyRef("lot", order["lot"])]
    objects += [AnyRef("operation_execution", each["id"]) for each in executions]
    for about in objects:
        for row in await work.find("deviation", object=about):
            note("deviation", row, "偏差 deviation", resolved=row["state"] == "closed")
    for row in executions:
        if row["state"] == "aborted" or row["attempt"] > 1:
            note("operation_execution", row, "中止或重做 aborted or repeated", resolved=row["state"] != "aborted")
    for row in await work.find("inspection_lot", lot=order["lot"]):
        if row["judgement"] in ("reject", "concession"):
            note("inspection_lot", row, "检验未直接接收 not accepted at once", resolved=row["state"] == "closed")
    return found


async def draft_test_report(work: Work) -> None:
    """The factory test report of a finished product, for every clause of its technical requirement to be answered. Its
    result says fail until somebody has signed another."""
    order = await work.record()
    item = await work.record("item", order["item"])
    if item["type"] != "finished" or await _live(work, "factory_test_report", order):
        return
    await work.create("factory_test_report", {**await _what(work, order), "result": "fail"})


async def draft_certificate(work: Work) -> None:
    """The product certificate of a lot that is released to a market."""
    order = await work.record()
    decisions = await work.find("release_decision", lot=order["lot"], kind="market", state="decided", outcome="release")
    item = await work.record("item", order["item"])
    if not decisions or item["type"] != "finished" or await _live(work, "product_certificate", order):
        return
    of = {"release_decision": decisions[0]["id"], "result": "pass"}
    await work.create("product_certificate", {**await _what(work, order), **of})


async def _live(work: Work, entity: str, order: Row) -> bool:
    return any(each["state"] != "revoked" for each in await work.find(entity, lot=order["lot"]))


async def _what(work: Work, order: Row) -> dict[str, Any]:
    """Lot, accepted inspection and requirement of both papers. Raises Refused when one of them is missing."""
    judged = await work.find("inspection_lot", lot=order["lot"], judgement=("accept", "concession"))
    needed = await work.find("technical_requirement", item=order["item"], state="effective")
    if not judged or not needed:
        missing = "an accepted inspection or an effective technical requirement is missing"
        raise Refused("缺少接收的检验批或生效的产品技术要求", missing)
    return {
        "site": order["site"],
        "item": order["item"],
        "lot": order["lot"],
        "work_order": order["id"],
        "inspection_lot": judged[-1]["id"],
        "technical_requirement": needed[0]["id"],
    }
