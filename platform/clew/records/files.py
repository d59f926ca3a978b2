"""Tables in files: CSV (UTF-8 with or without BOM, UTF-16, GB18030) and Excel. Everything is read as text, so that
leading zeros and long codes stay what they are."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from clew.kernel.scalars import duration_text
from clew.kernel.text import Bilingual
from clew.records.errors import BadImport

LONGEST_SHEET_NAME = 31
EXACT_FLOAT = 2**53
"""Whole numbers beyond this have lost digits in a spreadsheet's number cell."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Full-width signs too: spreadsheets of East Asian locales take them for the same."""


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A row with the number a person sees in the file."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table: the first non-empty row are its headers."""

    file: str
    name: str
    headers: tuple[str, ...]
    rows: tuple[SheetRow, ...]


MAX_UNPACKED = 256 * 2**20
"""Bytes a workbook may have once unpacked."""


def read_sheets(path: Path) -> list[Sheet]:
    """The tables of a file: one of a CSV file, each sheet of a workbook."""
    if path.suffix.lower() in (".xlsx", ".xlsm", ".xls", ".ods", ".xlsb"):
        return list(_workbook(path))
    return [_csv(path)]


def decode(data: bytes, file: str) -> str:
    """Text in the encoding it is in: BOM, then UTF-8, then GB18030."""
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadImport(
        what=Bilingual(
            f"{file} 不是 UTF-8、GB18030 或 UTF-16 编码。", f"{file} is neither UTF-8 nor GB18030 nor UTF-16."
        )
    )


def _csv(path: Path) -> Sheet:
    text = decode(path.read_bytes(), path.name)
    if "\x00" in text:
        raise BadImport(what=Bilingual(f"{path.name} 不是文本文件。", f"{path.name} is not a text file."))
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count) if first else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[SheetRow] = []
    try:
        start = 1
        for cells in reader:
            rows.append(SheetRow(start, tuple(_shown(cell) for cell in cells)))
            start = reader.line_num + 1
    except csv.Error as error:
        at = reader.line_num
        raise BadImport(what=Bilingual(f"{path.name} 第 {at} 行:{error}", f"{path.name}, line {at}: {error}")) from None
    return _sheet(path.name, "", rows)


def _workbook(path: Path) -> Iterator[Sheet]:
    try:
        _bounded(path)
        book = CalamineWorkbook.from_path(str(path))
        for name in book.sheet_names:
            table = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
            rows = [
                SheetRow(at, tuple(_cell_text(cell, path.name, at) for cell in cells))
                for at, cells in enumerate(table, 1)
            ]
            yield _sheet(path.name, name, rows)
    except (CalamineError, OSError, ValueError, zipfile.BadZipFile) as error:
        what = Bilingual(f"无法读取 {path.name}:{error}", f"{path.name} cannot be read: {error}")
        raise BadImport(what=what) from None


def _bounded(path: Path) -> None:
    """A workbook is a packed folder: how large it becomes is looked at before anything is unpacked."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as packed:
        unpacked = sum(each.file_size for each in packed.infolist())
    if unpacked > MAX_UNPACKED:
        size = f"{unpacked // 2**20} MiB > {MAX_UNPACKED // 2**20} MiB"
        raise BadImport(
            what=Bilingual(f"{path.name} 解压后过大({size}),请改用 CSV。", f"{path.name} unpacks to {size}: use CSV.")
        )


def _sheet(file: str, name: str, rows: list[SheetRow]) -> Sheet:
    filled = [row for row in rows if any(row.cells)]
    if not filled:
        return Sheet(file, name, (), ())
    head, *rest = filled
    return Sheet(file, name, tuple(cell.strip() for cell in head.cells), tuple(rest))


def _cell_text(cell: Any, file: str, row: int) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        if abs(cell) >= EXACT_FLOAT:
            zh = f"{file} 第 {row} 行:数字单元格 {cell:.0f} 已丢失位数,请将该列设为文本。"
            en = f"{file}, row {row}: the number cell {cell:.0f} has lost digits; make the column text."
            raise BadImport(what=Bilingual(zh, en))
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat()
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return duration_text(cell)
    return str(cell)


def _shown(cell: str) -> str:
    """A cell without the apostrophe that our own export puts before what a spreadsheet would take for a formula."""
    return cell[1:] if cell.startswith("'") and _formula(cell) else cell


def safe_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula; reading it back gives the same text."""
    return "'" + text if _formula(text) else text


def _formula(text: str) -> bool:
    """Apostrophes are passed over, so that a text that has one before a formula keeps it."""
    return text.lstrip("'").startswith(FORMULA_STARTS)
