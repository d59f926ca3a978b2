"""Goods that arrive: their lot in quarantine and their inspection."""

from __future__ import annotations

from clew.records.values import AnyRef
from clew.sdk import Work
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
