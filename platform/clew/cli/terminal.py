"""How commands speak: sentences for people on stderr or stdout, one JSON object on stdout for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from clew.kernel.errors import ClewError
from clew.kernel.scalars import to_wire
from clew.kernel.text import Bilingual, Locale, locale_of

_UNFOLDED = 10_000
"""Columns enough for any table that is not shown on a terminal."""


def chosen_locale(arguments: Sequence[str], environ: Mapping[str, str]) -> Locale:
    """`--lang`, then CLEW_LANG, then the shell's language, else English."""
    for at, argument in enumerate(arguments):
        if argument == "--lang" and at + 1 < len(arguments):
            return locale_of(arguments[at + 1])
        if argument.startswith("--lang="):
            return locale_of(argument.partition("=")[2])
    for name in ("CLEW_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if environ.get(name):
            return locale_of(environ[name])
    return "en"


class Terminal:
    """One command's voice."""

    def __init__(self, locale: Locale, as_json: bool = False) -> None:
        self.locale: Locale = locale
        self.as_json = as_json
        self.out = Console(soft_wrap=True, highlight=False)
        self.err = Console(stderr=True, soft_wrap=True, highlight=False)

    @property
    def interactive(self) -> bool:
        """Whether a person can be asked. Without a terminal nothing is ever asked."""
        return sys.stdin.isatty() and sys.stderr.isatty() and not self.as_json and not os.environ.get("CI")

    def text(self, words: Bilingual) -> str:
        return words.to(self.locale)

    def say(self, en: str, zh: str) -> None:
        """A sentence for a person. Silent with --json."""
        if not self.as_json:
            self.out.print(Bilingual(zh=zh, en=en).to(self.locale), markup=False)

    def note(self, en: str, zh: str) -> None:
        """A line about progress, apart from the command's own output. Silent with --json."""
        if not self.as_json:
            self.err.print(Bilingual(zh=zh, en=en).to(self.locale), markup=False)

    def raw(self, text: str) -> None:
        """A prepared text as it is."""
        sys.stdout.write(text if text.endswith("\n") else text + "\n")

    def emit(self, **members: Any) -> None:
        """The command's result for programs; only with --json."""
        if self.as_json:
            self.raw(json.dumps(members, ensure_ascii=False, indent=2, default=to_wire))

    def table(self, heads: Sequence[Bilingual], rows: Sequence[Sequence[str]]) -> None:
        if self.as_json:
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for head in heads:
            table.add_column(self.text(head), overflow="fold")
        for row in rows:
            table.add_row(*row)
        if self.out.is_terminal or os.environ.get("COLUMNS"):
            self.out.print(table)
            return
        # A file or another program has no edge to fold at.
        wide = Console(width=_UNFOLDED, highlight=False)
        with wide.capture() as captured:
            wide.print(table)
        for line in captured.get().splitlines():
            self.out.print(line.rstrip(), markup=False)

    def problem(self, problem: ClewError) -> None:
        """Why a command stopped: code, sentence, hint. Never a traceback."""
        if self.as_json:
            self.emit(ok=False, error=error_json(problem, self.locale))
            return
        self.err.print(f"{problem.code}: {problem.message(self.locale)}", style="red", markup=False)
        if hint := problem.hint(self.locale):
            self.err.print(f"  → {hint}", markup=False)


def error_json(problem: ClewError, locale: Locale) -> dict[str, Any]:
    return {"code": problem.code, "message": problem.message(locale), "hint": problem.hint(locale)}
