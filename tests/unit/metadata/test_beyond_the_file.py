"""What a file may not say because something further on could not bear it: the API, the database, a validator."""

from __future__ import annotations

import pytest

from clew.metadata.load import load_sources

PROJECT = "project: sample\nversion: 1.0.0\nlabel: {zh: 样例, en: Sample}\n"
CODE = "  code: {type: text, required: true}\n"


def entity(name: str, fields: str = CODE, more: str = "") -> str:
    return f"entity: {name}\nlabel: {{zh: 甲, en: Thing}}\nclass: master\nkey: [code]\n{more}fields:\n{fields}"


def many(count: int) -> str:
    return CODE + "".join(f"  f{at}: {{type: text}}\n" for at in range(count))


def schema(text: str) -> str:
    return entity("thing", f"{CODE}  data: {{type: json, schema: {text}}}\n")


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        (entity("lot") + "---\n" + entity("lot_where"), "NAME_CLASH", 1),
        (entity("lot") + "---\n" + entity("lot_by_code"), "NAME_CLASH", 1),
        (entity("lot") + "---\n" + entity("lot_group_key"), "NAME_CLASH", 1),
        (entity("text_filter"), "RESERVED_NAME", 1),
        (entity("thing", many(501)), "BAD_VALUE", 5),
        (entity("thing", many(20), f"unique: [[{', '.join(f'f{at}' for at in range(17))}]]\n"), "BAD_VALUE", 5),
        (schema("{$ref: 'http://127.0.0.1:1/x'}"), "BAD_JSON_SCHEMA", 7),
        (schema("{properties: {a: {$ref: '#/$defs/none'}}}"), "BAD_JSON_SCHEMA", 7),
        (schema("{$ref: '#'}"), "BAD_JSON_SCHEMA", 7),
    ],
)
def test_it_is_found_before_anything_is_made_of_it(text: str, code: str, line: int) -> None:
    found = load_sources({"clew.yaml": PROJECT, "models/all.yaml": text})
    assert found.blueprint is None
    assert (code, line) in [(each.rule.code, each.place.line) for each in found.diagnostics]


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1f", "\ufffe"])
def test_a_character_that_yaml_cannot_hold_is_named_where_it_stands(character: str) -> None:
    text = entity("thing").replace("Thing", f"Th{character}ing")
    (found,) = load_sources({"clew.yaml": PROJECT, "models/all.yaml": text}).diagnostics
    assert (found.rule.code, found.place.line, found.place.column) == ("INVISIBLE_CHARACTER", 2, 22)
    assert f"U+{ord(character):04X}" in found.message("en")


@pytest.mark.parametrize(
    "text",
    [
        entity("thing", many(450)),
        entity("lot") + "---\n" + entity("lot_item") + "---\n" + entity("lot_by_number"),
        schema("{$defs: {tree: {properties: {of: {$ref: '#/$defs/tree'}}}}, $ref: '#/$defs/tree'}"),
        schema("{properties: {$ref: {type: string}}}"),
    ],
)
def test_what_works_is_let_through(text: str) -> None:
    found = load_sources({"clew.yaml": PROJECT, "models/all.yaml": text})
    assert found.blueprint is not None, [each.message("en") for each in found.diagnostics]
