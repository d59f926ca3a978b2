"""Moments and durations in SQL. A duration is microseconds; a moment is shifted by counting them since 1970."""

from __future__ import annotations

from clew.storage.formula import Sql, formula
from clew.storage.types import Duration, Instant

_MICROS = "CAST(extract(epoch FROM {0}) * 1000000 AS numeric)"
_SHIFTED = (
    "SELECT CASE WHEN v BETWEEN -62135596800000000 AND 253402300799999999 THEN"
    " (timestamp '1970-01-01' + CAST(div(v - mod(v, 86400000000), 86400000000) AS integer) * interval '1 day'"
    " + CAST(mod(v, 86400000000) AS bigint) * interval '1 microsecond') AT TIME ZONE 'UTC' END"
    f" FROM (SELECT {_MICROS} + CAST({{1}} AS numeric) * {{unit}} AS v OFFSET 0) AS a"
)


def shifted(moment: Sql, by: Sql) -> Sql:
    """The moment so many microseconds later; NULL outside the years 1 to 9999."""
    return formula(_SHIFTED.replace("{unit}", "1"), moment, by, type_=Instant(), sqlite="clew_shift({0}, {1})")


def days_later(moment: Sql, days: Sql) -> Sql:
    """The moment so many times 24 hours later."""
    pg = _SHIFTED.replace("{unit}", "86400000000")
    return formula(pg, moment, days, type_=Instant(), sqlite="clew_shift_days({0}, {1})")


def between(later: Sql, earlier: Sql) -> Sql:
    """The duration from one moment to another."""
    pg = f"{_MICROS} - {_MICROS.replace('{0}', '{1}')}"
    return formula(pg, later, earlier, type_=Duration(), sqlite="clew_between({0}, {1})")
