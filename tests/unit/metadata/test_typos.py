"""Threat 4: any identifier misspelled once, and the project does not load."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from clew.kernel.diagnostics import Findings
from clew.metadata.load import load_folder, load_sources
from clew.metadata.source import AnyNode, ListNode, MapNode, ScalarNode, parse
from clew.testing.plugin import Tier

MINI = Path(__file__).parents[2] / "projects" / "mini"
EXPRESSIONS = {"is", "when", "require", "forbid", "where", "while", "required_when", "title", "default"}
TEXTS = {"label", "help", "say", "zh", "en", "basis", "pattern", "schema", "version", "company", "system", "steward"}
FREE_NAMES = {"project", "coding_rule", "moved_by", "inverse", "plural", "name"}
"""Names that a project gives and does not refer to again, or refers to in rooms of their own (roles, processes)."""
OWN_NAMES = {"fields", "per_site", "transitions", "states", "values", "of", "sets", "key", "add"}
"""Below these a key is a name the analyst gives; whether it is referred to is what the others' mutations show."""
IDENTIFIER = re.compile(r"'[^']*'|\b[A-Za-z_]\w*")


def misspelled(word: str) -> str:
    """One letter doubled: what a hurried hand does."""
    middle = len(word) // 2
    return word[: middle + 1] + word[middle] + word[middle + 1 :]


def identifiers(node: AnyNode, path: tuple[str, ...] = ()) -> Iterator[tuple[int, str]]:
    """Offset and text of everything in a file that names something defined elsewhere."""
    if isinstance(node, MapNode):
        for name, value in node.values.items():
            if path and path[-1] in OWN_NAMES and not (path[-1] == "key" and isinstance(value, ListNode)):
                if path[-1] in ("sets", "key", "add"):
                    yield node.keys[name].start, name
            elif name not in ("zh", "en"):
                yield node.keys[name].start, name
            if not {name, *path} & TEXTS and name not in FREE_NAMES:
                yield from identifiers(value, (*path, name))
    elif isinstance(node, ListNode):
        for item in node.items:
            yield from identifiers(item, path)
    elif isinstance(node.value, str):
        yield from in_scalar(node, path)


def in_scalar(node: ScalarNode, path: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    raw = node.source.text[node.start : node.end]
    if (
        path[-1] == "states"
        or (path[-1] in ("from", "to") and "values" in path)
        or path in (("entity",), ("code_list",))
    ):
        return  # a definition; an entity that nobody refers to may be called anything
    if path[-1] in ("unit", "number") or (path[-1] == "default" and node.text == "raw"):
        return  # free unit codes and number patterns: tests of their own
    is_expression = path[-1] in EXPRESSIONS or {"sets", "add"} & set(path) or ("posts" in path and "key" in path)
    variables = set(re.findall(r"\((\w), ", raw)) if is_expression else set()
    for match in IDENTIFIER.finditer(raw):
        if not match[0].startswith("'") and match[0] not in variables:
            yield node.start + match.start(), match[0]


def test_config_typo_fails_closed(tier: Tier) -> None:
    sources = dict(load_folder(MINI).blueprint.sources)  # type: ignore[union-attr]
    cases: list[tuple[str, int, str]] = []
    for file, text in sources.items():
        for document in parse(file, text, Findings()):
            cases += [(file, at, word) for at, word in identifiers(document)]
    assert len(cases) > 500
    chosen = cases[:: max(1, len(cases) // tier.count(120, len(cases)))]
    accepted = []
    for file, at, word in chosen:
        text = sources[file]
        assert text[at : at + len(word)] == word
        mutated = {**sources, file: text[:at] + misspelled(word) + text[at + len(word) :]}
        loaded = load_sources(mutated)
        if loaded.blueprint is not None:
            accepted.append((file, text.count("\n", 0, at) + 1, word))
    assert accepted == []
