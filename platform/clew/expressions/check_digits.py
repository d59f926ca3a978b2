"""Check digits and character sets of the trade: GS1 keys, the Chinese unified social credit code, the GMN pair."""

from __future__ import annotations

import re

GS1_82 = "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
"""GS1 General Specifications, figure 7.11-1: the 82 characters of an X… value, in the order of their GMN values."""

USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The characters of a unified social credit code, in the order of their values."""
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_GMN_PAIR = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_GMN_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83)
_DIGITS = re.compile(r"[0-9]+")
_GTIN = re.compile(r"[0-9]{8}|[0-9]{12,14}")
_GMN = re.compile(r"[0-9]{5}.{1,18}[2-9A-HJ-NP-Z]{2}")


def gs1_check(text: str) -> bool:
    """True when the last digit is the right GS1 mod-10 check digit (weights 3, 1 from the right): GTIN, SSCC, GLN."""
    return bool(_DIGITS.fullmatch(text)) and 2 <= len(text) <= 18 and text[-1] == gs1_digit(text[:-1])


def gs1_digit(digits: str) -> str:
    """The GS1 check digit that belongs behind these digits."""
    return str(-sum(int(digit) * (1 if at % 2 else 3) for at, digit in enumerate(reversed(digits))) % 10)


def gtin(text: str) -> bool:
    """True for a GTIN-8, -12, -13 or -14 with the right check digit."""
    return bool(_GTIN.fullmatch(text)) and gs1_check(text)


def gs1_text(text: str, most: int) -> bool:
    """True for 1 to `most` characters, all of GS1 character set 82."""
    return 1 <= len(text) <= most and all(char in GS1_82 for char in text)


def uscc(text: str) -> bool:
    """True for a unified social credit code (GB 32100-2015): 18 characters, the last is the mod-31 check character."""
    if len(text) != 18 or any(char not in USCC for char in text):
        return False
    return uscc_character(text[:17]) == text[17]


def uscc_character(text: str) -> str:
    """The check character that belongs behind 17 characters of a unified social credit code."""
    return USCC[-sum(USCC.index(char) * weight for char, weight in zip(text, _USCC_WEIGHTS, strict=True)) % 31]


def gmn(text: str) -> bool:
    """True for a Global Model Number (Basic UDI-DI) with the right check pair: mod 1021 over primes from the right."""
    return gmn_form(text) and text[-2:] == gmn_pair(text[:-2])


def gmn_form(text: str) -> bool:
    """Five digits, characters of set 82, and a pair of the letters and digits that pairs are made of."""
    return bool(_GMN.fullmatch(text)) and all(char in GS1_82 for char in text)


def gmn_pair(text: str) -> str:
    """The two check characters that belong behind at most 23 characters of set 82."""
    total = sum(GS1_82.index(char) * prime for char, prime in zip(reversed(text), _GMN_PRIMES, strict=False))
    high, low = divmod(total % 1021, 32)
    return _GMN_PAIR[high] + _GMN_PAIR[low]
