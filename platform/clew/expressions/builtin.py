"""The platform's own functions. Characters are code points; case and blanks are those every engine agrees on."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from clew.expressions import check_digits, numbers, trade
from clew.expressions.functions import (
    EVERYWHERE,
    IN_MEMORY,
    IN_SQL,
    Functions,
    Parameter,
    Signature,
    parameter,
    registry,
)
from clew.expressions.pattern import Pattern
from clew.expressions.problems import Undecidable
from clew.expressions.tree import Base, Literal, Node, Type
from clew.kernel.scalars import decimal_text, parse_date, parse_duration, parse_instant
from clew.kernel.text import Bilingual

_BOOLEAN, _INTEGER, _TEXT = Type(Base.BOOLEAN), Type(Base.INTEGER), Type(Base.TEXT)
_DATE, _DATETIME, _DURATION = Type(Base.DATE), Type(Base.DATETIME), Type(Base.DURATION)

TEXT, INTEGER = parameter(Base.TEXT), parameter(Base.INTEGER)
DAY, MOMENT = parameter(Base.DATE), parameter(Base.DATETIME)
NUMBER = parameter(Base.INTEGER, Base.DECIMAL)
LITERAL_TEXT, LITERAL_INTEGER = parameter(Base.TEXT, literal=True), parameter(Base.INTEGER, literal=True)
RECORD, LIST = parameter(Base.RECORD), parameter(Base.LIST)

BLANKS = " \t\n\r\u3000"
"""What `trim` removes: ASCII blanks and the full-width space."""

_LOWER = {ord(upper): ord(upper) + 32 for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_UPPER = {lower: upper for upper, lower in _LOWER.items()}


def _like_first(args: Sequence[Node]) -> Type:
    return args[0].type.sure()


def _common(args: Sequence[Node]) -> Type:
    if all(each.type.base is Base.INTEGER for each in args):
        return _INTEGER
    if args[0].type.numeric:
        return Type(Base.DECIMAL, scale=max(each.type.scale for each in args))
    return Type(args[0].type.base)


def _places(args: Sequence[Node]) -> int:
    place = args[1]
    value = place.value if isinstance(place, Literal) else 0
    return value if isinstance(value, int) and 0 <= value <= numbers.MAX_SCALE else -1


def _rounded(args: Sequence[Node]) -> Type:
    return Type(Base.DECIMAL, scale=max(_places(args), 0))


def _valid_places(value: Any) -> None:
    if not 0 <= value <= numbers.MAX_SCALE:
        raise ValueError("between 0 and 9 places")


def substring(text: str, start: int, end: int) -> str:
    """Characters `start` (0-based) up to, not including, `end`; what lies outside the text is left out."""
    return text[max(start, 0) : max(end, 0)]


def add_days(day: date, count: int) -> date:
    try:
        return day + timedelta(days=count)
    except OverflowError:
        raise Undecidable(why="a date outside the years 1 to 9999") from None


def add_days_to_instant(moment: datetime, count: int) -> datetime:
    """Exactly `count` times 24 hours on: what a legal clock counts, whatever the clocks on the wall do."""
    try:
        return moment + timedelta(days=count)
    except OverflowError:
        raise Undecidable(why="a date outside the years 1 to 9999") from None


def utc_date(moment: datetime) -> date:
    """The calendar day of an instant in UTC."""
    return moment.astimezone(UTC).date()


def add_months(day: date, count: int) -> date:
    """The same day `count` months on; the month's last day when it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + count, 12)
    if not 1 <= year <= 9999:
        raise Undecidable(why="a date outside the years 1 to 9999")
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _days(start: date, end: date) -> int:
    return (end - start).days


def _text_of(args: Sequence[Node]) -> Callable[[Any], str]:
    type_ = args[0].type
    if type_.base is Base.DECIMAL:
        return lambda value: decimal_text(Decimal(value), type_.scale)
    if type_.base is Base.DATE:
        return date.isoformat
    return str


def _round_of(args: Sequence[Node]) -> Callable[..., Decimal]:
    places = _places(args)
    return lambda value, _: numbers.exact(Decimal(value), places)


def _matches_of(args: Sequence[Node]) -> Callable[..., bool]:
    found = Pattern(str(args[1].value) if isinstance(args[1], Literal) else "")
    return lambda text, _: found.search(text)


def _absolute(value: Any) -> Any:
    return numbers.whole(abs(value)) if isinstance(value, int) else abs(value)


def _json_text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _none(*_: Any) -> Any:
    raise Undecidable(why="a literal function was not folded")


def _by_length(values: Sequence[Any]) -> int:
    return len(values[0]) // 16


def _text_predicate(name: str, run: Callable[..., bool], *more: Parameter) -> Signature:
    return Signature(name, (TEXT, *more), _BOOLEAN, run, EVERYWHERE, predicate=True)


def _of_trade(
    name: str, run: Callable[..., bool], explain: Callable[..., Bilingual | None], *more: Parameter
) -> Signature:
    return Signature(name, (TEXT, *more), _BOOLEAN, run, IN_MEMORY, predicate=True, explain=explain)


