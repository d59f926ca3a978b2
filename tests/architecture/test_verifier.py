"""The stand-alone verifier is one small file that shares nothing with what it verifies."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

PLATFORM = Path(__file__).parents[2] / "platform" / "clew"
VERIFIER = PLATFORM / "audit" / "verifier" / "clew_verify.py"


def imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_the_verifier_needs_the_standard_library_and_cryptography() -> None:
    packages = {name.split(".")[0] for name in imported(VERIFIER)}
    assert packages - set(sys.stdlib_module_names) == {"cryptography"}


def test_nothing_of_the_platform_uses_the_verifier() -> None:
    users = [file for file in PLATFORM.rglob("*.py") if any("verifier" in name for name in imported(file))]
    assert users == []


def test_the_verifier_is_small() -> None:
    assert len(VERIFIER.read_text(encoding="utf-8").splitlines()) < 400
