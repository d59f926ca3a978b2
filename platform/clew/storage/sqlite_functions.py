"""Functions the platform adds to SQLite so that it answers as PostgreSQL does: (name, number of arguments, function).

They do what 64-bit integers cannot: exact multiplication, division and rounding of scaled decimals. A result of more
than 18 digits is NULL, which means undecided (docs/expressions.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_LIMIT = 10**18


def _even(numerator: int, denominator: int) -> int | None:
    """numerator / denominator, half to even; NULL beyond 18 digits."""
    sign = 1 if (numerator < 0) is (denominator < 0) else -1
    quotient, rest = divmod(abs(numerator), abs(denominator))
    twice = 2 * rest
    if twice > abs(denominator) or (twice == abs(denominator) and quotient % 2):
        quotient += 1
    return sign * quotient if quotient < _LIMIT else None


def divide(left: Any, right: Any, shift: int) -> int | None:
    """left · 10^shift / right over scaled integers. NULL for zero, and for what is no integer any more."""
    if not isinstance(left, int) or not isinstance(right, int) or not right:
        return None
    return _even(left * 10**shift, right)


def multiply(left: Any, right: Any, drop: int) -> int | None:
    """left · right without its last `drop` decimal places."""
    if not isinstance(left, int) or not isinstance(right, int):
        return None
    return _even(left * right, 10**drop)


def rescale(value: Any, drop: int, mode: str) -> int | None:
    """A scaled integer without its last `drop` places (added when negative): even, floor, ceil or cut."""
    if not isinstance(value, int):
        return None
    unit = 10 ** abs(drop)
    if drop <= 0:
        result: int | None = value * unit
    elif mode == "even":
        result = _even(value, unit)
    elif mode == "floor":
        result = value // unit
    elif mode == "ceil":
        result = -(-value // unit)
    else:
        result = value // unit if value >= 0 else -(-value // unit)
    return result if result is not None and -_LIMIT < result < _LIMIT else None


FUNCTIONS: tuple[tuple[str, int, Callable[..., Any]], ...] = (
    ("clew_divide", 3, divide),
    ("clew_multiply", 3, multiply),
    ("clew_rescale", 3, rescale),
)
