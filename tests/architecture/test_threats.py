"""docs/threats.md names tests; they exist, and no threat that once had a test has lost it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NUMBERS = {*range(1, 14), *range(15, 24), 25, 26, 28, 29, 31, 32, 33, 35, 41, 42, 46, 47, 48}
"""Threats whose tests may not go; further ones are welcome."""
KNOWN = range(1, 49)
ROW = re.compile(r"^\| (\d+) `(\w+)` \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)


def existing() -> set[str]:
    """Every test function in the tree that is neither skipped nor expected to fail."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                marks = " ".join(ast.unparse(each) for each in node.decorator_list)
                if "skip" not in marks and "xfail" not in marks:
                    found.add(node.name)
    return found


def test_every_threat_has_its_test() -> None:
    page = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8")
    rows = ROW.findall(page)
    numbers = [int(number) for number, _, _ in rows]
    assert set(numbers) >= NUMBERS
    assert set(numbers) <= set(KNOWN)
    assert numbers == sorted(set(numbers)), "one row for each threat, in order"
    for number, name, tests in rows:
        assert f"`test_{name}`" in tests, f"threat {number} has no test of its name"
    named = set(re.findall(r"`(test_\w+)`", page))
    assert named <= existing(), f"named on the page, not in the tests: {sorted(named - existing())}"
