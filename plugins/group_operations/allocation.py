"""Stock on its way to a customer: allocated first expired first out, replaced, dispatched, invoiced."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from clew.records.values import AnyRef
from clew.sdk import Refused, Row, Work
from group_operations.netting import NOTHING
from group_operations.planning import usable

_FAR = date(9999, 12, 31)
_APART = ("quarantine", "rejected", "returned", "recalled")
"""Types of places that nothing is issued or shipped from."""
Place = tuple[Any, Any, Any, Any]
"""item, lot, serial, location."""


async def allocate(work: Work) -> None:
    """One shipment with all that an order asks for, reserved. Raises Refused when released stock does not cover it."""
    order = await work.record()
    if any(each["state"] == "picking" for each in await work.find("shipment", sales_order=order["id"])):
        return
    taken = await _taken(work, order)
    lines = await _lines(work, taken)
    shipment = await work.create("shipment", {"site": order["site"], "sales_order": order["id"], "lines": lines})
    await _post(work, "reserve", AnyRef("shipment", shipment), [(place, qty) for _, place, qty in taken])


async def reallocate(work: Work) -> None:
    """Give back what a shipment has reserved and allocate its order again."""
    shipment = await work.record()
    about = AnyRef("shipment", shipment["id"])
    await _post(work, "unreserve", about, list((await reserved(work, about)).items()))
    order = await work.record("sales_order", shipment["sales_order"])
    taken = await _taken(work, order)
    await work.update("shipment", shipment["id"], {"lines": await _lines(work, taken)})
    await _post(work, "reserve", about, [(place, qty) for _, place, qty in taken])


async def give_back(work: Work) -> None:
    """What an order has reserved is free again, and what was being picked for it goes nowhere. Raises Refused once
    goods of it are on their way: those come back as a return."""
    order = await work.record()
    shipments = await work.find("shipment", sales_order=order["id"])
    if any(each["state"] in ("shipped", "delivered") for each in shipments):
        raise Refused("订单已有发运,不能取消,请办理退货", "goods of the order were shipped: they come back as a return")
    for shipment in shipments:
        if shipment["state"] in ("picking", "packed"):
            about = AnyRef("shipment", shipment["id"])
            await _post(work, "unreserve", about, list((await reserved(work, about)).items()))
            await work.move("shipment", shipment["id"], "cancel", "订单已取消 / the order was cancelled")


async def dispatch(work: Work) -> None:
    """What a shipment has reserved leaves the stock; its units are with the customer."""
    shipment = await work.record()
    about = AnyRef("shipment", shipment["id"])
    places = await reserved(work, about)
    await _post(work, "ship", about, list(places.items()), from_reservation=True)
    customer = (await work.record("sales_order", shipment["sales_order"]))["customer"]
    for _, _, serial, _ in places:
        if serial is not None:
            await work.move("serial_unit", serial, "ship")
            await work.update("serial_unit", serial, {"holder": AnyRef("customer", customer)})


async def draft_invoice(work: Work) -> None:
    """The invoice of what was delivered, at the prices of the order."""
    order = await work.record()
    prices = {each["id"]: each["price"] for each in await work.find("sales_order_line", owner=order["id"])}
    lines = []
    for shipment in await work.find("shipment", sales_order=order["id"], state="delivered"):
        for line in await work.find("shipment_line", owner=shipment["id"]):
            price = prices.get(line["order_line"]) or NOTHING
            lines.append({"shipment": shipment["id"], "qty": line["qty"], "price": price})
    if lines:
        what = {"direction": "sales", "invoice_no": order["invoice_no"], "customer": order["customer"], "lines": lines}
        await work.create(
            "invoice", {"site": order["site"], "invoiced_on": work.today, "currency": order["currency"], **what}
        )


async def reserved(work: Work, about: AnyRef) -> Mapping[Place, Decimal]:
    """What is reserved for a document and not given back, by place."""
    found: dict[Place, Decimal] = {}
    for row in await work.find("inventory_movement", doc=about, type=("reserve", "unreserve")):
        place = (row["item"], row["lot"], row["serial"], row["from_location"])
        sign = 1 if row["type"] == "reserve" else -1
        found[place] = found.get(place, NOTHING) + sign * row["qty"]
    return {place: qty for place, qty in found.items() if qty > NOTHING}


async def _taken(work: Work, order: Row) -> list[tuple[UUID, Place, Decimal]]:
    """Where each line of an order is taken from: lots that are released, not on hold and last as long as agreed."""
    until = work.today + timedelta(days=max(1, order["min_shelf_life"] or 1))
    found: list[tuple[UUID, Place, Decimal]] = []
    given: dict[UUID, Decimal] = {}
    lines = await work.find("sales_order_line", owner=order["id"])
    for line in sorted(lines, key=lambda each: each["line"]):
        rest = line["qty"]
        for balance in await _first_to_expire(work, order["site"], line["item"], until):
            free = balance["on_hand"] - balance["reserved"] - given.get(balance["id"], NOTHING)
            qty = min(rest, free)
            if qty <= NOTHING:
                continue
            given[balance["id"]] = given.get(balance["id"], NOTHING) + qty
            place = (balance["item"], balance["lot"], balance["serial"], balance["location"])
            found.append((line["id"], place, qty))
            rest -= qty
        if rest > NOTHING:
            item = await work.record("item", line["item"])
            raise Refused(f"{item['item_no']} 缺 {rest}", f"{item['item_no']} is short of {rest}")
    return found


async def _first_to_expire(work: Work, site: UUID, item: UUID, until: date) -> list[Row]:
    rows = []
    for each in await work.find("inventory_balance", site=site, item=item, quality_status="released"):
        place = await work.record("location", each["location"])
        if place["type"] not in _APART and each["lot"] is not None and await usable(work, each["lot"], until):
            lot = await work.record("lot", each["lot"])
            rows.append((lot["exp_on"] or _FAR, lot["lot_no"], str(each["id"]), each))
    return [row[-1] for row in sorted(rows, key=lambda row: row[:-1])]


async def _lines(work: Work, taken: list[tuple[UUID, Place, Decimal]]) -> list[dict[str, Any]]:
    found = []
    for at, (line, (item, lot, serial, _), qty) in enumerate(taken, 1):
        unit = await work.record("serial_unit", serial) if serial is not None else None
        udi = unit["udi_full"] if unit is not None else None
        found.append(
            {"line": at, "order_line": line, "item": item, "lot": lot, "serial": serial, "udi": udi, "qty": qty}
        )
    return found


async def _post(
    work: Work, kind: str, about: AnyRef, places: list[tuple[Place, Decimal]], *, from_reservation: bool = False
) -> None:
    if work.employee is None:
        raise Refused("须由员工执行", "somebody who is an employee does this")
    for (item, lot, serial, location), qty in places:
        what = {"type": kind, "item": item, "lot": lot, "serial": serial, "qty": qty, "doc": about}
        where = {"from_location": location, "from_status": "released", "from_reservation": from_reservation}
        shipment = await work.record("shipment", about.id)
        by = {"performed_by": work.employee, "performed_at": work.at, "site": shipment["site"]}
        await work.create("inventory_movement", {**what, **where, **by})
