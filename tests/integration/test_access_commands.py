"""`clew access` as a compliance officer uses it: text in both languages, JSON, Excel, exit codes."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from tests.integration.identity_case import PASSWORD
from tests.integration.review_world import ROLES, SEPARATIONS, World, world

from clew.cli.app import run
from clew.identity.secrets import Hasher
from clew.testing.databases import TestDatabase, in_thread

MINI = Path(__file__).parents[1] / "projects" / "mini"
Say = Callable[..., tuple[int, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CLEW_LANG", "LC_ALL", "LC_MESSAGES", "LANG", "CLEW_DATABASE_URL", "CLEW_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(MINI, tmp_path / "project")
    policies = tmp_path / "project" / "permissions"
    policies.mkdir()
    (policies / "roles.yaml").write_text(ROLES, encoding="utf-8")
    (policies / "separations.yaml").write_text(SEPARATIONS, encoding="utf-8")
    return tmp_path / "project"


async def peopled(database: TestDatabase) -> str:
    """People and a lot; the lot's number."""
    made: World = await world(await database.open(), hasher=Hasher())
    await made.account("cora", "compliance")
    await made.password("cora")
    await made.account("ina", "qc_inspector", "releaser", sites=["SHA"])
    await made.account("rob", "releaser", sites=["SHA", "SUZ"])
    await made.account("bea", "buyer")
    lot = await made.lot("lot", by="ina")
    async with made.database.read() as connection:
        record = await made.review.record(connection, made.review.entity("lot"), str(lot))
    await made.database.close()
    return str(record["number"])


@pytest.fixture
def lot(database: TestDatabase, folder: Path) -> str:
    return in_thread(lambda: peopled(database))


