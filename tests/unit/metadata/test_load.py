"""What a project means once loaded: envelope, traits, relations, digest, overlays, labels, further kinds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from clew.expressions.tree import Base
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint, FieldKind, Origin
from clew.metadata.kinds import DEFAULT_KINDS, Kind
from clew.metadata.load import Loaded, load_folder, load_sources
from clew.metadata.rules import all_rules
from clew.metadata.schema import BlueprintSchema
from clew.metadata.spec.words import Expression, Name, Spec

MINI = Path(__file__).parents[2] / "projects" / "mini"
ITEM = """
entity: item
label: {zh: 物料, en: Item}
key: [code]
fields:
  code: {type: text, required: true, max_length: 20}
  qty:  {type: integer, min: 0, max: 10}
"""


@pytest.fixture(scope="module")
def mini() -> Blueprint:
    loaded = load_folder(MINI)
    assert loaded.diagnostics == ()
    assert loaded.blueprint is not None
    return loaded.blueprint


def test_what_is_no_file_is_told_and_not_waited_for(tmp_path: Path) -> None:
    """A named pipe, a device, a link to nothing: none of them keeps the check from ending."""
    (tmp_path / "models").mkdir()
    (tmp_path / "clew.yaml").write_text("project: small\n", encoding="utf-8")
    os.mkfifo(tmp_path / "models" / "a.yaml")
    (tmp_path / "models" / "b.yaml").symlink_to("/dev/null")
    (tmp_path / "models" / "c.yaml").symlink_to(tmp_path / "nothing.yaml")
    found = [(each.place.file, each.code) for each in load_folder(tmp_path).diagnostics]
    assert found == [(f"models/{name}.yaml", "FILE_UNREADABLE") for name in "abc"]


def load(item: str = ITEM, project: str = "", **more: str) -> Loaded:
    files = {name.replace("__", "/") + ".yaml": text for name, text in more.items()}
    return load_sources({"clew.yaml": f"project: sample\n{project}", "models/item.yaml": item, **files})


def blueprint(item: str = ITEM, project: str = "", **more: str) -> Blueprint:
    loaded = load(item, project, **more)
    assert loaded.blueprint is not None, [f"{each.place} {each.message('en')}" for each in loaded.diagnostics]
    return loaded.blueprint


def test_every_kind_of_field_is_in_the_mini_project(mini: Blueprint) -> None:
    kinds = {field.kind for entity in mini.entities.values() for field in entity.fields.values()}
    assert kinds == set(FieldKind)


def test_envelope_and_traits(mini: Blueprint) -> None:
    lot = mini.entities["lot"]
    assert [name for name, field in lot.fields.items() if field.origin is Origin.ENVELOPE] == [
        "id", "row_version", "created_at", "created_by", "updated_at", "updated_by", "voided_at", "void_reason",
        "source_system", "external_id", "thread_id",
    ]  # fmt: skip
    assert lot.fields["site"].target == "site"
    assert lot.fields["number"].coding_rule == "lot_numbers"
    assert list(mini.code_lists[lot.fields["state"].code_list or ""].codes) == list(lot.states)
    assert (lot.initial, lot.site_scoped, lot.key) == ("quarantine", True, ("number",))
    assert mini.entities["movement"].fields["corrects"].target == "movement"
    assert "corrects" not in lot.fields


def test_lines_per_site_values_and_their_owners(mini: Blueprint) -> None:
    assert mini.entities["bom_line"].part_field == "boms"
    actions = mini.entities["nonconformance_actions"]
    assert (actions.part_of, actions.part_field) == ("nonconformance", "actions")
    assert actions.fields["owner"].target == "nonconformance"
    assert actions.fields["owner"].required
    per_site = mini.entities["item_per_site"]
    assert per_site.key == ("owner", "site")
    assert mini.entities["item"].fields["per_site"].target == "item_per_site"
    assert per_site.uniques[0].fields == ("owner", "site")


def test_ways_back(mini: Blueprint) -> None:
    backs = {name: (each.source, each.field) for name, each in mini.entities["item"].inverses.items()}
    assert backs["lots"] == ("lot", "item")
    assert backs["variants"] == ("item", "parent")
    assert backs["used_in"] == ("bom_line", "component")
    assert mini.entities["lot"].fields["item"].inverse == "lots"
    assert mini.entities["bom_line"].fields["owner"].inverse is None


def test_a_second_reference_is_told_apart_and_a_unique_one_is_single() -> None:
    entity = blueprint(
        ITEM
        + "---\nentity: label\nkey: [name]\nfields:\n  name: {type: text}\n  front: {type: ref, of: item}\n"
        + "  back: {type: ref, of: item}\n  seal: {type: ref, of: item, unique: true, inverse: sealed_by}\n"
    ).entities["item"]
    assert set(entity.inverses) == {"labels", "labels_as_back", "sealed_by"}
    assert entity.inverses["sealed_by"].single
    assert not entity.inverses["labels"].single


def test_exclusive_bounds_become_the_next_value_of_the_scale() -> None:
    below = "  b: {type: decimal, scale: 0, above: 0.5, below: 2.5}\n"
    entity = blueprint(ITEM + "  a: {type: decimal, scale: 4, above: 0, below: 1}\n" + below).entities["item"]
    fields = entity.fields
    assert [str(fields["a"].min), str(fields["a"].max)] == ["0.0001", "0.9999"]
    assert [str(fields["b"].min), str(fields["b"].max)] == ["1", "2"]


def test_the_schema_for_expressions(mini: Blueprint) -> None:
    members = BlueprintSchema.of(mini).members("nonconformance")
    assert members["severity"].codes == ("minor", "major", "critical")
    assert not members["severity"].nullable
    assert members["subject"].entities == ("lot", "serial_unit")
    assert members["lots"].element is not None
    assert members["lots"].element.entities == ("lot",)
    assert members["state"].codes == ("open", "closed")
    assert BlueprintSchema.of(mini).members("item")["price"].base is Base.DECIMAL
    assert BlueprintSchema.of(mini).states("lot") == ("quarantine", "released", "rejected")


def test_expressions_are_checked_and_kept(mini: Blueprint) -> None:
    lot = mini.entities["lot"]
    assert lot.rules[0].condition.reads == {("exp_on",), ("mfg_on",)}
    assert lot.rules[1].condition.source.startswith("!(")
    assert lot.fields["supplier"].where is not None
    assert lot.fields["supplier"].where.entity == "supplier"
    assert lot.fields["mfg_on"].default is not None
    ((name, value),) = mini.entities["nonconformance"].transitions["close"].sets
    assert (name, value.source) == ("closed_on", "today")
    (posting,) = mini.entities["movement"].postings
    assert [each for each, _ in posting.key] == ["item", "site", "lot"]


@pytest.mark.parametrize(
    ("given", "source"),
    [("raw", "'raw'"), ("\"'raw'\"", "'raw'"), ("\"code == 'x' ? 'raw' : 'done'\"", None)],
)
def test_the_default_of_a_choice_may_be_its_code(given: str, source: str | None) -> None:
    text = ITEM + f"  kind: {{type: choice, of: {{raw: {{en: Raw}}, done: {{en: Done}}}}, default: {given}}}\n"
    default = blueprint(text).entities["item"].fields["kind"].default
    assert default is not None
    assert source is None or default.source == source


def test_default_titles(mini: Blueprint) -> None:
    title = mini.entities["serial_unit"].title
    assert title is not None
    assert title.reads == {("lot", "number"), ("serial",)}


def test_the_digest_is_of_the_meaning() -> None:
    first = blueprint()
    commented = ITEM.replace("key: [code]", "key:\n  - code   # the code").replace("{type: text,", "{  type:   'text',")
    moved = load_sources({"clew.yaml": "project: sample\n", "models/deep/er/x.yml": "# moved\n" + ITEM})
    assert blueprint(commented).digest == first.digest
    assert moved.blueprint is not None
    assert moved.blueprint.digest == first.digest
    assert moved.blueprint.sources != first.sources
    rule = 'rules:\n  - require: "{}"\n    say: {{en: No good}}\n'
    spaced = [blueprint(ITEM + rule.format(text)).digest for text in ("qty == null || qty > 1", "qty==null||(qty > 1)")]
    assert spaced[0] == spaced[1]
    for change in (("max: 10", "max: 11"), ("en: Item", "en: Items"), ("key: [code]", "key: [code, qty]")):
        assert blueprint(ITEM.replace(*change)).digest != first.digest


def test_the_order_of_fields_is_part_of_the_meaning() -> None:
    code, qty = "  code: {type: text, required: true, max_length: 20}\n", "  qty:  {type: integer, min: 0, max: 10}\n"
    swapped = ITEM.replace(code + qty, qty + code)
    assert swapped != ITEM
    assert blueprint(swapped).digest != blueprint().digest


def test_what_is_stored_loads_again(mini: Blueprint) -> None:
    again = load_sources(mini.sources).blueprint
    assert again is not None
    assert again.digest == mini.digest
    assert again.sources == mini.sources


OVERLAY = """
entity: item
overlay: true
fields:
  qty: {required: true, max: 5}
  colour: {type: text, max_length: 10}
