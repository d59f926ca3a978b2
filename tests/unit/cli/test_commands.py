"""The commands as a person or a build server uses them: what they print, in which language, with which exit code."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer
from openpyxl import load_workbook

from clew.audit.leaf import entries_of, verify_leaf
from clew.cli.app import build, run

MINI = Path(__file__).parents[2] / "projects" / "mini"


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CLEW_LANG", "LC_ALL", "LC_MESSAGES", "LANG", "CLEW_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_new_project_passes_its_own_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "group"]) == 0
    assert run(["new", "entity", "machine", "--zh", "机器", "-p", "group"]) == 0
    assert run(["new", "entity", "valve", "--zh", "阀, 泵: 一", "--en", 'No "{1}"', "-p", "group"]) == 0
    assert run(["new", "code_list", "grade", "-p", "group"]) == 0
    assert run(["new", "coding_rule", "tag_numbers", "-p", "group"]) == 0
    capsys.readouterr()
    assert run(["check", "group"]) == 0
    assert "All good: 3 entities." in capsys.readouterr().out
    assert run(["init", "group"]) == 1
    assert "FILE_EXISTS" in capsys.readouterr().err
    assert run(["new", "entity", "Bad-Name", "-p", "group", "--lang", "zh"]) == 2
    assert "不是有效名称" in capsys.readouterr().err
    for word in ("no", "query"):
        assert run(["new", "entity", word, "-p", "group"]) == 2, "YAML or the API reads it otherwise"
    assert run(["schema", "-p", "group"]) == 0
    assert json.loads(Path("group/.clew/schemas/entity.json").read_text(encoding="utf-8"))["$schema"]


def test_a_project_in_a_chinese_folder_has_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "医院项目: 一"]) == 0
    assert 'label: {zh: "医院项目: 一", en: Project}' in Path("医院项目: 一/clew.yaml").read_text(encoding="utf-8")
    capsys.readouterr()
    assert run(["check", "医院项目: 一", "--lang", "en"]) == 0
    assert "All good: 1 entity." in capsys.readouterr().out


def test_check_reports_as_text_json_and_sarif(capsys: pytest.CaptureFixture[str]) -> None:
    run(["init", "group"])
    file = Path("group/models/thing.yaml")
    file.write_text(file.read_text(encoding="utf-8").replace("required", "requierd", 1), encoding="utf-8")
    capsys.readouterr()
    assert run(["check", "group", "--lang", "en"]) == 1
    text = capsys.readouterr().out
    assert "models/thing.yaml:8:" in text
    assert "required" in text
    assert run(["--lang", "zh", "check", "group"]) == 1
    assert "错误" in capsys.readouterr().out
    assert run(["check", "group", "--json"]) == 1
    found = said(capsys)
    assert found["ok"] is False
    assert (found["findings"][0]["file"], found["findings"][0]["line"]) == ("models/thing.yaml", 8)
    assert run(["check", "group", "--format", "sarif"]) == 1
    result = said(capsys)["runs"][0]["results"][0]
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 8
    assert result["level"] == "error"


def test_wrong_usage_is_2_and_refusal_is_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["nonsense"]) == 2
    assert run(["apply"]) == 2
    assert run(["check", "--no-such-option"]) == 2
    assert run(["apply", "missing.json", "--note", "changed", "--json"]) == 2
    Path("plan.json").write_text("[]", encoding="utf-8")
    assert run(["apply", "plan.json", "--note", "changed", "--json"]) == 1
    capsys.readouterr()
    monkeypatch.setenv("CLEW_PORT", "many")
    assert run(["check", "--json"]) == 2
    assert said(capsys)["error"]["code"] == "SETTINGS_INVALID"


def test_a_reason_that_nobody_can_read_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever a command demands one, and before it looks at anything."""
    tree: Any = typer.main.get_command(build())
    asked = []

    def walk(command: Any, path: tuple[str, ...]) -> None:
        for each in getattr(command, "commands", {}).values():
            walk(each, (*path, each.name))
        if any("--reason" in each.opts and each.required for each in command.params):
            asked.append(path)

    walk(tree, ())
    assert {("user", "unlock"), ("user", "password"), ("user", "approve"), ("token", "approve")} <= set(asked)
    for path in asked:
        command = tree
        for name in path:
            command = command.commands[name]
        given = []
        for each in command.params:
            if each.required and "--reason" not in each.opts:
                value = ["2030-01-01"] if each.opts[0] == "--to" else ["x"]
                given += value if each.param_type_name == "argument" else [each.opts[0], *value]
        assert run([*path, *given, "--reason", " \u3000\ufe0f", "--json"]) == 2, path
        assert json.loads(capsys.readouterr().out)["error"]["code"] == "REASON_MISSING", path
    assert len(asked) > 15, asked
    for given in (["apply", "x"], ["apply", "x", "--note", "\u3000"], ["user", "totp", "x"],
                  ["user", "totp", "x", "--remove", "--by", "x"]):  # fmt: skip
        assert run([*given, "--json"]) == 2, given
        assert json.loads(capsys.readouterr().out)["error"]["code"] == "REASON_MISSING", given


