"""The keys of a working calendar."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter
from pydantic_core import PydanticCustomError

from clew.metadata.spec.others import Date
from clew.metadata.spec.words import Flag, Label, Name, OneOrManyText, Spec, Text, doc

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_YEAR = re.compile(r"20\d\d|2100")
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def shift_of(text: str) -> tuple[int, int]:
    """`08:30-12:00` in minutes after midnight; an end that is not later lies on the next day."""
    match = _HOURS.fullmatch(text)
    if not match:
        raise ValueError(text)
    start_hour, start_minute, end_hour, end_minute = map(int, match.groups())
    start, end = start_hour * 60 + start_minute, end_hour * 60 + end_minute
    if end > 1440:
        raise ValueError(text)
    return start, end if end > start else end + 1440


def _hours(value: Any) -> str:
    try:
        shift_of(value)
    except (TypeError, ValueError):
        raise PydanticCustomError("hours_type", "not working hours") from None
    return str(value)


def _year(value: Any) -> str:
    if not isinstance(value, str) or not _YEAR.fullmatch(value):
        raise PydanticCustomError("year_type", "not a year")
    return value


def _listed(value: Any) -> Any:
    """`08:30-12:00, 13:00-17:30` is as good as a list."""
    return [each.strip() for each in value.split(",")] if isinstance(value, str) else value


Hours = Annotated[str, BeforeValidator(_hours), Field(json_schema_extra={"examples": ["08:30-12:00"]})]
ShiftList = Annotated[tuple[Hours, ...], BeforeValidator(_listed, json_schema_input_type=str | list[str])]
YearName = Annotated[str, BeforeValidator(_year)]


def _reason_or_hours(value: Any) -> Any:
    """Text that is no list of hours is a reason: the usual hours are worked."""
    try:
        return ShiftListAdapter.validate_python(value)
    except ValueError:
        return () if isinstance(value, str) and not _HOURS.match(value) else value


ShiftListAdapter: TypeAdapter[tuple[str, ...]] = TypeAdapter(ShiftList)
MadeUp = Annotated[tuple[Hours, ...], BeforeValidator(_reason_or_hours, json_schema_input_type=str | list[str])]


class YearSpec(Spec):
    holidays: OneOrManyText = doc(
        "Countries whose public holidays and make-up days hold, such as CN.",
        "适用法定节假日与调休的国家,如 CN。",
        default=(),
    )
    free: dict[Date, Text] = doc("Further days off, each with its reason.", "其他休息日及原因。", default={})
    working: dict[Date, MadeUp] = doc(
        "Days worked whatever their weekday: a reason, or their own hours.",
        "调休上班日:原因,或当日工作时段。",
        default={},
    )


class CalendarSpec(Spec):
    calendar: Name = doc("The calendar's name.", "日历名称。")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    zone: Text = doc("IANA time zone.", "时区。")
    days: tuple[Weekday, ...] = doc(
        "The weekdays that are worked.",
        "工作日为星期几。",
        default=("monday", "tuesday", "wednesday", "thursday", "friday"),
    )
    hours: ShiftList = doc("The working hours of such a day.", "工作日的工作时段。", default=())
    other_hours: dict[Weekday, ShiftList] = doc(
        "Weekdays with hours of their own; [] is a day off.", "另有工作时段的星期几,[] 为休息。", default={}
    )
    sites: OneOrManyText = doc("Codes of the sites that work by it.", "按此日历工作的场所代码。", default=())
    default: Flag = doc("For every site that no calendar names.", "用于未指定日历的场所。", default=False)
    years: dict[YearName, YearSpec] = doc(
        "The published years. A time limit in any other year is refused.", "已发布的年份;其他年份的时限一律拒绝。"
    )
