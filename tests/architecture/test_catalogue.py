"""The pack has every entity of the catalogue, with all that the catalogue says of it, in both languages."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from clew.metadata.blueprint import Blueprint, Entity, Origin
from clew.metadata.load import load_folder
from clew.storage.readable import unreadable

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE: dict[str, dict[str, Any]] = YAML(typ="safe").load(Path(__file__).with_name("catalogue.yaml"))


@cache
def pack() -> Blueprint:
    loaded = load_folder(ROOT)
    assert list(loaded.diagnostics) == []
    assert loaded.blueprint is not None
    return loaded.blueprint


def test_every_database_reads_what_the_pack_computes() -> None:
    """As `clew check` and `clew plan` ask: SQLite's parser holds a hundred open brackets."""
    assert [f"{entity.name}.{field.name}" for entity, field in unreadable(pack())] == []


def _kept_as(asked: dict[str, Any], name: str) -> list[str]:
    renamed: str = asked.get("as", {}).get(name, name)
    return renamed.split()


def _keys(entity: Entity) -> list[set[str]]:
    """What no two records share, always or while a condition holds."""
    alone = [{each.name} for each in entity.fields.values() if each.unique]
    return [*alone, *(set(each.fields) for each in entity.uniques)]


def test_the_catalogue_is_whole() -> None:
    assert len(CATALOGUE) >= 68 + 22
    assert pack().coding_rules
    assert pack().code_lists


def _fields(asked: dict[str, Any], entity: Entity) -> list[str]:
    wrong: list[str] = []
    for field in asked["fields"].split():
        if field in asked.get("elsewhere", {}):
            other, _, kept = asked["elsewhere"][field].partition(".")
            there = pack().entities.get(other)
            if there is None or kept not in there.fields:
                wrong.append(f"{field} is not kept as {other}.{kept}")
            continue
        present = entity.fields.keys() | entity.inverses.keys()
        wrong += [f"no field {each} ({field})" for each in _kept_as(asked, field) if each not in present]
    reasons = asked.get("reasons", "").split()
    return wrong + [f"{each} changes without a reason" for each in reasons if not entity.fields[each].regulated]


def _states(asked: dict[str, Any], entity: Entity) -> list[str]:
    if "states" not in asked:
        return []
    wrong: list[str] = []
    written = [each.partition("!") for each in asked["states"].split()]
    states = [state for state, _, _ in written]
    if list(entity.states) != states or entity.initial != states[0]:
        wrong.append(f"states {list(entity.states)}, from {entity.initial}")
    for state, signed, meaning in written:
        into = [each for each in entity.transitions.values() if each.target == state]
        if not into and state != states[0]:
            wrong.append(f"nothing enters {state}")
        if signed:
            wrong += [
                f"{each.name} enters {state} signed {each.sign}" for each in into if not _meant(each.sign, meaning)
            ]
    return wrong


def _meant(sign: str | None, meaning: str) -> bool:
    return sign == meaning if meaning else bool(sign)


def _keeping(asked: dict[str, Any], entity: Entity) -> list[str]:
    wrong: list[str] = []
    for key in asked.get("unique", ()):
        wanted = {part for field in key for part in _kept_as(asked, field)}
        if not any(found <= wanted for found in _keys(entity)):
            wrong.append(f"{sorted(wanted)} is not unique")
    if "class" in asked and entity.cls != asked["class"]:
        wrong.append(f"is a {entity.cls}")
    if "of_a_site" in asked and entity.site_scoped != asked["of_a_site"]:
        wrong.append("belongs to one site" if entity.site_scoped else "belongs to no site")
    if "personal" in asked:
        personal = {each.name for each in entity.fields.values() if each.personal}
        if personal != set(asked["personal"].split()):
            wrong.append(f"personal data: {sorted(personal)}")
    if asked.get("for_ever") and (entity.retention is None or entity.retention.years is not None):
        wrong.append("is not kept for ever")
    for field, codes in asked.get("choices", {}).items():
        found = " ".join(pack().code_lists[entity.fields[field].code_list or ""].codes)
        if found != codes:
            wrong.append(f"{field} may be {found}")
    return wrong


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_the_pack_has(name: str) -> None:
    asked, entity = CATALOGUE[name], pack().entities.get(name)
    assert entity is not None, f"the entity {name} is not there"
    assert [*_fields(asked, entity), *_states(asked, entity), *_keeping(asked, entity)] == []


def test_everything_speaks_both_languages() -> None:
    wrong = []
    for entity in pack().entities.values():
        fields = [each for each in entity.fields.values() if each.origin is Origin.DECLARED]
        texts = [entity.label, *(each.label for each in fields), *(each.help for each in fields if each.help)]
        texts += [each.label for each in (*entity.states.values(), *entity.transitions.values())]
        texts += [each.say for each in entity.rules]
        texts += [each.say for each in entity.transitions.values() if each.when]
        wrong += [(entity.name, text) for text in texts if not (text.zh and text.en)]
    assert wrong == []


def test_every_entity_has_help_system_steward_and_retention() -> None:
    lists = pack().code_lists
    wrong = []
    for entity in pack().entities.values():
        told = entity.part_of or (entity.help.zh and entity.help.en)
        known = entity.system in lists["system"].codes and entity.steward in lists["job_role"].codes
        kept = entity.part_of or entity.derived or (entity.retention and entity.retention.basis)
        wrong += [] if told and known and kept else [(entity.name, bool(told), known, bool(kept))]
    assert wrong == []


def test_balances_come_only_from_movements() -> None:
    assert pack().entity("inventory_balance").derived
    assert {each.to for each in pack().entity("inventory_movement").postings} == {"inventory_balance"}


def test_revisions_name_the_change_that_releases_them() -> None:
    for name in ("inspection_plan", "technical_requirement"):
        entity = pack().entity(name)
        assert entity.fields["change_order"].targets == ("change_order",)
        assert "released_by_change" in {rule.name for rule in entity.rules}
