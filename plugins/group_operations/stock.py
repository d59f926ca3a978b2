"""Finished goods on their way into stock, once their lot is decided on."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from clew.records.values import AnyRef
from clew.sdk import Refused, Row, Work

_STORE, _APART = "finished", "quarantine"
"""Released goods belong where they are sold from; conditionally released ones where they are not, but may be used; all
others stay apart, and so do conditional ones of a site that has no other place for them."""


async def receive_finished(work: Work) -> None:
    """Post what an order has made into the stock of its site, in the state its lot was given, unit by unit where units
    are traced. Whoever decided on the lot answers for it. Done again, it posts nothing twice. Raises Refused."""
    order = await work.record()
    about = AnyRef("work_order", order["id"])
    if await work.find("inventory_movement", doc=about, type="receipt"):
        return
    lot = await work.record("lot", order["lot"]) if order["lot"] is not None else None
    status = lot["state"] if lot is not None else "released"
    units = await work.find("serial_unit", lot=lot["id"], state="released") if lot is not None else []
    goods: list[tuple[UUID | None, Decimal]] = [(each["id"], Decimal(1)) for each in units]
    if not goods:
        goods = [(None, await _made(work, order))]
    common = {
        "site": order["site"],
        "type": "receipt",
        "item": order["item"],
        "lot": order["lot"],
        "to_location": await _place(work, order, status),
        "to_status": status,
        "doc": about,
        "performed_by": await _answers(work, order),
        "performed_at": work.at,
    }
    for serial, qty in goods:
        if qty > 0:
            await work.create("inventory_movement", {**common, "serial": serial, "qty": qty})


async def _made(work: Work, order: Row) -> Decimal:
    if order["good_qty"] is None:
        raise Refused("请填写合格数量", "state the good quantity")
    made: Decimal = order["good_qty"]
    return made


async def _place(work: Work, order: Row, status: str) -> UUID:
    """The location the order names, else the first of the site's for such goods."""
    if order["receipt_location"] is not None:
        named: UUID = order["receipt_location"]
        return named
    places = await work.find("location", site=order["site"], type=(_STORE, _APART), state="active")
    stores = [each for each in places if each["type"] == _STORE]
    apart = [each for each in places if each["type"] == _APART]
    if status == "released":
        fitting = [each for each in stores if each["sellable"]]
    elif status == "conditional":
        fitting = [each for each in stores if not each["sellable"]] or apart
    else:
        fitting = apart
    if not fitting:
        raise Refused("本场所没有可入库的库位", "the site has no location to put it into")
    first: UUID = min(fitting, key=lambda each: str(each["code"]))["id"]
    return first


async def _answers(work: Work, order: Row) -> UUID:
    """Whoever does the step, else whoever decided on the lot last."""
    decided = [] if order["lot"] is None else await work.find("release_decision", lot=order["lot"], state="decided")
    people: list[UUID | None] = [work.employee, *(each["decided_by"] for each in reversed(decided))]
    people.append(order["supervisor"])
    who = next((each for each in people if each is not None), None)
    if who is None:
        raise Refused("须写明由谁入库", "it must be known who takes it into stock")
    return who
