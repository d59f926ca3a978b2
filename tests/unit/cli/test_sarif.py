"""What `clew check --format sarif` writes is SARIF 2.1.0: the parts of its schema that we emit, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from clew.access.loading import load_project
from clew.cli.app import run
from clew.cli.check import sarif
from clew.kernel.diagnostics import Diagnostic, Place, Severity

CASES = Path(__file__).parents[2] / "golden" / "check"


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    """The standard forbids properties it does not name."""
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


_TEXT = {"type": "string", "minLength": 1}
_MESSAGE = _object(["text"], text=_TEXT)
_POSITION = {"type": "integer", "minimum": 1}
_LOCATION = _object(
    ["physicalLocation"],
    physicalLocation=_object(
        ["artifactLocation", "region"],
        artifactLocation=_object(["uri"], uri={"type": "string", "pattern": r"^[A-Za-z0-9._~/%-]+$"}),
        region=_object(["startLine", "startColumn"], startLine=_POSITION, startColumn=_POSITION),
    ),
)
_RULE = _object(["id"], id=_TEXT, shortDescription=_MESSAGE)
_DRIVER = _object(["name"], name=_TEXT, version=_TEXT, rules={"type": "array", "items": _RULE, "uniqueItems": True})
_RESULT = _object(
    ["message", "ruleId", "locations"],
    ruleId=_TEXT,
    level={"enum": ["none", "note", "warning", "error"]},
    message=_MESSAGE,
    locations={"type": "array", "items": _LOCATION, "minItems": 1},
    relatedLocations={"type": "array", "items": _LOCATION, "uniqueItems": True},
)
_RUN = _object(
    ["tool", "results"],
    tool=_object(["driver"], driver=_DRIVER),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    results={"type": "array", "items": _RESULT},
)
SCHEMA = _object(
    ["version", "runs"],
    **{"$schema": {"type": "string", "format": "uri"}},
    version={"const": "2.1.0"},
    runs={"type": "array", "items": _RUN, "minItems": 1},
)


def _check(written: Any) -> list[Any]:
    """The results, once the document is what the standard asks for."""
    jsonschema.Draft7Validator(SCHEMA).validate(written)
    (only,) = written["runs"]
    known = {rule["id"] for rule in only["tool"]["driver"]["rules"]}
    assert {each["ruleId"] for each in only["results"]} == known, "each result names a rule that is described"
    results: list[Any] = only["results"]
    return results


@pytest.mark.parametrize("folder", sorted(each.name for each in CASES.iterdir() if each.is_dir()))
def test_every_known_finding_is_valid_sarif(folder: str) -> None:
    found = load_project(CASES / folder).diagnostics
    expected = (CASES / folder / "expected.txt").read_text("utf-8")
    assert found or len(expected.splitlines()) == 1
    results = _check(json.loads(json.dumps(sarif(found, "zh"))))
    assert len(results) == len(found)
    for written, each in zip(results, found, strict=True):
        region = written["locations"][0]["physicalLocation"]["region"]
        assert region == {"startLine": max(each.place.line, 1), "startColumn": max(each.place.column, 1)}
        assert len(written.get("relatedLocations", ())) == len(each.related)
        assert (written["level"] == "error") == (each.severity is Severity.ERROR)


def test_a_finding_about_a_whole_file_is_at_its_beginning(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "组 1" / "models").mkdir(parents=True)
    (tmp_path / "组 1" / "clew.yaml").write_text("", encoding="utf-8")
    assert run(["check", "组 1", "--format", "sarif"]) == 1
    (result,) = _check(json.loads(capsys.readouterr().out))
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 1, "startColumn": 1}


def test_names_of_files_become_references() -> None:
    rule = next(iter(load_project(CASES / "names").diagnostics)).rule
    finding = Diagnostic(rule, Place("models/物料 1.yaml", 0, 0))
    (result,) = _check(sarif([finding], "en"))
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "models/%E7%89%A9%E6%96%99%201.yaml"
