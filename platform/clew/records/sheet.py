"""The tabular form of an entity: which columns a file has, in import, export and template alike.

A header is the machine name, the label, or both: `物料编码 (item_no)`. References are given by business key
(`item.item_no`), money has a column for its currency, translated text one per language, lists are separated by `;` (an
entry that has one itself, or a quotation mark, stands in quotation marks as in CSV), lines have a sheet (or file) of
their own whose first columns name their owner by key.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from clew.kernel.diagnostics import nearest
from clew.kernel.text import Bilingual, Locale
from clew.metadata.blueprint import Blueprint, Entity, Field, FieldKind
from clew.records.errors import BadImport
from clew.records.intake import writable

SEPARATOR = ";"
_NAMED = re.compile(r".*[(（]([a-z][a-z0-9_.]*)[)）]")
_DEEPEST_KEY = 3


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column. `path` leads from the entity to a scalar; `part` is zh, en or currency."""

    name: str
    label: Bilingual
    field: Field
    path: tuple[str, ...]
    """Fields from `field` to the scalar that is written: `('item', 'item_no')`; only the field itself for a value."""
    leaf: Field
    part: str = ""

    def header(self, locale: Locale) -> str:
        return f"{self.label.to(locale)} ({self.name})"


def columns(blueprint: Blueprint, entity: Entity, *, of_lines: bool = False) -> tuple[Column, ...]:
    """Every column of an entity's sheet; for lines the owner's key comes first."""
    found: list[Column] = []
    if of_lines:
        owner = entity.fields["owner"]
        found += _key_columns(blueprint, owner, owner.target, ("owner",), owner.label)
    for field in entity.fields.values():
        if writable(entity, field.name, creating=True, foreign=True) and field.kind is not FieldKind.FILES:
            found += _columns(blueprint, field)
    return tuple(found)


def line_fields(entity: Entity) -> tuple[Field, ...]:
    """The fields that have a sheet of their own."""
    return tuple(each for each in entity.fields.values() if each.kind is FieldKind.LINES and each.computed is None)


def _columns(blueprint: Blueprint, field: Field) -> Iterable[Column]:
    match field.kind:
        case FieldKind.LINES:
            return ()
        case FieldKind.REF | FieldKind.MANY:
            return _key_columns(blueprint, field, field.target, (field.name,), field.label)
        case FieldKind.ANY:
            names = (("entity", "实体", "entity"), ("id", "标识", "id"))
            return [
                Column(
                    f"{field.name}.{part}", _joined(field.label, Bilingual(zh, en)), field, (field.name,), field, part
                )
                for part, zh, en in names
            ]
        case FieldKind.MONEY:
            currency = _joined(field.label, Bilingual("币种", "currency"))
            return [
                Column(field.name, field.label, field, (field.name,), field),
                Column(f"{field.name}.currency", currency, field, (field.name,), field, "currency"),
            ]
        case FieldKind.TRANSLATED:
            return [
                Column(f"{field.name}.{part}", _joined(field.label, name), field, (field.name,), field, part)
                for part, name in (("zh", Bilingual("中文", "Chinese")), ("en", Bilingual("英文", "English")))
            ]
        case _:
            return [Column(field.name, field.label, field, (field.name,), field)]


def _key_columns(
    blueprint: Blueprint, field: Field, target: str, path: tuple[str, ...], label: Bilingual
) -> list[Column]:
    """The business key of a reference, through references in the key; the id where there is no key."""
    entity = blueprint.entities[target]
    key = entity.key if len(path) < _DEEPEST_KEY else ()
    if not key or (field.kind is FieldKind.MANY and len(key) > 1):
        key = ("id",)
    found: list[Column] = []
    for name in key:
        part = entity.fields[name]
        joined = _joined(label, part.label)
        if part.kind is FieldKind.REF:
            found += _key_columns(blueprint, field, part.target, (*path, name), joined)
        else:
            full = (*path, name)
            found.append(Column(".".join(full), joined, field, full, part))
    return found


def _joined(one: Bilingual, two: Bilingual) -> Bilingual:
    return Bilingual(f"{one.to('zh')}·{two.to('zh')}", f"{one.to('en')}, {two.to('en')}")


def listed(values: Iterable[object]) -> str:
    """The entries of a list as one cell."""
    return SEPARATOR.join(_quoted(str(each)) for each in values)


def entries(cell: str) -> list[str]:
    """The entries of a cell that holds a list; empty ones are passed over."""
    rows = csv.reader([cell.replace("\n", " ")], delimiter=SEPARATOR, skipinitialspace=True)
    return [text for row in rows for each in row if (text := each.strip())]


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"' if SEPARATOR in text or '"' in text else text


def match_headers(
    file: str, headers: Sequence[str], known: Sequence[Column], ignored: frozenset[str] = frozenset()
) -> list[Column | None]:
    """The column of each header; one that is empty or `ignored` is left out, an unknown or repeated one refused."""
    by_name = {column.name: column for column in known}
    by_label: dict[str, Column | None] = {}
    for column in known:
        for label in {column.label.to("zh"), column.label.to("en")}:
            by_label[label] = None if label in by_label else column
    by_name = _whole_references(known) | by_name
    found: list[Column | None] = []
    for header in headers:
        text = header.strip()
        named = _NAMED.fullmatch(text)
        name = named[1] if named else text
        match = by_name.get(name) or by_label.get(text)
        if match is None and text and name not in ignored:
            raise BadImport(what=_unknown(file, text, [*by_name, *by_label], [column.name for column in known]))
        if match is not None and match in found:
            raise BadImport(what=Bilingual(f"{file}:列 {text} 重复。", f"{file}: the column {text} is there twice."))
        found.append(match)
    return found


def _whole_references(known: Sequence[Column]) -> dict[str, Column]:
    """A reference whose key is one value may be named without it: `customer` for `customer.customer_no`."""
    parts: dict[str, list[Column]] = {}
    for column in known:
        if column.field.kind in (FieldKind.REF, FieldKind.MANY):
            parts.setdefault(column.field.name, []).append(column)
    return {name: columns[0] for name, columns in parts.items() if len(columns) == 1}


def read_only(entity: Entity) -> frozenset[str]:
    """Columns an export has and an import passes over: what the platform keeps itself."""
    return frozenset(
        field.name for field in entity.fields.values() if not writable(entity, field.name, creating=True, foreign=True)
    )


def _unknown(file: str, header: str, names: Sequence[str], columns: Sequence[str]) -> Bilingual:
    near, listed = nearest(header, names), ", ".join(columns)
    zh = f"{file}:没有列 {header[:60]}。" + (f"是否想写 {near}?" if near else f"可用的列:{listed}。")
    en = f"{file}: there is no column {header[:60]}."
    return Bilingual(zh, en + (f" Did you mean {near}?" if near else f" The columns are: {listed}."))


def codes_of(blueprint: Blueprint, column: Column) -> Mapping[str, Bilingual]:
    """The codes a column may hold; empty for an open column."""
    if column.leaf.kind not in (FieldKind.CHOICE, FieldKind.CHOICES) or column.leaf.code_list is None:
        return {}
    return {code.value: code.label for code in blueprint.code_lists[column.leaf.code_list].codes.values()}
