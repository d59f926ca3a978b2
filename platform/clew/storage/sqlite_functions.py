"""Functions the platform adds to SQLite so that it answers as PostgreSQL does: (name, number of arguments, function).

They do what SQLite's own operators cannot: exact arithmetic over scaled decimals, where a result of more than 18 digits
is NULL, which means undecided (docs/expressions.md), and not a rounded float. Dates and texts use the very functions of
`expressions.builtin`. As calls they also nest deeper than SQL text could: SQLite's parser has a stack of 100.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from clew.expressions import builtin, numbers
from clew.expressions.problems import Undecidable
from clew.expressions.text import joined
from clew.kernel.scalars import instant_text

_LIMIT = 10**18
_EXACT = Context(prec=60)


def _even(numerator: int, denominator: int) -> int | None:
    """numerator / denominator, half to even; NULL beyond 18 digits."""
    sign = 1 if (numerator < 0) is (denominator < 0) else -1
    quotient, rest = divmod(abs(numerator), abs(denominator))
    twice = 2 * rest
    if twice > abs(denominator) or (twice == abs(denominator) and quotient % 2):
        quotient += 1
    return sign * quotient if quotient < _LIMIT else None


def _fits(value: int) -> int | None:
    return value if -_LIMIT < value < _LIMIT else None


def add(left: Any, right: Any) -> int | None:
    return _fits(left + right) if isinstance(left, int) and isinstance(right, int) else None


def subtract(left: Any, right: Any) -> int | None:
    return _fits(left - right) if isinstance(left, int) and isinstance(right, int) else None


def fit(value: Any) -> int | None:
    """The number itself when it has at most 18 digits."""
    return _fits(value) if isinstance(value, int) else None


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


def _given(work: Callable[..., Any]) -> Callable[..., Any]:
    """NULL for a missing argument and for what cannot be decided."""

    def run(*args: Any) -> Any:
        if None in args:
            return None
        try:
            return work(*args)
        except Undecidable:
            return None

    return run


def _add_days(day: str, count: int) -> str:
    """Of a day, or of a stored moment: its time of day, in UTC, stays."""
    return builtin.add_days(date.fromisoformat(day[:10]), count).isoformat() + day[10:]


def _add_months(day: str, count: int) -> str:
    return builtin.add_months(date.fromisoformat(day), count).isoformat()


def _shift(moment: str, microseconds: int) -> str:
    return instant_text(numbers.shift(datetime.fromisoformat(moment), timedelta(microseconds=microseconds)))


def _shift_days(moment: str, days: int) -> str:
    return instant_text(builtin.add_days_to_instant(datetime.fromisoformat(moment), days))


def _between(later: str, earlier: str) -> int:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)) // timedelta(microseconds=1)


HALF = 10**9
"""What `total` takes its two sums apart by."""


def _total(high: int, low: int, scale: int) -> str:
    """The decimal text of `high` · HALF + `low` units of `scale` places, however large."""
    return f"{Decimal(high * HALF + low).scaleb(-scale, _EXACT):f}"


def _total_duration(high: int, low: int) -> str:
    seconds, rest = divmod(abs(high * HALF + low), 10**6)
    sign = "-" if high * HALF + low < 0 else ""
    return f"{sign}PT{seconds}.{rest:06d}S" if rest else f"{sign}PT{seconds}S"


def _mean(high: int, low: int, count: int, scale: int, digits: int) -> str:
    """Their mean with `digits` places, half away from zero."""
    size = abs(high * HALF + low) * 10 ** (digits - scale)
    units = (2 * size + count) // (2 * count)
    sign = -1 if high * HALF + low < 0 else 1
    return f"{Decimal(sign * units).scaleb(-digits, _EXACT):f}"


def _period(value: str, unit: str, zone: str) -> str:
    """The first day of the period of a day, or of a moment as a clock in this zone shows it."""
    day = datetime.fromisoformat(value).astimezone(ZoneInfo(zone)).date() if "T" in value else date.fromisoformat(value)
    if unit == "week":
        day -= timedelta(days=min(day.weekday(), day.toordinal() - 1))
    elif unit == "year":
        day = day.replace(month=1, day=1)
    elif unit == "quarter":
        day = day.replace(month=day.month - (day.month - 1) % 3, day=1)
    elif unit == "month":
        day = day.replace(day=1)
    return day.isoformat()


FUNCTIONS: tuple[tuple[str, int, Callable[..., Any]], ...] = (
    ("clew_add", 2, add),
    ("clew_subtract", 2, subtract),
    ("clew_fit", 1, fit),
    ("clew_divide", 3, divide),
    ("clew_multiply", 3, multiply),
    ("clew_rescale", 3, rescale),
    ("clew_add_days", 2, _given(_add_days)),
    ("clew_add_months", 2, _given(_add_months)),
    ("clew_shift", 2, _given(_shift)),
    ("clew_shift_days", 2, _given(_shift_days)),
    ("clew_between", 2, _given(_between)),
    ("clew_period", 3, _given(_period)),
    ("clew_total", 3, _given(_total)),
    ("clew_total_duration", 2, _given(_total_duration)),
    ("clew_mean", 5, _given(_mean)),
    ("clew_join", 2, _given(joined)),
    ("clew_substring", 3, _given(builtin.substring)),
)
