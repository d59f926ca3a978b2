"""A release that was right stays right, or does not stand: after a block, past its last day, of stock that was there
before go-live, of lots cut from lots in doubt, and of what a board had scrapped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.integration.pack_world import BORN, LATER, Plant, World, pack_plant
from tests.integration.test_pack_rules import created, move, refused, refused_move
from tests.integration.test_release_refused import (
    asked,
    decided,
    finished,
    furnish,
    market,
    not_decided,
    not_released,
)
from tests.integration.uploaded_file import A_FILE

from clew.records.errors import GuardFailed, RuleBroken
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
USCC = "91310000MA1FL0001R"


@pytest.fixture
async def plant(database: TestDatabase) -> AsyncIterator[Plant]:
    made = await pack_plant(database)
    await furnish(made, market)
    yield made
    await made.database.close()


def day(plant: Plant, after: int = 0) -> date:
    """The plant's own today, or so many days from it."""
    return datetime.now(plant.commands.engine.zone).date() + timedelta(days=after)


async def update(plant: Plant, entity: str, record: UUID, **values: Any) -> None:
    version = (await plant.current(entity))[record]["row_version"]
    await plant.commands.update(plant.why("test"), entity, record, version, values)


async def broken(plant: Plant, rule: str, entity: str, record: UUID, **values: Any) -> None:
    with pytest.raises(RuleBroken) as error:
        await update(plant, entity, record, **values)
    assert error.value.params["rule"] == rule


async def parcel(plant: Plant, lot: str, item: str = "pump") -> UUID:
    """A shipment of one piece of a lot to the customer in China."""
    lines = [{"line": 1, "item": plant.ids[item], "lot": plant.ids[lot], "qty": "1"}]
    ids = plant.ids
    return await created(plant, "shipment", site=ids["site"], sales_order=ids["order"], lines=lines)


async def not_packed(plant: Plant, lot: str, rule: str) -> None:
    with pytest.raises(RuleBroken) as error:
        await move(plant, "shipment", await parcel(plant, lot), "pack")
    assert error.value.params["rule"] == rule


async def not_shipped(plant: Plant, lot: str, rule: str) -> None:
    """Packed and reviewed it may be; it does not leave."""
    sent = await parcel(plant, lot)
    await move(plant, "shipment", sent, "pack")
    right = dict.fromkeys(("lot_ok", "label_ok", "package_ok", "papers_ok"), True)
    by = {"reviewer": plant.ids["zhao"], "result": "pass", "checks": [{"lot": plant.ids[lot], "qty": "1", **right}]}
    review = await created(plant, "delivery_review", site=plant.ids["site"], shipment=sent, **by)
    await move(plant, "delivery_review", review, "review")
    with pytest.raises(RuleBroken) as error:
        await move(plant, "shipment", sent, "ship")
    assert error.value.params["rule"] == rule


async def test_release_before_a_block(plant: Plant) -> None:
    """Whoever unblocks a lot puts it into quarantine; only a decision made since lets it out again."""
    ids = plant.ids
    await furnish(plant, lambda world: finished(world, "sound"))
    lot = ids["sound"]
    first = await asked(plant, "sound")
    await move(plant, "release_decision", first, "decide")
    await move(plant, "lot", lot, "release")
    await refused_move(plant, "release_decision", first, "withdraw", GuardFailed)  # it is in use by it
    for _ in range(2):
        await move(plant, "lot", lot, "block")
        await move(plant, "lot", lot, "unblock")
        await not_released(plant, lot)
        await move(plant, "release_decision", first, "withdraw")
        await not_released(plant, lot)
        first = await asked(plant, "sound")
        await move(plant, "release_decision", first, "decide")
        await move(plant, "lot", lot, "release")
    # Nobody but a block counts, neither afterwards nor from the start.
    await broken(plant, "blocks_are_counted", "lot", lot, blocks=0)
    dates = {"mfg_on": day(plant), "exp_on": day(plant, 365)}
    made = {"item": ids["pump"], "source": "production", "work_order": ids["work"], **dates}
    await refused(plant, "lot", "blocks_are_counted", site=ids["site"], blocks=3, **made)


