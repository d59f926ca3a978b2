"""`active: {sites, from}` on a rule of records: refused at the site where it is in force, nowhere else, not before."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.integration.write_journey import MINI, a_lot, plant

from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_folder, load_sources
from clew.records.errors import RuleBroken
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


def project(active: str) -> Blueprint:
    """The mini project, with one more rule for lots."""
    loaded = load_folder(MINI)
    assert loaded.blueprint is not None
    sources = dict(loaded.blueprint.sources)
    rule = f'rules:\n  - {{forbid: "qty > 5", name: small, active: {active}, say: {{zh: 过多, en: Too much}}}}\n'
    sources["models/lot.yaml"] = sources["models/lot.yaml"].replace("rules:\n", rule, 1)
    changed = load_sources(sources).blueprint
    assert changed is not None
    return changed


async def test_only_at_its_sites_and_only_from_its_day(database: TestDatabase) -> None:
    db = await database.open()
    async with db.read() as connection:
        today = (await connection.now()).date()
    begun = await plant(db, blueprint=project(f"{{sites: [SHA], from: {today - timedelta(days=2)}}}"))
    with pytest.raises(RuleBroken):
        await begun.commands.create(begun.call, "lot", a_lot(begun))
    await begun.commands.create(begun.call, "lot", a_lot(begun, site=begun.ids["SUZ"]))
    await begun.commands.create(begun.call, "lot", a_lot(begun, qty="5"))


async def test_not_before_its_day(database: TestDatabase) -> None:
    db = await database.open()
    async with db.read() as connection:
        today = (await connection.now()).date()
    ahead = await plant(db, blueprint=project(f"{{sites: [SHA], from: {today + timedelta(days=2)}}}"))
    await ahead.commands.create(ahead.call, "lot", a_lot(ahead))
