"""A project's own plugins: Python packages in its `plugins/` folder, each with a `plugin.toml`.

A package is imported under its own name from its own folder; neither the project nor its `plugins/` folder is put on
`sys.path`, so nothing else in there can be imported by accident.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pluggy
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clew.kernel.errors import ClewError
from clew.kernel.text import Bilingual
from clew.sdk.actions import Act
from clew.sdk.channels import Send
from clew.sdk.hooks import NAME, Hooks

FOLDER, MANIFEST = "plugins", "plugin.toml"
_MARK = "__clew_plugin__"
"""Set on packages imported here, so that a second project may bring a plugin of the same name."""


class BadPlugin(ClewError):
    """A plugin of the project cannot be loaded."""

    code, status = "BAD_PLUGIN", 400
    en, zh = "Plugin {file}: {what}", "插件 {file}:{what}"
    hint_en, hint_zh = "What a plugin consists of: docs/plugins.md", "插件的组成见 docs/plugins.zh.md"


class _Label(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    zh: str
    en: str


class _Manifest(BaseModel):
    """What plugin.toml may say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    plugin: str = Field(pattern=r"[a-z][a-z0-9_]{1,40}")
    label: _Label
    module: str = Field(pattern=r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin found in a project. `module` is the one of its modules that implements hooks."""

    name: str
    label: Bilingual
    module: str
    folder: Path


def find_plugins(project: Path) -> tuple[Plugin, ...]:
    """The plugins of a project folder, by name. Raises BadPlugin for a manifest that cannot be read."""
    return tuple(_read(file) for file in sorted((project / FOLDER).glob(f"*/{MANIFEST}")))


def load_plugins(project: Path, only: frozenset[str] | None = None) -> pluggy.PluginManager:
    """Import the project's plugins, or only some; `manager.hook.<name>` then calls what they implement. Raises
    BadPlugin."""
    manager = pluggy.PluginManager(NAME)
    manager.add_hookspecs(Hooks)
    for plugin in find_plugins(project):
        if only is not None and plugin.name not in only:
            continue
        module = _import(plugin)
        try:
            manager.register(module, plugin.name)
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise _bad(plugin.folder, error, "钩子函数不符合规定") from error
    return manager


def load_actions(project: Path, declared: Mapping[str, str]) -> Mapping[str, Act]:
    """What plugins do in automatic steps: `declared` is action → plugin, as clew.yaml says. Only these plugins are
    imported. Raises BadPlugin for one that is not there, or does not have what it is said to have."""
    return _declared(project, declared, "clew_actions", "action", "插件没有声明的动作")


def load_channels(project: Path, declared: Mapping[str, str]) -> Mapping[str, Send]:
    """How plugins carry notices: `declared` is channel → plugin, as clew.yaml says. Raises BadPlugin, as for
    actions."""
    return _declared(project, declared, "clew_channels", "channel", "插件没有声明的通道")


def _declared(project: Path, declared: Mapping[str, str], hook: str, what: str, lacks_zh: str) -> dict[str, Any]:
    folder = project / FOLDER
    if not declared:
        return {}
    manager = load_plugins(project, frozenset(declared.values()))
    found: dict[str, Any] = {}
    for name, plugin in declared.items():
        module = manager.get_plugin(plugin)
        if module is None:
            raise _bad(folder / plugin, f"clew.yaml takes the {what} {name} from it, and it is not there", "插件不存在")
        offers = getattr(module, hook, None)
        known = offers() if offers is not None else {}
        if name not in known:
            raise _bad(folder / plugin, f"it has no {what} {name}", lacks_zh)
        found[name] = known[name]
    return found


def _read(file: Path) -> Plugin:
    try:
        manifest = _Manifest.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _bad(file, error, "无法读取") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(each) for each in first["loc"])
        raise _bad(file, f"{place}: {first['msg']}", f"{place} 不正确") from error
    if manifest.plugin != file.parent.name:
        raise _bad(file, f"its name must be that of its folder, {file.parent.name}", "插件名须与目录名相同")
    label = Bilingual(zh=manifest.label.zh, en=manifest.label.en)
    return Plugin(manifest.plugin, label, manifest.module, file.parent.resolve())


def _import(plugin: Plugin) -> Any:
    """The plugin's hook module. A package of the same name from another place is never taken for it."""
    start = plugin.folder / "__init__.py"
    known = sys.modules.get(plugin.name)
    try:
        if known is None or Path(known.__file__ or "").resolve() != start:
            _import_package(plugin, start)
        return importlib.import_module(f"{plugin.name}.{plugin.module}")
    except Exception as error:
        if isinstance(error, BadPlugin):
            raise
        what = f"{type(error).__name__}: {error}"
        raise _bad(plugin.folder, what, "导入失败") from error


def _import_package(plugin: Plugin, start: Path) -> None:
    known = sys.modules.get(plugin.name)
    found = importlib.util.find_spec(plugin.name) if known is None else None
    elsewhere = found is not None and Path(found.origin or "").resolve() != start
    if elsewhere or (known is not None and not _ours(known)):
        raise _bad(plugin.folder, f"another package is called {plugin.name}", "已有同名的包")
    for name in [each for each in sys.modules if each == plugin.name or each.startswith(f"{plugin.name}.")]:
        del sys.modules[name]
    spec = importlib.util.spec_from_file_location(plugin.name, start, submodule_search_locations=[str(plugin.folder)])
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    package.__dict__[_MARK] = True
    sys.modules[plugin.name] = package
    try:
        spec.loader.exec_module(package)
    except BaseException:
        del sys.modules[plugin.name]
        raise


def _ours(module: Any) -> bool:
    return bool(getattr(module, _MARK, False))


def _bad(file: Path, en: object, zh: str) -> BadPlugin:
    return BadPlugin(file=str(file), what=Bilingual(zh=f"{zh}({en})", en=str(en)))
