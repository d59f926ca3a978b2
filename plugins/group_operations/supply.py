"""Sources of parts, and goods that arrive: their lot in quarantine and their inspection."""

from __future__ import annotations

from uuid import UUID

from clew.records.values import AnyRef
from clew.sdk import Row, Work
from group_operations.sampling import open_inspection


async def take_in(work: Work) -> None:
    """The lot of a receipt, and its incoming inspection by the effective plan."""
    receipt = await work.record()
    lot = receipt["lot"]
    if lot is None:
        line = await work.record("purchase_order_line", receipt["po_line"])
        order = await work.record("purchase_order", line["po"])
        lot = await work.create(
            "lot",
            {
                "site": receipt["site"],
                "item": line["item"],
                "source": "purchase",
                "supplier": order["supplier"],
                "supplier_lot": receipt["supplier_lot"],
                "mfg_on": receipt["mfg_on"],
                "exp_on": receipt["exp_on"],
                "initial_qty": receipt["qty"],
            },
        )
        await work.update("goods_receipt", receipt["id"], {"lot": lot})
    await open_inspection(work, lot, "IQC", AnyRef("goods_receipt", receipt["id"]), receipt["qty"])


async def find_unsourced(work: Work) -> None:
    """Write on a design project the bought parts of its devices' released structures, at any depth, that nobody is
    approved to supply to the site of the structure, by the part or its category."""
    project = await work.record()
    found: set[UUID] = set()
    waiting = await work.linked("design_project", "items", project["id"])
    seen = set(waiting)
    while waiting:
        for bom in await work.find("bom", item=waiting.pop(), state="released"):
            for line in await work.find("bom_line", owner=bom["id"]):
                part = await work.record("item", line["component"])
                if part["make_buy"] == "buy" and not await _sourced(work, part, bom["site"]):
                    found.add(part["id"])
                if part["id"] not in seen:
                    seen.add(part["id"])
                    waiting.append(part["id"])
    await work.update("design_project", project["id"], {"unsourced_parts": sorted(found, key=str)})


async def _sourced(work: Work, part: Row, site: UUID) -> bool:
    active = await work.find("supplier_approval", item=part["id"], site=site, state="active")
    active += await work.find("supplier_approval", item=None, category=part["type"], site=site, state="active")
    for each in active:
        supplier = await work.record("supplier", each["supplier"])
        if each["valid_to"] >= work.today and supplier["state"] in ("approved", "conditional"):
            return True
    return False
