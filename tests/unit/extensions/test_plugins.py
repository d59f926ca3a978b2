"""Plugins of a project folder: found by their manifest, imported from their own folder, refused with a reason."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clew.extensions import BadPlugin, find_plugins, load_actions, load_plugins
from clew.metadata.load import load_folder

MANIFEST = 'plugin = "{name}"\nmodule = "hooks"\nlabel = {{ zh = "试", en = "Trial" }}\n'
HOOKS = """
from {name}.part import ANSWER
from clew.sdk import hookimpl

@hookimpl
async def clew_seed(order):
    return ANSWER
"""


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    before, path = set(sys.modules), list(sys.path)
    yield
    assert sys.path == path, "a plugin never changes where Python looks"
    for name in set(sys.modules) - before:
        if name.split(".")[0].startswith("trial"):
            del sys.modules[name]


def plugin(project: Path, name: str, answer: int = 1, **files: str) -> Path:
    folder = project / "plugins" / name
    folder.mkdir(parents=True)
    texts = {
        "plugin.toml": MANIFEST.format(name=name),
        "__init__.py": "",
        "part.py": f"ANSWER = {answer}\n",
        "hooks.py": HOOKS.format(name=name),
    }
    for file, text in (texts | {key.replace("__dot__", "."): value for key, value in files.items()}).items():
        (folder / file).write_text(text, encoding="utf-8")
    return folder


def seed(project: Path) -> Any:
    return asyncio.run(load_plugins(project).hook.clew_seed(order=None))


def test_a_project_without_plugins_has_none(tmp_path: Path) -> None:
    assert find_plugins(tmp_path) == ()
    assert load_plugins(tmp_path).hook.clew_seed(order=None) is None


def test_a_plugin_is_found_and_imports_its_own_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(tmp_path, "trial_one", 41)
    monkeypatch.chdir("/")
    [found] = find_plugins(tmp_path)
    assert (found.name, found.label.to("zh"), found.module) == ("trial_one", "试", "hooks")
    assert seed(tmp_path) == 41
    assert seed(tmp_path) == 41


def test_two_projects_may_have_plugins_of_one_name(tmp_path: Path) -> None:
    for project, answer in (("first", 1), ("second", 2), ("first", 1)):
        if not (tmp_path / project).exists():
            plugin(tmp_path / project, "trial_two", answer)
        assert seed(tmp_path / project) == answer


def test_another_package_is_never_taken_for_a_plugin(tmp_path: Path) -> None:
    plugin(tmp_path, "json")
    with pytest.raises(BadPlugin, match="another package is called json"):
        load_plugins(tmp_path)
    assert sys.modules["json"].loads("1") == 1


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("plugin__dot__toml", "plugin = ", "plugin.toml"),
        ("plugin__dot__toml", MANIFEST.format(name="other"), "its name must be that of its folder"),
        ("plugin__dot__toml", MANIFEST.format(name="trial_bad") + "extra = 1\n", "extra"),
        ("plugin__dot__toml", 'plugin = "trial_bad"\n', "label"),
        ("hooks__dot__py", "import no_such_module_anywhere\n", "no_such_module_anywhere"),
        ("__init____dot__py", "1 / 0\n", "ZeroDivisionError"),
        ("hooks__dot__py", HOOKS.format(name="trial_bad").replace("order", "something"), "something"),
        ("hooks__dot__py", HOOKS.format(name="trial_bad").replace("clew_seed", "clew_sed"), "clew_sed"),
    ],
)
def test_a_bad_plugin_is_refused_with_its_reason(tmp_path: Path, file: str, text: str, reason: str) -> None:
    plugin(tmp_path, "trial_bad", **{file: text})
    with pytest.raises(BadPlugin, match=reason) as caught:
        load_plugins(tmp_path)
    assert "trial_bad" in caught.value.message("zh")


def test_the_actions_of_the_pack_are_there() -> None:
    root = Path(__file__).resolve().parents[3]
    blueprint = load_folder(root).blueprint
    assert blueprint is not None
    declared = {name: each.plugin for name, each in blueprint.project.actions.items()}
    assert set(load_actions(root, declared)) == set(declared) != set()


def test_an_action_no_plugin_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadPlugin) as refused:
        load_actions(tmp_path, {"net_requirements": "planning"})
    assert "net_requirements" in refused.value.message("en")
