"""Check digits, against the published examples."""

from __future__ import annotations

from datetime import date

import pytest

from clew.expressions import trade
from clew.expressions.check_digits import GS1_82, gmn, gs1_check, gs1_text, gtin, uscc
from clew.kernel.text import Bilingual


@pytest.mark.parametrize("text", ["09521234000013", "19521234000010", "06901234567892", "6901234567892", "96385074"])
def test_right_gtins(text: str) -> None:
    assert gtin(text)
    wrong = text[:-1] + str((int(text[-1]) + 1) % 10)
    assert not gtin(wrong)


@pytest.mark.parametrize(
    "text", ["09521234000012", "19521234000019", "", "123", "0952123400001a", "０９５２１２３４０００１３"]
)
def test_wrong_gtins(text: str) -> None:
    assert not gtin(text)


def test_other_gs1_keys() -> None:
    assert gs1_check("009521234000000123")
    assert gs1_check("9521234000013")
    assert not gs1_check("9521234000014")


@pytest.mark.parametrize("text", ["1987654Ad4X4bL5ttr2310c2K", "9521234VENT500WY"])
def test_global_model_numbers(text: str) -> None:
    assert gmn(text)
    assert not gmn(text[:-1] + ("3" if text[-1] != "3" else "4"))
    assert not gmn(text[:8] + ("x" if text[8] != "x" else "y") + text[9:])


def test_gs1_text() -> None:
    assert len(GS1_82) == len(set(GS1_82)) == 82
    assert gs1_text("LOT2603A", 20)
    assert not gs1_text("LOT-0123456789-ABCDEFG", 20)
    assert not gs1_text("LOT 26#1", 20)
    assert not gs1_text("", 20)


def test_social_credit_codes() -> None:
    assert uscc("91310000MA1FL0001R")
    assert not uscc("91310000MA1FL0001S")
    assert not uscc("91310000MA1FL0002R")
    assert not uscc("91310000MA1FL000IR")
    assert not uscc("91310000MA1FL0001")


@pytest.mark.parametrize(
    ("why", "zh", "en"),
    [
        (trade.of_key("09521234000012"), "校验字符为 2,应为 3", "the check character is 2, expected 3"),
        (trade.of_key("0952123400001a"), "只能是数字", "it takes digits only"),
        (trade.of_text("LOT 26", 20), "“ ”不在 GS1 82 字符集内", "“ ” is not in GS1 character set 82"),
        (trade.of_text("", 20), "须 1-20 位,现为 0 位", "it takes 1-20 characters, not 0"),
        (trade.of_uscc("91310000MA1FL0001Q"), "校验字符为 Q,应为 R", "the check character is Q, expected R"),
        (trade.of_uscc("91310000MA1FL000IR"), "“I”不会出现在信用代码中", "“I” does not occur in a credit code"),
        (trade.of_uscc("9131"), "须 18 位,现为 4 位", "it takes 18 characters, not 4"),
        (trade.of_gmn("9521234VENT500WZ"), "校验字符为 WZ,应为 WY", "the check character is WZ, expected WY"),
        (trade.of_gmn("VENT"), "不是型号标识的格式", "it has not the form of a model number"),
    ],
)
def test_what_is_wrong_is_said(why: Bilingual | None, zh: str, en: str) -> None:
    assert why == Bilingual(zh, en)


def test_nothing_is_said_of_what_is_right() -> None:
    today = date(2026, 3, 2)
    right = (trade.of_key("09521234000013"), trade.of_text("LOT26", 20), trade.of_uscc("91310000MA1FL0001R"))
    assert (*right, trade.of_gmn("9521234VENT500WY"), trade.of_elements("(01)09521234000013", today)) == (None,) * 5
