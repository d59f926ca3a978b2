"""An Excel template: a sheet per table, drop-downs for codes, a sheet that explains every code."""

from __future__ import annotations

from pathlib import Path

from openpyxl import Workbook
from openpyxl.comments import Comment
from openpyxl.styles import Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from clew.kernel.errors import NotFound
from clew.kernel.text import Locale
from clew.metadata.blueprint import Blueprint, Entity, FieldKind
from clew.records.sheet import Column, codes_of, columns, line_fields

FILLED_ROWS = 10_000
"""How far down drop-downs and text formats reach."""
_CODES = "codes"


def write_template(blueprint: Blueprint, entity_name: str, path: Path, locale: Locale) -> None:
    """Write the template of an entity and its lines."""
    entity = blueprint.entities.get(entity_name)
    if entity is None:
        raise NotFound(what=entity_name)
    book = Workbook()
    codes = book.create_sheet(_CODES)
    assert book.active is not None
    main = book.worksheets[0]
    main.title = entity.name[:31]
    _Page(blueprint, main, codes, locale).fill(columns(blueprint, entity))
    for known in line_fields(entity):
        line: Entity = blueprint.entities[known.target]
        page = book.create_sheet(known.name[:31], index=len(book.worksheets) - 1)
        _Page(blueprint, page, codes, locale).fill(columns(blueprint, line, of_lines=True))
    book.save(path)


class _Page:
    """One sheet to fill in."""

    def __init__(self, blueprint: Blueprint, page: Worksheet, codes: Worksheet, locale: Locale) -> None:
        self._blueprint, self._page, self._codes, self._locale = blueprint, page, codes, locale

    def fill(self, known: tuple[Column, ...]) -> None:
        self._page.freeze_panes = "A2"
        for at, column in enumerate(known, 1):
            head = self._page.cell(1, at, column.header(self._locale))
            required = column.field.required and column.field.default is None
            head.font = Font(bold=required)
            if required:
                head.fill = PatternFill("solid", fgColor="FFF2CC")
            if column.field.help:
                head.comment = Comment(column.field.help.to(self._locale), "Clew")
            letter = get_column_letter(at)
            self._page.column_dimensions[letter].width = max(12, min(40, 2 * len(column.label.to(self._locale)) + 6))
            # Text format keeps leading zeros and long codes as they are typed.
            self._page.column_dimensions[letter].number_format = "@"
            self._choices(column, letter)

    def _choices(self, column: Column, letter: str) -> None:
        found = codes_of(self._blueprint, column)
        values = list(found) if found else ["true", "false"] if column.leaf.kind is FieldKind.BOOLEAN else []
        if not values:
            return
        start = self._codes.max_row + 1 if self._codes.max_row > 1 or self._codes["A1"].value else 1
        self._codes.cell(start, 1, column.header(self._locale)).font = Font(bold=True)
        for at, value in enumerate(values, start + 1):
            self._codes.cell(at, 1, value)
            self._codes.cell(at, 2, found[value].to(self._locale) if value in found else value)
        if column.leaf.kind is FieldKind.CHOICES:
            return
        rule = DataValidation(
            type="list",
            formula1=f"{_CODES}!$A${start + 1}:$A${start + len(values)}",
            allow_blank=not column.field.required,
        )
        rule.add(f"{letter}2:{letter}{FILLED_ROWS}")
        self._page.add_data_validation(rule)
