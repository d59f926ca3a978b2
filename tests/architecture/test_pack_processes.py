"""Every process of the pack is proven before it ships: no deadlock, nobody missing, no signature left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_folder
from clew.process.drawing.graph import hands
from clew.process.proof.findings import prove

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pack() -> Blueprint:
    blueprint = load_folder(ROOT).blueprint
    assert blueprint is not None
    return blueprint


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "workflows").glob("*.yaml")))
def test_process_is_proven(pack: Blueprint, name: str) -> None:
    found = prove(pack, pack.workflows[name])
    assert [(each.flaw, each.step, each.say.to("en")) for each in found.findings if not each.flaw.warning] == []
    assert found.ends, "it can come to an end"


def test_every_action_of_a_plugin_says_what_it_makes(pack: Blueprint) -> None:
    """So the map of all processes shows what they hand over, and none makes anything else."""
    assert [name for name, each in pack.project.actions.items() if each.makes is None] == []
    found = {(each.source, each.target) for each in hands(pack)}
    assert {
        ("nonconformance_handling", "corrective_action"),
        ("nonconformance_handling", "field_action_recall"),
        ("periodic_duties", "regulatory_filing"),
    } <= found
