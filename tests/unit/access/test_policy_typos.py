"""Threat 4 for policies: any name, effect or key misspelled once, and the project does not load."""

from __future__ import annotations

import re
from pathlib import Path

from clew.access.loading import load_bundle
from clew.metadata.load import load_folder

GOLDEN = Path(__file__).parents[2] / "golden" / "check" / "permissions"
POLICIES = "permissions/roles.yaml"
WORD = re.compile(r"'[^']*'|\b[A-Za-z_]\w*")
FREE = re.compile(r"label:.*|source:.*|separation: \w+|policy_test: \w+|^  (inspector|releaser):", re.MULTILINE)
"""What a project may call as it likes: labels, clauses of law, names nobody else refers to."""
GIVEN = re.compile(r"state: \w+")
"""Facts of tests; a state that does not exist makes the case come out otherwise or not matter."""


def misspelled(word: str) -> str:
    middle = len(word) // 2
    return word[: middle + 1] + word[middle] + word[middle + 1 :]


def test_config_typo_fails_closed_in_policies() -> None:
    loaded = load_folder(GOLDEN).blueprint
    assert loaded is not None
    sources = dict(loaded.sources)
    text = sources[POLICIES]
    free = [match.span() for pattern in (FREE, GIVEN) for match in pattern.finditer(text)]
    cases = [
        match
        for match in WORD.finditer(text)
        if not match[0].startswith("'") and not any(start <= match.start() < end for start, end in free)
    ]
    assert len(cases) > 100
    assert {"always", "deny", "inspector", "release", "hide", "never", "own"} <= {match[0] for match in cases}
    accepted = []
    for match in cases:
        wrong = text[: match.start()] + misspelled(match[0]) + text[match.end() :]
        if load_bundle({**sources, POLICIES: wrong}).blueprint is not None:
            accepted.append((text.count("\n", 0, match.start()) + 1, match[0]))
    assert accepted == []


def test_a_comparison_with_a_state_that_does_not_exist_is_refused() -> None:
    loaded = load_folder(GOLDEN).blueprint
    assert loaded is not None
    wrong = loaded.sources[POLICIES].replace("lot.state == 'open'", "lot.state == 'opne'")
    found = load_bundle({**loaded.sources, POLICIES: wrong})
    assert found.blueprint is None
    assert [(each.code, each.nearest) for each in found.diagnostics] == [("EXPR_UNKNOWN_CODE", "open")]