async def test_the_last_day_of_a_lot(plant: Plant) -> None:
    """To the end of the day it expires on a lot may be used, released and conditionally used as well; from the next on
    it may not. What leaves must reach somebody who can still use it."""
    ids = plant.ids
    steel = {"item": ids["steel"], "source": "purchase", "supplier": ids["supplier"]}
    limits = {"conditional_qty": Decimal(50), "conditional_until": LATER}

    def room(world: World) -> None:
        for name, exp_on in (("last", day(plant)), ("gone", day(plant, -1))):
            world.lot(f"{name}:used", state="released", supplier_lot=name, exp_on=exp_on, **steel)
            world.lot(f"{name}:part", state="conditional", supplier_lot=name, exp_on=exp_on, **limits, **steel)
            world.lot(f"{name}:new", state="quarantine", supplier_lot=name, exp_on=exp_on, **steel)
            decided(world, f"{name}:in", ids[f"{name}:new"], kind="incoming")
        for name, days in (("pump:last", 0), ("pump:next", 1)):
            dates = {"mfg_on": day(plant, days - 365), "exp_on": day(plant, days)}
            finished(world, name, state="released", **dates)
            decided(world, f"{name}:cn", ids[name], kind="market", market="CN")

    await furnish(plant, room)

    def use(lot: str) -> dict[str, Any]:
        of = {"execution": ids["execution"], "work_order": ids["work"], "bom_line": ids["bom_line"]}
        return {"site": ids["site"], "component_lot": ids[lot], "qty": "1", "consumed_by": ids["li"], **of}

    for lot in ("used", "part"):
        await created(plant, "material_consumption", **use(f"last:{lot}"))
        await refused(plant, "material_consumption", "lot_usable", **use(f"gone:{lot}"))
    await move(plant, "lot", ids["last:new"], "release")
    await not_released(plant, ids["gone:new"])
    await refused_move(plant, "lot", ids["last:used"], "expire", GuardFailed)
    await move(plant, "lot", ids["gone:used"], "expire")
    await not_packed(plant, "pump:last", "enough_shelf_life")
    await move(plant, "shipment", await parcel(plant, "pump:next"), "pack")

    # Work on a lot does not make it younger.
    for source in ("split", "merge", "rework"):
        parents = [{"lot": ids["pump:next"], "qty": "1"}]
        values = {"item": ids["pump"], "source": source, "parents": parents, "mfg_on": day(plant, -1)}
        later = {"exp_on": day(plant, 364), "lot_no": f"LATER-{source}"}
        await refused(plant, "lot", "derived_keeps_expiry", site=ids["site"], **values, **later)
    values |= {"source": "rework", "exp_on": day(plant, 1), "lot_no": "REWORKED"}
    await created(plant, "lot", site=ids["site"], **values)


async def test_opening_stock_is_released_by_a_decision(plant: Plant) -> None:
    ids = plant.ids
    dates = {"mfg_on": day(plant, -30), "exp_on": day(plant, 335)}
    stock = {"site": ids["site"], "item": ids["pump"], "source": "opening", **dates}
    await refused(plant, "lot", "opening_while_open", **stock)
    await update(plant, "site", ids["site"], opening_until=str(day(plant)), uscc=USCC)
    ids["opened"] = await created(plant, "lot", lot_no="OLD1", **stock)
    await update(plant, "site", ids["site"], opening_until=str(day(plant, -1)))
    await refused(plant, "lot", "opening_while_open", **{**stock, "lot_no": "OLD2"})
    await not_released(plant, ids["opened"])
    # Registered as released already, as other systems load stock: it does not leave for that.
    await furnish(plant, lambda world: world.lot("loaded", state="released", item=ids["pump"], source="opening"))
    await not_shipped(plant, "loaded", "released_for_market")

    earlier = {"earlier_release": "ERP QA-2025-118, 王敏", "earlier_release_on": str(day(plant, -20))}
    about = {"kind": "opening", "market": "CN", **earlier}
    await not_decided(plant, await asked(plant, "opened", **about), "opening_shown")
    shown = {**about, "evidence": [dict(A_FILE)]}
    await not_decided(plant, await asked(plant, "opened", **{**shown, "market": "EU"}), "market_ready")
    await not_decided(plant, await asked(plant, "new", **{**shown, "market": None}), "kind_fits_source")
    await move(plant, "release_decision", await asked(plant, "opened", **shown), "decide")
    await move(plant, "lot", ids["opened"], "release")
    await move(plant, "shipment", await parcel(plant, "opened"), "pack")


