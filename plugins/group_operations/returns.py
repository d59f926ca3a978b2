"""Goods that come back: what a customer refused, into a location for returns, and on to where they are to go."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from clew.records.values import AnyRef
from clew.sdk import Refused, Row, Work

_BACK = ("shipped", "installed")


async def take_back(work: Work) -> None:
    """A return for everything on a shipment that was not accepted. Raises Refused without a reason."""
    shipment = await work.record()
    if shipment["return_reason"] is None:
        raise Refused("请填写拒收原因", "state why it came back")
    lines = [
        {"item": each["item"], "lot": each["lot"], "serial": each["serial"], "qty": each["qty"]}
        for each in await work.find("shipment_line", owner=shipment["id"])
    ]
    customer = (await work.record("sales_order", shipment["sales_order"]))["customer"]
    values = {"customer": customer, "shipment": shipment["id"], "reason": shipment["return_reason"], "lines": lines}
    await work.create("return_authorisation", {"site": shipment["site"], **values})


async def book_return(work: Work) -> None:
    """What was received stands in its location in quarantine; its units are no longer with the customer."""
    back = await work.record()
    here = AnyRef("location", back["location"])
    for line in await work.find("return_authorisation_lines", owner=back["id"]):
        qty = line["received_qty"] or Decimal(0)
        if qty > 0:
            await _move(work, back, line, qty, type="return", to_location=back["location"], to_status="quarantine")
        if line["serial"] is not None:
            unit = await work.record("serial_unit", line["serial"])
            if unit["state"] in _BACK:
                await work.move("serial_unit", unit["id"], "return", f"退货 / return {back['number']}")
            await work.update("serial_unit", unit["id"], {"holder": here})


async def settle_return(work: Work) -> None:
    """What may be sold again becomes released stock where it stands; everything else stays in quarantine there."""
    back = await work.record()
    for line in await work.find("return_authorisation_lines", owner=back["id"], disposition="restock"):
        qty, lot = line["received_qty"] or Decimal(0), await work.record("lot", line["lot"])
        if qty > 0 and lot["state"] == "released":
            at = {"from_location": back["location"], "to_location": back["location"]}
            status = {"from_status": "quarantine", "to_status": "released"}
            await _move(work, back, line, qty, type="unblock", **at, **status)


async def _move(work: Work, back: Row, line: Row, qty: Decimal, **how: Any) -> None:
    who = work.employee or back["inspected_by"]
    if who is None:
        raise Refused("须由员工执行", "somebody who is an employee does this")
    what = {"item": line["item"], "lot": line["lot"], "serial": line["serial"], "qty": qty}
    by = {"doc": AnyRef("return_authorisation", back["id"]), "performed_by": who, "performed_at": work.at}
    await work.create("inventory_movement", {"site": back["site"], **what, **by, **how})
