"""The pieces of HTML every page is made of. Text from the project is escaped here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from clew.kernel.text import Bilingual, Locale


def text(words: Bilingual, locale: Locale) -> str:
    return escape(words.to(locale))


def code(name: str) -> str:
    return f"<code>{escape(name)}</code>"


def mark(words: str, kind: str = "") -> str:
    """A small label beside a name."""
    return f'<span class="mark {kind}">{escape(words)}</span>' if kind else f'<span class="mark">{escape(words)}</span>'


def section(anchor: str, title: str, body: str) -> str:
    return f'<h2 id="{escape(anchor, quote=True)}">{title}</h2>{body}'


def table(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Rows are (anchor, cells as HTML). On a phone each row becomes a card, and its cells carry their heading."""
    if not rows:
        return ""
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = ""
    for anchor, cells in rows:
        shown = "".join(
            f'<td data-h="{escape(name, quote=True)}">{cell}</td>' for name, cell in zip(heads, cells, strict=True)
        )
        body += f'<tr id="{escape(anchor, quote=True)}">{shown}</tr>' if anchor else f"<tr>{shown}</tr>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Names and values (HTML); a pair without a value is left out."""
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in pairs if value) + "</dl>"


def entity_link(name: str, label: Bilingual, locale: Locale) -> str:
    return f'<a href="{name}.html">{text(label, locale)}</a>'
