"""docs/yaml.md and docs/yaml.zh.md are complete, agree with each other, and their YAML is what the loader takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from clew.kernel.diagnostics import Findings
from clew.metadata.documents import read
from clew.metadata.kinds import DEFAULT_KINDS
from clew.metadata.source import parse
from clew.metadata.spec import calendar, entity, field, others, permissions, workflow
from clew.metadata.spec.words import Spec

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ("yaml.md", "yaml.zh.md")
WORKFLOWS = ("workflows.md", "workflows.zh.md")
PERMISSIONS = ("permissions.md", "permissions.zh.md")


def blocks(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def bare(block: str) -> str:
    return re.sub(r" *#.*", "", block)


@pytest.mark.parametrize("page", PAGES)
def test_every_key_and_kind_is_documented(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    models = [
        value
        for module in (calendar, entity, field, others)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Spec) and value is not Spec
    ]
    keys = {key for model in models for key in model.known_keys()} | set(DEFAULT_KINDS.all)
    missing = [key for key in sorted(keys) if not re.search(rf"\b{key}\b", text)]
    assert missing == []
    assert [type_ for type_ in field.FIELD_TYPES if f"`{type_}`" not in text] == []
    assert [meaning for meaning in get_args(entity.Meaning) if f"`{meaning}`" not in text] == []


@pytest.mark.parametrize("page", PERMISSIONS)
def test_every_key_of_permissions_is_documented(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    models = [value for value in vars(permissions).values() if isinstance(value, type) and issubclass(value, Spec)]
    missing = [
        key for key in sorted({key for each in models for key in each.known_keys()} - {"label"}) if key not in text
    ]
    assert missing == []
    words = [*get_args(permissions.Reason), *permissions.ACTIONS]
    assert [word for word in words if f"`{word}`" not in text] == []


@pytest.mark.parametrize("page", PERMISSIONS)
def test_the_permissions_in_it_can_be_read(page: str) -> None:
    found = blocks(page)
    for block in found:
        kind = DEFAULT_KINDS.all[block.split(":")[0]]
        assert read(f"{kind.folders[0]}/x.yaml", block, DEFAULT_KINDS).diagnostics == (), block
    assert {block.split(":")[0] for block in found} >= {"role", "separation", "policy_test", "entity"}


@pytest.mark.parametrize("page", WORKFLOWS)
def test_every_key_of_workflows_is_documented(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    models = [value for value in vars(workflow).values() if isinstance(value, type) and issubclass(value, Spec)]
    keys = {key for each in models for key in each.known_keys()}
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}\b", text)] == []


@pytest.mark.parametrize("page", WORKFLOWS)
def test_the_steps_in_it_can_be_read(page: str) -> None:
    whole, *who, steps = blocks(page)
    assert read("workflows/x.yaml", whole, DEFAULT_KINDS).diagnostics == ()
    shown = "workflow: shown\nfor: loan\nsteps:\n" + re.sub("^", "  ", steps, flags=re.MULTILINE)
    assert read("workflows/x.yaml", shown, DEFAULT_KINDS).diagnostics == ()
    for block in who:
        each = f"workflow: shown\nfor: loan\nsteps:\n  ask:\n    {block}"
        assert read("workflows/x.yaml", each, DEFAULT_KINDS).diagnostics == ()


@pytest.mark.parametrize("page", PAGES)
def test_the_yaml_in_it_can_be_read(page: str) -> None:
    found = blocks(page)
    assert len(found) >= 8
    whole = 0
    for block in found:
        text = block.replace("{…}", "{}").replace("[…]", "[]")
        findings = Findings()
        (node,) = parse(page, text, findings)
        assert findings.sorted() == (), block
        kind = DEFAULT_KINDS.all.get(next(iter(node.keys)))
        if kind:
            whole += 1
            folder = f"{kind.folders[0]}/" if kind.folders else ""
            assert read(f"{folder}x.yaml", text, DEFAULT_KINDS).diagnostics == (), block
    assert whole >= len(DEFAULT_KINDS.all)


def test_both_languages_show_the_same_yaml() -> None:
    for pair in (PAGES, PERMISSIONS):
        first, second = ([bare(block) for block in blocks(page)] for page in pair)
        assert first == second