rules:
  - {require: "qty > 1", say: {en: Too few}}
unique: [[colour]]
"""


def test_overlays_add_and_tighten_in_their_order() -> None:
    site = "entity: item\noverlay: true\nfields:\n  qty: {min: 2}\n  colour: {required: true}\n"
    result = blueprint(
        ITEM, "overlays: [company, sites/suzhou]\n", overlays__company__a=OVERLAY, overlays__sites__suzhou__b=site
    )
    item = result.entities["item"]
    assert (item.fields["qty"].min, item.fields["qty"].max, item.fields["qty"].required) == (2, 5, True)
    assert item.fields["colour"].required
    assert [rule.name for rule in item.rules] == ["rule_1"]
    assert ("colour",) in [unique.fields for unique in item.uniques]


def test_an_overlay_that_is_not_named_does_nothing() -> None:
    assert blueprint(ITEM, overlays__company__a=OVERLAY).digest == blueprint().digest


def test_overlay_conditions_join() -> None:
    base = ITEM + '  note: {type: text, required_when: "qty == 1"}\n  up: {type: ref, of: item, where: "qty == 1"}\n'
    more = 'entity: item\noverlay: true\nfields:\n  note: {required_when: "qty == 2"}\n  up: {where: "qty == 2"}\n'
    fields = blueprint(base, "overlays: [x]\n", overlays__x__a=more).entities["item"].fields
    assert fields["note"].required_when is not None
    assert fields["note"].required_when.source == "(qty == 1) || (qty == 2)"
    assert fields["up"].where is not None
    assert fields["up"].where.source == "(qty == 1) && (qty == 2)"


def test_labels_in_files_of_their_own() -> None:
    bare = ITEM.replace("{zh: 物料, en: Item}", "{en: Item}")
    texts = "labels: zh\ntexts:\n  entity.item: 物料\n  entity.item.field.qty: 数量\n  project: 样例\n"
    result = blueprint(bare, i18n__zh=texts)
    assert result.entities["item"].label == Bilingual("物料", "Item")
    assert result.entities["item"].fields["qty"].label == Bilingual("数量", "Qty")
    assert result.project.label.zh == "样例"


class NoteSpec(Spec):
    note: Name
    about: Name
    when: Expression


def test_a_further_kind_is_added_by_registering_it() -> None:
    def link(linking: Any, documents: Any) -> dict[str, str]:
        return {
            each.name: each.spec.about for each in documents if linking.known_entity(each.spec.about, each.at("about"))
        }

    kinds = DEFAULT_KINDS.with_kinds(Kind("note", NoteSpec, ("notes",), "note", "便笺", link=link))
    sources = {"clew.yaml": "project: sample\n", "models/item.yaml": ITEM}
    note = "note: first\nabout: item\nwhen: now\n"
    good = load_sources({**sources, "notes/a.yaml": note}, kinds)
    assert good.blueprint is not None
    assert good.extras["note"] == {"first": "item"}
    bad = load_sources({**sources, "notes/a.yaml": note.replace("about: item", "about: itme")}, kinds)
    assert bad.blueprint is None
    assert [(each.code, each.nearest) for each in bad.diagnostics] == [("UNKNOWN_ENTITY", "item")]
    assert [each.code for each in load_sources({**sources, "models/a.yaml": note}, kinds).diagnostics] == [
        "KIND_NOT_HERE"
    ]
    assert [each.code for each in load_sources({**sources, "models/a.yaml": note}).diagnostics] == ["UNKNOWN_KIND"]


def test_a_blueprint_cannot_be_changed(mini: Blueprint) -> None:
    with pytest.raises(TypeError):
        mini.entities["lot"] = mini.entities["item"]  # type: ignore[index]
    with pytest.raises(TypeError):
        del mini.entities["lot"].fields["qty"]  # type: ignore[attr-defined]


def test_rules_are_complete_and_bilingual() -> None:
    rules = all_rules()
    assert len({rule.code for rule in rules}) == len(rules)
    for rule in rules:
        assert rule.en, rule.code
        assert any("\u4e00" <= char <= "\u9fff" for char in rule.zh), rule.code
        assert bool(rule.hint_en) == bool(rule.hint_zh), rule.code


def test_loading_is_the_same_whatever_the_order_of_files(mini: Blueprint) -> None:
    backwards = dict(sorted(mini.sources.items(), reverse=True))
    again = load_sources(backwards).blueprint
    assert again is not None
    assert again.digest == mini.digest


SITED = """
entity: site
class: master
key: [code]
fields: {code: {type: text, required: true}}
---
entity: lot
scope: site
key: [code]
fields:
  code: {type: text, required: true}
  qty:  {type: integer}
  rows: {type: lines, fields: {qty: {type: integer}}}
