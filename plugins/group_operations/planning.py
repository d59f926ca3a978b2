"""Net requirements of a site: read from orders, stock and structures, written into a planning run, made into orders."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from math import ceil
from typing import Any
from uuid import UUID

from clew.records.values import AnyRef
from clew.sdk import Refused, Row, Work
from group_operations.netting import NOTHING, Component, Demand, Need, Supply, Way, net
from group_operations.orders import components

_UNVERIFIED = ("open", "contained", "investigating", "board", "executing")
_UNDER_WAY = ("evaluating", "dismissed", "decided", "notifying", "executing", "effectiveness")
"""States of a nonconformance that keep its lots from being used."""
_OPEN_ORDERS = ("planned", "firm", "released", "running", "paused")


async def net_requirements(work: Work) -> None:
    """Calculate the planned orders of a run, and remember the demand behind each."""
    run = await work.record()
    site, horizon = run["site"], run["horizon"]
    demands = [each for each in await _demands(work, site) if each.due <= horizon]
    ways, structures = await _structures(work, site, {each.item for each in demands})
    found = net(demands, await _stock(work, site), await _supplies(work, site), structures, ways, work.today)
    needs, pegs = [], []
    for seq, each in enumerate(found, 1):
        needs.append(_line(seq, each))
        for origin, qty in each.pegs.items():
            pegs.append({"need": seq, "item": each.item, "demand": origin, "qty": _exact(qty)})
    await work.update("planning_run", run["id"], {"needs": needs, "pegs": pegs, "calculated_at": work.at})


def _line(seq: int, need: Need) -> dict[str, Any]:
    return {
        "seq": seq,
        "item": need.item,
        "kind": "make" if need.make else "buy",
        "gross": _exact(need.gross),
        "on_hand": _exact(need.on_hand),
        "on_order": _exact(need.on_order),
        "net": _exact(need.net),
        "qty": _exact(need.qty),
        "need_by": need.need_by,
        "release_by": need.release_by,
    }


def _exact(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.0001"))


async def _demands(work: Work, site: UUID) -> list[Demand]:
    """What customers have ordered and has not been allocated, and what open work orders have still to consume."""
    found: list[Demand] = []
    for order in await work.find("sales_order", site=site, state="confirmed"):
        origin = AnyRef("sales_order", order["id"])
        for line in await work.find("sales_order_line", owner=order["id"]):
            found.append(Demand(line["item"], line["qty"], line["due"], origin))
    for order in await work.find("work_order", site=site, state=_OPEN_ORDERS):
        origin = order["demand"] or AnyRef("work_order", order["id"])
        due = order["planned_start"].date() if order["planned_start"] else order["due"] or work.today
        used: dict[Any, Decimal] = {}
        for row in await work.find("material_consumption", work_order=order["id"], state="posted"):
            used[row["bom_line"]] = used.get(row["bom_line"], NOTHING) + row["qty"]
        lines: list[Any] = list(await work.find("work_order_components", owner=order["id"]))
        for line in lines or await components(work, order["bom"], order["qty"]):
            rest = line["qty"] - used.get(line["bom_line"], NOTHING)
            if rest > NOTHING:
                found.append(Demand(line["component"], rest, due, origin))
    return found


async def _stock(work: Work, site: UUID) -> dict[Any, Decimal]:
    """What is released, unexpired, not on hold and not reserved."""
    found: dict[Any, Decimal] = {}
    for row in await work.find("inventory_balance", site=site, quality_status="released"):
        if row["lot"] is None or await usable(work, row["lot"], work.today):
            found[row["item"]] = found.get(row["item"], NOTHING) + row["on_hand"] - row["reserved"]
    return found


async def usable(work: Work, lot_id: UUID, until: date) -> bool:
    """Whether a lot is released and may be used up to and on a day: not on hold, nor under a nonconformance that is not
    verified, was to be scrapped or returned, or whose concession ends before or covers less, nor in a field action."""
    lot = await work.record("lot", lot_id)
    if lot["state"] != "released" or (lot["exp_on"] is not None and lot["exp_on"] < until):
        return False
    if await work.find("inventory_hold", lot=lot_id, state="active"):
        return False
    found = [each for each in await work.find("nonconformance", item=lot["item"]) if _bars(each, until)]
    if any([lot_id in await work.linked("nonconformance", "lots", each["id"]) for each in found]):
        return False
    actions = await work.find("field_action", state=_UNDER_WAY)
    return not any([lot_id in await work.linked("field_action", "lots", each["id"]) for each in actions])


def _bars(nonconformance: Row, until: date) -> bool:
    """Whether it keeps its lots out of use until a day (as `held` of a lot says for today)."""
    if nonconformance["state"] == "void":
        return False
    decided, last = nonconformance["disposition"], nonconformance["concession_until"]
    if nonconformance["state"] in _UNVERIFIED or decided in ("scrap", "return") or (last is not None and last < until):
        return True
    qty, conceded = nonconformance["qty"], nonconformance["concession_qty"]
    scrapped = nonconformance["scrapped_qty"] or NOTHING
    return decided == "use_as_is" and (qty is None or conceded is None or conceded + scrapped < qty)


async def _supplies(work: Work, site: UUID) -> list[Supply]:
    """Open order lines, goods that wait for their release, requisitions not ordered yet, work orders not finished."""
    found: list[Supply] = []
    for line in await work.find("purchase_order_line", site=site, state="open"):
        order = await work.record("purchase_order", line["po"])
        if order["state"] == "cancelled":
            continue
        here = await work.find("goods_receipt", po_line=line["id"])
        rest = line["qty"] - sum((each["qty"] for each in here if each["state"] != "returned"), NOTHING)
        if rest > NOTHING:
            found.append(Supply(line["item"], rest, line["promised_on"] or work.today))
    for receipt in await work.find("goods_receipt", site=site, state=("received", "quarantined")):
        line = await work.record("purchase_order_line", receipt["po_line"])
        found.append(Supply(line["item"], receipt["qty"], work.today))
    for request in await work.find("purchase_requisition", site=site, state=("draft", "submitted", "approved")):
        found.append(Supply(request["item"], request["qty"], request["need_by"]))
    for order in await work.find("work_order", site=site, state=_OPEN_ORDERS):
        found.append(Supply(order["item"], order["qty"], order["due"] or work.today))
    return found


async def _structures(work: Work, site: UUID, items: set[Any]) -> tuple[dict[Any, Way], dict[Any, list[Component]]]:
    """How each item and everything below it is had, and what goes into what is made."""
    ways: dict[Any, Way] = {}
    structures: dict[Any, list[Component]] = {}
    waiting = sorted(items, key=str)
    while waiting:
        item_id = waiting.pop()
        if item_id in ways:
            continue
        item = await work.record("item", item_id)
        here = await work.find("item_per_site", owner=item_id, site=site)
        ways[item_id] = _way(item, here[0] if here else {})
        bom = await _released(work, "bom", item_id, site, kind="MBOM") if item["make_buy"] == "make" else None
        if bom is None:
            continue
        parts = await components(work, bom["id"], Decimal(1))
        structures[item_id] = [Component(each["component"], each["qty"]) for each in parts]
        waiting += [each["component"] for each in parts]
    return ways, structures


def _way(item: Row, here: Row) -> Way:
    sizing, qty = here.get("lot_sizing") or "lot_for_lot", here.get("lot_qty") or NOTHING
    return Way(
        make=item["make_buy"] == "make",
        lead_days=ceil(here.get("lead_time") or 0),
        safety=here.get("safety_stock") or NOTHING,
        least=qty if sizing in ("at_least", "fixed") else NOTHING,
        multiple=qty if sizing in ("multiple", "fixed") else NOTHING,
    )


async def _released(work: Work, entity: str, item: UUID, site: UUID, **more: Any) -> Row | None:
    """The revision of a structure that is in force today."""
    for each in await work.find(entity, item=item, site=site, state="released", **more):
        start, end = each["effective_from"], each["effective_to"]
        if (start is None or start <= work.today) and (end is None or end >= work.today):
            return each
    return None


async def release_needs(work: Work) -> None:
    """Every need of a confirmed run becomes a requisition or a work order that names the demand behind it."""
    run = await work.record()
    pegs = await work.find("planning_run_pegs", owner=run["id"])
    for need in sorted(await work.find("planning_run_needs", owner=run["id"]), key=lambda each: each["seq"]):
        demand = next((each["demand"] for each in pegs if each["need"] == need["seq"]), run["cause"])
        if need["kind"] == "buy":
            await work.create("purchase_requisition", _requisition(run, need, demand))
        else:
            await work.create("work_order", await _order(work, run, need, demand))


def _requisition(run: Row, need: Row, demand: AnyRef | None) -> dict[str, Any]:
    return {
        "site": run["site"],
        "item": need["item"],
        "qty": need["qty"],
        "need_by": need["need_by"],
        "requester": run["planner"],
        "demand": demand,
        "reason": f"净需求 / net requirement {run['number']}",
    }


async def _order(work: Work, run: Row, need: Row, demand: AnyRef | None) -> dict[str, Any]:
    bom = await _released(work, "bom", need["item"], run["site"], kind="MBOM")
    routing = await _released(work, "routing", need["item"], run["site"])
    if bom is None or routing is None:
        number = (await work.record("item", need["item"]))["item_no"]
        raise Refused(f"{number} 没有生效的 BOM 或工艺路线", f"{number} has no BOM or routing in force")
    markets: list[str] = []
    if demand is not None and demand.entity == "sales_order":
        markets = [(await work.record("sales_order", demand.id))["market"]]
    return {
        "site": run["site"],
        "item": need["item"],
        "bom": bom["id"],
        "routing": routing["id"],
        "qty": need["qty"],
        "due": need["need_by"],
        "demand": demand,
        "markets": markets,
    }
