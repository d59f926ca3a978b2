"""Check digits, against the published examples."""

from __future__ import annotations

import pytest

from clew.expressions.check_digits import GS1_82, gmn, gs1_check, gs1_text, gtin, uscc


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
