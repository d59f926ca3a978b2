"""Help texts in two languages: written once as a pair; the command tree is then put into one language."""

from __future__ import annotations

from typing import Any

from clew.cli.help_pages import put_into
from clew.kernel.text import Bilingual, Locale

_BREAK = "\x1f"


def t(en: str, zh: str) -> str:
    """A bilingual help text in the one string that the option parser carries around."""
    return en + _BREAK + zh


def split(text: str) -> Bilingual:
    en, _, zh = text.partition(_BREAK)
    return Bilingual(zh=zh, en=en)


def localize(command: Any, locale: Locale) -> None:
    """Put the help of a command and everything below it into one language."""
    for holder in (command, *getattr(command, "params", ())):
        for name in ("help", "short_help", "epilog"):
            text = getattr(holder, name, None)
            if isinstance(text, str) and _BREAK in text:
                setattr(holder, name, split(text).to(locale))
    put_into(command, locale)
    for below in getattr(command, "commands", {}).values():
        localize(below, locale)
