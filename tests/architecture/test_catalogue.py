"""The pack has every entity of the catalogue, with its fields, its states and signatures, and its keys."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from clew.metadata.blueprint import Blueprint, Entity
from clew.metadata.load import load_folder

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE: dict[str, dict[str, Any]] = YAML(typ="safe").load(Path(__file__).with_name("catalogue.yaml"))


@cache
def pack() -> Blueprint:
    found = load_folder(ROOT).blueprint
    assert found is not None
    return found


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


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_the_pack_has(name: str) -> None:
    asked, entity = CATALOGUE[name], pack().entities.get(name)
    assert entity is not None, f"the entity {name} is not there"
    wrong: list[str] = []
    for field in asked["fields"].split():
        if field in asked.get("elsewhere", {}):
            other, _, kept = asked["elsewhere"][field].partition(".")
            there = pack().entities.get(other)
            if there is None or kept not in there.fields:
                wrong.append(f"{field} is not kept as {other}.{kept}")
            continue
        wrong += [f"no field {each} ({field})" for each in _kept_as(asked, field) if each not in entity.fields]
    for written in asked.get("states", "").split():
        state = written.removesuffix("!")
        if state not in entity.states:
            wrong.append(f"no state {state}")
        elif written.endswith("!"):
            into = [each for each in entity.transitions.values() if each.target == state]
            wrong += [f"{each.name} enters {state} without a signature" for each in into if not each.sign]
            wrong += [] if into else [f"nothing enters {state}"]
    for key in asked.get("unique", ()):
        wanted = {part for field in key for part in _kept_as(asked, field)}
        if not any(found <= wanted for found in _keys(entity)):
            wrong.append(f"{sorted(wanted)} is not unique")
    assert not wrong, "; ".join(wrong)
