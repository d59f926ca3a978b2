"""Decisions on regulated actions are kept with what they were decided on, replayed, and compared with today."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from clew.access.decision import Decision, Grant, permit_all
from clew.expressions.check import check
from clew.kernel.errors import ClewError, Unavailable
from clew.metadata.blueprint import Blueprint
from clew.metadata.schema import BlueprintSchema
from clew.records.decisions import keep
from clew.storage import system
from clew.storage.errors import DatabaseBusy
from clew.testing.databases import TestDatabase

sys.path.insert(0, str(Path(__file__).parent))
from write_journey import Plant, a_lot, mini, plant

pytestmark = pytest.mark.anyio


@pytest.fixture
async def scene(database: TestDatabase) -> AsyncIterator[Plant]:
    opened = await database.open()
    yield await plant(opened)
    await opened.close()


async def kept(scene: Plant) -> list[dict[str, Any]]:
    rows = sorted(await scene.rows(system.decision), key=lambda row: row["decision_id"])
    return [{**row, "body": json.loads(row["body"])} for row in rows]


async def test_what_allowed_is_kept_with_what_it_allowed(scene: Plant) -> None:
    lot = await scene.commands.create(scene.call, "lot", a_lot(scene))
    await scene.commands.transition(scene.call, "lot", lot.id, "release", 1)
    [row] = await kept(scene)
    assert (row["outcome"], row["action"], row["row_version"], row["code"]) == ("allowed", "transition:release", 1, "")
    body = row["body"]
    checks = {each["kind"]: each for each in body["checks"]}
    assert checks["state"]["facts"] == {"state": "quarantine"}
    assert checks["guard"]["conditions"] == ["qty > 0"]
    assert checks["guard"]["facts"] == {"qty": "10.0000"}
    [rule] = checks["guard"]["rules"]
    assert rule["rule"] == "lot.release"
    assert rule["at"].startswith("models/lot.yaml:")
    assert checks["signature"]["held"] is True
    assert body["person"]["login"] == "wang"
    assert body["policy"] == scene.decision.digest


async def test_what_was_refused_is_kept_after_the_rollback(scene: Plant) -> None:
    lot = await scene.commands.create(scene.call, "lot", a_lot(scene, qty="0"))
    with pytest.raises(ClewError):
        await scene.commands.transition(scene.call, "lot", lot.id, "release", 1)
    with pytest.raises(ClewError):
        await scene.commands.void(scene.call, "lot", lot.id, 1)
    with pytest.raises(ClewError):
        await scene.commands.update(scene.call, "lot", lot.id, 1, {"qty": "3"})
    refused = await kept(scene)
    assert [(row["action"], row["code"]) for row in refused] == [
        ("transition:release", "GUARD"), ("void", "REASON_REQUIRED"), ("update", "REASON_REQUIRED")
    ]  # fmt: skip
    assert {row["outcome"] for row in refused} == {"refused"}
    assert refused[0]["body"]["checks"][-1]["facts"] == {"qty": "0.0000"}
    leaves = [row for row in await scene.rows(system.leaf) if row["action"] == "decide.refuse"]
    assert len(leaves) == 3
    assert (await scene.current("lot"))[lot.id]["row_version"] == 1


async def test_coming_second_is_no_decision(scene: Plant) -> None:
    lot = await scene.commands.create(scene.call, "lot", a_lot(scene))
    with pytest.raises(ClewError):
        await scene.commands.transition(scene.call, "lot", lot.id, "release", 7)
    with pytest.raises(ClewError):
        await scene.commands.update(scene.why("x"), "lot", lot.id, 1, {"qty": "many"})
    await scene.commands.update(scene.call, "lot", lot.id, 1, {"exp_on": "2030-01-01"})
    assert await kept(scene) == []


async def test_rows_of_an_import_are_decided_one_by_one(scene: Plant) -> None:
    lots = [await scene.commands.create(scene.call, "lot", a_lot(scene)) for _ in range(3)]
    rows: list[dict[str, Any]] = [{"id": each.id, "row_version": 1, "input": {"qty": "5"}} for each in lots]
    rows[1]["input"]["exp_on"] = "2001-01-01"
    for mode in ("dry", "all", "good"):
        await scene.commands.bulk(scene.why("recount"), "lot", rows, verb="update", mode=mode)  # type: ignore[arg-type]
    found = [(row["action"], row["outcome"]) for row in await kept(scene)]
    assert sorted(found) == [("update", "allowed")] * 2 + [("update", "refused")] * 2


async def test_a_refusal_waits_for_the_database_and_is_not_lost(scene: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database goes away between the rollback and the record of the refusal: the caller hears the refusal, and the
    next one takes it along. When too many wait, nothing regulated is decided any more."""
    lot = await scene.commands.create(scene.call, "lot", a_lot(scene))
    real = keep.record_event

    async def away(*_: Any, **__: Any) -> Any:
        raise DatabaseBusy(what="test")

    monkeypatch.setattr(keep, "record_event", away)
    with pytest.raises(ClewError) as refused:
        await scene.commands.void(scene.call, "lot", lot.id, 1)
    assert refused.value.code == "REASON_REQUIRED"
    assert (scene.commands.refusals.waiting, await kept(scene)) == (1, [])
    monkeypatch.setattr(keep, "MOST_WAITING", 1)
    with pytest.raises(Unavailable):
        await scene.commands.void(scene.call, "lot", lot.id, 1)
    monkeypatch.setattr(keep, "MOST_WAITING", 10)
    monkeypatch.setattr(keep, "record_event", real)
    with pytest.raises(ClewError):
        await scene.commands.void(scene.call, "lot", lot.id, 1)
    assert [row["action"] for row in await kept(scene)] == ["void", "void"]
    assert scene.commands.refusals.waiting == 0


def only_small(blueprint: Blueprint) -> Decision:
    everything = permit_all(blueprint)
    lot = everything.entities["lot"]
    condition = check("qty < 100 && site.code == 'SHA'", BlueprintSchema.of(blueprint), "lot")
    moves = dict(lot.transitions) | {"release": Grant(True, (condition,))}
    entities = dict(everything.entities) | {"lot": replace(lot, transitions=MappingProxyType(moves))}
    return Decision("only-small", MappingProxyType(entities))


async def test_a_conditional_grant_is_kept_with_its_facts(database: TestDatabase) -> None:
    opened = await database.open()
    scene = await plant(opened, decision=only_small(mini()))
    small = await scene.commands.create(scene.call, "lot", a_lot(scene))
    large = await scene.commands.create(scene.call, "lot", a_lot(scene, qty="100"))
    await scene.commands.transition(scene.call, "lot", small.id, "release", 1)
    with pytest.raises(ClewError):
        await scene.commands.transition(scene.call, "lot", large.id, "release", 1)
    grants = [row["body"]["checks"][0] for row in await kept(scene)]
    assert [(each["name"], each["held"], each["facts"]) for each in grants] == [
        ("do:release", True, {"qty": "10.0000"}), ("do:release", False, {"qty": "100.0000"})
    ]  # fmt: skip
    assert grants[0]["elsewhere"] == ["site.code"]
    await opened.close()
