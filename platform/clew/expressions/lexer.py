"""Text to tokens: the CEL lexical grammar without bytes, raw and triple-quoted texts. One pass, linear."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from clew.expressions.problems import (
    CHARACTER,
    ESCAPE,
    NUMBER,
    TEXT_OPEN,
    TOO_LONG,
    ExpressionError,
    problem,
)
from clew.expressions.tree import Span
from clew.kernel.scalars import MAX_DECIMAL_DIGITS

MAX_LENGTH = 4000
MAX_SCALE = 9

_TOKEN = re.compile(
    r"(?P<space>\s+|//[^\n]*)"
    r"|(?P<decimal>\d+\.\d+)"
    r"|(?P<integer>\d+)"
    r"|(?P<name>[A-Za-z][A-Za-z0-9_]*)"
    r"|(?P<quote>['\"])"
    r"|(?P<op>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]])"
)
_CHUNK = {"'": re.compile(r"[^'\\\n]*"), '"': re.compile(r'[^"\\\n]*')}
_HEX = re.compile(r"u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|U([0-9a-fA-F]{8})")
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "r": "\r", "t": "\t", "`": "`", "?": "?"}


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is op, name, text, integer, decimal or end; `value` the operator, the name or the literal's value."""

    kind: str
    value: str | int | Decimal
    span: Span


def tokens(source: str) -> list[Token]:
    """The tokens of an expression, ending in one of kind `end`. Raises ExpressionError at the first bad character."""
    if len(source) > MAX_LENGTH:
        where = Span(MAX_LENGTH, len(source))
        raise ExpressionError(source, [problem(TOO_LONG, where, length=len(source), limit=MAX_LENGTH)])
    found: list[Token] = []
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            raise ExpressionError(source, [problem(CHARACTER, Span(at, at + 1), found=source[at])])
        kind, text, span = match.lastgroup or "", match.group(), Span(at, match.end())
        if kind == "quote":
            token = _text(source, at)
            found.append(token)
            at = token.span.end
            continue
        at = match.end()
        if kind in ("integer", "decimal"):
            found.append(_number(source, kind, text, span))
        elif kind != "space":
            found.append(Token(kind, text, span))
    found.append(Token("end", "", Span(len(source), len(source))))
    return found


def _number(source: str, kind: str, text: str, span: Span) -> Token:
    whole, _, fraction = text.partition(".")
    if len(whole.lstrip("0")) + len(fraction) > MAX_DECIMAL_DIGITS or len(fraction) > MAX_SCALE:
        raise ExpressionError(source, [problem(NUMBER, span, found=text[:40])])
    return Token(kind, int(text) if kind == "integer" else Decimal(text), span)


def _text(source: str, start: int) -> Token:
    chunk, at, parts = _CHUNK[source[start]], start + 1, []
    while at < len(source):
        match = chunk.match(source, at)
        assert match is not None  # the pattern matches the empty text
        parts.append(match.group())
        at = match.end()
        if at >= len(source) or source[at] == "\n":
            break
        if source[at] == source[start]:
            return Token("text", "".join(parts), Span(start, at + 1))
        char, at = _escape(source, at)
        parts.append(char)
    raise ExpressionError(source, [problem(TEXT_OPEN, Span(start, at))])


def _escape(source: str, at: int) -> tuple[str, int]:
    following = source[at + 1 : at + 2]
    if following in _ESCAPES:
        return _ESCAPES[following], at + 2
    match = _HEX.match(source, at + 1)
    point = int(next(filter(None, match.groups())), 16) if match else 0
    # NUL cannot be stored by PostgreSQL, a lone surrogate is no character
    if match is None or point == 0 or point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
        raise ExpressionError(source, [problem(ESCAPE, Span(at, at + 2), found=source[at : at + 2])])
    return chr(point), match.end()
