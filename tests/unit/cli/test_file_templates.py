"""`clew new`: every kind's file passes the check as it is, a workflow its proof and a scenario its test."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.unit.cli.plain_calendar import CALENDAR

from clew.cli.app import run
from clew.cli.file_templates import Kind
from clew.cli.workflow_templates import Shape

MODEL = """\
entity: loan
label: {zh: 借用, en: Loan}
key: [code]
fields:
  code: {type: text, required: true, label: {zh: 编码, en: Code}}
  reason: {type: long_text, label: {zh: 原因, en: Reason}}
  count: {type: integer, label: {zh: 数量, en: Count}}
"""
ROLES = """\
role: clerk
label: {zh: "文员: 一", en: Clerk}
may: {loan: {read: always, create: always}}
---
role: sales
label: {zh: 销售, en: Sales}
inherits: [clerk]
---
role: head
label: {zh: 主管, en: Head}
may: {"*": {read: always}}
---
role: stranger
label: {zh: 外人, en: Stranger}
"""


def project(permissions: bool) -> None:
    files = {"clew.yaml": "project: small\nlabel: {zh: 小, en: Small}\n", "models/loan.yaml": MODEL}
    if permissions:
        files |= {"permissions/roles.yaml": ROLES, "calendars/plain.yaml": CALENDAR}
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("permissions", [True, False], ids=["roles", "no_roles"])
@pytest.mark.parametrize("shape", Shape)
def test_each_template_passes_the_check_and_the_proof(
    shape: Shape,
    permissions: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    project(permissions)
    roles = ["--role", "clerk", "--role", "sales", "--role", "head"] if permissions else []
    assert run(["new", "workflow", "lending", "--template", shape, "--for", "loan", "--zh", "借出", *roles]) == 0
    capsys.readouterr()
    assert run(["check", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["findings"] == [], "not even a warning"
    assert run(["process", "prove", "lending", "--json"]) == 0
    (proof,) = json.loads(capsys.readouterr().out)["processes"]
    assert proof["findings"] == []
    text = Path("workflows/lending.yaml").read_text(encoding="utf-8")
    steps, humans = text.split("steps:\n")[1], text.count("who:") + text.count("any_sign:") + text.count("countersign:")
    assert humans >= 2
    for key in ("owner:", "within:", "alert:", "input:", "output:", "help: {zh:"):
        assert steps.count(key) >= humans, key


def test_a_workflow_names_what_the_project_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    project(True)
    assert run(["new", "workflow", "lending", "--role", "clerk"]) == 2
    assert "there are: loan" in capsys.readouterr().err
    for wrong in ([], ["--role", "nobody"], ["--role", "clerk", "--role", "stranger"]):
        assert run(["new", "workflow", "lending", "--for", "loan", *wrong]) == 2, "stranger could not read it"
        assert "There are: clerk, sales, head" in capsys.readouterr().err
    assert not Path("workflows").exists()
    assert run(["new", "workflow", "lending", "--for", "loan", "--role", "head"]) == 0
    assert run(["check"]) == 0


MORE: dict[Kind, list[str]] = {
    Kind.workflow: ["--for", "loan", "--role", "clerk", "--role", "sales"],
    Kind.form: ["--for", "loan"],
    Kind.alert: ["--for", "loan", "--role", "head"],
    Kind.policy_test: ["--for", "loan", "--role", "clerk"],
    Kind.separation: ["--role", "sales", "--role", "head"],
    Kind.scenario: ["--for", "new_workflow"],
}
"""What is said beside the name."""
WRONG: dict[Kind, tuple[list[str], str]] = {
    Kind.form: (["--for", "lone"], "there are: loan"),
    Kind.alert: (["--for", "loan", "--role", "stranger"], "clerk, sales, head"),
    Kind.policy_test: (["--for", "loan"], "clerk, sales, head"),
    Kind.separation: (["--role", "sales", "--role", "sales"], "clerk, sales, head, stranger"),
    Kind.scenario: (["--for", "loan"], "there are: new_workflow"),
}


def test_a_file_of_every_kind_passes_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    project(True)
    for kind in Kind:
        if kind in WRONG:
            said, known = WRONG[kind]
            assert run(["new", kind, f"new_{kind}", *said]) == 2
            assert known in capsys.readouterr().err
        assert run(["new", kind, f"new_{kind}", "--zh", "新的: 一", *MORE.get(kind, [])]) == 0
        (file,) = tmp_path.rglob(f"new_{kind}.yaml")
        schema = file.read_text(encoding="utf-8").split("$schema=")[1].split("\n")[0]
        assert (file.parent / schema).resolve() == tmp_path / ".clew" / "schemas" / f"{kind}.json"
    capsys.readouterr()
    assert run(["check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []
    assert run(["test", "--json"]) == 0
    assert "new_scenario" in capsys.readouterr().out
    (tmp_path / "scenarios" / "new_scenario.yaml").unlink()
    workflow = tmp_path / "workflows" / "new_workflow.yaml"
    text = workflow.read_text(encoding="utf-8")
    for at, start in enumerate(("{event: loan.create}", "{calendar: {every: year, each: loan}}", "")):
        # Begun by an event, by the calendar, or only by another process.
        begun = re.sub(r"starts:.*?(?=^\w)", f"starts: [{start}]\n" if start else "", text, flags=re.M | re.S)
        assert begun != text
        workflow.write_text(begun, encoding="utf-8")
        assert run(["new", "scenario", f"by_itself_{at}", "--for", "new_workflow"]) == 0
    capsys.readouterr()
    assert run(["test"]) == 0, capsys.readouterr().out
