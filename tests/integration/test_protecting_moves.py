"""A block or a recall is not stopped by what its record lacks; every other move is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from clew.metadata.load import load_sources
from clew.records.errors import Missing, ReasonRequired, RuleBroken
from clew.testing.databases import TestDatabase

sys.path.insert(0, str(Path(__file__).parent))
from write_journey import plant

pytestmark = pytest.mark.anyio

BATCHES = {
    "clew.yaml": "project: batches\nlabel: {en: Batches}\nversion: 1.0.0\nlocale: en\ntime_zone: UTC\n",
    "models/all.yaml": """
entity: batch
label: {en: Batch}
class: master
key: [code]
fields:
  code:   {type: text, required: true, unique: true}
  maker:  {type: text, required: true}
  order:  {type: text, required_when: "maker != 'bought'"}
  papers: {type: text, required_when: "proofs.exists(p, true)"}
  days:   {type: integer}
states: {quarantine: {en: Quarantine}, released: {en: Released}, recalled: {en: Recalled}}
transitions:
  release: {from: quarantine, to: released}
  recall:  {from: [quarantine, released], to: recalled, reason: required, protects: true}
rules:
  - {name: days_left, require: "days == null || days > 0", say: {en: No days are left}}
  - {name: no_order_left, require: "state != 'recalled' || proofs.count(p, true) < 2", say: {en: Two proofs are open}}
  - {name: proven, require: "proofs.all(p, p.holds)", say: {en: A proof does not hold}}
---
entity: proof
label: {en: Proof}
class: master
key: [code]
fields:
  code:  {type: text, required: true, unique: true}
  batch: {type: ref, of: batch, required: true, inverse: proofs}
  holds: {type: boolean, required: true, default: true}
""",
}


async def test_recall_despite_gaps(database: TestDatabase) -> None:
    """What became required after a batch was recorded, or does not hold of it any more, is told, and it is recalled."""
    loaded = load_sources(BATCHES)
    assert loaded.blueprint is not None, [str(each.place) + each.message("en") for each in loaded.diagnostics]
    made = await plant(await database.open(), blueprint=loaded.blueprint, furnish=False)
    batch = await made.commands.create(made.call, "batch", {"code": "B1", "maker": "bought", "papers": "x", "days": 1})
    await made.commands.create(made.call, "proof", {"code": "P1", "batch": batch.id, "holds": True})
    table = made.tables.current("batch")

    async def spoil(**values: Any) -> None:
        async def write(connection: Any) -> None:
            await connection.execute(sa.update(table).where(table.c.id == batch.id).values(values))

        await made.database.run_write(write)

    async def release(expected: type[Exception]) -> None:
        with pytest.raises(expected):
            await made.commands.transition(made.call, "batch", batch.id, "release", 1)

    await spoil(papers=None)
    await release(Missing)
    await spoil(maker="made")
    await release(Missing)
    await spoil(maker="bought", papers="x", days=0)
    await release(RuleBroken)
    await spoil(maker="made", papers=None)
    proofs = made.tables.current("proof")

    async def disprove(connection: Any) -> None:
        await connection.execute(sa.update(proofs).values(holds=False))

    await made.database.run_write(disprove)
    # What the move itself breaks refuses it all the same.
    second = await made.commands.create(made.call, "proof", {"code": "P2", "batch": batch.id, "holds": True})
    with pytest.raises(RuleBroken, match="Two proofs"):
        await made.commands.transition(made.why("defect"), "batch", batch.id, "recall", 1)
    await made.commands.void(made.why("twice"), "proof", second.id, 1)
    with pytest.raises(ReasonRequired):
        await made.commands.transition(made.call, "batch", batch.id, "recall", 1)
    recalled = await made.commands.transition(made.why("defect"), "batch", batch.id, "recall", 1)
    assert (await made.current("batch"))[batch.id]["state"] == "recalled"
    assert [each.rule for each in recalled.warnings] == ["days_left", "proven"]
    await made.database.close()
