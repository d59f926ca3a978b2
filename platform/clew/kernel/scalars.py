"""The canonical scalars: how a value looks in Python, on the wire and in the trail. One module owns them.

| type     | Python            | wire                                            |
|----------|-------------------|-------------------------------------------------|
| decimal  | Decimal           | string of fixed scale, `12.5000`                |
| instant  | aware UTC datetime| `2026-11-22T16:52:00.000000Z`, always 27 chars  |
| date     | date              | `2026-11-22`                                    |
| duration | timedelta         | ISO 8601 seconds, `PT28800S`, `PT0.500000S`     |
| integer  | int               | number up to 32 bits, otherwise a string        |
| id       | UUID              | lower-case hyphenated string                    |
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from uuid import UUID

FAR_FUTURE = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
"""The open end of a transaction-time interval."""

MAX_DECIMAL_DIGITS = 18
"""Digits a decimal may have in all: what fits a scaled signed 64-bit integer on SQLite."""

_DURATION = re.compile(r"(-)?PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,6}))?S)?")


def instant_text(value: datetime) -> str:
    """An aware datetime as the fixed-width UTC wire form. Raises ValueError for a naive one."""
    if value.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return _utc_text(value if value.tzinfo is UTC else value.astimezone(UTC))


@lru_cache
def _utc_text(value: datetime) -> str:
    """Kept a while: all that one unit writes bears the same moment. Only in UTC are equal times the same moment."""
    return value.isoformat(timespec="microseconds")[:-6] + "Z"


def parse_instant(text: str) -> datetime:
    """An RFC 3339 instant with zone; microseconds at most. Raises ValueError otherwise."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)", text):
        raise ValueError(f"not an instant with time zone: {text[:40]!r}")
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def parse_date(text: str) -> date:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise ValueError(f"not a date (YYYY-MM-DD): {text[:40]!r}")
    return date.fromisoformat(text)


def parse_decimal(text: str | int | Decimal, scale: int) -> Decimal:
    """An exact decimal of the given scale. Raises ValueError when digits would be lost or the value is too large."""
    try:
        value = Decimal(text)
    except (InvalidOperation, ValueError):
        raise ValueError(f"not a decimal number: {str(text)[:40]!r}") from None
    if not value.is_finite():
        raise ValueError("not a finite number")
    if value.adjusted() + 1 + scale > MAX_DECIMAL_DIGITS:
        raise ValueError(f"more than {MAX_DECIMAL_DIGITS} digits at scale {scale}")
    unit = _unit(scale)
    fixed = value if value.same_quantum(unit) else value.quantize(unit, rounding=ROUND_HALF_EVEN)
    if fixed != value:
        raise ValueError(f"more than {scale} decimal places: {str(text)[:40]!r}")
    return fixed if fixed else abs(fixed)


@lru_cache
def _unit(scale: int) -> Decimal:
    return Decimal(1).scaleb(-scale)


def decimal_text(value: Decimal, scale: int) -> str:
    return f"{value:.{scale}f}"


def duration_text(value: timedelta) -> str:
    microseconds = value // timedelta(microseconds=1)
    sign = "-" if microseconds < 0 else ""
    seconds, rest = divmod(abs(microseconds), 1_000_000)
    return f"{sign}PT{seconds}.{rest:06d}S" if rest else f"{sign}PT{seconds}S"


def parse_duration(text: str) -> timedelta:
    """ISO 8601 `PT…H…M…S`. Days, months and years are not durations (a day may have 23 hours)."""
    match = _DURATION.fullmatch(text)
    if not match or text.endswith("T"):
        raise ValueError(f"not a duration (PT8H30M): {text[:40]!r}")
    sign, hours, minutes, seconds, fraction = match.groups()
    value = timedelta(
        hours=int(hours or 0),
        minutes=int(minutes or 0),
        seconds=int(seconds or 0),
        microseconds=int((fraction or "").ljust(6, "0") or 0),
    )
    return -value if sign else value


def to_wire(value: Any) -> Any:
    """A Python scalar in its wire form; JSON-native values pass through. A Decimal keeps its own scale."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if -(2**31) <= value < 2**31 else str(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"no wire form for {type(value).__name__}")
