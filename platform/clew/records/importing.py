"""Import: rows of files become records through `records.commands`, with a report that names file, row and column.

A dry run does everything but commit. References are looked up as each row is written, so a row may refer to one above.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from clew.kernel.errors import ClewError
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint, Entity, Field, FieldKind
from clew.records.bulk import Mode
from clew.records.cells import cell_value
from clew.records.commands import BulkOutcome, Call, Commands
from clew.records.errors import BadImport, BadReference
from clew.records.files import LONGEST_SHEET_NAME, Sheet, SheetRow, read_sheets
from clew.records.sheet import Column, columns, entries, line_fields, match_headers, read_only
from clew.records.values import coerce

if TYPE_CHECKING:
    from clew.records.unit import Unit

Progress = Callable[[int, int], None]
"""Rows done, rows in all."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One refused row: where in which file, and why in both languages."""

    file: str
    sheet: str
    row: int
    column: str
    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or with `dry` would have done."""

    rows: int
    created: int
    updated: int
    problems: tuple[Problem, ...]
    committed: bool


@dataclass(slots=True)
class _Row:
    """A row of the main sheet with its lines."""

    sheet: Sheet
    at: SheetRow
    cells: dict[Column, str]
    lines: dict[str, list[_Row]] = field(default_factory=dict)


async def import_files(
    commands: Commands,
    call: Call,
    entity_name: str,
    path: Path,
    *,
    lines: Mapping[str, Path] | None = None,
    verb: str = "upsert",
    mode: Mode = "all",
    progress: Progress | None = None,
) -> ImportReport:
    """Import a CSV file or workbook. `lines` gives the files of `lines` fields; in a workbook they are sheets."""
    blueprint = commands.engine.blueprint
    entity = blueprint.entities.get(entity_name)
    if entity is None or entity.part_of or entity.derived:
        zh, en = f"不能导入 {entity_name}。", f"{entity_name} cannot be imported."
        raise BadImport(what=Bilingual(zh, en))
    rows = _rows(blueprint, entity, path, lines or {})
    importer = _Importer(blueprint, entity, rows)
    foreign = replace(call, foreign=True, idempotency_key=None, reason=call.reason or f"import {path.name}")
    outcome = await commands.bulk(
        foreign,
        entity.name,
        [{"row": at} for at in range(len(rows))],
        verb=verb,
        mode=mode,
        prepare=importer.prepare,
        progress=(lambda done: progress(done, len(rows))) if progress else None,
    )
    return _report(rows, outcome)


def _rows(blueprint: Blueprint, entity: Entity, path: Path, lines: Mapping[str, Path]) -> list[_Row]:
    sheets = read_sheets(path)
    main = next((each for each in sheets if each.name in (entity.name, "")), sheets[0] if sheets else None)
    if main is None or not main.headers:
        raise BadImport(what=Bilingual(f"{path.name} 是空的。", f"{path.name} is empty."))
    rows = _mapped(main, columns(blueprint, entity), entity)
    for known in line_fields(entity):
        sheet = next((each for each in sheets if each.name in (known.name, known.name[:LONGEST_SHEET_NAME])), None)
        if known.name in lines:
            sheet = read_sheets(lines[known.name])[0]
        if sheet is not None and sheet.headers:
            _attach(blueprint, entity, known, rows, sheet)
    return rows


def _mapped(sheet: Sheet, known: Sequence[Column], entity: Entity) -> list[_Row]:
    matched = match_headers(sheet.file, sheet.headers, known, read_only(entity))
    found = []
    for row in sheet.rows:
        if len(row.cells) > len(matched) and any(row.cells[len(matched) :]):
            zh, en = (
                f"{sheet.file} 第 {row.number} 行的列数过多。",
                f"{sheet.file}, row {row.number} has too many cells.",
            )
            raise BadImport(what=Bilingual(zh, en))
        cells = {column: cell for column, cell in zip(matched, row.cells, strict=False) if column is not None}
        found.append(_Row(sheet, row, cells))
    return found


def _attach(blueprint: Blueprint, entity: Entity, known: Field, rows: Sequence[_Row], sheet: Sheet) -> None:
    """Give each line to the row whose key its owner columns name."""
    line = blueprint.entities[known.target]
    children = _mapped(sheet, columns(blueprint, line, of_lines=True), line)
    owners: dict[tuple[str, ...], dict[tuple[str, ...], list[_Row]]] = defaultdict(lambda: defaultdict(list))
    for child in children:
        key = tuple(
            sorted(
                (column.name.removeprefix("owner."), cell)
                for column, cell in child.cells.items()
                if column.path[0] == "owner"
            )
        )
        owners[tuple(name for name, _ in key)][tuple(cell for _, cell in key)].append(child)
    for row in rows:
        by_name = {column.name: cell for column, cell in row.cells.items()}
        for names, of_these in owners.items():
            if names and (mine := of_these.pop(tuple(by_name.get(name, "") for name in names), None)):
                row.lines.setdefault(known.name, []).extend(mine)
                break
    for cells, lost in ((cells, lost) for of_these in owners.values() for cells, lost in of_these.items()):
        named = ", ".join(cells)
        at = lost[0].at.number
        zh = f"{sheet.file} 第 {at} 行:主表中没有键为 {named} 的行。"
        en = f"{sheet.file}, row {at}: there is no row with key {named} in the main table."
        raise BadImport(what=Bilingual(zh, en))


class _Importer:
    """Turns rows into inputs, looking references up on the writing connection."""

    def __init__(self, blueprint: Blueprint, entity: Entity, rows: Sequence[_Row]) -> None:
        self._blueprint, self._entity, self._rows = blueprint, entity, rows

    async def prepare(self, unit: Unit, given: Mapping[str, Any], path: Sequence[str | int]) -> dict[str, Any]:
        row = self._rows[given["row"]]
        record = await self._record(unit, row, path)
        for name, children in row.lines.items():
            record[name] = [await self._record(unit, child, (*path, name, at)) for at, child in enumerate(children)]
        return record

    async def _record(self, unit: Unit, row: _Row, path: Sequence[str | int]) -> dict[str, Any]:
        by_field: dict[str, dict[Column, str]] = defaultdict(dict)
        for column, cell in row.cells.items():
            if column.path[0] != "owner":
                by_field[column.field.name][column] = cell
        # An empty cell clears a value; where there is a default it leaves the choice to that.
        return {
            name: await self._value(unit, next(iter(cells)).field, cells, (*path, name))
            for name, cells in by_field.items()
            if any(cells.values()) or next(iter(cells)).field.default is None
        }

    async def _value(self, unit: Unit, known: Field, cells: Mapping[Column, str], path: Sequence[str | int]) -> Any:
        if not any(cells.values()):
            return [] if known.kind is FieldKind.MANY else None
        if known.kind is FieldKind.REF:
            return await self._find(unit, known, known.target, cells, 1, path)
        if known.kind is FieldKind.MANY:
            [(column, cell)] = cells.items()
            return [await self._find(unit, known, known.target, {column: each}, 1, path) for each in entries(cell)]
        return cell_value(known, {column.part: cell for column, cell in cells.items()}, unit.engine.zone, path)

    async def _find(
        self,
        unit: Unit,
        known: Field,
        target: str,
        cells: Mapping[Column, str],
        depth: int,
        path: Sequence[str | int],
    ) -> Any:
        """The id of the record with the key given in the cells."""
        entity = self._blueprint.entities[target]
        parts: dict[str, Any] = {}
        for name in dict.fromkeys(column.path[depth] for column in cells):
            mine = {column: cell for column, cell in cells.items() if column.path[depth] == name}
            part = entity.fields[name]
            if part.kind is FieldKind.REF:
                some = any(mine.values())
                parts[name] = await self._find(unit, known, part.target, mine, depth + 1, path) if some else None
            else:
                parts[name] = self._key_value(unit, part, next(iter(mine.values())), path)
        if set(parts) == {"id"}:
            return parts["id"]
        if None in (parts[column.path[depth]] for column, cell in cells.items() if cell):
            raise BadReference(path=path, field=known.label, target=entity.label)
        place = (target, *sorted((name, str(value)) for name, value in parts.items()))
        record_id = unit.found.get(place)
        if record_id is None:
            record_id = unit.found[place] = await _lookup(unit, entity, parts)
        if record_id is None:
            del unit.found[place]
            raise BadReference(path=path, field=known.label, target=entity.label)
        return record_id

    def _key_value(self, unit: Unit, part: Field, cell: str, path: Sequence[str | int]) -> Any:
        """The part of a key as it is stored; None when no record can have it."""
        if not cell or part.kind not in _READ:
            return cell or None
        try:
            value = cell_value(part, {"": cell}, unit.engine.zone, path)
            return coerce(part, value, path, self._blueprint, unit.today)
        except ClewError:
            return None


_READ = frozenset(
    {
        FieldKind.INTEGER,
        FieldKind.DECIMAL,
        FieldKind.BOOLEAN,
        FieldKind.DATE,
        FieldKind.DATETIME,
        FieldKind.DURATION,
    }
)
"""Kinds whose stored form is not their text."""


async def _lookup(unit: Unit, entity: Entity, parts: Mapping[str, Any]) -> Any:
    table = unit.engine.tables.current(entity.name)
    absent = frozenset(name for name, value in parts.items() if value is None)

    def build() -> Any:
        conditions = [
            table.c[name].is_(None)
            if name in absent
            else table.c[name] == sa.bindparam(f"k_{name}", type_=table.c[name].type)
            for name in parts
        ]
        return sa.select(table.c.id).where(*conditions).limit(1)

    statement = unit.engine.remember(("lookup", entity.name, tuple(parts), absent), build)
    return await unit.connection.fetch_value(statement, {f"k_{name}": value for name, value in parts.items()})


def _report(rows: Sequence[_Row], outcome: BulkOutcome) -> ImportReport:
    good = [each for each in outcome.rows if each.error is None]
    problems = tuple(_problem(rows[each.index], each.error) for each in outcome.rows if each.error is not None)
    created = sum(each.created for each in good)
    return ImportReport(len(rows), created, len(good) - created, problems, outcome.committed)


def _problem(row: _Row, error: ClewError) -> Problem:
    """Where in the file an error is: `inputs / 3 / boms / 0 / qty` is a line's cell."""
    rest = [each for each in error.path[2:] if each not in ("add", "input")]
    where = row
    if len(rest) >= 2 and isinstance(rest[0], str) and rest[0] in row.lines and isinstance(rest[1], int):
        where, rest = row.lines[rest[0]][rest[1]], rest[2:]
    named = str(rest[0]) if rest else ""
    column = next((each.name for each in where.cells if each.field.name == named), named)
    return Problem(
        where.sheet.file,
        where.sheet.name,
        where.at.number,
        column,
        error.code,
        error.message("zh"),
        error.message("en"),
    )
