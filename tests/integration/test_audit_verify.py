"""Verification of a trail nobody touched finds nothing, whatever was done through the doors."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import tampering
from test_audit_checkpoints import a_sealer
from test_write_audit import random_command
from write_journey import Plant, a_lot, plant

from clew.audit.sealing import outside
from clew.audit.verify.findings import Finding
from clew.audit.verify.whole import Report, verify_trail
from clew.kernel.errors import ClewError
from clew.records.reconcile import reconcile
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


async def busy(made: Plant, folder: Path, commands: int, seed: int = 3) -> None:
    """Random commands, sealed and signed now and then, checkpoints outside; some leaves stay unsealed at the end."""
    chance = random.Random(seed)
    sealer = a_sealer(made.database, folder, audit_outside_folder=folder / "outside")
    (place,) = outside.places(sealer.settings)
    for step in range(commands):
        with suppress(ClewError):
            await random_command(made, chance)
        if step % 9 == 8:
            await sealer.sign()
            await outside.deliver(made.database, place)


async def everything(made: Plant, folder: Path, **more: Any) -> tuple[Report, list[Finding]]:
    report = await verify_trail(made.database, outside=folder / "outside", **more)
    return report, [*report.findings, *[each async for each in reconcile(made.database, made.tables)]]


async def test_an_honest_trail_is_whole(database: TestDatabase, tmp_path: Path, tier: Any) -> None:
    made = await plant(await database.open())
    await busy(made, tmp_path, tier.count(100, 1000))
    report, findings = await everything(made, tmp_path)
    assert [each.text().en for each in findings] == []
    assert report.entries > 20
    assert report.checkpoints == report.outside > 1
    assert report.root is not None


async def test_tamper_named(database: TestDatabase, tmp_path: Path, tier: Any) -> None:
    """Threat 32: single changes directly in the database; each is found, and the finding names its place."""
    made = await plant(await database.open())
    await busy(made, tmp_path, tier.count(80, 150))
    older = [(await made.commands.create(made.call, "lot", a_lot(made))).id for _ in range(3)]
    await made.commands.create(made.call, "lot", a_lot(made, parents=older))
    names = (tampering.leaf, tampering.log, tampering.pending, tampering.checkpoint)
    rows = (made.tables.current("lot"), made.tables.history("lot"), made.tables.link_history("lot", "parents"))
    books = tampering.Books(made, [*names, *rows])
    await books.read()
    assert (await everything(made, tmp_path))[1] == []
    chance, done, missed = random.Random(32), Counter[str](), []
    for number in range(tier.count(44, 1000)):
        kind = tampering.KINDS[number % len(tampering.KINDS)]
        change = next(found for _ in range(100) if (found := kind(books, chance)) is not None)
        async with tampering.as_administrator(made.database) as connection:
            for statement, args in change.statements:
                await connection.execute(statement, args)
        _, findings = await everything(made, tmp_path)
        if not any(change.located(each) for each in findings):
            missed.append((change.name, [each.text().en for each in findings]))
        done[kind.__name__] += 1
        await books.put_back()
    assert missed == []
    assert len(done) == len(tampering.KINDS)
    assert (await everything(made, tmp_path))[1] == []
