"""Export: records of an entity as CSV, Excel or JSON lines, read through `records.query` for the caller.

Every export leaves a leaf in the trail: who took which records out. Files appear only after the leaf is stored, so an
interrupted export leaves neither half a file nor records that nobody knows about.
"""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

from clew.audit.exports import record_export
from clew.expressions.tree import Checked
from clew.kernel.errors import Forbidden, NotFound
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity, FieldKind
from clew.records import signed_sheet
from clew.records.engine import Engine as RecordEngine
from clew.records.errors import CellTooLong
from clew.records.files import LONGEST_SHEET_NAME, safe_cell
from clew.records.query import plan as p
from clew.records.query.run import fetch_records
from clew.records.sheet import Column, columns, line_fields, listed
from clew.records.signed_sheet import Exported
from clew.records.signing.verify import Verifier
from clew.records.source import Source
from clew.storage.engine import Connection

Format = Literal["csv", "xlsx", "jsonl"]
PAGE = 500
LONGEST_CELL = 32_767
"""Characters that a cell of a workbook holds."""
_TEXTUAL = frozenset({FieldKind.TEXT, FieldKind.LONG_TEXT, FieldKind.NUMBER, FieldKind.TRANSLATED, FieldKind.JSON})
_ALWAYS = ("id", "row_version", "number", "state")
"""Read-only columns every export has; an import passes over them."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records: all, or those that satisfy a condition; now, or as they were at a moment."""

    where: Checked | None = None
    as_of: datetime | None = None


EVERYTHING = Selection()


