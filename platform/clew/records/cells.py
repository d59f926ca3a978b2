"""One field's cells as the value `records.commands` takes. Text stays text; only what needs structure is parsed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from clew.metadata.blueprint import Field, FieldKind
from clew.records.sheet import entries
from clew.records.values import wrong_type

_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+([.][0-9]*)?")
_YES = frozenset({"true", "1", "yes", "y", "是", "真"})
_NO = frozenset({"false", "0", "no", "n", "否", "假"})
Path = Sequence[str | int]


def cell_value(known: Field, cells: Mapping[str, str], zone: ZoneInfo, path: Path) -> Any:
    """`cells` by part (`''` for the value itself); at least one is not empty."""
    match known.kind:
        case FieldKind.MONEY:
            return {"amount": cells.get("", "").strip(), "currency": cells.get("currency", "").strip().upper()}
        case FieldKind.TRANSLATED:
            return {part: cell for part, cell in cells.items() if cell}
        case FieldKind.ANY:
            return {"entity": cells.get("entity", ""), "id": cells.get("id", "")}
        case FieldKind.CHOICES:
            return entries(cells[""])
        case FieldKind.BOOLEAN:
            return _truth(known, cells[""], path)
        case FieldKind.DATETIME:
            return _instant(cells[""], zone)
        case FieldKind.DATE:
            return _day(cells[""])
        case FieldKind.JSON:
            return _json(known, cells[""], path)
        case FieldKind.INTEGER | FieldKind.DECIMAL:
            return _ungrouped(cells[""].strip())
        case FieldKind.LONG_TEXT:
            return cells[""].strip()
        case _:
            return cells[""].strip()


def _ungrouped(text: str) -> str:
    """A number without the commas between its thousands. Any other comma stays and is refused: in half of Europe it
    stands before the decimal places, and `1,5` is not fifteen."""
    return text.replace(",", "") if _GROUPED.fullmatch(text) else text


def _truth(known: Field, cell: str, path: Path) -> bool:
    text = cell.strip().lower()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise wrong_type(known, path, "是或否", "true or false")


def _instant(cell: str, zone: ZoneInfo) -> str:
    """A moment; without a zone it is the project's local time, as people write it."""
    text = cell.strip()
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return text
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).isoformat()


def _day(cell: str) -> str:
    """`2026/3/1` and `2026.3.1` are common in Chinese sheets and not ambiguous."""
    text = cell.strip()
    parts = text.replace("/", "-").replace(".", "-").split("-")
    if len(parts) == 3 and len(parts[0]) == 4 and all(part.isascii() and part.isdigit() for part in parts):
        return f"{parts[0]}-{int(parts[1]):02d}-{int(parts[2]):02d}"
    return text


def _json(known: Field, cell: str, path: Path) -> Any:
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        raise wrong_type(known, path, "JSON", "JSON") from None
