"""JSON Schemas for editors: valid, small, and of one mind with the loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from clew.kernel.diagnostics import Findings
from clew.metadata.blueprint import Blueprint
from clew.metadata.export import json_schema, modeline, schema_texts, write_schemas
from clew.metadata.kinds import DEFAULT_KINDS
from clew.metadata.load import load_folder
from clew.metadata.source import parse, plain
from clew.metadata.spec.field import FIELD_TYPES

ROOT = Path(__file__).parents[3]
MINI = ROOT / "tests" / "projects" / "mini"


@pytest.fixture(scope="module")
def mini() -> Blueprint:
    found = load_folder(MINI).blueprint
    assert found is not None
    return found


@pytest.fixture(scope="module")
def entity_schema() -> Draft202012Validator:
    return Draft202012Validator(json_schema("entity"))


def documents(sources: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for file, text in sources.items():
        for node in parse(file, text, Findings()):
            data = json.loads(json.dumps(plain(node), default=float))
            found.append((next(iter(data)), data))
    return found


@pytest.mark.parametrize("kind", list(DEFAULT_KINDS.all))
def test_schemas_are_valid_small_and_described(kind: str, mini: Blueprint) -> None:
    for blueprint in (None, mini):
        schema = json_schema(kind, blueprint)
        Draft202012Validator.check_schema(schema)
        assert len(json.dumps(schema, indent=2).splitlines()) < 2000
    text = json.dumps(schema, ensure_ascii=False)
    assert '"description"' in text
    assert "。" in text
    assert "http" not in text.replace(schema["$schema"], "")


def test_what_the_loader_takes_the_schemas_take(mini: Blueprint) -> None:
    validators = {kind: Draft202012Validator(json_schema(kind, mini)) for kind in DEFAULT_KINDS.all}
    for kind, data in documents(dict(mini.sources)):
        errors = [error.message for error in validators[kind].iter_errors(data)]
        assert errors == [], (kind, data)


@pytest.mark.parametrize(
    "entity",
    [
        {"entity": "lot", "lable": {"en": "Lot"}},
        {"entity": "Lot"},
        {"entity": "lot", "class": "mister"},
        {"entity": "lot", "fields": {"qty": {"type": "decimal"}}},
        {"entity": "lot", "fields": {"qty": {"type": "decimal", "scale": 2, "max_length": 3}}},
        {"entity": "lot", "fields": {"qty": {"type": "txt"}}},
        {"entity": "lot", "fields": {"item": {"type": "ref"}}},
        {"entity": "lot", "fields": {"item": {"of": "item"}}},
        {"entity": "lot", "fields": {"name": {"type": "text", "required": "true"}}},
        {"entity": "lot", "transitions": {"close": {"from": "open"}}},
        {"entity": "lot", "overlay": True, "states": ["open"]},
        {"entity": "lot", "label": {"de": "Los"}},
    ],
)
def test_what_the_loader_refuses_the_schema_underlines(
    entity: dict[str, Any], entity_schema: Draft202012Validator
) -> None:
    assert not entity_schema.is_valid(entity)


def test_types_and_the_projects_entities_complete(mini: Blueprint) -> None:
    schema = json_schema("entity", mini)
    assert schema["$defs"]["Field"]["properties"]["type"]["enum"] == list(FIELD_TYPES)
    assert schema["$defs"]["EntityName"]["enum"] == list(mini.entities)


def test_files_are_written_where_the_modeline_points(tmp_path: Path) -> None:
    written = write_schemas(tmp_path)
    assert {path.name for path in written} == set(schema_texts())
    (tmp_path / "models").mkdir()
    target = modeline("entity").split("$schema=")[1]
    assert (tmp_path / "models" / target).resolve() in [path.resolve() for path in written]
