"""A lot is blocked while a shipment with it leaves: whichever is second knows of the first."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.integration.outcomes import outcome
from tests.integration.pack_world import TODAY, World, pack_plant
from tests.integration.test_release_refused import decided, furnish, market

from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier

pytestmark = pytest.mark.anyio


async def test_a_block_racing_a_shipment(database: TestDatabase, tier: Tier) -> None:
    """At once, both may succeed, as when the goods had just left; a block is never kept from being placed, and nothing
    leaves after one that is."""
    plant = await pack_plant(database)
    ids, rounds = plant.ids, tier.count(16, 2_000)
    await furnish(plant, market)

    def room(world: World) -> None:
        right = dict.fromkeys(("lot_ok", "label_ok", "package_ok", "papers_ok"), True)
        for at in range(rounds):
            lot = world.lot(
                f"l{at}", item=ids["pump"], source="production", work_order=ids["work"], state="released",
                mfg_on=TODAY, exp_on=TODAY + timedelta(days=365),
            )  # fmt: skip
            decided(world, f"d{at}", lot, kind="market", market="CN")
            sent = world.add(
                f"s{at}", "shipment", site=ids["site"], number=f"SH-{at}", sales_order=ids["order"], state="packed",
            )  # fmt: skip
            line = {"item": ids["pump"], "lot": lot, "qty": Decimal(1)}
            world.add(f"s{at}:line", "shipment_line", owner=sent, line=1, **line)
            review = world.add(
                f"r{at}", "delivery_review", site=ids["site"], number=f"DR-{at}", shipment=sent, result="pass",
                reviewer=ids["zhao"], state="reviewed",
            )  # fmt: skip
            world.add(f"r{at}:check", "delivery_review_checks", owner=review, lot=lot, qty=Decimal(1), **right)

    await furnish(plant, room)
    seen: set[tuple[str, str]] = set()
    for at in range(rounds):
        lot, sent = ids[f"l{at}"], ids[f"s{at}"]
        block = plant.commands.transition(plant.why("待查"), "lot", lot, "block", 1)
        ship = plant.commands.transition(plant.why("发运"), "shipment", sent, "ship", 1)
        if at % 4 == 0:
            answers = [await outcome(block), await outcome(ship)]
            assert answers == ["done", "RULE"]
        elif at % 4 == 1:
            answers = [await outcome(ship), await outcome(block)][::-1]
            assert answers == ["done", "done"]
        else:
            contest = [outcome(block), outcome(ship)]
            answers = list(await asyncio.gather(*(contest if at % 2 else contest[::-1])))
            answers = answers if at % 2 else answers[::-1]
        seen.add((answers[0], answers[1]))
        assert answers[0] == "done", "a block is never kept from being placed"
        again = plant.commands.transition(plant.why("发运"), "shipment", sent, "ship", 1 if answers[1] != "done" else 2)
        assert await outcome(again) != "done"
    assert seen == {("done", "done"), ("done", "RULE")}, seen
    await plant.database.close()
