"""What the functions about GS1 and credit codes answer, and what they say is wrong where the answer is no."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from clew.expressions import check_digits
from clew.expressions import element_strings as gs1
from clew.kernel.text import Bilingual

_FAULTS_TOLD = 3
_ANY_DAY = date(2000, 1, 1)
"""For what does not depend on the century."""


@lru_cache(maxsize=256)
def _reading(text: str, today: date) -> gs1.Reading:
    """Several rules look at the same text one after the other."""
    return gs1.read(text, today)


def valid(text: str, today: date) -> bool:
    """True for an element string with nothing wrong in it."""
    return not _reading(text, today).faults


def value(text: str, ai: str) -> str | None:
    """The value of an identifier, whether or not it is right; missing where the text does not have it."""
    return _reading(text, _ANY_DAY).value(ai)


def day(text: str, ai: str, today: date) -> date | None:
    """The day of an identifier that holds one; missing where the text does not have it or there is no such day."""
    found = value(text, ai)
    return None if found is None else gs1.day(found, today)


def identifier(ai: str) -> None:
    """Raises ValueError for an identifier that element strings are not read for."""
    if ai not in gs1.IDENTIFIERS:
        raise ValueError(ai)


def day_identifier(ai: str) -> None:
    """Raises ValueError for one that is no date."""
    identifier(ai)
    if gs1.IDENTIFIERS[ai].check != "day":
        raise ValueError(ai)


def of_elements(text: str, today: date) -> Bilingual | None:
    faults = _reading(text, today).faults[:_FAULTS_TOLD]
    if not faults:
        return None
    return Bilingual(";".join(each.say.zh for each in faults), "; ".join(each.say.en for each in faults))


def of_key(text: str) -> Bilingual | None:
    if not text.isascii() or not text.isdigit() or len(text) < 2:
        return Bilingual("只能是数字", "it takes digits only")
    return _expected(text[-1], check_digits.gs1_digit(text[:-1]))


def of_text(text: str, most: int) -> Bilingual | None:
    strange = next((each for each in text if each not in check_digits.GS1_82), None)
    if strange is not None:
        return Bilingual(f"“{strange}”不在 GS1 82 字符集内", f"“{strange}” is not in GS1 character set 82")
    if not 1 <= len(text) <= most:
        return Bilingual(f"须 1-{most} 位,现为 {len(text)} 位", f"it takes 1-{most} characters, not {len(text)}")
    return None


def of_uscc(text: str) -> Bilingual | None:
    if len(text) != 18:
        return Bilingual(f"须 18 位,现为 {len(text)} 位", f"it takes 18 characters, not {len(text)}")
    strange = next((each for each in text if each not in check_digits.USCC), None)
    if strange is not None:
        return Bilingual(f"“{strange}”不会出现在信用代码中", f"“{strange}” does not occur in a credit code")
    return _expected(text[-1], check_digits.uscc_character(text[:-1]))


def of_gmn(text: str) -> Bilingual | None:
    if not check_digits.gmn_form(text):
        return Bilingual("不是型号标识的格式", "it has not the form of a model number")
    return _expected(text[-2:], check_digits.gmn_pair(text[:-2]))


def _expected(found: str, expected: str) -> Bilingual | None:
    if found == expected:
        return None
    return Bilingual(f"校验字符为 {found},应为 {expected}", f"the check character is {found}, expected {expected}")
