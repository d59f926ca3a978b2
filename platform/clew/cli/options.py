"""Options that several commands share, and how they become settings."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clew.cli.terminal import Terminal, chosen_locale
from clew.cli.words import t

if TYPE_CHECKING:
    from clew.settings import Settings

Project = Annotated[
    Path | None,
    typer.Option("--project", "-p", help=t("The project's folder (default: here).", "项目目录(默认当前目录)。")),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database-url", help=t("postgresql://… or sqlite:///path.", "postgresql://… 或 sqlite:///路径。")),
]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help=t("A settings file (TOML).", "设置文件(TOML)。"))]
Lang = Annotated[str | None, typer.Option("--lang", help=t("Language: zh or en.", "语言:zh 或 en。"))]
AsJson = Annotated[bool, typer.Option("--json", help=t("One JSON object instead of text.", "以 JSON 输出。"))]
Out = Annotated[Path | None, typer.Option("--out", "-o", help=t("Where to write.", "输出位置。"))]
BundleFile = Annotated[Path, typer.Argument(help=t("The bundle's file.", "发布包文件。"))]
Host = Annotated[str | None, typer.Option("--host", help=t("Address to listen on.", "监听地址。"))]
Port = Annotated[int | None, typer.Option("--port", help=t("Port; 0 takes a free one.", "端口;0 表示任选空闲端口。"))]


@dataclass(frozen=True, slots=True)
class Situation:
    """What every command works with."""

    terminal: Terminal
    settings: Settings


def situation(
    project: Path | None = None,
    database_url: str | None = None,
    settings: Path | None = None,
    lang: str | None = None,
    as_json: bool = False,
    **more: Any,
) -> Situation:
    """Settings by their order of precedence, and the terminal that speaks the chosen language."""
    from clew.settings import load_settings

    locale = chosen_locale(["--lang", lang] if lang else [], os.environ)
    found = load_settings(settings, project=project, database_url=database_url, lang=lang, **more)
    return Situation(Terminal(locale, as_json), found)


_COMMON = {"project": Project, "database_url": DatabaseUrl, "settings": SettingsFile, "lang": Lang, "as_json": AsJson}


def common(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of every command on a database; its first argument, `given`, is what they make."""
    own = inspect.signature(command, eval_str=True)

    @wraps(command)
    def run(**options: Any) -> None:
        shared = {name: options.pop(name) for name in _COMMON}
        command(situation(**shared), **options)

    keyword = inspect.Parameter.KEYWORD_ONLY
    mine = [each.replace(kind=keyword) for name, each in own.parameters.items() if name != "given"]
    shared = [
        inspect.Parameter(name, keyword, annotation=type_, default=False if type_ is AsJson else None)
        for name, type_ in _COMMON.items()
    ]
    run.__signature__ = own.replace(parameters=[*mine, *shared])  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in (*mine, *shared)}
    return run
