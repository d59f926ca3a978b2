"""Writers against each other: a hold against a release, counters, balances. Never both when only one may be."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.integration.outcomes import outcome

from clew.metadata.load import load_sources
from clew.storage import system
from clew.testing.databases import TestDatabase

sys.path.insert(0, str(Path(__file__).parent))
from write_journey import Plant, plant

pytestmark = pytest.mark.anyio

HOLDS = {
    "clew.yaml": "project: holds\nlabel: {en: Holds}\nversion: 1.0.0\nlocale: en\ntime_zone: UTC\n",
    "models/all.yaml": """
entity: batch
label: {en: Batch}
class: master
key: [code]
fields:
  code: {type: text, required: true, unique: true}
states: {quarantine: {en: Quarantine}, released: {en: Released}}
transitions:
  release: {from: quarantine, to: released, when: "!holds.exists(h, h.active == true)", say: {en: The batch is on hold}}
---
entity: hold
label: {en: Hold}
class: master
key: [code]
fields:
  code:   {type: text, required: true, unique: true}
  batch:  {type: ref, of: batch, required: true, inverse: holds}
  active: {type: boolean, required: true, default: true}
rules:
  - require: "active == false || batch.state == 'quarantine'"
    name: only_in_quarantine
    say: {en: A released batch cannot be held}
""",
}


async def held_plant(database: TestDatabase) -> Plant:
    loaded = load_sources(HOLDS)
    assert loaded.blueprint is not None, [str(each.place) + each.message("en") for each in loaded.diagnostics]
    return await plant(await database.open(), blueprint=loaded.blueprint, furnish=False)


async def test_a_hold_racing_a_release(database: TestDatabase, tier: Any) -> None:
    """The release's guard reads holds, the hold's rule reads the batch: whichever is second must be refused."""
    made = await held_plant(database)
    rounds = tier.count(60, 10_000)
    seen: set[tuple[str, str]] = set()
    for at in range(rounds):
        batch = await made.commands.create(made.call, "batch", {"code": f"B{at}"})
        hold = made.commands.create(made.call, "hold", {"code": f"H{at}", "batch": batch.id})
        release = made.commands.transition(made.call, "batch", batch.id, "release", 1)
        contest = [outcome(hold), outcome(release)]
        answers = await asyncio.gather(*(contest if at % 2 else reversed(contest)))
        held, released = answers if at % 2 else reversed(answers)
        seen.add((held, released))
    assert seen <= {("done", "GUARD"), ("RULE", "done")}, seen
    holds = await made.current("hold")
    batches = await made.current("batch")
    assert len(batches) == rounds
    held_batches = {each["batch"] for each in holds.values()}
    assert all((each["state"] == "released") != (each["id"] in held_batches) for each in batches.values())
    await every_version_has_its_leaf(made, "batch", "hold")


async def every_version_has_its_leaf(made: Plant, *entities: str) -> None:
    leaves = {(each["record_id"], each["row_version"]) for each in await made.rows(system.leaf) if each["row_version"]}
    versions: set[tuple[UUID, int]] = set()
    for entity in entities:
        for row in await made.rows(made.tables.history(entity)):
            versions.add((row["id"], row["row_version"]))
    assert versions == leaves


async def test_parallel_movements_never_lose_stock(database: TestDatabase, tier: Any) -> None:
    made = await plant(await database.open())
    given = {"site": made.ids["SHA"], "item": made.ids["RAW-1"]}
    await made.commands.create(made.call, "movement", {**given, "qty": "10"})
    takers = tier.count(16, 200)
    work = [outcome(made.commands.create(made.call, "movement", {**given, "qty": "-1"})) for _ in range(takers)]
    answers = await asyncio.gather(*work)
    assert sorted(answers) == ["VALUE_BOUNDS"] * (takers - 10) + ["done"] * 10
    (balance,) = (await made.current("balance")).values()
    assert (balance["on_hand"], balance["row_version"]) == (0, 11)
    assert len(await made.current("movement")) == 11


async def test_parallel_creations_get_distinct_and_gap_free_numbers(database: TestDatabase, tier: Any) -> None:
    made = await plant(await database.open())
    count = tier.count(12, 200)
    lot = {"site": made.ids["SHA"], "item": made.ids["RAW-1"], "qty": "1"}
    work = [outcome(made.commands.create(made.call, "lot", lot)) for _ in range(count)]
    work += [outcome(made.commands.create(made.call, "supplier", {"name": str(at)})) for at in range(count)]
    assert set(await asyncio.gather(*work)) == {"done"}
    numbers = sorted(int(each["number"][-4:]) for each in (await made.current("lot")).values())
    assert numbers == list(range(1, count + 1))
    assert len({each["number"] for each in (await made.current("supplier")).values()}) == count
