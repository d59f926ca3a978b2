"""What people say beside the fields: reasons and comments. They are kept in the trail and signed, so they are held to
what a text field is held to: nothing that cannot be seen, and no longer than anybody reads."""

from __future__ import annotations

import unicodedata

from clew.kernel.errors import BadInput
from clew.kernel.text import Bilingual
from clew.records.errors import ReasonRequired
from clew.records.values import LONG_CONTROLS, blank, refused_character

LONGEST = 4_000
"""Characters."""


def spoken(text: str | None, name: str) -> str:
    """The text without blanks around it; empty when nothing was said. `name` is the argument it came by.

    Raises BadInput for a character that is not seen, and for more than LONGEST.
    """
    given = unicodedata.normalize("NFC", (text or "").replace("\r\n", "\n").strip())
    if len(given) > LONGEST:
        what = Bilingual(f"{name} 至多 {LONGEST} 字。", f"{name} has at most {LONGEST} characters.")
        raise BadInput(path=[name], what=what)
    wrong = None if given.isascii() and given.isprintable() else refused_character(given, LONG_CONTROLS)
    if wrong is not None:
        shown = f"U+{ord(wrong):04X}"
        what = Bilingual(f"{name} 含有不允许的字符 {shown}。", f"{name}: the character {shown} is not allowed.")
        raise BadInput(path=[name], what=what)
    return "" if blank(given) else given


def why(text: str | None, act: Bilingual, name: str = "reason") -> str:
    """A reason that has to be given. Raises ReasonRequired where none is said, and what `spoken` raises."""
    given = spoken(text, name)
    if not given:
        raise ReasonRequired(path=[name], why=act)
    return given