async def test_a_lot_in_doubt_is_not_cut_into_sound_ones(plant: Plant) -> None:
    ids = plant.ids
    site = ids["site"]

    def room(world: World) -> None:
        for name in ("parent", "gone"):
            finished(world, name, state="recalled" if name == "gone" else "quarantine")

    await furnish(plant, room)
    dates = {"mfg_on": day(plant), "exp_on": day(plant, 365)}

    def part(of: str, name: str) -> dict[str, Any]:
        parents = [{"lot": ids[of], "qty": "1"}]
        return {"site": site, "item": ids["pump"], "source": "split", "lot_no": name, "parents": parents, **dates}

    dates = {name: (await plant.current("lot"))[ids["parent"]][name] for name in ("mfg_on", "exp_on")}
    await refused(plant, "lot", "derived_of_sound_lots", **part("gone", "PART0"))
    ids["part"] = await created(plant, "lot", **part("parent", "PART1"))
    await furnish(plant, lambda world: decided(world, "part:production", ids["part"], kind="production"))
    await furnish(plant, lambda world: decided(world, "part:cn", ids["part"], kind="market", market="CN"))
    about = {"item": ids["pump"], "source": "FQC", "description": "划伤", "defect": ids["defect"], "severity": "minor"}
    ncr = await created(plant, "nonconformance", site=site, lots=[ids["parent"]], **about)
    await not_released(plant, ids["part"])
    await refused(plant, "lot", "derived_of_sound_lots", **part("part", "PART2"))  # nor by cutting it once more
    await move(plant, "nonconformance", ncr, "annul")
    await move(plant, "lot", ids["part"], "release")


async def test_what_was_to_be_scrapped_is_not_used_after_all(plant: Plant) -> None:
    """Verified and closed, its holds lifted: what the board had scrapped or returned stays out of use, whatever its
    status says; so does what a field action is still evaluated about, and what was conceded to a day that is over."""
    ids = plant.ids
    site = ids["site"]

    def room(world: World) -> None:
        ended = {"justification": "可用", "concession_qty": Decimal(5), "concession_until": day(plant, -1)}
        for name, disposition in (("junk", "scrap"), ("back", "return"), ("fine", "rework"), ("over", "use_as_is")):
            lot = world.lot(
                f"{name}:lot", item=ids["steel"], source="purchase", supplier=ids["supplier"], supplier_lot=name,
                state="released",
            )  # fmt: skip
            world.add(
                f"{name}:ncr", "nonconformance", site=site, number=f"NCR-{name}", source="IQC", found_at=BORN,
                item=ids["steel"], lots=[lot], description="划伤", defect=ids["defect"], severity="minor",
                containment="隔离", disposition=disposition, verified_by=ids["zhao"], state="closed",
                **(ended if name == "over" else {}),
            )  # fmt: skip
        world.lot(
            "asked:lot", item=ids["steel"], source="purchase", supplier=ids["supplier"], supplier_lot="asked",
            state="released",
        )  # fmt: skip
        world.add(
            "asked:action", "field_action", number="FA-T", subject="x", measures=("warn",), markets=("CN",),
            lots=[ids["asked:lot"]], hazard="?", decided_at=BORN, decided_on=BORN.date(), state="dismissed",
        )  # fmt: skip

    await furnish(plant, room)
    of = {"execution": ids["execution"], "work_order": ids["work"], "bom_line": ids["bom_line"]}
    use = {"site": site, "qty": "1", "consumed_by": ids["li"], **of}
    for name in ("junk", "back", "over", "asked"):
        await refused(plant, "material_consumption", "lot_usable", component_lot=ids[f"{name}:lot"], **use)
    await created(plant, "material_consumption", component_lot=ids["fine:lot"], **use)
    await update(plant, "field_action", ids["asked:action"], conclusion="无关")
    await move(plant, "field_action", ids["asked:action"], "stand_down")
    await created(plant, "material_consumption", component_lot=ids["asked:lot"], **use)


