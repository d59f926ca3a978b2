"""Exact arithmetic of the language: 18 digits, scale known beforehand, HALF_EVEN. See docs/expressions.md, Numbers.

The scale of a result depends on the operands' scales alone, so that memory, SQLite (scaled integers) and PostgreSQL
(numeric) give the same digits. What does not fit is undecidable, never rounded away or wrapped around.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any

from clew.expressions.problems import Undecidable
from clew.kernel.scalars import MAX_DECIMAL_DIGITS

MAX_SCALE = 9
MIN_DIVISION_SCALE = 6
LIMIT = 10**MAX_DECIMAL_DIGITS
"""Numbers are strictly between -LIMIT and LIMIT when counted in units of their last place."""

_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_UNITS = tuple(Decimal(1).scaleb(-scale) for scale in range(2 * MAX_SCALE + 1))
_BOUNDS = tuple(Decimal(10) ** (MAX_DECIMAL_DIGITS - scale) for scale in range(MAX_SCALE + 1))
_MICROSECOND = timedelta(microseconds=1)

TOO_LARGE = "a number of more than 18 digits"


def result_scale(op: str, left: int, right: int) -> int:
    """Decimal places of `left op right`, from the operands' decimal places."""
    if op == "*":
        return min(left + right, MAX_SCALE)
    if op == "/":
        return min(max(left, right, MIN_DIVISION_SCALE), MAX_SCALE)
    return max(left, right)


def whole(value: int) -> int:
    """The integer itself when it has at most 18 digits."""
    if -LIMIT < value < LIMIT:
        return value
    raise Undecidable(why=TOO_LARGE)


def exact(value: Decimal, scale: int) -> Decimal:
    """The value rounded HALF_EVEN to `scale` places, when it then has at most 18 digits."""
    try:
        fixed = _WIDE.quantize(value, _UNITS[scale])
    except InvalidOperation:
        raise Undecidable(why=TOO_LARGE) from None
    if -_BOUNDS[scale] < fixed < _BOUNDS[scale]:
        return fixed if fixed else _UNITS[scale] * 0
    raise Undecidable(why=TOO_LARGE)


def add(left: Any, right: Any, scale: int) -> Decimal:
    return exact(_WIDE.add(left, right), scale)


def subtract(left: Any, right: Any, scale: int) -> Decimal:
    return exact(_WIDE.subtract(left, right), scale)


def multiply(left: Any, right: Any, scale: int) -> Decimal:
    return exact(_WIDE.multiply(left, right), scale)


def divide(left: Any, right: Any, scale: int) -> Decimal:
    """HALF_EVEN of the true quotient: 60 digits tell any two quotients of 18-digit numbers and their ties apart."""
    if not right:
        raise Undecidable(why="a division by zero")
    return exact(_WIDE.divide(Decimal(left), Decimal(right)), scale)


def total(values: Iterable[Decimal | int], scale: int) -> Decimal:
    """The sum of any number of values; only the sum itself has to fit."""
    result = Decimal(0)
    for value in values:
        result = _WIDE.add(result, value)
    return exact(result, scale)


def remainder(left: int, right: int) -> int:
    """Of division toward zero, so it has the sign of the left operand."""
    if not right:
        raise Undecidable(why="a division by zero")
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def floor(value: Decimal | int) -> int:
    return whole(int(Decimal(value).to_integral_value(ROUND_FLOOR)))


def ceil(value: Decimal | int) -> int:
    return whole(int(Decimal(value).to_integral_value(ROUND_CEILING)))


def truncate(value: Decimal | int) -> int:
    return whole(int(value))


def span(value: timedelta) -> timedelta:
    """A duration of at most 18 digits of microseconds."""
    whole(value // _MICROSECOND)
    return value


def shift(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        raise Undecidable(why="a moment outside the years 1 to 9999") from None
