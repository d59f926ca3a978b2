"""`clew access decisions`, `replay` and `checkpoints` on a project with policies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.integration.guarded_case import guarded_project
from tests.integration.http_case import served

from clew.cli.app import run
from clew.kernel.context import Context
from clew.kernel.errors import ClewError
from clew.records.commands import Call
from clew.testing.databases import TestDatabase, in_thread


def clew(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = run([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_decisions_are_listed_and_replayed(
    database: TestDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = guarded_project(tmp_path / "project")

    async def decide() -> UUID:
        async with served(database.url, tmp_path / "blobs", folder=project, project=project) as house:
            runtime = house.host.current
            context = Context(runtime.operator, "t", channel="cli")
            call = Call(context, runtime.decide(context), "set up")
            commands = runtime.commands
            site = await commands.create(call, "site", {"code": "SHA", "name": "SHA"})
            item = await commands.create(call, "item", {"item_no": "R-1", "name": "板"})
            given = {"site": site.id, "item": item.id, "qty": "0"}
            lot = await commands.create(call, "lot", given)
            with pytest.raises(ClewError):
                await commands.transition(call, "lot", lot.id, "release", 1)
            await commands.transition(call, "lot", lot.id, "reject", 1)
            return lot.id

    lot: list[UUID] = []

    async def work() -> None:
        lot.append(await decide())

    in_thread(work)
    options = ("--project", str(project), "--database-url", database.url)
    code, found = clew(capsys, "access", "decisions", *options)
    assert code == 0
    shown = [(each["action"], each["outcome"], each["code"]) for each in found["decisions"]]
    assert shown == [("transition:release", "refused", "GUARD"), ("transition:reject", "allowed", "")]
    assert {each["record"] for each in found["decisions"]} == {str(lot[0])}
    for each in found["decisions"]:
        code, replayed = clew(capsys, "access", "replay", each["id"], *options)
        assert code == 0, replayed
        assert replayed["faithful"] is True
        assert replayed["then"]["outcome"] == each["outcome"]
    names = {(each["what"], each["name"]) for each in replayed["differences"]}
    assert ("check", "state reject") in names, "a rejected lot is not rejected again"
    code, signed = clew(capsys, "audit", "signatures", *options)
    assert (code, signed["ok"], signed["signatures"]) == (0, True, 0)
    code, refused = clew(capsys, "access", "replay", str(lot[0]), *options)
    assert (code, refused["error"]["code"]) == (1, "NOT_FOUND")


def test_every_checkpoint_names_its_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = guarded_project(tmp_path / "project")
    code, found = clew(capsys, "access", "checkpoints", "--project", str(project))
    assert code == 0
    points = found["checkpoints"]
    assert all(":" in each["at"] or each["at"] == "-" for each in points)
    asked = ("lot", "transition:release")
    release = {each["kind"]: each for each in points if (each["entity"], each["action"]) == asked}
    assert release["guard"]["rule"] == "qty > 0"
    assert release["guard"]["at"].startswith("models/lot.yaml:")
    assert release["signature"]["rule"] == "sign: release"
    assert ("lot", "regulated", "qty") in {(each["entity"], each["kind"], each["rule"]) for each in points}
    assert ("-", "separation") in {(each["entity"], each["kind"]) for each in points}
    assert {each["kind"] for each in points} >= {"grant", "state", "guard", "reason", "signature", "frozen", "rule"}
    code, only = clew(capsys, "access", "checkpoints", "--project", str(project), "--entity", "lot")
    assert {each["entity"] for each in only["checkpoints"]} == {"lot"}