async def test_a_supplier_that_was_suspended_after_the_order(plant: Plant) -> None:
    """What is ordered must come from an approved source; what was ordered from one may still arrive, and stays in
    quarantine."""
    ids = plant.ids
    site = {"site": ids["site"]}
    order = await created(plant, "purchase_order", **site, supplier=ids["supplier"], buyer=ids["li"])
    line = {**site, "po": order, "item": ids["steel"], "qty": "10"}
    first = await created(plant, "purchase_order_line", line=1, **line)
    await move(plant, "purchase_order", order, "approve")
    await update(plant, "supplier", ids["supplier"], uscc=USCC, risk_class="B")
    await move(plant, "supplier", ids["supplier"], "suspend")
    await refused_move(plant, "purchase_order", order, "send", GuardFailed)
    await refused(plant, "purchase_order_line", "approved_source", line=2, **line)
    await broken(plant, "approved_source", "purchase_order_line", first, qty="11")
    await update(plant, "purchase_order_line", ids["po_line"], promised_on=str(LATER))
    papers = {"licence_checked": True, "label_checked": True, "received_by": ids["li"], "supplier_lot": "H9"}
    came = await created(plant, "goods_receipt", **site, po_line=ids["po_line"], qty="5", lot=ids["new"], **papers)
    await move(plant, "goods_receipt", came, "quarantine")
    await not_released(plant, ids["new"])


async def test_what_was_rejected_is_inspected_again_before_it_is_released(plant: Plant) -> None:
    """An inspection of another stage that was accepted does not make up for the one that was not."""
    ids = plant.ids

    def room(world: World) -> None:
        finished(world, "twice")
        ids["final"] = world.add(
            "final", "inspection_plan", number="FQC-1", rev="A", name="成品检验", item=ids["pump"], stage="FQC",
            sampling="c0", state="effective",
        )  # fmt: skip
        judged(world, "reject", 1)
        world.add(
            "twice:ncr", "nonconformance", site=ids["site"], number="NCR-F", source="FQC", found_at=BORN,
            item=ids["pump"], lots=[ids["twice"]], inspection_lot=ids["final:reject"], description="划伤",
            defect=ids["defect"], severity="minor", containment="隔离", disposition="rework",
            verified_by=ids["zhao"], state="closed",
        )  # fmt: skip

    def judged(world: World, judgement: str, days: int) -> None:
        world.add(
            f"final:{judgement}", "inspection_lot", site=ids["site"], number=f"IL-{days}", plan=ids["final"],
            lot=ids["twice"], lot_size=10, n=1, ac=0, re=1, nonconforming=0, judgement=judgement, judged_by=ids["li"],
            judged_at=BORN + timedelta(days=days), state="closed",
        )  # fmt: skip

    await furnish(plant, room)
    decision = await asked(plant, "twice")
    await not_decided(plant, decision, "inspection_judged")
    await not_released(plant, ids["twice"])
    await furnish(plant, lambda world: judged(world, "accept", 2))
    await move(plant, "release_decision", decision, "decide")
    await move(plant, "lot", ids["twice"], "release")
