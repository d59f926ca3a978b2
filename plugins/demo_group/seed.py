"""Fills an empty database with the demonstration group. Called by `clew seed` and `clew demo`."""

from __future__ import annotations

from clew.sdk import SeedOrder, hookimpl
from demo_group import design, making, market, office, people, practice, products, quality, sales, supply, trouble
from demo_group.world import SIZES, World


@hookimpl
async def clew_seed(order: SeedOrder) -> None:
    """The whole story, chapter by chapter, each building on what the earlier ones made."""
    world = World(order.blueprint, order.loader, SIZES[order.size], order.today, order.report, order.files)
    await people.organisation(world)
    portfolio = await products.portfolio(world)
    vendors = await supply.suppliers(world)
    shelf = await supply.incoming(world, portfolio, vendors)
    await market.licences(world, portfolio)
    buyers = await market.customers(world)
    made = await making.production(world, portfolio, shelf)
    shipped = await sales.sales(world, made, buyers)
    await trouble.trouble(world, made, shipped)
    await design.development(world)
    await office.offices(world)
    await quality.quality(world)
    await practice.practice(world)
    await supply.plain_stock(world, shelf, vendors)
    world.settle()
    await order.loader.flush()
    world.tell()
