"""Search text and sort keys: full and half width, case, Chinese substrings, pinyin initials and full pinyin.

The write path stores `grams(text)` per searchable field; a reader asks `query_grams(text)` and finds the records that
hold *all* grams of *any one* alternative. A gram carries its family as first character, so that a query for `zsq`
never mixes pieces of a name with pieces of its pinyin.

| family | of                                   | `无菌注射器 5ml`              |
|--------|--------------------------------------|-------------------------------|
| `=`    | the normalised text                  | 无, 无菌, 菌注 …, 5m, ml      |
| `^`    | initials of the Chinese characters   | w, wj, jz, zs, sq             |
| `~`    | their full pinyin, run together      | wu, uj, ju, un …              |

A single Chinese character is a gram of its own; a single letter or digit finds texts whose words begin with it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

_CJK = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_CHINESE_RUN = re.compile(f"[{_CJK}]+")
_PIECES = re.compile(f"[{_CJK}]+|[^{_CJK}]+")
_LETTERS = re.compile(r"[a-z]+")
MAX_QUERY = 200
"""Characters of a search text that are looked at."""


def normalise(text: str) -> str:
    """Compatibility form (full width → half width), lower case, every run of white space one space."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def grams(text: str) -> frozenset[str]:
    """What the write path stores for one field's text."""
    plain = normalise(text)
    found = set(_text_grams(plain))
    for run in _CHINESE_RUN.findall(plain):
        syllables = _syllables(run)
        initials = "".join(each[0] for each in syllables)
        found.update(_pairs("^", initials))
        found.add("^" + initials[0])
        found.update(_pairs("~", "".join(syllables)))
    return frozenset(found)


def grams_of(value: str | Mapping[str, Any]) -> frozenset[str]:
    """The same of a field's value: of every language of a translated one."""
    if isinstance(value, str):
        return grams(value)
    return frozenset().union(*(grams(each) for each in value.values() if isinstance(each, str)))


def initials(text: str) -> str:
    """The pinyin initials of the Chinese characters of a text: `无菌注射器` → `wjzsq`."""
    return "".join(each[0] for run in _CHINESE_RUN.findall(normalise(text)) for each in _syllables(run))


def query_grams(text: str) -> tuple[tuple[str, ...], ...]:
    """The alternatives of a search text; a record matches when it holds all grams of one of them in one field.

    No alternatives (an empty or blank text) means the text cannot narrow anything: the caller decides.
    """
    plain = normalise(text[:MAX_QUERY])
    if not plain:
        return ()
    alternatives = [tuple(sorted(_query_pieces(plain)))]
    letters = plain.replace(" ", "").replace("'", "")
    if _LETTERS.fullmatch(letters):
        if len(letters) == 1:
            alternatives.append(("^" + letters,))
        else:
            alternatives.append(tuple(sorted(set(_pairs("^", letters)))))
            alternatives.append(tuple(sorted(set(_pairs("~", letters)))))
    return tuple(alternatives)


@lru_cache(maxsize=4096)
def sort_key(text: str) -> str:
    """A key whose code-point order is the order a Chinese reader expects: digits and letters first, then Chinese
    characters by pinyin and tone; the text itself breaks ties."""
    plain = normalise(text)
    parts: list[str] = []
    for piece in _PIECES.findall(plain):
        if _CHINESE_RUN.fullmatch(piece):
            from pypinyin import Style, lazy_pinyin  # see _syllables

            tones = lazy_pinyin(piece, style=Style.TONE3, neutral_tone_with_five=True)
            parts.extend(f"~{tone} " for tone in tones)
        else:
            parts.append(piece)
    return "".join(parts) + "\x01" + plain


def _text_grams(plain: str) -> Iterable[str]:
    for word in plain.split(" "):
        if word:
            yield "=" + word[0]
    yield from ("=" + each for run in _CHINESE_RUN.findall(plain) for each in run)
    yield from _pairs("=", plain)


def _query_pieces(plain: str) -> set[str]:
    if len(plain) == 1:
        return {"=" + plain}
    return set(_pairs("=", plain))


def _pairs(family: str, text: str) -> list[str]:
    return [family + text[at : at + 2] for at in range(len(text) - 1)]


def _syllables(run: str) -> list[str]:
    """Pinyin without tones, one per character; ü is written v; a character without a reading stands for itself."""
    # Its dictionaries take a quarter of a second to load: only text with Chinese characters needs them.
    from pypinyin import Style, lazy_pinyin

    return [each for each in lazy_pinyin(run, style=Style.NORMAL) if each]
