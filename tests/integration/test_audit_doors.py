"""No change without audit, by whatever door it comes; and a sealer that is killed loses and doubles nothing."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.integration.guarded_case import guarded_project, make_account, make_token
from tests.integration.http_case import served
from write_journey import MINI, Plant, a_lot, context, plant
from write_ledger import discrepancies

from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.audit.sealing import log
from clew.audit.verify.whole import verify_trail
from clew.cli.app import run
from clew.kernel.clock import SystemClock
from clew.kernel.errors import ClewError
from clew.records.feed import Feed
from clew.records.importing import import_files
from clew.records.reconcile import reconcile
from clew.runtime import api_features
from clew.storage import system
from clew.testing.databases import TestDatabase, in_thread

VICTIM = Path(__file__).parent / "sealer_victim.py"
CREATE = """mutation($rows: [ItemCreateInput!]!, $mode: BulkMode) {
  createItems(inputs: $rows, mode: $mode) { committed rows { id code } }
}"""
UPSERT = """mutation($rows: [ItemCreateInput!]!, $mode: BulkMode) {
  upsertItems(inputs: $rows, mode: $mode) { committed rows { id code } }
}"""


def sheet(folder: Path, rows: list[tuple[str, str]]) -> Path:
    """A CSV file of items."""
    path = folder / "items.csv"
    path.write_text("item_no,name\n" + "".join(f"{number},{name}\n" for number, name in rows), encoding="utf-8")
    return path


def some_rows(chance: random.Random) -> list[tuple[str, str]]:
    """New items, items that are there (changed or not), and now and then one that is refused."""
    rows = [(f"N-{chance.randrange(12)}", chance.choice(["a", "b", "c"])) for _ in range(chance.randrange(1, 5))]
    return [*dict(rows).items(), *([("not valid", "x")] if chance.random() < 0.3 else [])]


async def agree(made: Plant) -> None:
    """Every table against every leaf, by the tests' own books and by the platform's."""
    assert await discrepancies(made) == []
    assert [found async for found in reconcile(made.database, made.tables)] == []


async def versions(made: Plant) -> int:
    """Versions of items there are."""
    return len(await made.rows(made.tables.history("item")))


@pytest.mark.anyio
async def test_no_change_without_audit_by_file(database: TestDatabase, tmp_path: Path, tier: Any) -> None:
    made = await plant(await database.open())
    chance, before, refused = random.Random(3), await versions(made), 0
    for _ in range(tier.count(12, 200)):
        path, mode = sheet(tmp_path, some_rows(chance)), chance.choice(["all", "good", "dry"])
        try:
            await import_files(made.commands, made.call, "item", path, mode=mode)  # type: ignore[arg-type]
        except ClewError:
            refused += 1
    await agree(made)
    assert await versions(made) > before + 3
    assert all(
        json.loads(each["header"])["reason"] for each in await made.rows(system.leaf) if each["action"] == "update"
    )


@pytest.mark.anyio
async def test_no_change_without_audit_by_graphql(database: TestDatabase, tier: Any) -> None:
    made = await plant(await database.open())
    features = api_features(made.commands, Feed(made.database, SystemClock()), made.database)
    engine = GraphQLEngine(made.blueprint, made.tables, made.database, SystemClock(), None, features)
    chance, before, outcomes = random.Random(5), await versions(made), Counter[str]()
    for _ in range(tier.count(16, 300)):
        rows = [{"itemNo": number, "name": name} for number, name in some_rows(chance)]
        variables = {"rows": rows, "mode": chance.choice(["all", "good", "dry"])}
        document = chance.choice([CREATE, UPSERT, UPSERT])
        caller = Caller(context(), made.decision)
        answer = json.loads((await engine.execute(Question(document, None, variables, None), caller)).body)
        assert "errors" not in answer, answer
        (found,) = answer["data"].values()
        outcomes["committed" if found["committed"] else "not"] += 1
    await agree(made)
    assert await versions(made) > before + 3
    assert set(outcomes) == {"committed", "not"}


def test_no_change_without_audit_by_command_line(
    database: TestDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str], tier: Any
) -> None:
    project = tmp_path / "project"
    shutil.copytree(MINI, project)
    in_thread(lambda: _install(database))
    options = ("--project", str(project), "--database-url", database.url, "--json")
    chance, codes = random.Random(11), Counter[int]()
    for _ in range(tier.count(3, 30)):
        path = sheet(tmp_path, [*some_rows(chance), ("ONCE-1", str(chance.random()))])
        codes[run(["import", "item", str(path), "--mode", chance.choice(["all", "good"]), *options])] += 1
        capsys.readouterr()
    assert codes[0]

    async def look() -> None:
        opened = await database.open()
        made = await plant(opened, fresh=False)
        await agree(made)
        assert await versions(made) > 1
        told = [json.loads(each["header"]) for each in await made.rows(system.leaf) if each["entity"] == "item"]
        assert {each["channel"] for each in told[1:]} <= {"cli", "import"}, {each["channel"] for each in told}
        await opened.close()

    in_thread(look)


async def _install(database: TestDatabase) -> None:
    opened = await database.open()
    await plant(opened)
    await opened.close()


@pytest.mark.anyio
async def test_a_killed_sealer_loses_and_doubles_nothing(database: TestDatabase, tier: Any) -> None:
    """SIGKILL of a real process at random moments, while others write."""
    made = await plant(await database.open())
    chance, sizes = random.Random(13), [0]
    for _ in range(tier.count(3, 40)):
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(VICTIM), database.url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"sealing\n"
        rest = chance.randrange(1, 12)
        for _ in range(rest):
            await made.commands.create(made.call, "lot", a_lot(made))
        await asyncio.sleep(chance.random() / 20)
        process.kill()
        await process.communicate()
        assert process.returncode == -9
        report = await verify_trail(made.database)
        assert report.findings == []
        sizes.append(report.entries)
        await everything_once(made)
    assert sizes == sorted(sizes)
    assert sizes[-1] > 0, "no victim ever sealed anything"
    await log.seal_all(made.database)
    await everything_once(made)
    assert await made.rows(system.leaf_pending) == []


async def everything_once(made: Plant) -> None:
    """Each leaf is in the log or waits, once, and the log has no gap."""
    sealed = await made.rows(system.audit_log)
    waiting = [each["leaf_id"] for each in await made.rows(system.leaf_pending)]
    leaves = [each["leaf_id"] for each in await made.rows(system.leaf)]
    assert sorted([*(each["leaf_id"] for each in sealed), *waiting]) == sorted(leaves)
    assert sorted(each["index"] for each in sealed) == list(range(len(sealed)))


FEED = """
role: intake
label: {zh: 接口写入, en: Intake}
kind: service
may:
  item: {read: always, create: always, update: always}
