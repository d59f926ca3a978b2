"""A lot is blocked while a shipment with it leaves, through two servers: whichever is second knows of the first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from tests.integration.contenders import Contender, Doing, contenders
from tests.integration.outcomes import outcome
from tests.integration.pack_world import TODAY, World, open_plant, pack, pack_plant
from tests.integration.test_release_refused import decided, furnish, market

from clew.kernel.clock import SystemClock
from clew.storage.open import open_database
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier

BLOCK, SHIP = ("待查", "lot", "block"), ("发运", "shipment", "ship")


async def opened(url: str) -> Doing:
    """A server of the pack's plant."""
    plant = await open_plant(await open_database(url, clock=SystemClock()))

    async def move(asked: tuple[tuple[str, str, str], UUID, int]) -> str:
        (why, entity, transition), record, version = asked
        return await outcome(plant.commands.transition(plant.why(why), entity, record, transition, version))

    return move


def test_a_block_racing_a_shipment(database: TestDatabase, tier: Tier) -> None:
    """At once, both may succeed, as when the goods had just left; a block is never kept from being placed, and nothing
    leaves after one that is."""
    pack()
    with contenders(2, opened) as servers:
        asyncio.run(race(database, servers, tier.count(8, 2_000)))


async def race(database: TestDatabase, servers: Sequence[Contender], rounds: int) -> None:
    plant = await pack_plant(database)
    ids = plant.ids
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
    await asyncio.gather(*(each.ask(database.url) for each in servers))
    seen: set[tuple[str, str]] = set()
    for at in range(rounds):
        one, two = servers if at % 3 else servers[::-1]
        block, ship = (BLOCK, ids[f"l{at}"], 1), (SHIP, ids[f"s{at}"], 1)
        if at % 4 == 0:
            answers = await one.ask(block), await two.ask(ship)
            assert answers == ("done", "RULE")
        elif at % 4 == 1:
            shipped = await two.ask(ship)
            answers = await one.ask(block), shipped
            assert answers == ("done", "done")
        elif at % 4 == 2:
            blocked, shipped = await asyncio.gather(one.ask(block), two.ask(ship))
            answers = blocked, shipped
        else:
            shipped, blocked = await asyncio.gather(two.ask(ship), one.ask(block))
            answers = blocked, shipped
        seen.add(answers)
        assert answers[0] == "done", "a block is never kept from being placed"
        assert await one.ask((SHIP, ids[f"s{at}"], 1 if answers[1] != "done" else 2)) != "done"
    assert seen == {("done", "done"), ("done", "RULE")}, seen
    lots, sent = await plant.current("lot"), await plant.current("shipment")
    states = {(lots[ids[f"l{at}"]]["state"], sent[ids[f"s{at}"]]["state"]) for at in range(rounds)}
    assert states == {("blocked", "packed"), ("blocked", "shipped")}
    await plant.database.close()
