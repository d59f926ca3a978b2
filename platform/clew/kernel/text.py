"""Text in the platform's two languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Locale = Literal["zh", "en"]
LOCALES: tuple[Locale, ...] = ("zh", "en")


@dataclass(frozen=True, slots=True)
class Bilingual:
    """One text in zh and en. A missing language falls back to the other, never to nothing."""

    zh: str = ""
    en: str = ""

    def to(self, locale: Locale) -> str:
        return (self.zh or self.en) if locale == "zh" else (self.en or self.zh)

    def __bool__(self) -> bool:
        return bool(self.zh or self.en)


def counted(count: int, noun: str, nouns: str = "") -> str:
    """A number with its English noun: `1 row`, `2 rows`; `nouns` where the plural is not made with an s."""
    return f"{count} {noun}" if count == 1 else f"{count} {nouns or noun + 's'}"


def locale_of(tag: str | None, default: Locale = "en") -> Locale:
    """The supported locale nearest to a language tag (`zh-CN`, `en_GB.UTF-8`) or an Accept-Language header."""
    for part in (tag or "").split(","):
        language = part.split(";")[0].strip().replace("_", "-").split("-")[0].lower()
        if language == "zh":
            return "zh"
        if language == "en":
            return "en"
    return default
