"""The canonical scalars: one Python value, one wire form, and back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.kernel import scalars


@given(st.datetimes(timezones=st.just(UTC)))
def test_instants_round_trip_at_fixed_width(value: datetime) -> None:
    text = scalars.instant_text(value)
    assert len(text) == 27
    assert scalars.parse_instant(text) == value


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_instant_texts_sort_like_instants(one: datetime, other: datetime) -> None:
    assert (scalars.instant_text(one) < scalars.instant_text(other)) == (one < other)


def test_an_instant_is_written_in_utc() -> None:
    shanghai = timezone(timedelta(hours=8))
    assert scalars.instant_text(datetime(2026, 10, 1, 8, tzinfo=shanghai)) == "2026-10-01T00:00:00.000000Z"
    assert scalars.parse_instant("2026-10-01T08:00+08:00") == datetime(2026, 10, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-10-01", "2026-10-01T08:00", "2026-10-01 08:00Z", "2026-13-01T00:00Z", "", "now"]
)
def test_an_instant_needs_date_time_and_zone(text: str) -> None:
    with pytest.raises(ValueError):
        scalars.parse_instant(text)


def test_both_hours_of_a_fold_keep_their_own_text() -> None:
    """The two are equal to Python; they are not the same moment."""
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2026, 10, 25, 2, 30, tzinfo=berlin)
    assert scalars.instant_text(first) == "2026-10-25T00:30:00.000000Z"
    assert scalars.instant_text(first.replace(fold=1)) == "2026-10-25T01:30:00.000000Z"


def test_a_naive_datetime_has_no_wire_form() -> None:
    with pytest.raises(ValueError):
        scalars.instant_text(datetime(2026, 1, 1))  # noqa: DTZ001 — the very thing refused


@given(st.integers(-(10**18) + 1, 10**18 - 1), st.integers(0, 9))
def test_decimals_round_trip_exactly(digits: int, scale: int) -> None:
    value = Decimal(digits).scaleb(-scale)
    assert scalars.parse_decimal(scalars.decimal_text(value, scale), scale) == value


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("1.005", 2),
        ("NaN", 2),
        ("Infinity", 0),
        ("1e40", 0),
        ("1234567890123456789", 0),
        ("12345678901234567.1", 2),
        ("", 1),
        ("0x1", 0),
    ],
)
def test_a_decimal_never_loses_digits_silently(text: str, scale: int) -> None:
    with pytest.raises(ValueError):
        scalars.parse_decimal(text, scale)


def test_zero_has_no_sign() -> None:
    assert scalars.decimal_text(scalars.parse_decimal("-0.00", 2), 2) == "0.00"


@given(st.timedeltas(min_value=timedelta(days=-3650), max_value=timedelta(days=3650)))
def test_durations_round_trip(value: timedelta) -> None:
    assert scalars.parse_duration(scalars.duration_text(value)) == value


@pytest.mark.parametrize("text", ["P1D", "P1M", "PT", "8h", "PT1.1234567S", "-"])
def test_days_and_months_are_not_durations(text: str) -> None:
    with pytest.raises(ValueError):
        scalars.parse_duration(text)


def test_integers_past_32_bits_are_strings_on_the_wire() -> None:
    assert scalars.to_wire(2**31 - 1) == 2**31 - 1
    assert scalars.to_wire(2**31) == "2147483648"
    assert scalars.to_wire(True) is True
    assert scalars.to_wire(date(2026, 2, 3)) == "2026-02-03"


def test_what_is_no_scalar_has_no_wire_form() -> None:
    with pytest.raises(TypeError):
        scalars.to_wire(1.5)
