"""GS1 element strings, as UDI carriers hold them: read with everything that is wrong, built, dates understood.

Own, because the libraries at hand (biip) pass over wrong check digits, pairs that must or must not stand together,
values cut at their longest and model numbers. Source: GS1 General Specifications 3.2, 7.11, 7.12 and 4.13, in the form
of GS1's syntax dictionary; only the identifiers a device, its package or its place can carry are known.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Literal

from clew.expressions.check_digits import GS1_82, gmn_pair, gs1_digit
from clew.kernel.errors import fill
from clew.kernel.text import Bilingual

GS = "\x1d"
"""What a scanner sends for FNC1, which ends a value of open length."""
VISIBLE_GS = "\u241d"
"""The same as a character one can see and store."""
_SYMBOLOGIES = ("]C1", "]d2", "]Q3", "]e0", "]J1")
_ENDS = re.compile(f"[{GS}{VISIBLE_GS}]")
_BRACKET = re.compile(r"\(([0-9]{2,4})\)")
_OPEN = re.compile(r"(?<!\\)\(")
_DIGITS = re.compile(r"[0-9]*")

Check = Literal["", "digit", "pair", "day"]


@dataclass(frozen=True, slots=True)
class Identifier:
    """An application identifier (AI): what its value looks like and what it stands with."""

    ai: str
    title: Bilingual
    most: int
    least: int = 1
    numeric: bool = False
    check: Check = ""
    separated: bool = True
    """Whether its value needs a separator behind it; the others end by their length."""
    needs: tuple[str, ...] = ()
    """One of these must stand with it."""
    also: tuple[str, ...] = ()
    """And one of these, where there is a second such list."""
    excludes: tuple[str, ...] = ()


def _fixed(ai: str, zh: str, en: str, size: int, check: Check, needs: str = "", excludes: str = "") -> Identifier:
    return Identifier(
        ai, Bilingual(zh, en), size, size, True, check, False, tuple(needs.split()), (), tuple(excludes.split())
    )


def _open(
    ai: str, zh: str, en: str, most: int, needs: str = "", also: str = "", *, numeric: bool = False
) -> Identifier:
    return Identifier(
        ai, Bilingual(zh, en), most, numeric=numeric, needs=tuple(needs.split()), also=tuple(also.split())
    )


_TRADE = "01 02"
IDENTIFIERS: Mapping[str, Identifier] = MappingProxyType({
    each.ai: each
    for each in (
        _fixed("00", "物流单元码", "SSCC", 18, "digit"),
        _fixed("01", "产品标识", "GTIN", 14, "digit", excludes="02 37"),
        _fixed("02", "内含产品", "contained GTIN", 14, "digit", "37", "01"),
        _open("10", "批号", "lot", 20, _TRADE),
        _fixed("11", "生产日期", "production date", 6, "day", _TRADE),
        _fixed("13", "包装日期", "packaging date", 6, "day", _TRADE),
        _fixed("15", "最佳使用日期", "best before", 6, "day", _TRADE),
        _fixed("16", "销售截止日期", "sell by", 6, "day", _TRADE),
        _fixed("17", "有效期", "expiry", 6, "day", _TRADE),
        _fixed("20", "变体", "variant", 2, "", _TRADE),
        _open("21", "序列号", "serial", 20, "01"),
        _open("22", "消费品变体", "product variant", 20, "01"),
        _open("240", "附加产品标识", "additional identification", 30, _TRADE),
        _open("241", "客户物料号", "customer part number", 30, _TRADE),
        _open("250", "部件序列号", "secondary serial", 30, "01", "21"),
        _open("251", "来源标识", "source reference", 30, "01"),
        _open("30", "可变数量", "variable count", 8, _TRADE, numeric=True),
        _open("37", "内含数量", "count", 8, "00", "02", numeric=True),
        _open("400", "采购订单号", "order number", 30),
        _fixed("410", "收货地", "ship to", 13, "digit"),
        _fixed("411", "开票地", "bill to", 13, "digit"),
        _fixed("412", "供货地", "purchased from", 13, "digit"),
        _fixed("413", "转运地", "ship for", 13, "digit"),
        _fixed("414", "地点", "location", 13, "digit"),
        _fixed("416", "生产地", "production location", 13, "digit"),
        _fixed("417", "参与方", "party", 13, "digit"),
        *(
            _open(ai, "国家医疗报销号", "national reimbursement number", 20, "01")
            for ai in ("710", "711", "712", "713", "714", "715")
        ),
        _open("8012", "软件版本", "software version", 20, "01"),
        Identifier("8013", Bilingual("产品型号标识", "global model number"), 25, 8, check="pair"),
    )
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Element:
    """One value with its identifier. `at` is where the value stands in the text, 0-based."""

    ai: str
    value: str
    at: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: a stable code, where, and what in both languages."""

    code: str
    at: int
    say: Bilingual


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says, as far as it can be read, and everything that is wrong with it."""

    elements: tuple[Element, ...]
    faults: tuple[Fault, ...]

    def value(self, ai: str) -> str | None:
        return next((each.value for each in self.elements if each.ai == ai), None)


_SAY: Mapping[str, Bilingual] = {
    "EMPTY": Bilingual("没有内容", "it is empty"),
    "UNKNOWN": Bilingual("“{found}”处没有已知的应用标识符", "no known application identifier at “{found}”"),
    "BRACKETS": Bilingual("“{found}”处缺少括号中的应用标识符", "no identifier in brackets at “{found}”"),
    "SIZE": Bilingual("须 {wanted} 位,现为 {size} 位", "it takes {wanted} characters, not {size}"),
    "DIGITS": Bilingual("只能是数字", "it takes digits only"),
    "CHARACTER": Bilingual("“{found}”不在 GS1 82 字符集内", "“{found}” is not in GS1 character set 82"),
    "CHECK_DIGIT": Bilingual("校验位为 {found},应为 {expected}", "the check digit is {found}, expected {expected}"),
    "CHECK_PAIR": Bilingual("校验字符为 {found},应为 {expected}", "the check pair is {found}, expected {expected}"),
    "MONTH": Bilingual("没有 {found} 月", "there is no month {found}"),
    "DAY": Bilingual("该年 {month} 月没有 {found} 日", "month {month} of that year has no day {found}"),
    "MISSING": Bilingual("须与 {wanted} 同时出现", "it needs {wanted} beside it"),
    "EXCLUDED": Bilingual("不能与 ({found}) 同时出现", "it cannot stand with ({found})"),
    "REPEATED": Bilingual("出现两次且值不同", "it stands twice with different values"),
}


def read(text: str, today: date) -> Reading:
    """Read an element string, written plainly (values of open length end with GS or ␝) or with bracketed identifiers.

    In the bracketed form an opening bracket inside a value is written `\\(`. `today` decides which century a date
    belongs to. Raises nothing: whatever is wrong is among the faults.
    """
    for symbology in _SYMBOLOGIES:
        text = text.removeprefix(symbology)
    faults: list[Fault] = []
    split = _bracketed if text.startswith("(") else _plain
    elements = tuple(split(text, faults))
    if not elements and not faults:
        faults.append(_fault("EMPTY", 0))
    for each in elements:
        faults.extend(_wrong(each, today))
    faults.extend(_together(elements))
    return Reading(elements, tuple(faults))


def build(elements: Iterable[tuple[str, str]], *, bracketed: bool = False, separator: str = GS) -> str:
    """The text of (AI, value) pairs in their order. Raises KeyError for an AI that is not known."""
    pairs = list(elements)
    if bracketed:
        return "".join(f"({IDENTIFIERS[ai].ai}){value.replace('(', chr(92) + '(')}" for ai, value in pairs)
    ends = [separator if IDENTIFIERS[ai].separated else "" for ai, _ in pairs]
    ends[-1:] = [""] if ends else []
    return "".join(f"{ai}{value}{end}" for (ai, value), end in zip(pairs, ends, strict=True))


def day(value: str, today: date) -> date | None:
    """The day of a six-digit date; day 00 is the last of the month. None when there is no such day."""
    if len(value) != 6 or not _DIGITS.fullmatch(value):
        return None
    year, month, on = _year(int(value[:2]), today), int(value[2:4]), int(value[4:])
    if not 1 <= month <= 12 or not 1 <= year <= 9999:
        return None
    last = calendar.monthrange(year, month)[1]
    return date(year, month, on or last) if on <= last else None


def _year(two: int, today: date) -> int:
    """The year meant by two digits: never more than 50 before or 50 after this one (General Specifications 7.12)."""
    century, now = divmod(today.year, 100)
    if two - now >= 51:
        century -= 1
    elif two - now <= -50:
        century += 1
    return century * 100 + two


def _plain(text: str, faults: list[Fault]) -> Iterator[Element]:
    at = 1 if _ENDS.match(text) else 0
    while at < len(text):
        known = next((found for size in (2, 3, 4) if (found := IDENTIFIERS.get(text[at : at + size]))), None)
        if known is None:
            faults.append(_fault("UNKNOWN", at, found=_ENDS.split(text[at : at + 4])[0]))
            return
        start = at + len(known.ai)
        ending = _ENDS.search(text, start)
        end = ending.start() if ending else len(text)
        if not known.separated:
            end = min(end, start + known.most)
        yield Element(known.ai, text[start:end], start)
        at = end + 1 if _ENDS.match(text, end) else end


def _bracketed(text: str, faults: list[Fault]) -> Iterator[Element]:
    starts = [found.start() for found in _OPEN.finditer(text)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        bracket = _BRACKET.match(text, start)
        if bracket is None:
            faults.append(_fault("BRACKETS", start, found=text[start:end][:6]))
        elif bracket[1] not in IDENTIFIERS:
            faults.append(_fault("UNKNOWN", start, found=bracket[0]))
        else:
            yield Element(bracket[1], text[bracket.end() : end].replace("\\(", "("), bracket.end())


def _wrong(each: Element, today: date) -> Iterator[Fault]:
    """What is wrong with one value: the first thing of its form, then what its form promises."""
    known, value = IDENTIFIERS[each.ai], each.value
    if not known.least <= len(value) <= known.most:
        wanted = str(known.most) if known.least == known.most else f"{known.least}-{known.most}"
        yield _fault("SIZE", each.at, known, wanted=wanted, size=len(value))
        return
    if known.numeric and not _DIGITS.fullmatch(value):
        yield _fault("DIGITS", each.at, known)
        return
    strange = next((char for char in value if char not in GS1_82), None)
    if strange is not None:
        yield _fault("CHARACTER", each.at + value.index(strange), known, found=strange)
        return
    if known.check == "digit" and value[-1] != (expected := gs1_digit(value[:-1])):
        yield _fault("CHECK_DIGIT", each.at + len(value) - 1, known, found=value[-1], expected=expected)
    elif known.check == "pair" and value[-2:] != (expected := gmn_pair(value[:-2])):
        yield _fault("CHECK_PAIR", each.at + max(len(value) - 2, 0), known, found=value[-2:], expected=expected)
    elif known.check == "day" and day(value, today) is None:
        month = value[2:4]
        if not 1 <= int(month) <= 12:
            yield _fault("MONTH", each.at + 2, known, found=month)
        else:
            yield _fault("DAY", each.at + 4, known, month=month, found=value[4:])


def _together(elements: Sequence[Element]) -> Iterator[Fault]:
    """Identifiers that need or exclude each other, and one that stands twice."""
    there: dict[str, str] = {}
    for each in elements:
        if there.setdefault(each.ai, each.value) != each.value:
            yield _fault("REPEATED", each.at, IDENTIFIERS[each.ai])
    for ai in there:
        known = IDENTIFIERS[ai]
        at = next(each.at for each in elements if each.ai == ai)
        for wanted in (known.needs, known.also):
            if wanted and not there.keys() & set(wanted):
                yield _fault("MISSING", at, known, wanted="/".join(f"({each})" for each in wanted))
        for other in known.excludes:
            if other in there:
                yield _fault("EXCLUDED", at, known, found=other)


def _fault(code: str, at: int, known: Identifier | None = None, **params: object) -> Fault:
    say = _SAY[code]
    zh, en = fill(say.zh, params), fill(say.en, params)
    if known is not None:
        zh, en = f"({known.ai}){known.title.zh}:{zh}", f"({known.ai}) {known.title.en}: {en}"
    return Fault(code, at, Bilingual(zh, en))
