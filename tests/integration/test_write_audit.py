"""No change without audit: after any commands, after a crash anywhere, every table agrees with the trail."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from clew.kernel.errors import ClewError
from clew.storage import system
from clew.testing.databases import TestDatabase

sys.path.insert(0, str(Path(__file__).parent))
from write_journey import Plant, a_lot, plant
from write_ledger import discrepancies

pytestmark = pytest.mark.anyio
VICTIM = Path(__file__).parent / "write_victim.py"


async def random_command(made: Plant, chance: random.Random) -> None:
    """Something a user might do, right or wrong."""
    lots = list((await made.current("lot")).values())
    reports = list((await made.current("nonconformance")).values())
    lot = chance.choice(lots) if lots else None
    report = chance.choice(reports) if reports else None
    site, item, call = made.ids["SHA"], made.ids["RAW-1"], made.why("random")
    qty = chance.choice(["1", "2.5", "-1", "13", "x"])
    action = {"what": "check", "due": "2026-12-01"}
    kind = chance.randrange(10)
    if kind <= 1 or lot is None:
        await made.commands.create(call, "lot", a_lot(made, qty=qty, supplier_lot=chance.choice([None, "S-1", " bad"])))
    elif kind == 2:
        version = lot["row_version"] - chance.choice([0, 0, 1])
        await made.commands.update(call, "lot", lot["id"], version, {"qty": qty, "exp_on": "2031-01-01"})
    elif kind == 3:
        parents = [each["id"] for each in chance.sample(lots, min(2, len(lots)))]
        await made.commands.update(call, "lot", lot["id"], lot["row_version"], {"parents": parents})
    elif kind == 4:
        move = chance.choice(["release", "reject"])
        await made.commands.transition(call, "lot", lot["id"], move, lot["row_version"])
    elif kind == 5:
        subject = {"entity": "lot", "id": lot["id"]}
        given = {"site": site, "severity": "minor", "subject": subject, "lots": [lot["id"]], "actions": [action] * 2}
        await made.commands.create(call, "nonconformance", given)
    elif kind == 6 and report is not None:
        lines = [{**action, "what": str(chance.random())} for _ in range(chance.randrange(3))]
        version = report["row_version"]
        await made.commands.update(call, "nonconformance", report["id"], version, {"actions": lines})
    elif kind == 7:
        rows = [{"site": site, "item": item, "lot": lot["id"], "qty": each} for each in ("3", qty, "-2")]
        await made.commands.bulk(call, "movement", rows, mode=chance.choice(["all", "good", "dry"]))
    elif kind == 8:
        price = {"amount": f"{chance.randrange(9)}.50", "currency": "CNY"}
        given = {"item_no": "UP-1", "name": "钢", "price": price, "tags": ["sterile"], "attributes": {"size": 3}}
        await made.commands.upsert(made.why("x", foreign=True), "item", given)
    else:
        await made.commands.void(call, "lot", lot["id"], lot["row_version"])


async def test_no_change_without_audit(database: TestDatabase, tier: Any) -> None:
    made = await plant(await database.open())
    chance = random.Random(7)
    refused = done = 0
    for _ in range(tier.count(80, 2000)):
        try:
            await random_command(made, chance)
            done += 1
        except ClewError:
            refused += 1
    assert done > 15
    assert refused > 5
    assert await discrepancies(made) == []


async def test_the_ledger_sees_a_change_made_behind_its_back(database: TestDatabase) -> None:
    made = await plant(await database.open())
    lot = await made.commands.create(made.call, "lot", a_lot(made))
    assert await discrepancies(made) == []
    table = made.tables.current("lot")
    async with made.database.write() as connection:
        await connection.execute(table.update().where(table.c.id == lot.id).values(qty=99))
    assert any("not the last version" in each for each in await discrepancies(made))


async def test_a_kill_between_any_two_statements_leaves_all_or_nothing(database: TestDatabase, tier: Any) -> None:
    """SIGKILL before each statement and around each commit of a chain of commands, on one database again and again."""
    opened = await database.open()
    made = await plant(opened)
    before = 0
    step = tier.count(13, 1)
    points = range(1 + step // 2, 1000, step)
    survived = False
    for point in points:
        code, said = await victim(database.url, point)
        assert code in (0, -9), said
        wrong = await discrepancies(made)
        assert wrong == [], f"killed at {point}: {wrong[:3]}"
        leaves = len(await made.rows(system.leaf))
        assert leaves >= before
        before = leaves
        await forget_the_key(made)
        if code == 0:
            survived = True
            break
    assert survived, "the chain never ran to its end"


async def victim(url: str, point: int) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(VICTIM),
        url,
        str(point),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "COVERAGE_PROCESS_START": ""},
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def forget_the_key(made: Plant) -> None:
    """Each victim is a new request, with the same key."""
    async with made.database.write() as connection:
        await connection.execute(system.idempotency.delete())
