"""Verification after the model changed: a field that got another name, one whose values were converted, a new one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from write_journey import Plant, a_lot, mini, plant

from clew.audit.sealing import log
from clew.audit.verify.whole import verify_trail
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_sources
from clew.records.reconcile import reconcile
from clew.runtime import TEXTS, stored_blueprint
from clew.storage.change import apply
from clew.storage.change import plan as plan_change
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


def changed() -> Blueprint:
    """Mini with `supplier_lot` as `vendor_lot`, `qty` of six places, whole days as decimal ones, and a new grade."""
    sources = dict(mini().sources)
    for name, text in sources.items():
        if "entity: lot\n" in text:
            text = re.sub(r"^  supplier_lot:( *)\{", r"  vendor_lot:\1{renamed_from: supplier_lot, ", text, flags=re.M)
            text = text.replace("supplier_lot", "vendor_lot").replace(
                "renamed_from: vendor_lot", "renamed_from: supplier_lot"
            )
            text = re.sub(r"^(  qty:.*)scale: 4", r"\1scale: 6", text, flags=re.M)
            text = re.sub(
                r"^  qty:",
                "  grade: {type: text, required: true, default: \"'A'\", max_length: 10}\n  qty:",
                text,
                flags=re.M,
            )
        if "entity: item\n" in text:
            text = text.replace("shelf_life_days: {type: integer, ", "shelf_life_days: {type: decimal, scale: 1, ")
        sources[name] = text
    loaded = load_sources(sources)
    assert loaded.blueprint is not None, [each.message("en") for each in loaded.diagnostics]
    lot, item = loaded.blueprint.entities["lot"], loaded.blueprint.entities["item"]
    assert lot.fields["vendor_lot"].renamed_from == ("supplier_lot",)
    assert (lot.fields["qty"].scale, str(item.fields["shelf_life_days"].kind)) == (6, "decimal")
    return loaded.blueprint


async def both(made: Plant) -> list[str]:
    report = await verify_trail(made.database)
    found = [*report.findings, *[each async for each in reconcile(made.database, made.tables)]]
    return [each.text().en for each in found]


async def test_verification_copes_with_a_changed_model(database: TestDatabase) -> None:
    opened = await database.open()
    made = await plant(opened)
    lots = [
        await made.commands.create(made.why("x"), "lot", a_lot(made, qty=qty, supplier_lot=f"S-{qty}")) for qty in "345"
    ]
    await made.commands.update(made.why("x"), "lot", lots[1].id, 1, {"qty": "4.5", "supplier_lot": "S-9"})
    item: Any = made.ids["RAW-1"]
    await made.commands.update(made.why("x"), "item", item, 1, {"shelf_life_days": 30})
    await log.seal_all(opened)
    assert await both(made) == []

    new = changed()
    release = await plan_change(opened, new, load=stored_blueprint)
    await apply(opened, release, load=stored_blueprint, texts=TEXTS, consents=frozenset(release.needs))
    after = await plant(opened, blueprint=new, fresh=False)
    assert await both(after) == [], "right after the change"

    after.ids.update(made.ids)
    await after.commands.update(after.why("x"), "lot", lots[1].id, 2, {"qty": "4.500001", "vendor_lot": "S-10"})
    await after.commands.update(after.why("x"), "lot", lots[2].id, 1, {"vendor_lot": None})
    await after.commands.create(after.why("x"), "lot", a_lot(after, qty="1.000002", vendor_lot="S-11", grade="B"))
    await after.commands.update(after.why("x"), "item", item, 2, {"shelf_life_days": "30.5"})
    await log.seal_all(opened)
    assert await both(after) == [], "and after work under the new one"

    table = after.tables.history("lot")
    async with opened.migrate(rows_only=True) as connection:
        for key, value in (("vendor_lot", "forged"), ("grade", "Z")):
            await connection.execute(table.update().where(table.c.id == lots[0].id).values(**{key: value}))
    told = await both(after)
    assert any("vendor_lot" in each for each in told), told
