"""The documentation says what the code does: reference pages are made from it, and links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clew.cli.app import command_tree
from clew.cli.reference_pages import commands_of, error_classes, modules, pages, rules
from clew.kernel.errors import ClewError
from clew.settings import described

ROOT = Path(__file__).resolve().parents[2]
CHINESE = re.compile(r"[一-鿿]")


@pytest.mark.parametrize("name", sorted(pages()))
def test_reference_pages_are_what_the_code_says(name: str) -> None:
    """Remake them with: clew docs --reference"""
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == pages()[name]


def test_every_error_says_it_in_both_languages() -> None:
    for cls in error_classes():
        assert re.fullmatch(r"[A-Z][A-Z0-9_]*", cls.code), cls
        holes = [set(re.findall(r"\{([a-z_]+)\}", text)) for text in (cls.en, cls.zh)]
        assert holes[0] == holes[1], f"{cls.code}: the languages name different particulars"
        words = re.sub(r"\{[a-z_]+\}", "", cls.zh)
        assert CHINESE.search(words) or not re.search(r"[A-Za-z]", words), cls.code
        assert bool(cls.hint_en) == bool(cls.hint_zh), cls.code


def test_every_finding_says_it_in_both_languages() -> None:
    assert rules()
    for rule in rules():
        assert CHINESE.search(rule.zh), rule.code
        assert bool(rule.hint_en) == bool(rule.hint_zh), rule.code


def test_a_code_means_one_thing() -> None:
    """Two classes with one code must be parent and child, or a caller could not tell what happened."""
    list(modules())
    seen: dict[str, type[ClewError]] = {}
    clashes = []

    def visit(cls: type[ClewError]) -> None:
        if cls.__module__.startswith("clew."):
            other = seen.setdefault(cls.code, cls)
            if not issubclass(cls, other):
                clashes.append(f"{cls.code}: {other.__name__} and {cls.__name__}")
        for below in cls.__subclasses__():
            visit(below)

    visit(ClewError)
    assert not clashes, clashes


def test_every_command_and_option_has_help_in_both_languages() -> None:
    for locale in ("en", "zh"):
        for name, command in commands_of(command_tree(locale)):
            texts = [command.help, *(getattr(each, "help", "") for each in command.params if each.name != "help")]
            assert all(texts), name
            assert all(bool(CHINESE.search(text)) == (locale == "zh") for text in texts if not text.isascii()), name


def test_every_setting_is_explained_in_both_languages() -> None:
    assert all(each.help.en and CHINESE.search(each.help.zh) for each in described())


def test_links_between_pages_lead_somewhere() -> None:
    dead = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                dead.append(f"{page.relative_to(ROOT)}: {target}")
    assert not dead, dead


def test_what_the_makefile_and_the_docs_run_with_python_can_be_run() -> None:
    """`python -m X` needs a module X, or a package with a part that runs."""
    texts = [(ROOT / "Makefile").read_text(encoding="utf-8")]
    texts += [page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md")]
    named = {name for text in texts for name in re.findall(r"(?<=python -m )(benchmarks[\w.]*)", text)}
    assert "benchmarks" in named
    for name in sorted(named):
        path = ROOT.joinpath(*name.split("."))
        assert (path / "__main__.py").is_file() or path.with_suffix(".py").is_file(), name