rules:
  - {require: "qty > 0", name: by_both, active: {sites: [SH, SZ], from: 2026-03-01}, say: {en: a}}
  - {forbid: "qty == 7", name: by_day, active: {from: 2026-03-01}, say: {en: b}}
---
entity: tag
key: [code]
fields: {code: {type: text, required: true}}
"""


def test_a_rule_is_switched_on_by_its_condition() -> None:
    """`active` is compiled into the condition: nothing else knows of it."""
    written = blueprint(models__lot=SITED).entities["lot"].rules
    by_hand = blueprint(
        models__lot=SITED.replace(", active: {sites: [SH, SZ], from: 2026-03-01}", "")
        .replace('"qty > 0"', "\"!(site.code in ['SH', 'SZ'] && today >= date('2026-03-01')) || (qty > 0)\"")
        .replace(", active: {from: 2026-03-01}", "")
        .replace('forbid: "qty == 7"', "require: \"!(today >= date('2026-03-01')) || (!(qty == 7))\"")
    )
    assert [each.condition.source for each in written] == [
        each.condition.source for each in by_hand.entities["lot"].rules
    ]
    assert blueprint(models__lot=SITED).digest == by_hand.digest


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("{require: \"code != ''\", active: {}, say: {en: a}}", "ACTIVE_EMPTY"),
        ("{require: \"code != ''\", active: {sites: SH}, say: {en: a}}", "ACTIVE_NO_SITE"),
        ("{require: \"code != ''\", active: {form: 2026-03-01}, say: {en: a}}", "UNKNOWN_KEY"),
        ("{require: \"code != ''\", active: {from: soon}, say: {en: a}}", "WRONG_TYPE"),
    ],
)
def test_a_switch_that_switches_nothing_is_a_finding(rule: str, code: str) -> None:
    loaded = load(models__lot=SITED + f"rules:\n  - {rule}\n")
    assert loaded.blueprint is None
    assert code in {each.rule.code for each in loaded.diagnostics}
