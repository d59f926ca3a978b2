"""`clew check`: every finding in a project's files at once, as text, JSON or SARIF."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from clew.cli.options import AsJson, Lang, Project, SettingsFile, situation
from clew.cli.words import t
from clew.kernel.text import counted

if TYPE_CHECKING:
    from clew.cli.terminal import Terminal
    from clew.kernel.diagnostics import Diagnostic, Place
    from clew.kernel.text import Locale


class Format(StrEnum):
    text = "text"
    json = "json"
    sarif = "sarif"


def register(app: typer.Typer) -> None:
    @app.command(help=t("Check the project's YAML; nothing is changed.", "检查项目 YAML,不做任何更改。"))
    def check(
        folder: Annotated[Path | None, typer.Argument(help=t("The project's folder.", "项目目录。"))] = None,
        format: Annotated[Format, typer.Option("--format", help=t("How to report.", "输出格式。"))] = Format.text,
        project: Project = None,
        settings: SettingsFile = None,
        lang: Lang = None,
        as_json: AsJson = False,
    ) -> None:
        from clew.runtime.project import load_readable

        given = situation(folder or project, None, settings, lang, as_json or format is not Format.text)
        loaded = load_readable(given.settings.project)
        terminal = given.terminal
        if format is Format.sarif:
            terminal.emit(**sarif(loaded.diagnostics, terminal.locale))
        elif terminal.as_json:
            shown = [finding_json(each, terminal.locale) for each in loaded.diagnostics]
            terminal.emit(ok=loaded.blueprint is not None, findings=shown)
        else:
            show_findings(terminal, loaded.diagnostics)
            if loaded.blueprint is not None:
                count = len(loaded.blueprint.entities)
                terminal.say(f"All good: {counted(count, 'entity', 'entities')}.", f"检查通过:{count} 个实体。")
        if loaded.blueprint is None:
            raise typer.Exit(1)


def show_findings(terminal: Terminal, findings: Sequence[Diagnostic]) -> None:
    """One line per finding with its place first, so that terminals and editors make it a link; the hint below."""
    locale = terminal.locale
    for each in findings:
        kind = {"error": ("错误", "error"), "warning": ("警告", "warning")}[each.severity.value]
        terminal.raw(f"{each.place}: {kind[0] if locale == 'zh' else kind[1]} {each.code}: {each.message(locale)}")
        if hint := each.hint(locale):
            terminal.raw(f"    → {hint}")
    if findings:
        count = len(findings)
        terminal.say(f"{count} finding{'' if count == 1 else 's'}.", f"共 {count} 处。")


def finding_json(each: Diagnostic, locale: Locale) -> dict[str, Any]:
    return {
        "file": each.place.file,
        "line": each.place.line,
        "column": each.place.column,
        "path": each.path,
        "severity": each.severity.value,
        "code": each.code,
        "message": each.message(locale),
        "zh": each.message("zh"),
        "en": each.message("en"),
        "hint": each.hint(locale),
        "nearest": each.nearest,
        "related": [{"file": place.file, "line": place.line, "column": place.column} for place in each.related],
    }


def sarif(findings: Sequence[Diagnostic], locale: Locale) -> dict[str, Any]:
    """SARIF 2.1.0, for build servers and code hosts."""
    from clew import __version__

    rules = {each.code: each.rule for each in findings}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "clew",
                        "version": __version__,
                        "rules": [
                            {"id": code, "shortDescription": {"text": rule.zh if locale == "zh" else rule.en}}
                            for code, rule in sorted(rules.items())
                        ],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(each, locale) for each in findings],
            }
        ],
    }


def _result(each: Diagnostic, locale: Locale) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ruleId": each.code,
        "level": each.severity.value,
        "message": {"text": each.message(locale)},
        "locations": [_location(each.place)],
    }
    if each.related:
        found["relatedLocations"] = [_location(place) for place in each.related]
    return found


def _location(place: Place) -> dict[str, Any]:
    """A place as SARIF says it: a URI reference, lines and columns from 1. A finding about a whole file is at its
    beginning."""
    region = {"startLine": max(place.line, 1), "startColumn": max(place.column, 1)}
    return {"physicalLocation": {"artifactLocation": {"uri": quote(place.file)}, "region": region}}
