"""Rules for credentials: how long, how common, how old, how often wrong. 21 CFR 11.300(b), (d)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from clew.identity.errors import WeakPassword
from clew.identity.secrets import LONGEST_SECRET
from clew.kernel.text import Bilingual

_WORDS = """
password passwort passw0rd p4ssword mypassword thisismypassword changeme changeit letmein welcome admin administrator
root user guest test demo login secret qwerty qwertyuiop qwertyuiopasdfghjkl asdfghjkl zxcvbnm qazwsx qazwsxedc abcdef
abcdefg abcdefgh abcdefghijkl iloveyou sunshine princess football baseball monkey dragon master superman batman trustno
computer internet woaini woaiwojia mima clew medical hospital company
"""
_COMMON = frozenset(_WORDS.split())
_PIN = re.compile(r"[0-9]{6,12}")


@dataclass(frozen=True, slots=True)
class CredentialPolicy:
    """What is asked of credentials."""

    length: int = 12
    max_age: timedelta | None = timedelta(days=180)
    pin_max_age: timedelta | None = timedelta(days=180)
    history: int = 5
    """How many earlier passwords may not come back."""
    tries: int = 5
    lock: timedelta = timedelta(minutes=15)

    def check_password(self, password: str, login: str) -> None:
        """Raises WeakPassword. Length counts; demanded special characters do not make people safer."""
        if len(password) < self.length:
            _refuse(f"at least {self.length} characters", f"至少 {self.length} 个字符")
        if len(password) > LONGEST_SECRET:
            _refuse(f"at most {LONGEST_SECRET} characters", f"至多 {LONGEST_SECRET} 个字符")
        plain = password.casefold()
        if login.casefold() in plain:
            _refuse("it must not contain the login", "不能包含登录账号")
        if _is_common(plain):
            _refuse("it is one of the commonest", "过于常见")

    def check_pin(self, pin: str, login: str = "") -> None:
        """A signing PIN: 6 to 12 digits, not all alike, not a row, not the number everybody knows its owner by. Raises
        WeakPassword."""
        if not _PIN.fullmatch(pin):
            _refuse("a PIN has 6 to 12 digits", "PIN 为 6 至 12 位数字")
        if len(set(pin)) < 3 or _is_row(pin):
            _refuse("the PIN is too easy to guess", "PIN 过于简单")
        known = "".join(each for each in login if each.isdigit())
        if len(known) > 3 and (known in pin or pin in known):
            _refuse("it must not contain the login", "不能包含登录账号")


def _is_common(plain: str) -> bool:
    letters = "".join(each for each in plain if each.isalpha())
    undone = plain.translate(str.maketrans("013457@$", "oieastas"))
    bare = "".join(each for each in undone if each.isalpha())
    repeated = any(word * (len(letters) // len(word)) == letters for word in _COMMON if letters and word in letters)
    return letters in _COMMON or bare in _COMMON or repeated or len(set(plain)) < 5 or _is_row(plain)


def _is_row(text: str) -> bool:
    """All characters follow each other (123456789012 counts: after 9 comes 0)."""
    steps = {(ord(b) - ord(a)) for a, b in pairwise(text)}
    return steps <= {1, -9} or steps <= {-1, 9} or steps == {0}


def _refuse(en: str, zh: str) -> None:
    raise WeakPassword(what=Bilingual(zh=zh, en=en))
