"""Fills an empty database with the demonstration group. Called by `clew seed` and `clew demo`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from plugins.demo_group import making, market, people, products, supply
from plugins.demo_group.world import SIZES, World

from clew.records.loading import Loader


async def fill(
    loader: Loader,
    blueprint: Any,
    *,
    size: str,
    today: date,
    files: Mapping[str, Mapping[str, Any]],
    report: Callable[[int, str], None],
) -> World:
    """Load everything inside the loader's unit of work. `size` is small, medium or large."""
    world = World(blueprint, loader, SIZES[size], today, report, files)
    await loader.begin()
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
    await loader.finish()
    report(sum(loader.loaded.values()), "records")
    return world