def test_plan_apply_change_and_back(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole change journey on an embedded database, ending with a rollback as a new release."""
    run(["init", "group"])
    assert run(["plan", "-p", "group", "--out", "one.json"]) == 0
    assert run(["apply", "one.json", "-p", "group", "--by", "analyst", "--note", "first"]) == 0
    assert run(["apply", "one.json", "--note", "changed", "-p", "group"]) == 0, "the same plan again changes nothing"
    capsys.readouterr()
    file = Path("group/models/thing.yaml")
    file.write_text(
        file.read_text(encoding="utf-8").replace("unique:", "  note: {type: text}\nunique:"), encoding="utf-8"
    )
    assert run(["plan", "-p", "group", "--out", "two.json"]) == 0
    assert "thing.note" in capsys.readouterr().out
    assert run(["plan", "-p", "group", "--sql"]) == 0
    assert "ALTER TABLE" in capsys.readouterr().out
    assert run(["apply", "two.json", "--note", "changed", "-p", "group"]) == 0
    assert run(["apply", "one.json", "--note", "changed", "-p", "group"]) == 1
    assert "PLAN_STALE" in capsys.readouterr().err
    assert run(["plan", "-p", "group", "--release", "1", "--out", "back.json", "--json"]) in (0, 1)
    capsys.readouterr()
    consent = [part for name in json.loads(Path("back.json").read_text())["needs"] for part in ("--consent", name)]
    assert run(["apply", "back.json", "--note", "changed", "-p", "group", *consent]) == 0
    capsys.readouterr()
    assert run(["releases", "-p", "group", "--json"]) == 0
    listed = said(capsys)["releases"]
    assert [each["number"] for each in listed] == [3, 2, 1]
    assert listed[2]["by"] == "analyst"
    assert listed[2]["note"] == "first"
    assert listed[0]["blueprint_digest"] == listed[2]["blueprint_digest"]


def ready(folder: str) -> None:
    """A new project, applied."""
    run(["init", folder])
    run(["plan", "-p", folder, "--out", "one.json"])
    assert run(["apply", "one.json", "--note", "changed", "-p", folder]) == 0


def test_import_and_export(capsys: pytest.CaptureFixture[str]) -> None:
    ready("group")
    Path("in.csv").write_text("code,name\n007,螺钉\n008,螺母\n", encoding="utf-8")
    capsys.readouterr()
    assert run(["import", "thing", "in.csv", "-p", "group", "--dry-run", "--json"]) == 0
    assert said(capsys)["committed"] is False
    assert run(["import", "thing", "in.csv", "-p", "group", "--json"]) == 0
    assert said(capsys)["created"] == 2
    assert run(["export", "thing", "out.csv", "-p", "group"]) == 0
    with Path("out.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.reader(stream))
    assert sorted(cell for row in rows for cell in row if cell in ("007", "008")) == ["007", "008"], rows
    Path("bad.csv").write_text("code,name\n009,\n010,轴\n", encoding="gb18030")
    capsys.readouterr()
    assert run(["import", "thing", "bad.csv", "-p", "group", "--report", "why.csv"]) == 1
    assert "bad.csv:2 [name]" in capsys.readouterr().out
    assert "bad.csv,,2,name,REQUIRED" in Path("why.csv").read_text(encoding="utf-8-sig")
    assert run(["import", "thing", "bad.csv", "-p", "group", "--mode", "good", "--json"]) == 1
    found = said(capsys)
    assert (found["created"], found["committed"], found["problems"][0]["row"]) == (1, True, 2)


def test_an_export_is_chosen_and_leaves_a_leaf(capsys: pytest.CaptureFixture[str]) -> None:
    ready("group")
    Path("in.csv").write_text("code,name\n007,螺钉\n008,螺母\n", encoding="utf-8")
    run(["import", "thing", "in.csv", "-p", "group"])
    capsys.readouterr()
    assert run(["export", "thing", "one.jsonl", "-p", "group", "--where", "name == '螺母'", "--json"]) == 0
    assert said(capsys)["records"] == 1
    assert json.loads(Path("one.jsonl").read_text(encoding="utf-8"))["code"] == "008"
    assert run(["export", "thing", "-p", "group", "--format", "xlsx", "--as-of", "2020-01-31", "--json"]) == 0
    assert said(capsys) == {"ok": True, "file": "thing.xlsx", "records": 0}
    assert run(["export", "thing", "-p", "group", "--where", "nmae == 'x'"]) == 1
    assert "nmae" in capsys.readouterr().err
    assert not Path("thing.csv").exists()
    with closing(sqlite3.connect("group/.clew/clew.db")) as database:
        leaves = database.execute(
            "SELECT header, fields, digest, row_version FROM clew_audit_leaf WHERE action = 'export' ORDER BY at"
        ).fetchall()
    assert [leaf[3] for leaf in leaves] == [0, 0]
    assert all(verify_leaf(*leaf[:3]) == () for leaf in leaves)
    told = entries_of(leaves[0][1])
    assert (told["where"].new, told["rows"].new, told["file"].new) == ("name == '螺母'", 1, "one.jsonl")
    assert json.loads(leaves[1][0])["entity"] == "thing"
    assert entries_of(leaves[1][1])["as_of"].new.startswith("2020-01-31T15:59:59")


def test_a_template_is_filled_in_and_imported(capsys: pytest.CaptureFixture[str]) -> None:
    ready("group")
    assert run(["import", "--template", "thing.xlsx", "-p", "group"]) == 0
    book = load_workbook("thing.xlsx")
    sheet = book["thing"]
    given = {"code": "000123456789012345", "name": "针"}
    heads = [str(cell.value) for cell in sheet[1]]
    sheet.append([next((value for name, value in given.items() if f"({name})" in head), "") for head in heads])
    book.save("thing.xlsx")
    capsys.readouterr()
    assert run(["import", "thing", "thing.xlsx", "-p", "group", "--json"]) == 0
    assert said(capsys)["created"] == 1
    assert run(["export", "thing", "-p", "group"]) == 0
    assert "000123456789012345,针" in Path("thing.csv").read_text(encoding="utf-8-sig")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("import thing none.csv", "FILE_MISSING"),
        ("export thing out.pdf", "UNKNOWN_FORMAT"),
        ("export thing nowhere/out.csv", "FOLDER_MISSING"),
        ("export thign", "UNKNOWN_ENTITY"),
        ("export thing --as-of yesterday", "BAD_MOMENT"),
        ("import thing in.csv --lines parts.csv", "LINES_OPTION"),
        ("import thing form.csv --template", "UNKNOWN_FORMAT"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(line: str, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    ready("group")
    capsys.readouterr()
    assert run([*line.split(), "-p", "group", "--json"]) == 2
    assert said(capsys)["error"]["code"] == code


def test_the_dictionary_is_a_site_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["docs", "-p", str(MINI), "--out", "site", "--json"]) == 0
    pages = {name: Path(name).read_text(encoding="utf-8") for name in said(capsys)["files"]}
    assert "不合格品" in pages["site/zh/nonconformance.html"]
    assert "Nonconformance" in pages["site/en/nonconformance.html"]
    assert "<svg" in pages["site/en/lot.html"]
    for name, text in pages.items():
        assert "http://" not in text and "https://" not in text and 'src="/' not in text, name  # noqa: PT018
    lot = pages["site/en/lot.html"]
    for part in ("fields", "states", "relations", "graphql"):
        assert f'<h2 id="{part}">' in lot
    assert 'href="../zh/lot.html"' in lot
    entries = pages["site/zh/search.js"].removeprefix("const ENTRIES = ").partition(";\n")[0]
    assert ["lot.html", "lot", "批次", "Lot pc"] in json.loads(entries)
    linked = set(re.findall(r'href="([a-z_]+\.html)', "".join(pages.values())))
    assert {name for name in linked if f"site/zh/{name}" not in pages} == set()


def test_graphql_schema_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "--graphql", "-p", str(MINI), "--lang", "en"]) == 0
    text = capsys.readouterr().out
    assert "type Query {" in text
    assert "createLot(" in text
    assert "lotChanged(" in text


def test_doctor_looks_at_everything(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run(["init", "group"])
    monkeypatch.setenv("CLEW_DATABSE_URL", "x")
    capsys.readouterr()
    assert run(["doctor", "-p", "group", "--json", "--lang", "en"]) == 0
    found = {each["subject"]: each for each in said(capsys)["findings"]}
    assert found["Environment"]["state"] == "warn"
    assert "CLEW_DATABASE_URL" in found["Environment"]["found"]
    assert found["Release"]["mend"]
    assert run(["doctor", "-p", "group", "--database-url", "postgresql://nobody@127.0.0.1:1/none", "--lang", "en"]) == 1
    assert "✗ Database" in capsys.readouterr().out


def test_what_was_just_applied_can_be_seeded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The release that went live stands in the trail; it is no record, so the database is still empty."""
    monkeypatch.setenv("CLEW_BLOBS", str(tmp_path / "blobs"))
    pack = str(Path(__file__).parents[3])
    where = ["-p", pack, "--database-url", f"sqlite:///{tmp_path / 'new.db'}", "--json"]
    assert run(["plan", "--out", "plan.json", *where]) == 0
    assert run(["apply", "plan.json", "--note", "changed", *where]) == 0
    capsys.readouterr()
    assert run(["seed", *where]) == 0
    assert said(capsys)["ok"]
    assert run(["seed", *where]) == 1
    assert "ALREADY_FILLED" in capsys.readouterr().out