@pytest.fixture
def clew(database: TestDatabase, folder: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    def say(*arguments: str, lang: str = "en") -> tuple[int, str]:
        capsys.readouterr()
        code = run(["access", *arguments, "--database-url", database.url, "-p", str(folder), "--lang", lang])
        told = capsys.readouterr()
        return code, told.out + told.err

    return say


def answer(clew: Say, *arguments: str) -> tuple[int, Any]:
    code, printed = clew(*arguments, "--json")
    return code, json.loads(printed)


def test_who_can_and_why_not(clew: Say, lot: str) -> None:
    code, text = clew("who-can", "release", f"lot/{lot}")
    assert code == 0
    assert "rob" in text
    assert "ina" not in text
    assert "permissions/roles.yaml:24" in text
    code, found = answer(clew, "who-can", "release", f"lot/{lot}")
    assert [each["login"] for each in found["people"]] == ["rob"]

    code, text = clew("can", "ina", "release", f"lot/{lot}")
    assert code == 1
    assert "created by is not the person" in text
    assert "permissions/roles.yaml:24" in text
    code, text = clew("can", "ina", "release", f"lot/{lot}", lang="zh")
    assert "创建人不是本人" in text
    code, found = answer(clew, "can", "ina", "release", f"lot/{lot}")
    (chain,) = found["chains"]
    assert (found["format"], found["allowed"], chain["way"], chain["holds"]) == (1, False, ["releaser"], False)
    assert chain["conditions"][0]["values"]["created_by"] == chain["conditions"][0]["values"]["user.id"]
    assert clew("can", "rob", "release", f"lot/{lot}")[0] == 0
    assert clew("can", "bea", "read", "supplier")[0] == 0


def test_what_is_asked_wrongly_is_told(clew: Say, lot: str) -> None:
    for arguments, code in (
        (("can", "nobody", "read", "lot"), "NO_ACCOUNT"),
        (("can", "ina", "read", "lots"), "UNKNOWN_IN_REVIEW"),
        (("can", "ina", "fly", "lot"), "UNKNOWN_ACTION"),
        (("can", "ina", "read", "lot/NONE"), "NOT_FOUND"),
        (("matrix", "--role", "qc_inspektor"), "UNKNOWN_IN_REVIEW"),
        (("diff", "7"), "UNKNOWN_IN_REVIEW"),
    ):
        done, found = answer(clew, *arguments)
        assert (done, found["error"]["code"]) == (1, code), arguments


def test_the_matrix_as_text_and_workbook(clew: Say, lot: str, tmp_path: Path) -> None:
    code, text = clew("matrix", "--role", "releaser", "--entity", "lot")
    assert code == 0
    assert "◐ conditional" in text
    assert "denied" in text
    code, found = answer(clew, "matrix", "--role", "releaser", "--entity", "lot", "--fields")
    release = next(each for each in found["cells"] if each["action"] == "do:release")
    assert release["policy"] == ["permissions/roles.yaml:24:19"]
    assert release["when"]["zh"].startswith("创建人不是本人")
    file = tmp_path / "matrix.xlsx"
    assert clew("matrix", "--fields", "--out", str(file), lang="zh")[0] == 0
    book = load_workbook(file)
    assert book.sheetnames == ["操作", "字段"]
    rows = list(book["操作"].iter_rows(values_only=True))
    assert rows[0][0] == "角色"
    assert len(rows) > 100


def test_the_difference_between_the_release_and_the_folder(clew: Say, lot: str, folder: Path) -> None:
    assert clew("diff")[0] == 0
    roles = folder / "permissions" / "roles.yaml"
    roles.write_text(ROLES.replace('release: "created_by != user.id"', "release: always"), encoding="utf-8")
    code, text = clew("diff")
    assert code == 1
    assert "Ina (ina)" in text
    assert "gains 1 record" in text
    code, text = clew("diff", lang="zh")
    assert "得到 1 条记录" in text
    code, found = answer(clew, "diff", "live", "folder")
    assert [(each["login"], each["records_gained"], each["effect"]) for each in found["changes"]] == [
        ("ina", 1, "gains"),
        ("rob", 0, "none today"),
    ]
    assert clew("diff", "1", "live")[0] == 0


def test_unused_and_conflicts(clew: Say, lot: str) -> None:
    code, text = clew("unused", "--days", "30")
    assert code == 1
    assert "Nobody can use role forgotten." in text
    code, found = answer(clew, "unused", "--days", "30")
    assert [each["role"] for each in found["orphans"]] == ["forgotten", "sqe", "trainee"]
    assert found["not_judged"] == ["read", "audit"]
    assert clew("conflicts")[0] == 0
    assert "没有冲突" in clew("conflicts", lang="zh")[1]


def test_a_review_from_beginning_to_end(clew: Say, lot: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, found = answer(clew, "review", "start", "2026 Q4", "--due", "30d", "--owner", "*=cora", "--role", "releaser")
    assert code == 0, found
    assert answer(clew, "review", "start", "x", "--due", "30d")[1]["error"]["code"] == "REVIEW_NO_OWNER"
    assert clew("review", "start", "x", "--due", "30d", "--owner", "cora")[0] == 2
    code, found = answer(clew, "review", "show")
    assert (code, found["decided"], found["total"], found["overdue"]) == (0, 0, 2, False)
    assert {each["owner"] for each in found["items"]} == {"cora"}

    def typing(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(text + "\n"))

    signed = ("--as", "cora", "--password-stdin")
    typing("wrong password")
    assert (
        answer(clew, "review", "attest", "latest", "ina:releaser", *signed)[1]["error"]["code"] == "WRONG_CREDENTIALS"
    )
    typing(PASSWORD)
    code, found = answer(clew, "review", "attest", "2026 Q4", "ina:releaser", *signed)
    assert (code, found["verdict"]) == (0, "attest")
    assert found["signature"]
    assert clew("can", "rob", "release", f"lot/{lot}")[0] == 0
    typing(PASSWORD)
    code, text = clew("review", "revoke", "latest", "rob:releaser", *signed, "--comment", "moved away", lang="zh")
    assert (code, text) == (0, "rob 不再持有角色 releaser。\n")
    assert clew("can", "rob", "release", f"lot/{lot}")[0] == 1
    assert answer(clew, "review", "revoke", "latest", "rob:buyer", *signed)[1]["error"]["code"] in (
        "NO_PASSWORD",
        "NO_REVIEW",
    )

    file = tmp_path / "review.xlsx"
    assert clew("review", "show", "--out", str(file))[0] == 0
    rows = list(load_workbook(file).active.iter_rows(values_only=True))
    assert [(row[0], row[7], row[9]) for row in rows[1:]] == [
        ("ina", "attested", None),
        ("rob", "revoked", "moved away"),
    ]
    assert clew("review", "close", "latest")[0] == 0
    assert [each["name"] for each in answer(clew, "review", "list")[1]["reviews"]] == ["2026 Q4"]
