"""`clew retention`, `hold`, `erase`, `audit export` by number: from the command line, as docs/audit.md says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from test_audit_evidence import proven
from test_audit_retention import PROJECT

from clew.cli.app import run
from clew.runtime import open_runtime
from clew.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    for name, text in PROJECT.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text, encoding="utf-8")
    plan = str(tmp_path / "plan.json")
    assert run(["plan", "-p", str(project), "--out", plan]) == 0
    assert run(["apply", plan, "--note", "first", "-p", str(project)]) == 0
    return project


async def patient(folder: Path) -> UUID:
    host = await open_runtime(Settings(project=folder))
    try:
        given = {"code": "P-1", "name": "张三丰", "phone": "13800138000", "seen_on": "2001-02-28"}
        given["visits"] = [{"note": "膝关节置换"}]  # type: ignore[assignment]
        return (await host.current.commands.create(host.current.operator_call("en"), "patient", given)).id
    finally:
        await host.close()


def test_a_record_is_held_released_disposed_of_and_proven(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ("-p", str(folder))
    made = str(asyncio.run(patient(folder)))

    def answer(*words: str, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        assert run([*words, "--json", *here]) == code, capsys.readouterr().out
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    assert [(each["id"], each["held"]) for each in answer("retention", "list")["due"]] == [(made, False)]
    answer("hold", "place", "patient", "P-1", "--reason", "court")
    assert answer("retention", "run", "--reason", "period over") == {"ok": True, "disposed": [], "held": 1}
    held = answer("erase", "patient", "P-1", "--reason", "wish", "--before-due", code=1)
    assert held["error"]["code"] == "ON_LEGAL_HOLD"
    answer("hold", "lift", "patient", made, "--reason", "settled")
    before = tmp_path / "before.zip"
    assert answer("audit", "export", "patient", "P-1", "--out", str(before), "--redact", "phone")["entries"] > 4
    assert proven(before)["ok"] is True
    assert [each["id"] for each in answer("retention", "run", "--reason", "period over")["disposed"]] == [made]
    assert answer("retention", "list")["due"] == []
    verified = answer("audit", "verify")
    assert verified["ok"] is True
    assert {(each["record_id"], each["reason"]) for each in verified["erasures"]} >= {(made, "period over")}
    after = tmp_path / "after.zip"
    assert answer("audit", "export", "patient", made, "--out", str(after))["ok"] is True
    assert proven(after)["erased"] > 2
    again = answer("erase", "patient", "P-1", "--reason", "wish")
    assert (again["leaves"], again["signatures"]) == (0, 0)


def test_erase_names_what_it_emptied_and_what_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(patient(folder))
    capsys.readouterr()
    assert run(["erase", "patient", "P-1", "--reason", "wish", "-p", str(folder)]) == 0
    assert "patient.name, patient.phone, patient_visits.note" in capsys.readouterr().out
    assert run(["erase", "patient", str(UUID(int=1)), "--reason", "wish", "-p", str(folder)]) == 1
    assert "NOT_FOUND" in capsys.readouterr().err