"""


@pytest.mark.anyio
async def test_no_change_without_audit_by_a_service(database: TestDatabase, tmp_path: Path, tier: Any) -> None:
    """The account of another system, by its token over HTTP: every change has its leaf, which names that account; what
    the role does not grant leaves nothing."""
    project = guarded_project(tmp_path / "services")
    (project / "permissions" / "intake.yaml").write_text(FEED.lstrip(), encoding="utf-8")
    async with served(database.url, tmp_path / "blobs", folder=project, project=project) as house:
        runtime, chance = house.host.current, random.Random(9)
        account = await make_account(runtime.desk, "erp", "intake", kind="service", password="")
        token, _ = await make_token(runtime.desk, account)
        headers = {"authorization": f"Bearer {token}"}
        for _ in range(tier.count(8, 200)):
            rows = [{"itemNo": number, "name": name} for number, name in some_rows(chance)]
            asked = {"query": UPSERT, "variables": {"rows": rows, "mode": chance.choice(["all", "good", "dry"])}}
            answer = (await house.client.post("/graphql", json=asked, headers=headers)).json()
            assert "errors" not in answer, answer
        refused = {"query": 'mutation { createSupplier(input: {code: "S", name: "s"}) { supplier { id } } }'}
        assert "errors" in (await house.client.post("/graphql", json=refused, headers=headers)).json()
        async with runtime.database.read() as connection:
            chosen = sa.select(system.leaf.c.actor, system.leaf.c.entity).where(system.leaf.c.row_version > 0)
            told = [tuple(row) for row in await connection.fetch(chosen)]
        assert len(told) > 3
        assert set(told) == {(account.id, "item")}
        assert [found async for found in reconcile(runtime.database, runtime.tables)] == []
