"""Golden folders: a small project each, and every finding it gives, in both languages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clew.kernel.diagnostics import Diagnostic
from clew.kernel.text import LOCALES
from clew.metadata.load import load_folder

CASES = Path(__file__).parent / "check"


def shown(finding: Diagnostic) -> str:
    lines = [f"{finding.place} {finding.severity} {finding.code} {finding.path}".rstrip()]
    for locale in LOCALES:
        hint = finding.hint(locale)
        lines.append(f"  {locale}: {finding.message(locale)}" + (f" [{hint}]" if hint else ""))
    lines += [f"  see {place}" for place in finding.related]
    return "\n".join(lines)


@pytest.mark.parametrize("case", sorted(each.name for each in CASES.iterdir()))
def test_check_says(case: str, golden: Callable[[Path, str], None]) -> None:
    loaded = load_folder(CASES / case)
    findings = [shown(each) for each in loaded.diagnostics]
    verdict = "loads" if loaded.blueprint else "refused"
    golden(CASES / case / "expected.txt", "\n".join([*findings, verdict]) + "\n")
