"""Where a character of a scalar's value stands in the file: through quotes, escapes, folds and block indentation."""

from __future__ import annotations

from clew.kernel.diagnostics import Place
from clew.metadata.source import AnyNode, ScalarNode

_ESCAPES = {"x": 2, "u": 4, "U": 8}


def place_in(node: AnyNode, offset: int) -> Place:
    """The place of the value's character at `offset`. Falls back to the scalar's beginning, never to a wrong place."""
    if not isinstance(node, ScalarNode) or not 0 <= offset <= len(node.text):
        return node.place
    text = node.source.text
    offsets = _offsets(node, text[node.start : node.end])
    if offsets is None or offset >= len(offsets):
        return node.place
    at = node.start + offsets[offset]
    line_start = text.rfind("\n", 0, at) + 1
    return Place(node.source.name, text.count("\n", 0, at) + 1, at - line_start + 1)


def _offsets(node: ScalarNode, raw: str) -> list[int] | None:
    """For each character of the value, and for its end, the offset in `raw`; None when they do not agree."""
    if node.style in ("|", ">"):
        found = _align(node.text, raw, _block_start(raw))
    elif node.style == '"':
        found = _double_quoted(node.text, raw)
    elif node.style == "'":
        found = _align(node.text, raw, 1, doubled="'")
    else:
        found = _align(node.text, raw, 0)
    return found


def _block_start(raw: str) -> int:
    """The offset of a block scalar's first line, after the `|` or `>` and its indicators."""
    return raw.find("\n") + 1


def _align(value: str, raw: str, at: int, doubled: str = "") -> list[int] | None:
    """Walk both texts: equal characters pair up; line ends and indentation in `raw` may stand for a space or a line
    end in `value`."""
    offsets: list[int] = []
    for char in value:
        if char in " \n":
            end = at
            while end < len(raw) and raw[end] in " \t\r\n":
                end += 1
            folded = "\n" in raw[at:end]
            if not folded:
                if at >= len(raw) or raw[at] != char:
                    return None
                offsets.append(at)
                at += 1
                continue
            offsets.append(min(at, len(raw) - 1))
            if char == "\n" or value[len(offsets) : len(offsets) + 1] not in (" ", "\n"):
                at = _next_content(raw, at, end, value, len(offsets))
            continue
        while at < len(raw) and raw[at] in " \t\r\n" and raw[at] != char:
            at += 1
        if at >= len(raw) or raw[at] != char:
            return None
        offsets.append(at)
        at += 2 if char == doubled else 1
    offsets.append(min(at, len(raw)))
    return offsets


def _next_content(raw: str, at: int, end: int, value: str, index: int) -> int:
    """Where the value goes on after a line end: its own further line ends and leading spaces count back from `end`."""
    rest = value[index:]
    keep = len(rest) - len(rest.lstrip(" \n"))
    if keep and rest[0] == "\n":
        return raw.find("\n", at) + 1
    return max(at, end - keep)


def _double_quoted(value: str, raw: str) -> list[int] | None:
    offsets: list[int] = []
    at = 1
    for index, char in enumerate(value):
        if at < len(raw) and raw[at] == "\\" and raw[at + 1 : at + 2] not in ("\n", "\r"):
            offsets.append(at)
            at += 2 + _ESCAPES.get(raw[at + 1], 0)
            continue
        if at < len(raw) and raw[at] == char:
            offsets.append(at)
            at += 1
            continue
        start = at
        while at < len(raw) and raw[at] in " \t\r\n\\":
            at += 1
        if char == " " or char == "\n":
            offsets.append(start)
            following = value[index + 1 : index + 2]
            if following == "\n":
                at = start
            continue
        if at >= len(raw) or raw[at] != char:
            return None
        offsets.append(at)
        at += 1
    offsets.append(min(at, len(raw)))
    return offsets
