"""Reviews as Excel workbooks, to be filed or signed on paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.utils import get_column_letter


def write_workbook(file: Path, sheets: Mapping[str, tuple[Sequence[str], Iterable[Sequence[Any]]]]) -> None:
    """Sheets with a head each. Every cell is text, so nothing is computed."""
    book = Workbook(write_only=True)
    for title, (head, rows) in sheets.items():
        sheet = book.create_sheet(title[:31])
        sheet.freeze_panes = "A2"
        for at in range(len(head)):
            sheet.column_dimensions[get_column_letter(at + 1)].width = 22
        for row in ([*head], *rows):
            cells = []
            for each in row:
                cell = WriteOnlyCell(sheet, value="" if each is None else str(each))
                cell.data_type = "s"
                cells.append(cell)
            sheet.append(cells)
    book.save(file)
