"""Texts made by expressions have a longest length, so that no expression can fill the memory."""

from __future__ import annotations

from clew.expressions.problems import Undecidable

MAX_TEXT = 100_000
"""Characters of a text made by `+`; a longer one is undecidable."""


def joined(first: str, second: str) -> str:
    """One text after the other."""
    if len(first) + len(second) > MAX_TEXT:
        raise Undecidable(why=f"a text of more than {MAX_TEXT} characters")
    return first + second
