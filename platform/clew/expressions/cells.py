"""The cells of a decision table: `any`, `5`, `< 5`, `2..8`, `(2..8]`, `A, B`, `not(A, B)`, `null`.

Every value a column can have is a whole number here, its point: numbers in units of their last place, days by their
ordinal, truth values 0 and 1, texts by their place in the column's list. So a cell is a set of intervals, and whether a
table has gaps or overlaps is arithmetic and not guessing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from clew.expressions.numbers import LIMIT
from clew.expressions.tree import Base, Type
from clew.kernel.scalars import decimal_text, parse_date
from clew.kernel.text import Bilingual

Points = tuple[tuple[int, int], ...]
"""Closed intervals of points, in order, with something between them."""
NULL = -LIMIT - 1
"""The point of a missing value."""
NOTHING: Points = ()
_RANGE = re.compile(r"([\[(\]]?)\s*(.+?)\s*\.\.\s*(.+?)\s*([\])\[]?)")
_COMPARED = re.compile(r"(<=|>=|<|>)\s*(.+)")
_NOT = re.compile(r"not\s*\((.*)\)", re.DOTALL)
_PARTS = re.compile(r"""\s*('[^']*'|"[^"]*"|[\[(\]][^,]*\.\.[^,\])\[]*[\])\[]|[^,]+?)\s*(?:,|$)""")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


class CellError(ValueError):
    """A cell that cannot be read, and why."""

    def __init__(self, reason: Bilingual) -> None:
        super().__init__(reason.en)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Axis:
    """The values of one column: its type, its bounds as points, the texts it knows.

    `closed`: no other text can occur. `allowed`: only these points can (empty: all between the bounds).
    """

    type: Type
    low: int
    high: int
    texts: tuple[str, ...] = ()
    closed: bool = False
    allowed: tuple[int, ...] = ()

    @property
    def present(self) -> Points:
        """Every value that is there."""
        return tuple((each, each) for each in self.allowed) or ((self.low, self.high),)

    @property
    def domain(self) -> Points:
        """Every value, the missing one with it where it may be missing."""
        return ((NULL, NULL), *self.present) if self.type.nullable else self.present

    def point(self, value: Any) -> int | None:
        """The point of a value; None when it lies outside of what the column knows."""
        if value is None:
            return NULL if self.type.nullable else None
        found = self._point(value)
        return found if found is not None and contains(self.present, found) else None

    def _point(self, value: Any) -> int | None:
        match self.type.base:
            case Base.BOOLEAN:
                return int(value) if isinstance(value, bool) else None
            case Base.DATE:
                return value.toordinal() if isinstance(value, date) else None
            case Base.TEXT:
                if value in self.texts:
                    return self.texts.index(value)
                return None if self.closed else len(self.texts)
            case _:
                if isinstance(value, bool) or not isinstance(value, int | Decimal):
                    return None
                scaled = Decimal(value).scaleb(self.type.scale)
                return int(scaled) if scaled == scaled.to_integral_value() else None

    def value(self, point: int) -> Any:
        """The value of a point, as it is written in a table."""
        if point == NULL:
            return None
        match self.type.base:
            case Base.BOOLEAN:
                return bool(point)
            case Base.DATE:
                return date.fromordinal(point)
            case Base.TEXT:
                return self.texts[point] if point < len(self.texts) else "…"
            case Base.DECIMAL:
                return Decimal(point).scaleb(-self.type.scale)
            case _:
                return point

    def shown(self, point: int) -> str:
        value = self.value(point)
        if value is None:
            return "null"
        if isinstance(value, bool):
            return str(value).lower()
        return decimal_text(value, self.type.scale) if isinstance(value, Decimal) else str(value)


def contains(points: Points, point: int) -> bool:
    return any(low <= point <= high for low, high in points)