_TEXTS = (
    Signature("size", (TEXT,), _INTEGER, len, IN_SQL, help="characters"),
    _text_predicate("startsWith", str.startswith, TEXT),
    _text_predicate("endsWith", str.endswith, TEXT),
    _text_predicate("contains", str.__contains__, TEXT),
    Signature(
        "matches",
        (TEXT, LITERAL_TEXT),
        _BOOLEAN,
        _none,
        IN_MEMORY,
        predicate=True,
        prepare=_matches_of,
        valid=Pattern,
        cost=_by_length,
    ),
    Signature("lower", (TEXT,), _TEXT, lambda text: text.translate(_LOWER), IN_SQL, help="A-Z only"),
    Signature("upper", (TEXT,), _TEXT, lambda text: text.translate(_UPPER), IN_SQL, help="a-z only"),
    Signature("trim", (TEXT,), _TEXT, lambda text: text.strip(BLANKS), IN_SQL),
    Signature("substring", (TEXT, INTEGER, INTEGER), _TEXT, substring, IN_SQL),
)
_TIMES = (
    Signature("date", (LITERAL_TEXT,), _DATE, _none, EVERYWHERE, valid=parse_date),
    Signature("datetime", (LITERAL_TEXT,), _DATETIME, _none, EVERYWHERE, valid=parse_instant),
    Signature("duration", (LITERAL_TEXT,), _DURATION, _none, EVERYWHERE, valid=parse_duration),
    Signature("date", (MOMENT,), _DATE, utc_date, IN_SQL, help="the calendar day in UTC"),
    Signature("days", (DAY, DAY), _INTEGER, _days, IN_SQL, help="whole days from the first to the second"),
    Signature("addDays", (DAY, INTEGER), _DATE, add_days, IN_SQL, fallible=True),
    Signature(
        "addDays", (MOMENT, INTEGER), _DATETIME, add_days_to_instant, IN_SQL, fallible=True, help="days of 24 hours"
    ),
    Signature("addMonths", (DAY, INTEGER), _DATE, add_months, IN_SQL, fallible=True),
    Signature("year", (DAY,), _INTEGER, lambda day: day.year, IN_SQL),
    Signature("month", (DAY,), _INTEGER, lambda day: day.month, IN_SQL),
    Signature("day", (DAY,), _INTEGER, lambda day: day.day, IN_SQL),
)
_ORDERED = (
    parameter(Base.INTEGER, Base.DECIMAL),
    parameter(Base.TEXT),
    parameter(Base.DATE),
    parameter(Base.DATETIME),
    parameter(Base.DURATION),
)
_NUMBERS = (
    Signature("abs", (NUMBER,), _like_first, _absolute, IN_SQL, fallible=True),
    Signature(
        "round", (NUMBER, LITERAL_INTEGER), _rounded, _none, IN_SQL, fallible=True, prepare=_round_of,
        valid=_valid_places, help="half to even",
    ),
    Signature("floor", (NUMBER,), _INTEGER, numbers.floor, IN_SQL),
    Signature("ceil", (NUMBER,), _INTEGER, numbers.ceil, IN_SQL),
    Signature("integer", (NUMBER,), _INTEGER, numbers.truncate, IN_SQL, help="cuts decimals off"),
    Signature("decimal", (NUMBER,), lambda args: Type(Base.DECIMAL, scale=args[0].type.scale), Decimal, IN_SQL),
    Signature(
        "text", (parameter(Base.INTEGER, Base.DECIMAL, Base.DATE),), _TEXT, str, IN_SQL, prepare=_text_of,
    ),
    Signature("text", (parameter(Base.JSON),), Type(Base.TEXT, nullable=True), _json_text, IN_SQL, predicate=True),
    *(Signature("min", (each, each), _common, min, IN_SQL) for each in _ORDERED),
    *(Signature("max", (each, each), _common, max, IN_SQL) for each in _ORDERED),
)  # fmt: skip
_RECORDS = (
    Signature("size", (LIST,), _INTEGER, len, IN_SQL, help="elements"),
    Signature("was", (RECORD, LITERAL_TEXT), _BOOLEAN, _none, IN_SQL, predicate=True),
    Signature("entered", (RECORD, LITERAL_TEXT), Type(Base.DATETIME, nullable=True), _none, IN_SQL, predicate=True),
)
_DOMAIN = (
    _of_trade("gs1_check", check_digits.gs1_check, trade.of_key),
    _of_trade("gtin", check_digits.gtin, trade.of_key),
    _of_trade("gs1_text", check_digits.gs1_text, trade.of_text, INTEGER),
    _of_trade("uscc", check_digits.uscc, trade.of_uscc),
    _of_trade("gmn", check_digits.gmn, trade.of_gmn),
    replace(_of_trade("gs1_valid", trade.valid, trade.of_elements, DAY), cost=_by_length),
    Signature(
        "gs1_value", (TEXT, LITERAL_TEXT), Type(Base.TEXT, nullable=True), trade.value, predicate=True,
        valid=trade.identifier, cost=_by_length, help="what an element string says for an identifier",
    ),
    Signature(
        "gs1_day", (TEXT, LITERAL_TEXT, DAY), Type(Base.DATE, nullable=True), trade.day, predicate=True,
        valid=trade.day_identifier, cost=_by_length, help="the same as a day, near the last argument",
    ),
)  # fmt: skip

BUILTIN: Functions = registry((*_TEXTS, *_TIMES, *_NUMBERS, *_RECORDS, *_DOMAIN))
"""The registry every project starts from."""

FOLDED: dict[str, Callable[[str], date | datetime | timedelta]] = {
    "date": parse_date,
    "datetime": parse_instant,
    "duration": parse_duration,
}
"""Functions of one literal that are literals themselves after checking."""
