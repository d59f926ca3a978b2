"""Changes: where what they touch is used, and what they hold once they are in effect."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from uuid import UUID

from clew.records.values import AnyRef
from clew.sdk import Row, Work

_OPEN = ("screening", "assessing", "board", "approved", "deferred")
_UNRELEASED, _IN_PROCESS = ("planned", "firm"), ("released", "running", "paused")
_USABLE = ("quarantine", "released", "conditional")
_STRICTEST = ("scrap", "return", "hold", "rework")
"""What a lot comes to that two changed things treat differently: the first of these."""
_IN_HAND = 20
"""How many records of a kind the text names; it says how many more there are."""


async def survey_change(work: Work) -> None:
    """Write on a change request the products that what is affected goes into, what of it is in stock, in process and
    on order, the registrations that cover it, and the open requests about the same things."""
    request = await work.record()
    objects = [each["object"] for each in await work.find("change_request_affected", owner=request["id"])]
    direct: set[UUID] = set()
    for about in objects:
        direct |= await items_of(work, about)
    used_in = await _goes_into(work, direct)
    similar: set[UUID] = set()
    for about in objects:
        for line in await work.find("change_request_affected", object=about):
            other = await work.record("change_request", line["owner"])
            if other["id"] != request["id"] and other["state"] in _OPEN:
                similar.add(other["id"])
    values = {
        "used_in": sorted(used_in | direct, key=str),
        "similar": sorted(similar, key=str),
        "where_used": await _in_hand(work, direct, used_in | direct),
    }
    await work.update("change_request", request["id"], values)


async def items_of(work: Work, about: AnyRef) -> set[UUID]:
    """The items a changed thing belongs to; none for what belongs to no item."""
    if about.entity == "item":
        return {about.id}
    row = await work.record(about.entity, about.id)
    if about.entity == "document_revision":
        routings = [await work.record("routing", each["owner"]) for each in await work.find("operation", sop=row["id"])]
        return {each["item"] for each in routings}
    if about.entity == "supplier":
        approved = await work.find("supplier_approval", supplier=row["id"], state="active")
        return {each["item"] for each in approved if each["item"] is not None}
    if about.entity == "registration":
        return set(await work.linked("registration", "items", row["id"]))
    item = row.get("item")
    return {item} if item is not None else set()


async def _goes_into(work: Work, items: Iterable[UUID]) -> set[UUID]:
    """Every item whose released structure holds one of these, at any depth."""
    found: set[UUID] = set()
    waiting = list(items)
    while waiting:
        for line in await work.find("bom_line", component=waiting.pop()):
            bom = await work.record("bom", line["owner"])
            if bom["state"] == "released" and bom["item"] not in found:
                found.add(bom["item"])
                waiting.append(bom["item"])
    return found


async def _in_hand(work: Work, direct: set[UUID], concerned: set[UUID]) -> str:
    stock, orders, works = [], [], []
    for item in sorted(direct, key=str):
        for each in await work.find("inventory_balance", item=item):
            if each["on_hand"] > 0:
                lot = await work.record("lot", each["lot"]) if each["lot"] is not None else {"lot_no": "–"}
                stock.append(f"{lot['lot_no']} {each['on_hand'].normalize():f}")
        for each in await work.find("purchase_order_line", item=item, state="open"):
            order = await work.record("purchase_order", each["po"])
            orders.append(f"{order['number']}/{each['line']}")
    for item in sorted(concerned, key=str):
        for each in await work.find("work_order", item=item, state=(*_UNRELEASED, *_IN_PROCESS)):
            works.append(str(each["number"]))
    papers = []
    for each in await work.find("registration", state=("active", "renewing")):
        if concerned & set(await work.linked("registration", "items", each["id"])):
            papers.append(str(each["number"]))
    return "\n".join(
        (
            _told("库存 stock", stock),
            _told("在途采购 open order lines", orders),
            _told("工单 work orders", works),
            _told("注册证 registrations", papers),
        )
    )


def _told(what: str, found: list[str]) -> str:
    more = f" … +{len(found) - _IN_HAND}" if len(found) > _IN_HAND else ""
    return f"{what}: {', '.join(found[:_IN_HAND]) or '–'}{more}"


async def put_into_effect(work: Work) -> None:
    """Hold what a change order does not leave as it is: lots in stock and in process on the revision before. It names
    the order lines it holds and marks requisitions. Done again, it adds only what is not held yet."""
    order = await work.record()
    sites = set(await work.linked("change_order", "effective_sites", order["id"]))
    cause = AnyRef("change_order", order["id"])
    held: set[UUID] = set(await work.linked("change_order", "held_lots", order["id"]))
    lines: set[UUID] = set(await work.linked("change_order", "held_order_lines", order["id"]))
    becomes: dict[UUID, tuple[Row, str]] = {}
    for affected in await work.find("affected_item", change_order=order["id"]):
        items = await items_of(work, affected["object"])
        for item in sorted(items, key=str):
            lots: list[tuple[Row, str]] = []
            stock, wip = affected["stock_disposition"], affected["wip_disposition"]
            if stock != "use":
                lots += [(each, stock) for each in await _in_stock(work, item, affected, order)]
            if wip != "use":
                lots += [(each, wip) for each in await _in_process(work, item, affected)]
            for lot, what in lots:
                if lot["id"] not in held and (not sites or lot["site"] in sites):
                    _, before = becomes.get(lot["id"], (lot, what))
                    becomes[lot["id"]] = (lot, min(before, what, key=_STRICTEST.index))
            if affected["open_po_disposition"] != "use":
                still = await work.find("purchase_order_line", item=item, state="open")
                lines |= {each["id"] for each in still if not sites or each["site"] in sites}
                await _mark_requisitions(work, item, order, sites)
    for lot, what in becomes.values():
        held.add(lot["id"])
        values = {"site": lot["site"], "lot": lot["id"], "cause": cause, "disposition": what}
        await work.create("inventory_hold", {**values, "because": f"变更 / change {order['number']}"})
    values = {"held_lots": sorted(held, key=str), "held_order_lines": sorted(lines, key=str)}
    await work.update("change_order", order["id"], values)


async def _in_stock(work: Work, item: UUID, affected: Row, order: Row) -> list[Row]:
    """Lots of the revision before that are in stock."""
    found = []
    for lot in await work.find("lot", item=item, state=_USABLE):
        if order["effective_lot"] is not None and lot["lot_no"] >= order["effective_lot"]:
            continue
        here = await work.find("inventory_balance", lot=lot["id"])
        if sum((each["on_hand"] for each in here), Decimal(0)) > 0 and not await _is_new(work, lot, affected):
            found.append(lot)
    return found


async def _in_process(work: Work, item: UUID, affected: Row) -> list[Row]:
    """Lots that are being made of it on the revision before."""
    found = []
    for each in await work.find("work_order", item=item, state=_IN_PROCESS):
        if each["lot"] is not None:
            lot = await work.record("lot", each["lot"])
            if lot["state"] in _USABLE and not await _is_new(work, lot, affected):
                found.append(lot)
    return found


async def _is_new(work: Work, lot: Row, affected: Row) -> bool:
    """Whether a lot was made or delivered by the new revision already."""
    about = affected["object"]
    if lot["work_order"] is not None and about.entity in ("bom", "routing"):
        made = await work.record("work_order", lot["work_order"])
        return bool(made[about.entity] == about.id)
    if affected["to_rev"] is None:
        return False
    lines = [await work.record("purchase_order_line", each["po_line"]) for each in await _receipts(work, lot)]
    return bool(lines) and all(each["item_rev"] == affected["to_rev"] for each in lines)


async def _receipts(work: Work, lot: Row) -> list[Row]:
    return await work.find("goods_receipt", lot=lot["id"])


async def _mark_requisitions(work: Work, item: UUID, order: Row, sites: set[UUID]) -> None:
    for each in await work.find("purchase_requisition", item=item, state=("draft", "submitted", "approved")):
        if each["held_by_change"] is None and (not sites or each["site"] in sites):
            await work.update("purchase_requisition", each["id"], {"held_by_change": order["id"]})


async def mark_requisition(work: Work) -> None:
    """Mark a requisition of a part whose open orders a change in effect holds, so that whoever approves it sees it."""
    request = await work.record()
    about = AnyRef("item", request["item"])
    for affected in await work.find("affected_item", object=about):
        order = await work.record("change_order", affected["change_order"])
        sites = await work.linked("change_order", "effective_sites", order["id"])
        in_force = order["state"] == "released" and order["effective_on"] is not None
        if affected["open_po_disposition"] == "use" or not in_force or order["effective_on"] > work.today:
            continue
        if not sites or request["site"] in sites:
            await work.update("purchase_requisition", request["id"], {"held_by_change": order["id"]})
            return


async def change_over_document(work: Work) -> None:
    """An approved revision whose day has come takes the place of the one in force at its site."""
    revision = await work.record()
    if revision["state"] != "approved":
        return
    same = {"document": revision["document"], "site": revision["site"]}
    for before in await work.find("document_revision", state="effective", **same):
        await work.move("document_revision", before["id"], "supersede")
    await work.move("document_revision", revision["id"], "put_in_force")
