"""Work orders: their frozen components, the lot they make, and the stop for a critical parameter."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from clew.records.values import AnyRef
from clew.sdk import Row, Work


async def freeze_structure(work: Work) -> None:
    """Copy what the BOM says for the order's quantity, scrap included: one of each alternative group, the first by
    priority. What is frozen already stays."""
    order = await work.record()
    if await work.find("work_order_components", owner=order["id"]):
        return
    lines = await components(work, order["bom"], order["qty"])
    if lines:
        await work.update("work_order", order["id"], {"components": lines})


async def components(work: Work, bom: Any, qty: Decimal) -> list[dict[str, Any]]:
    """The components of a quantity, as lines of a work order."""
    found: list[dict[str, Any]] = []
    taken: set[str] = set()
    rows = await work.find("bom_line", owner=bom)
    for line in sorted(rows, key=lambda each: (each["priority"] or 0, each["line"])):
        if not _in_force(work, line) or (line["alt_group"] and line["alt_group"] in taken):
            continue
        taken.add(line["alt_group"] or "")
        needed = line["qty"] * qty * 100 / (100 - (line["scrap"] or 0))
        found.append(
            {
                "bom_line": line["id"],
                "component": line["component"],
                "qty": needed.quantize(Decimal("0.000001")),
                "trace_required": line["trace_required"],
            }
        )
    return found


def _in_force(work: Work, line: Row) -> bool:
    start, end = line["effective_from"], line["effective_to"]
    return (start is None or start <= work.today) and (end is None or end >= work.today)


async def open_lot(work: Work) -> None:
    """The lot an order makes, in quarantine, with the expiry its shelf life gives."""
    order = await work.record()
    item = await work.record("item", order["item"])
    if order["lot"] is not None or item["trace_level"] == "none":
        return
    made = await work.find("lot", work_order=order["id"])
    if made:
        lot = made[0]["id"]
    else:
        life = item["shelf_life"]
        lot = await work.create(
            "lot",
            {
                "site": order["site"],
                "item": item["id"],
                "source": "production",
                "work_order": order["id"],
                "mfg_on": work.today,
                "exp_on": work.today + timedelta(days=int(life)) if life is not None else None,
                "initial_qty": order["qty"],
            },
        )
    await work.update("work_order", order["id"], {"lot": lot})


async def stop_for_parameter(work: Work) -> None:
    """A deviation for a critical parameter out of its limits, and a hold on the unit, or else on the lot."""
    execution = await work.record()
    deviation = await work.create(
        "deviation",
        {
            "site": execution["site"],
            "object": AnyRef("operation_execution", execution["id"]),
            "description": f"关键参数超限 / critical parameter out of limits: {execution['number']}",
            "occurred_at": work.at,
        },
    )
    await work.update("operation_execution", execution["id"], {"deviation": deviation})
    unit = execution["serial"]
    held = {"serial": unit} if unit is not None else {"lot": execution["lot"]}
    cause = AnyRef("deviation", deviation)
    because = f"关键参数超限 / critical parameter: {execution['number']}"
    await work.create("inventory_hold", {"site": execution["site"], "cause": cause, "because": because, **held})
