"""GS1 element strings: every vector of the domain, whatever else can be wrong, and there and back again."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.expressions.check_digits import GS1_82, gmn, gmn_pair, gs1_check, gs1_digit, gtin
from clew.expressions.element_strings import GS, IDENTIFIERS, VISIBLE_GS, Reading, build, day, read

TODAY = date(2026, 3, 2)
V1 = f"0109521234000013112603011729022810LOT2603A{GS}21SN000123"


def faults(text: str) -> list[tuple[str, int]]:
    return [(each.code, each.at) for each in read(text, TODAY).faults]


def says(text: str) -> str:
    return "; ".join(each.say.en for each in read(text, TODAY).faults)


def values(reading: Reading) -> dict[str, str]:
    return {each.ai: each.value for each in reading.elements}


@pytest.mark.parametrize("text", [V1, V1.replace(GS, VISIBLE_GS), f"]d2{V1}", GS + V1, V1 + GS])
def test_a_scanned_udi(text: str) -> None:
    found = read(text, TODAY)
    assert not found.faults
    assert values(found) == {
        "01": "09521234000013", "11": "260301", "17": "290228", "10": "LOT2603A", "21": "SN000123"
    }  # fmt: skip
    assert day(values(found)["17"], TODAY) == date(2029, 2, 28)


def test_a_udi_in_brackets_of_a_case() -> None:
    found = read("(01)19521234000010(17)290200(10)A1", TODAY)
    assert not found.faults
    assert values(found) == {"01": "19521234000010", "17": "290200", "10": "A1"}
    assert day("290200", TODAY) == date(2029, 2, 28)


def test_right_keys() -> None:
    assert gtin("06901234567892")
    assert all(gs1_check(each) for each in ("009521234000000123", "9521234000013"))
    assert all(gmn(each) for each in ("1987654Ad4X4bL5ttr2310c2K", "9521234VENT500WY"))
    for text in ("(01)06901234567892", "(00)009521234000000123", "(414)9521234000013",
                 "(8013)1987654Ad4X4bL5ttr2310c2K", "(8013)9521234VENT500WY"):  # fmt: skip
        assert not read(text, TODAY).faults


@pytest.mark.parametrize(
    ("text", "expected", "say"),
    [
        ("(01)09521234000012", [("CHECK_DIGIT", 17)], "the check digit is 2, expected 3"),
        ("(01)19521234000019", [("CHECK_DIGIT", 17)], "the check digit is 9, expected 0"),
        ("(01)09521234000013(17)290229", [("DAY", 26)], "month 02 of that year has no day 29"),
        ("(01)09521234000013(17)281301", [("MONTH", 24)], "there is no month 13"),
        ("(01)09521234000013(17)280001", [("MONTH", 24)], "there is no month 00"),
        ("(01)09521234000013(10)LOT-0123456789-ABCDEFG", [("SIZE", 22)], "it takes 1-20 characters, not 22"),
        ("(01)09521234000013(10)LOT 26#1", [("CHARACTER", 25)], "“ ” is not in GS1 character set 82"),
        ("(01)09521234000013(10)LOT26#1", [("CHARACTER", 27)], "“#” is not in GS1 character set 82"),
        ("(21)SN1", [("MISSING", 4)], "(21) serial: it needs (01) beside it"),
        ("(17)290228", [("MISSING", 4)], "(17) expiry: it needs (01)/(02) beside it"),
        ("(01)09521234000013(02)09521234000013(37)2(00)009521234000000123",
         [("EXCLUDED", 4), ("EXCLUDED", 4), ("EXCLUDED", 22)], "it cannot stand with (37)"),
        ("(01)09521234000013(10)A(10)B", [("REPEATED", 27)], "it stands twice with different values"),
        ("(01)0952123400001", [("SIZE", 4)], "it takes 14 characters, not 13"),
        ("(01)0952123400001A", [("DIGITS", 4)], "it takes digits only"),
        ("(01)０9521234000013", [("DIGITS", 4)], "it takes digits only"),
        ("(01)09521234000013(99)x", [("UNKNOWN", 18)], "no known application identifier at “(99)”"),
        ("(01)09521234000013(10", [("BRACKETS", 18)], "no identifier in brackets at “(10”"),
        ("010952123400001310A" + GS + GS + "21B", [("UNKNOWN", 20)], "no known application identifier"),
        ("(8013)1987654Ad4X4bL5ttr2310c2X", [("CHECK_PAIR", 29)], "the check pair is 2X, expected 2K"),
        ("", [("EMPTY", 0)], "it is empty"),
        ("+H123", [("UNKNOWN", 0)], "no known application identifier at “+H12”"),
    ],
)  # fmt: skip
def test_what_is_wrong(text: str, expected: list[tuple[str, int]], say: str) -> None:
    assert faults(text) == expected
    assert say in says(text)


def test_an_excluded_pair_and_what_is_missing_with_it() -> None:
    assert [code for code, _ in faults("(01)09521234000013(37)2")] == ["EXCLUDED", "MISSING", "MISSING"]


def test_every_fault_of_a_text_is_told_in_both_languages() -> None:
    found = read("(01)09521234000012(17)290229(10)批号(21)", TODAY).faults
    assert [each.code for each in found] == ["CHECK_DIGIT", "DAY", "CHARACTER", "SIZE"]
    for each in found:
        assert each.say.zh.startswith("(")
        assert each.say.en.startswith("(")
        assert each.say.zh != each.say.en


def test_without_its_separator_the_lot_swallows_the_serial() -> None:
    """It reads well; only the lot master can tell (domain F9, X6)."""
    found = read(V1.replace(GS, ""), TODAY)
    assert not found.faults
    assert found.value("10") == "LOT2603A21SN000123"
    assert found.value("21") is None


@pytest.mark.parametrize(
    ("value", "today", "expected"),
    [
        ("760101", date(2026, 1, 1), date(2076, 1, 1)),  # 50 ahead: this century
        ("770101", date(2026, 1, 1), date(1977, 1, 1)),  # 51 ahead: the one before
        ("000229", date(2026, 1, 1), date(2000, 2, 29)),
        ("480101", date(2098, 1, 1), date(2148, 1, 1)),  # 50 behind: the next
        ("490101", date(2098, 1, 1), date(2049, 1, 1)),
        ("000229", date(2051, 1, 1), None),  # 2100 is no leap year
        ("28022", date(2026, 1, 1), None),
    ],
)
def test_the_century_of_a_date(value: str, today: date, expected: date | None) -> None:
    assert day(value, today) == expected


def _value(ai: str) -> st.SearchStrategy[str]:
    known = IDENTIFIERS[ai]
    digits = st.text("0123456789", min_size=known.least, max_size=known.most)
    if known.check == "digit":
        return st.text("0123456789", min_size=known.most - 1, max_size=known.most - 1).map(
            lambda text: text + gs1_digit(text)
        )
    if known.check == "day":
        return st.dates(date(1977, 1, 1), date(2076, 12, 31)).map(lambda each: f"{each:%y%m%d}")
    if known.check == "pair":
        return st.text(GS1_82, min_size=6, max_size=known.most - 2).map(lambda text: text + gmn_pair(text))
    return digits if known.numeric else st.text(GS1_82, min_size=1, max_size=known.most)


_WITH_A_GTIN = sorted(set(IDENTIFIERS) - {"00", "01", "02", "37", "250"})


@st.composite
def _elements(draw: st.DrawFn) -> list[tuple[str, str]]:
    ais = ["01", *draw(st.lists(st.sampled_from(_WITH_A_GTIN), unique=True, max_size=8))]
    return [(ai, draw(_value(ai))) for ai in draw(st.permutations(ais))]


@given(_elements(), st.booleans(), st.sampled_from([GS, VISIBLE_GS]))
def test_what_is_built_reads_as_it_was(elements: list[tuple[str, str]], bracketed: bool, separator: str) -> None:
    text = build(elements, bracketed=bracketed, separator=separator)
    found = read(text, TODAY)
    assert [(each.ai, each.value) for each in found.elements] == elements
    assert not found.faults


@given(_elements(), st.data())
def test_a_wrong_digit_never_passes(elements: list[tuple[str, str]], data: st.DataObject) -> None:
    """One changed digit of a key, anywhere, is found."""
    ai, value = next(each for each in elements if each[0] == "01")
    at = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.sampled_from([each for each in "0123456789" if each != value[at]]))
    wrong = [(ai, value[:at] + other + value[at + 1 :]) if each[0] == "01" else each for each in elements]
    assert [each.code for each in read(build(wrong), TODAY).faults] == ["CHECK_DIGIT"]


@given(st.text(alphabet=st.sampled_from(f"01()\\2378{GS}{VISIBLE_GS}A批]d"), max_size=60), st.dates())
def test_any_text_is_read_without_an_error(text: str, today: date) -> None:
    found = read(text, today)
    assert found.elements or found.faults
