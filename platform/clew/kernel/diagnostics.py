"""Findings about a project's files: where, what, which code, the nearest valid name. All of them at once, sorted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from clew.kernel.errors import fill
from clew.kernel.text import Locale


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a source file. Line and column are 1-based; 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of finding. `en` and `zh` are templates over the finding's parameters."""

    code: str
    en: str
    zh: str
    hint_en: str = ""
    hint_zh: str = ""
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `path` is the YAML path inside the file (`fields.qty.type`)."""

    rule: Rule
    place: Place
    path: str = ""
    params: tuple[tuple[str, str], ...] = ()
    nearest: str = ""
    related: tuple[Place, ...] = field(default=())

    @property
    def code(self) -> str:
        return self.rule.code

    @property
    def severity(self) -> Severity:
        return self.rule.severity

    def message(self, locale: Locale) -> str:
        text = fill(self.rule.zh if locale == "zh" else self.rule.en, dict(self.params))
        if self.nearest:
            text += f" 是否想写 {self.nearest}?" if locale == "zh" else f" Did you mean {self.nearest}?"
        return text

    def hint(self, locale: Locale) -> str:
        return fill(self.rule.hint_zh if locale == "zh" else self.rule.hint_en, dict(self.params))

    @property
    def sort_key(self) -> tuple[object, ...]:
        return (self.place, self.rule.code, self.params, self.path)


def nearest(name: str, candidates: Iterable[str]) -> str:
    """The candidate most like `name`, or an empty string when none is close."""
    found = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.6)
    return found[0] if found else ""


class Findings:
    """Collects diagnostics; the reader gets them de-duplicated and sorted by place."""

    def __init__(self) -> None:
        self._all: dict[tuple[object, ...], Diagnostic] = {}

    def add(
        self,
        rule: Rule,
        place: Place,
        *,
        path: str = "",
        nearest: str = "",
        related: Iterable[Place] = (),
        **params: object,
    ) -> None:
        texts = tuple(sorted((name, str(value)) for name, value in params.items()))
        finding = Diagnostic(rule, place, path, texts, nearest, tuple(related))
        self._all.setdefault(finding.sort_key, finding)

    def extend(self, others: Iterable[Diagnostic]) -> None:
        for finding in others:
            self._all.setdefault(finding.sort_key, finding)

    def sorted(self) -> tuple[Diagnostic, ...]:
        return tuple(sorted(self._all.values(), key=lambda finding: finding.sort_key))

    @property
    def failed(self) -> bool:
        return any(finding.severity is Severity.ERROR for finding in self._all.values())

    def __len__(self) -> int:
        return len(self._all)
