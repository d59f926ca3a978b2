"""How wide a text is, and where its lines end, without asking any font."""

from __future__ import annotations

import unicodedata

TEXT, NOTE = 12.0, 10.5
"""Sizes in pixels."""


def wide(text: str, size: float = TEXT) -> float:
    """About how wide a text is: Chinese characters are square, others little more than half as wide."""
    return sum(size if unicodedata.east_asian_width(each) in "WF" else size * 0.56 for each in text)


def folded(text: str, room: float, most: int, size: float = TEXT) -> list[str]:
    """A text in at most `most` lines; words stay whole where they fit."""
    lines, line = [], ""
    for piece in _pieces(text):
        if line and wide(line + piece.rstrip(), size) > room:
            lines.append(line.rstrip())
            line = piece.lstrip()
        else:
            line += piece
        while wide(line.rstrip(), size) > room:
            fits = next(at for at in range(len(line), 0, -1) if wide(line[:at], size) <= room)
            lines.append(line[:fits])
            line = line[fits:]
    lines += [line.rstrip()] if line.strip() else []
    if len(lines) > most:
        last = lines[most - 1]
        while last and wide(last + "…", size) > room:
            last = last[:-1]
        lines = [*lines[: most - 1], last + "…"]
    return lines


def _pieces(text: str) -> list[str]:
    """Where a line may end: after a space, and beside every Chinese character."""
    found = [""]
    for each in text:
        if unicodedata.east_asian_width(each) in "WF" and each not in ",。、:;)」":
            found.append(each)
        else:
            found[-1] += each
        if each == " " or unicodedata.east_asian_width(each) in "WF":
            found.append("")
    return [each for each in found if each]
