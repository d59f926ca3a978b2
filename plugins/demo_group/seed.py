"""Fills an empty database with the demonstration group. Called by `clew seed` and `clew demo`."""

from __future__ import annotations

from clew.sdk import SeedOrder, hookimpl
from demo_group import making, market, people, products, supply
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
    shipped = await market.sales(world, made, buyers)
    await market.trouble(world, made, shipped)
    await market.development(world)
    await supply.plain_stock(world, shelf, vendors)
    world.settle()
    await order.loader.flush()
    world.tell()
