"""A project as it may be served: compiled, or refused with everything that is wrong in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from clew.access.loading import load_bundle, load_project, refused
from clew.kernel.diagnostics import Diagnostic, Severity
from clew.kernel.errors import ClewError
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import Loaded
from clew.metadata.rules import COMPUTED_TOO_DEEP
from clew.storage.readable import unreadable


class ProjectInvalid(ClewError):
    """The project's files have errors; `diagnostics` are all of them."""

    code, status = "PROJECT_INVALID", 400
    en, zh = "The project has errors ({count}); the first: {first}", "项目有 {count} 处错误,首个为:{first}"
    hint_en, hint_zh = "See all of them: clew check", "查看全部:clew check"

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        errors = [each for each in diagnostics if each.severity is Severity.ERROR]
        first = errors[0]
        shown = Bilingual(zh=f"{first.place}: {first.message('zh')}", en=f"{first.place}: {first.message('en')}")
        super().__init__(count=len(errors), first=shown)


def load_readable(folder: Path) -> Loaded:
    """A project folder, with what no database could read of it: for whoever is about to put it into force."""
    loaded = load_project(folder)
    return loaded if loaded.blueprint is None else refused(loaded, _unreadable(loaded.blueprint))


def _unreadable(blueprint: Blueprint) -> Iterator[Diagnostic]:
    for entity, field in unreadable(blueprint):
        name = f"{entity.name}.{field.name}"
        yield Diagnostic(COMPUTED_TOO_DEEP, field.place, f"fields.{field.name}.is", (("name", name),))


def stored_blueprint(sources: Mapping[str, str]) -> Blueprint:
    """Compile a stored source bundle. Raises ProjectInvalid."""
    return usable(load_bundle(sources))


def usable(loaded: Loaded) -> Blueprint:
    """The Blueprint of a project without errors. Raises ProjectInvalid."""
    if loaded.blueprint is None:
        raise ProjectInvalid(loaded.diagnostics)
    return loaded.blueprint
