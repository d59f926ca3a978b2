"""The tutorial as a person follows it: its blocks in order, typed into a project with a running demonstration."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from clew.cli.app import run

ROOT = Path(__file__).parents[2]
PARTS = (
    "clew.yaml", "alerts", "calendars", "models", "permissions", "plugins", "rules", "scenarios", "ui_schemas",
    "watches", "workflows",
)  # fmt: skip
"""What of the repository is the project."""
_BLOCK = re.compile(r"^```(?P<kind>\w+) *(?P<note>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block. `kind` is its language, `note` what stands behind it: `file=…`, `exit=1`, `answer` …"""

    kind: str
    note: str
    text: str

    def option(self, name: str) -> str:
        key, _, value = self.note.partition("=")
        return value if key == name else ""


def blocks(language: str, name: str = "tutorial") -> list[Block]:
    page = ROOT / "docs" / (f"{name}.md" if language == "en" else f"{name}.zh.md")
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(each["kind"], each["note"].strip(), each["text"]) for each in found]


def paired(page: list[Block]) -> Iterator[tuple[Block, dict[str, Block]]]:
    """Every block that does something, with the blocks about it that follow: output, variables, answer."""
    at = 0
    while at < len(page):
        block, about = page[at], {}
        at += 1
        while at < len(page) and (page[at].kind == "text" or page[at].note in ("variables", "answer", "refused")):
            about[page[at].note or "text"] = page[at]
            at += 1
        yield block, about


def typed(line: str) -> int:
    """One line of a terminal; its exit code. What concerns the installation is not repeated here."""
    words = shlex.split(line)
    if words[-2:] == ["make", "demo"] or words == [".", ".venv/bin/activate"]:
        return 0
    assert words[0] == "clew", line
    return run(words[1:])


def same_lines(expected: str, printed: str) -> None:
    """Each line shown on the page was printed, in this order; `…` stands for anything."""
    rest = iter(printed.splitlines())
    for line in filter(None, expected.splitlines()):
        pattern = ".*".join(re.escape(part) for part in line.split("…"))
        assert any(re.fullmatch(pattern, each) for each in rest), f"{line!r} is not in:\n{printed}"


def within(expected: Any, found: Any) -> bool:
    """Whether an answer holds at least what the page shows of it."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(within(value, found.get(key)) for key, value in expected.items())
    if isinstance(expected, list):
        return len(expected) == len(found) and all(map(within, expected, found))
    return bool(expected == found)


class Browser:
    """GraphiQL's user: remembers what earlier answers said, to copy it into the variables."""

    def __init__(self, client: httpx2.Client, language: str) -> None:
        self._client, self._language = client, language
        self._seen: dict[str, Any] = {}

    def ask(self, query: str, variables: dict[str, Any]) -> Any:
        filled = {name: self._seen[name] if value == "…" else value for name, value in variables.items()}
        headers = {"accept-language": self._language}
        answer = self._client.post("/graphql", json={"query": query, "variables": filled}, headers=headers).json()
        self._remember(answer.get("data"))
        return answer

    def _remember(self, data: Any) -> None:
        for name, value in data.items() if isinstance(data, dict) else ():
            if isinstance(value, dict) and "id" in value:
                self._seen[name] = value["id"]
            elif isinstance(value, (str, int)):
                self._seen[name] = value
            self._remember(value)
        for each in data if isinstance(data, list) else ():
            self._remember(each)