async def export_file(
    source: Source,
    entity_name: str,
    path: Path,
    format_: Format,
    *,
    chosen: Selection = EVERYTHING,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write the chosen records the caller may export; their number. Lines go to further sheets (or
    `<name>.<lines>.csv`)."""
    entity = _exportable(source, entity_name)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as folder:
        count = await _write(source, entity, _WRITERS[format_](Path(folder) / path.name, source), chosen, progress)
        told = {
            "rows": count,
            "format": format_,
            "file": path.name,
            "where": chosen.where.source if chosen.where else None,
            "as_of": chosen.as_of,
        }
        await record_export(source.database, source.context, source.release, entity.name, told)
        for name in os.listdir(folder):
            os.replace(os.path.join(folder, name), path.with_name(name))
    return count


def _exportable(source: Source, entity_name: str) -> Entity:
    entity = source.blueprint.entities.get(entity_name)
    if entity is None or not source.decision.on(entity_name).read.allowed:
        raise NotFound(what=entity_name)
    if not source.decision.on(entity_name).export.allowed:
        raise Forbidden(action=Bilingual("导出", "export"), what=entity.label)
    return entity


async def _write(
    source: Source, entity: Entity, writer: Any, chosen: Selection, progress: Callable[[int], None] | None
) -> int:
    tables = [(entity.name, entity, export_columns(source, entity))]
    for known in line_fields(entity):
        line = source.blueprint.entities[known.target]
        if source.decision.on(entity.name).sees(known.name) and source.decision.on(line.name).read.allowed:
            tables.append((known.name, line, export_columns(source, line)))
    count, signed = 0, list[Exported]()
    async with source.database.snapshot() as connection:
        for name, each, shown in tables:
            writer.begin(name, each, shown)
            told = signed if each is entity and entity.states else None
            async for row in _records(source, connection, each, shown, entity, chosen, told):
                writer.row(row)
                count += each is entity
                if progress is not None and each is entity and count % PAGE == 0:
                    progress(count)
        if entity.states:
            await _write_signatures(source, connection, entity, writer, signed, chosen)
    writer.finish()
    return count


async def _write_signatures(
    source: Source, connection: Connection, entity: Entity, writer: Any, signed: list[Exported], chosen: Selection
) -> None:
    """The signatures of the records just written; an empty table too where there could be some."""
    heads = [head.to(source.context.locale) for head in signed_sheet.HEADS.values()]
    begun = any(move.sign is not None for move in entity.transitions.values())
    if begun:
        writer.table(signed_sheet.NAME, heads)
    verifier = Verifier(RecordEngine(source.blueprint, source.tables, source.release))
    async for row in signed_sheet.signed_rows(connection, verifier, entity, signed, chosen.as_of):
        if not begun:
            writer.table(signed_sheet.NAME, heads)
            begun = True
        writer.plain(row)


def export_columns(source: Source, entity: Entity) -> tuple[Column, ...]:
    """The columns of an entity the caller may see, read-only ones first."""
    writable = columns(source.blueprint, entity, of_lines=entity.part_of is not None)
    kept = [entity.fields[name] for name in _ALWAYS if name in entity.fields]
    first = [Column(field.name, field.label, field, (field.name,), field) for field in kept]
    names = {column.name for column in first}
    return tuple(
        column
        for column in (*first, *(each for each in writable if each.name not in names))
        if _visible(source, entity, column)
    )


def _visible(source: Source, entity: Entity, column: Column) -> bool:
    """Whether the caller may see every step of a column: the field, the record it leads to, that record's key."""
    decision, targets = source.decision, column.field.targets
    if column.field.kind is FieldKind.ANY and not any(decision.on(each).read.allowed for each in targets):
        return False
    for step in column.path:
        access = decision.on(entity.name)
        if not access.read.allowed or not (step in ("id", "owner") or access.sees(step)):
            return False
        known = entity.fields[step]
        if known.kind in (FieldKind.REF, FieldKind.MANY):
            entity = source.blueprint.entities[known.target]
    return True


async def _records(
    source: Source,
    connection: Connection,
    entity: Entity,
    shown: Sequence[Column],
    root: Entity,
    chosen: Selection,
    known: list[Exported] | None = None,
) -> AsyncIterator[list[Any]]:
    """Every record in the order of its id, page by page; `known` is told which."""
    after: str | None = None
    while True:
        found = await fetch_records(
            _plan(source, entity, shown, root, chosen, after is not None),
            source.blueprint,
            source.tables,
            source.decision,
            connection,
            source.context,
            source.now,
            {"after": after} if after is not None else {},
        )
        nodes = found["rows"]["nodes"]
        for node in nodes:
            if known is not None:
                known.append(Exported(UUID(node["id"]), node.get("version")))
            yield [_value(column, node[f"c{at}"]) for at, column in enumerate(shown)]
        if len(nodes) < PAGE:
            return
        after = nodes[-1]["id"]


def _plan(
    source: Source, entity: Entity, shown: Sequence[Column], root: Entity, chosen: Selection, follows: bool
) -> p.Plan:
    items: list[p.Item] = [p.Leaf("id", "id")]
    if source.decision.on(entity.name).sees("row_version"):
        items.append(p.Leaf("version", "row_version"))
    items += [_item(source, entity, column, f"c{at}") for at, column in enumerate(shown)]
    # Lines are chosen by their owner.
    wanted: list[p.Predicate] = [p.Holds(chosen.where)] if chosen.where else []
    grant = source.decision.on(root.name).export
    if not grant.always:
        wanted.append(p.Granted("export"))
    where: p.Predicate | None = p.And(tuple(wanted)) if wanted else None
    if entity is not root:
        where = p.Through("owner", "one", where)
    bound = p.Bound((p.Slot("after"),), (False,)) if follows else None
    listing = p.Listing(entity.name, (p.Nodes("nodes", tuple(items)),), p.Page(p.Const(PAGE), after=bound), where)
    moment = p.Const(chosen.as_of) if chosen.as_of else None
    return p.Plan((p.ListRoot("rows", listing, moment),))


def _item(source: Source, entity: Entity, column: Column, key: str) -> p.Item:
    field = column.field
    if field.kind is FieldKind.ANY:
        branches = tuple(
            p.Branch(name, (p.Fixed("entity", name), p.Leaf("id", "id")))
            for name in field.targets
            if source.decision.on(name).read.allowed
        )
        return p.OneOf(key, field.name, branches)
    if field.kind is FieldKind.MANY:
        inner = p.Nodes("nodes", (p.Leaf("v", column.path[-1]),))
        return p.Many(key, field.name, p.Listing(field.target, (inner,), p.WHOLE))
    if len(column.path) == 1:
        return p.Leaf(key, field.name, column.part)
    return _nested(column.path, key)


def _nested(path: Sequence[str], key: str) -> p.Item:
    first, *rest = path
    return p.Leaf(key, first) if not rest else p.One(key, first, (_nested(rest, "v"),))


def _value(column: Column, found: Any) -> Any:
    """A cell's value: text, number text, list of texts, or None."""
    if column.field.kind is FieldKind.ANY:
        return found[column.part] if found else None
    if column.field.kind is FieldKind.MANY:
        return [each["v"] for each in found["nodes"]] if found else []
    while isinstance(found, Mapping) and len(column.path) > 1:
        found = found.get("v")
    return found


def _text(column: Column, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return listed(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else str(value)


def _plain_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return listed(value)
    return "" if value is None else str(value)


def _holds_text(column: Column) -> bool:
    """Whether a person may have typed the value, so that it could pass for a formula."""
    return column.leaf.kind in _TEXTUAL or column.field.kind is FieldKind.MANY


class _Csv:
    """UTF-8 with BOM, which spreadsheets recognise."""

    def __init__(self, path: Path, source: Source) -> None:
        self._path, self._locale = path, source.context.locale
        self._open: Any = None
        self._columns: Sequence[Column] = ()

    def begin(self, name: str, entity: Entity, chosen: Sequence[Column]) -> None:
        self.finish()
        path = self._path if entity.part_of is None else self._path.with_suffix(f".{name}{self._path.suffix}")
        self._open = path.open("w", encoding="utf-8-sig", newline="")
        self._columns = chosen
        self._writer = csv.writer(self._open)
        self._writer.writerow([column.header(self._locale) for column in chosen])

    def row(self, values: Sequence[Any]) -> None:
        texts = ((column, _text(column, value)) for column, value in zip(self._columns, values, strict=True))
        self._writer.writerow([safe_cell(text) if _holds_text(column) else text for column, text in texts])

    def table(self, name: str, heads: Sequence[str]) -> None:
        """A file beside, of plain rows."""
        self.finish()
        self._open = self._path.with_suffix(f".{name}{self._path.suffix}").open("w", encoding="utf-8-sig", newline="")
        self._writer = csv.writer(self._open)
        self._writer.writerow(heads)

    def plain(self, values: Sequence[Any]) -> None:
        self._writer.writerow([safe_cell(_plain_text(each)) for each in values])

    def finish(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class _Excel:
    """Every cell is text, so nothing is computed and no digit is lost."""

    def __init__(self, path: Path, source: Source) -> None:
        self._path, self._locale = path, source.context.locale
        self._book = Workbook(write_only=True)
        self._sheet: Any = None
        self._columns: Sequence[Column] = ()

    def begin(self, name: str, entity: Entity, chosen: Sequence[Column]) -> None:
        self._sheet, self._columns = self._book.create_sheet(name[:LONGEST_SHEET_NAME]), chosen
        self._sheet.append(list(self._cells(column.header(self._locale) for column in chosen)))

    def row(self, values: Sequence[Any]) -> None:
        texts = [_text(column, each) for column, each in zip(self._columns, values, strict=True)]
        for column, text in zip(self._columns, texts, strict=True):
            if len(text) > LONGEST_CELL:  # the library would cut it off without a word
                raise CellTooLong(column=column.name, longest=LONGEST_CELL)
        self._sheet.append(list(self._cells(iter(texts))))

    def table(self, name: str, heads: Sequence[str]) -> None:
        """A further sheet, of plain rows."""
        self._sheet = self._book.create_sheet(name[:LONGEST_SHEET_NAME])
        self._sheet.append(list(self._cells(iter(heads))))

    def plain(self, values: Sequence[Any]) -> None:
        self._sheet.append(list(self._cells(_plain_text(each) for each in values)))

    def _cells(self, texts: Iterator[str]) -> Iterator[Any]:
        for text in texts:
            cell = WriteOnlyCell(self._sheet, value=text)
            cell.data_type = "s"
            cell.number_format = "@"
            yield cell

    def finish(self) -> None:
        self._book.save(self._path)


class _JsonLines:
    """One object a line, wire forms, `_entity` on lines."""

    def __init__(self, path: Path, source: Source) -> None:
        self._open = path.open("w", encoding="utf-8")
        self._entity = ""
        self._columns: Sequence[Column] = ()

    def begin(self, name: str, entity: Entity, chosen: Sequence[Column]) -> None:
        self._entity, self._columns = entity.name, chosen

    def row(self, values: Sequence[Any]) -> None:
        record = {column.name: value for column, value in zip(self._columns, values, strict=True)}
        text = json.dumps({"_entity": self._entity, **record}, ensure_ascii=False, separators=(",", ":"))
        self._open.write(text + "\n")

    def table(self, name: str, heads: Sequence[str]) -> None:
        """Lines of plain objects."""
        self._entity = name

    def plain(self, values: Sequence[Any]) -> None:
        record = dict(zip(signed_sheet.HEADS, values, strict=True))
        text = json.dumps({"_entity": self._entity, **record}, ensure_ascii=False, separators=(",", ":"))
        self._open.write(text + "\n")

    def finish(self) -> None:
        self._open.close()


_WRITERS: Mapping[str, Any] = {"csv": _Csv, "xlsx": _Excel, "jsonl": _JsonLines}
