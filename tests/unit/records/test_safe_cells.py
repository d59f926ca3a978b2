"""Cells of an exported CSV: none is taken for a formula, and reading the file gives back what was written."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from clew.records.files import read_sheets, safe_cell

TEXTS = ["=1+1", "+1", "-1", "@SUM(A1)", "＝1+1", "－1", "'=1+1", "''=1", "'quoted'", "plain", "\t=1", "'"]
ACTIVE = tuple("=+-@\t\r\n＝＋－＠")


@pytest.mark.parametrize("text", TEXTS)
def test_a_cell_is_inert_and_comes_back(text: str, tmp_path: Path) -> None:
    assert not safe_cell(text).startswith(ACTIVE)
    path = tmp_path / "sheet.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["name", "other"], [safe_cell(text), "x"]])
    [sheet] = read_sheets(path)
    assert sheet.rows[0].cells == (text, "x")