def union(points: Points) -> Points:
    """The same points as few intervals."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(points):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        elif low <= high:
            found.append((low, high))
    return tuple(found)


def meet(one: Points, other: Points) -> Points:
    """The points in both."""
    found = [(max(a, c), min(b, d)) for a, b in one for c, d in other]
    return union(tuple(each for each in found if each[0] <= each[1]))


def without(one: Points, other: Points) -> Points:
    """The points of `one` that are not in `other`."""
    rest = list(one)
    for low, high in other:
        rest = [
            part
            for begin, end in rest
            for part in ((begin, min(end, low - 1)), (max(begin, high + 1), end))
            if part[0] <= part[1]
        ]
    return union(tuple(rest))


def read_cell(given: Any, axis: Axis) -> Points:
    """A cell as written. Raises CellError."""
    if given is None:
        given = "null"
    if not isinstance(given, str):
        return _exactly(given, axis)
    text = given.strip()
    if text in ("any", "-"):
        return axis.domain
    if match := _NOT.fullmatch(text):
        return without(axis.present, _listed(match[1], axis))
    return _listed(text, axis)


def texts_of(given: Any) -> list[str]:
    """The texts a cell of a text column names."""
    if not isinstance(given, str) or given.strip() in ("any", "-"):
        return []
    match = _NOT.fullmatch(given.strip())
    found = [each[1] for each in _PARTS.finditer(match[1] if match else given.strip()) if each[1]]
    return [_unquoted(each) for each in found if each != "null"]


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"" else text


def literal(given: Any, axis_type: Type, texts: tuple[str, ...] | None) -> Any:
    """One written value as a value of the type. Raises CellError. `texts`: the only ones there are."""
    base = axis_type.base
    if base is Base.TEXT:
        if not isinstance(given, str):
            raise _wrong(given, "a text (put it in quotes)", "文字(请加引号)")
        text = _unquoted(given)
        if texts is not None and text not in texts:
            raise _wrong(text, f"one of {', '.join(texts)}", f"{'、'.join(texts)} 之一")
        return text
    if base is Base.BOOLEAN:
        if given in (True, "true"):
            return True
        if given in (False, "false"):
            return False
        raise _wrong(given, "true or false", "true 或 false")
    if base is Base.DATE:
        try:
            return parse_date(str(given))
        except ValueError:
            raise _wrong(given, "a date such as 2026-01-31", "日期(如 2026-01-31)") from None
    if isinstance(given, bool) or not _NUMBER.fullmatch(str(given)):
        raise _wrong(given, "a number", "数字")
    number = Decimal(str(given))
    if number.scaleb(axis_type.scale) != number.scaleb(axis_type.scale).to_integral_value():
        places = axis_type.scale
        raise _wrong(given, f"a number with at most {places} decimal places", f"最多 {places} 位小数的数字")
    return int(number) if base is Base.INTEGER else number


def _wrong(given: Any, expected: str, expected_zh: str) -> CellError:
    return CellError(Bilingual(f"`{given}` 不是{expected_zh}", f"`{given}` is not {expected}"))


def _listed(text: str, axis: Axis) -> Points:
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(text):
        match = _PARTS.match(text, at)
        if match is None or not match[1]:
            raise _wrong(text, "a list of values", "值的列表")
        found += _item(match[1], axis)
        at = match.end()
    if not found:
        raise _wrong(text, "a condition; `any` fits everything", "条件;`any` 表示任意值")
    return union(tuple(found))


def _item(text: str, axis: Axis) -> Points:
    if text == "null":
        if not axis.type.nullable:
            raise CellError(Bilingual("该输入不会为空(optional)", "the input is never missing (optional)"))
        return ((NULL, NULL),)
    if text[0] not in "'\"":
        if match := _COMPARED.fullmatch(text):
            at = _ordered(match[2], axis)
            low, high = {
                "<": (axis.low, at - 1),
                "<=": (axis.low, at),
                ">": (at + 1, axis.high),
                ">=": (at, axis.high),
            }[match[1]]
            return _within(low, high, axis, text)
        if match := _RANGE.fullmatch(text):
            low = _ordered(match[2], axis) + (match[1] in ("(", "]") and match[1] != "")
            high = _ordered(match[3], axis) - (match[4] in (")", "[") and match[4] != "")
            return _within(low, high, axis, text)
    return _exactly(text, axis)


def _ordered(text: str, axis: Axis) -> int:
    if axis.type.base in (Base.TEXT, Base.BOOLEAN):
        raise CellError(Bilingual("此类型没有大小之分", "values of this type have no order"))
    found = axis._point(literal(text, axis.type, None))
    assert found is not None
    return found


def _within(low: int, high: int, axis: Axis, text: str) -> Points:
    found = meet(((low, high),), axis.present) if low <= high else NOTHING
    if not found:
        raise CellError(Bilingual(f"没有值满足 `{text}`", f"no value satisfies `{text}`"))
    return found


def _exactly(given: Any, axis: Axis) -> Points:
    value = literal(given, axis.type, axis.texts if axis.closed else None)
    found = axis.point(value)
    if found is None:
        raise CellError(Bilingual(f"`{given}` 不在允许范围内", f"`{given}` is outside of what the input allows"))
    return ((found, found),)
