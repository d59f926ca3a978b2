"""Export shows what a query shows: rows, masks and the past, against the same brute-force oracle."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from read_api import Api, api
from read_oracle import Oracle
from read_world import AUDITOR, INSPECTOR, MOMENTS, NOBODY, context

from clew.access.decision import ALWAYS
from clew.kernel.clock import SystemClock
from clew.kernel.context import Person
from clew.kernel.errors import Forbidden
from clew.records.exporting import Selection, export_file
from clew.records.source import Source

pytestmark = pytest.mark.anyio
__all__ = ["api"]

ROLES = [("inspector", INSPECTOR), ("auditor", AUDITOR), ("inspector", NOBODY)]
MAY_EXPORT = ("lot", "nonconformance", "supplier", "serial_unit")


def source(api: Api, role: str, person: Person) -> Source:
    decision = getattr(api, role)
    entities = {
        name: replace(access, export=ALWAYS) if name in MAY_EXPORT else access
        for name, access in decision.entities.items()
    }
    allowed = replace(decision, entities=MappingProxyType(entities))
    return Source(api.database, api.blueprint, api.tables, allowed, context(person), SystemClock().now())


def expected_lots(oracle: Oracle) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in oracle.listed("lot"):
        supplier = oracle.one("lot", row, "supplier", "supplier")
        shown = oracle.lot_json(row)
        found[str(row["id"])] = {
            "number": row["number"],
            "state": row["state"],
            "qty": shown["qty"],
            "exp_on": row["exp_on"].isoformat() if row["exp_on"] else None,
            "site.code": oracle.find("site", row["site"])["code"],  # type: ignore[index]
            "supplier.number": supplier["number"] if supplier else None,
        }
    return found


@pytest.mark.parametrize(("role", "person"), ROLES)
@pytest.mark.parametrize("as_of", [None, MOMENTS[1]])
async def test_lots_leave_as_they_are_seen(
    api: Api, tmp_path: Path, role: str, person: Person, as_of: datetime | None
) -> None:
    expected = expected_lots(Oracle(api.world, role, person, as_of))
    for kind in ("csv", "jsonl"):
        path = tmp_path / f"lots.{kind}"
        written = await export_file(source(api, role, person), "lot", path, kind, chosen=Selection(as_of=as_of))  # type: ignore[arg-type]
        assert written == len(expected)
        rows = records(path)
        assert {row["id"] for row in rows} == set(expected)
        for row in rows:
            for name, value in expected[row["id"]].items():
                assert (row[name] or None) == value, (kind, row["id"], name)
            assert ("supplier_lot" in row) is (role == "auditor"), "a hidden field has no column"


@pytest.mark.parametrize(("role", "person"), ROLES)
async def test_relations_and_choices_leave_as_they_are_seen(
    api: Api, tmp_path: Path, role: str, person: Person
) -> None:
    oracle = Oracle(api.world, role, person, None)
    path = tmp_path / "ncr.jsonl"
    await export_file(source(api, role, person), "nonconformance", path, "jsonl")
    rows = {row["id"]: row for row in records(path) if row["_entity"] == "nonconformance"}
    listed = oracle.listed("nonconformance")
    assert set(rows) == {str(row["id"]) for row in listed}
    for row in listed:
        found = rows[str(row["id"])]
        assert found["severity"] == oracle.value("nonconformance", row, "severity")
        subject = oracle.subject(row)
        wanted = (subject[0], str(subject[1]["id"])) if subject else (None, None)
        assert (found["subject.entity"], found["subject.id"]) == wanted


async def test_who_may_read_may_not_yet_export(api: Api, tmp_path: Path) -> None:
    allowed = source(api, "inspector", INSPECTOR)
    with pytest.raises(Forbidden):
        await export_file(replace(allowed, decision=api.inspector), "lot", tmp_path / "x.csv", "csv")
    assert "x.csv" not in os.listdir(tmp_path)


def records(path: Path) -> list[dict[str, Any]]:
    """What was written, by the name of the column in the project."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    with path.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    return [{header.rpartition("(")[2].rstrip(")"): value for header, value in row.items()} for row in rows]
