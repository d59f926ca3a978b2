"""`clew audit …` from the command line, on an embedded database of the mini project."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from test_audit_evidence import proven
from write_journey import MINI

from clew.cli.app import run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project = tmp_path / "project"
    shutil.copytree(MINI, project)
    monkeypatch.setenv("CLEW_AUDIT_OUTSIDE_FOLDER", str(tmp_path / "outside"))
    plan = str(tmp_path / "plan.json")
    assert run(["plan", "-p", str(project), "--out", plan]) == 0
    assert run(["apply", plan, "--note", "first", "-p", str(project)]) == 0
    return project


def answer(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, object]:
    capsys.readouterr()
    assert run([*words, "--json"]) == code
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_seal_verify_rotate_and_find_a_restored_copy(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ("-p", str(folder))
    first = answer(capsys, "audit", "checkpoint", *here)
    assert first["sent"] == {str(tmp_path / "outside"): 1}
    shown = answer(capsys, "audit", "key", "show", *here)["keys"]
    assert isinstance(shown, list)
    assert len(shown) == 1
    whole = answer(capsys, "audit", "verify", *here, "--key", shown[0]["key"])
    assert (whole["ok"], whole["entries"], whole["outside"]) == (True, 2, 1)
    old = tmp_path / "old.db"
    shutil.copy(folder / ".clew" / "clew.db", old)

    fresh = tmp_path / "new.pem"
    assert run(["audit", "key", "new", "--out", str(fresh)]) == 0
    assert fresh.stat().st_mode & 0o077 == 0
    assert run(["audit", "key", "new", "--out", str(fresh)]) == 1
    in_force = str(folder / ".clew" / "audit.pem")
    assert run(["audit", "key", "rotate", "--new", str(fresh), "--reason", "yearly", *here]) == 2
    assert run(["audit", "key", "rotate", "--new", str(fresh), "--old", in_force, "--reason", "yearly", *here]) == 0
    assert answer(capsys, "audit", "checkpoint", *here, code=1)["error"]["code"] == "AUDIT_KEY_UNKNOWN"  # type: ignore[index]
    shutil.copy(fresh, in_force)
    second = answer(capsys, "audit", "checkpoint", *here)
    assert second["sent"] == {str(tmp_path / "outside"): 1}
    assert answer(capsys, "audit", "verify", *here, "--key", shown[0]["key"])["ok"] is True
    sizes = [str(note).split("\n")[1] for note in (first["note"], second["note"])]
    assert answer(capsys, "audit", "consistency", *sizes, *here)["ok"] is True
    files = sorted(str(each) for each in (tmp_path / "outside").rglob("*.checkpoint"))
    assert answer(capsys, "audit", "consistency", *files, *here)["ok"] is True
    assert run(["audit", "consistency", "77", sizes[0], *here]) == 2

    shutil.copy(old, folder / ".clew" / "clew.db")
    for more in folder.glob(".clew/clew.db-*"):
        more.unlink()
    found = answer(capsys, "audit", "verify", *here, code=1)["findings"]
    assert isinstance(found, list)
    assert "tail_missing" in {each["kind"] for each in found}


def test_evidence_of_a_period_is_told_in_the_trail_and_proven(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ("-p", str(folder))
    bundle = tmp_path / "all.zip"
    done = answer(capsys, "audit", "export", "--from", "2020-01-01", "--out", str(bundle), "--reason", "audit", *here)
    assert done["entries"] == 3  # the release, the key, the export itself
    assert proven(bundle)["ok"] is True
    assert run(["audit", "export", "--from", "2020-01-01", "--out", str(bundle), *here]) == 1
    assert run(["audit", "export", "lot", "--out", str(tmp_path / "x.zip"), *here]) == 2
    assert run(["audit", "export", "lot", "nothing", "--out", str(tmp_path / "x.zip"), *here]) == 1
    assert run(["audit", "export", "--from", "soon", "--out", str(tmp_path / "x.zip"), *here]) == 2


def test_what_is_wrong_is_named_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ("-p", str(folder))
    assert run(["audit", "checkpoint", *here]) == 0
    database = sqlite3.connect(folder / ".clew" / "clew.db")
    database.execute("DROP TRIGGER clew_audit_leaf__no_update")
    database.execute("UPDATE clew_audit_leaf SET fields = replace(fields, '\"number\"', '\"numbez\"')")
    database.commit()
    database.close()
    capsys.readouterr()
    assert run(["audit", "verify", *here]) == 1
    assert "entry 0" in capsys.readouterr().out
    assert run(["audit", "verify", "--lang", "zh", *here]) == 1
    assert "审计叶被更改" in capsys.readouterr().out


def test_doctor_tells_of_keys_and_places(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = ("-p", str(folder))

    def told(subject: str) -> dict[str, object]:
        capsys.readouterr()
        run(["doctor", "--json", *here])
        findings = json.loads(capsys.readouterr().out)["findings"]
        return next(each for each in findings if each["subject"].startswith(subject))

    assert told("Key of the trail")["state"] == "ok"
    assert run(["audit", "checkpoint", *here]) == 0
    assert told("Anchor of the trail")["found"] == "covers all 2 entries"
    assert told("Anchors to")["found"] == "up to date"
    barred = tmp_path / "barred"
    barred.write_text("a file")
    monkeypatch.setenv("CLEW_AUDIT_OUTSIDE_FOLDER", str(barred))
    assert run(["audit", "checkpoint", *here]) == 1
    assert told("Anchors to")["state"] == "bad"
    other = tmp_path / "other.pem"
    assert run(["audit", "key", "new", "--out", str(other)]) == 0
    monkeypatch.setenv("CLEW_AUDIT_KEY", str(other))
    assert told("Key of the trail")["state"] == "bad"
    monkeypatch.delenv("CLEW_AUDIT_OUTSIDE_FOLDER")
    assert told("Anchors outside")["found"] == "none configured"
