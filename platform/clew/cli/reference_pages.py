"""The reference pages of docs/, made from the code: error and finding codes, settings, commands."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

import clew
from clew.cli.app import command_tree
from clew.kernel.diagnostics import Rule, Severity
from clew.kernel.errors import ClewError
from clew.kernel.text import Bilingual, Locale
from clew.settings import described, variable

_SUFFIX: Mapping[Locale, str] = {"en": ".md", "zh": ".zh.md"}
_MADE = Bilingual("本页由 `clew docs --reference` 生成。", "Made by `clew docs --reference`.")


def pages() -> dict[str, str]:
    """File name → text, for both languages."""
    made: dict[str, str] = {}
    for locale, suffix in _SUFFIX.items():
        made[f"errors{suffix}"] = errors_page(locale)
        made[f"settings{suffix}"] = settings_page(locale)
        made[f"cli{suffix}"] = cli_page(locale)
    return made


def modules() -> Iterator[Any]:
    """Every module of the platform but the ones for tests."""
    for found in pkgutil.walk_packages(clew.__path__, "clew."):
        if not found.name.startswith("clew.testing"):
            yield importlib.import_module(found.name)


def error_classes() -> list[type[ClewError]]:
    """All errors, one per code; the class that defines a code speaks for its subclasses."""
    list(modules())
    found: dict[str, type[ClewError]] = {}

    def visit(cls: type[ClewError]) -> None:
        if cls.__module__.startswith("clew.") and not cls.__module__.startswith("clew.testing"):
            found.setdefault(cls.code, cls)
        for below in cls.__subclasses__():
            visit(below)

    visit(ClewError)
    return [found[code] for code in sorted(found)]


def rules() -> list[Rule]:
    """All findings `clew check` can have."""
    found = {value.code: value for module in modules() for value in vars(module).values() if isinstance(value, Rule)}
    return [found[code] for code in sorted(found)]


def errors_page(locale: Locale) -> str:
    zh = locale == "zh"
    lines = [
        "# 错误代码" if zh else "# Error codes",
        "",
        _MADE.to(locale),
        "",
        "## 请求与命令" if zh else "## Requests and commands",
        "",
        "GraphQL 的 `extensions.code`、HTTP 响应与 `--json` 输出使用这些代码。花括号处填入具体内容。"
        if zh
        else "GraphQL's `extensions.code`, HTTP answers and `--json` use these codes. Braces stand for particulars.",
        "",
        "| 代码 | HTTP | 含义 | 处理 |" if zh else "| code | HTTP | meaning | what to do |",
        "|---|---|---|---|",
    ]
    for cls in error_classes():
        text, hint = (cls.zh, cls.hint_zh) if zh else (cls.en, cls.hint_en)
        lines.append(f"| `{cls.code}` | {cls.status} | {_cell(text)} | {_cell(hint)} |")
    lines += [
        "",
        "## 项目文件的检查结果" if zh else "## Findings in a project's files",
        "",
        "`clew check` 报告这些代码。" if zh else "`clew check` reports these.",
        "",
        "| 代码 | 级别 | 含义 | 处理 |" if zh else "| code | severity | meaning | what to do |",
        "|---|---|---|---|",
    ]
    severity = {Severity.ERROR: Bilingual("错误", "error"), Severity.WARNING: Bilingual("警告", "warning")}
    for rule in rules():
        text, hint = (rule.zh, rule.hint_zh) if zh else (rule.en, rule.hint_en)
        lines.append(f"| `{rule.code}` | {severity[rule.severity].to(locale)} | {_cell(text)} | {_cell(hint)} |")
    return "\n".join(lines) + "\n"


def settings_page(locale: Locale) -> str:
    zh = locale == "zh"
    lines = [
        "# 设置" if zh else "# Settings",
        "",
        _MADE.to(locale),
        "",
        "优先级:命令行选项、环境变量、设置文件(TOML,由 `--settings` 或 `CLEW_SETTINGS` 指定)、默认值。"
        if zh
        else "An option on the command line wins, then the environment, then a settings file (TOML, named by\n"
        "`--settings` or `CLEW_SETTINGS`), then the default.",
        "",
        "| 设置文件中的键 | 环境变量 | 默认值 | 含义 |" if zh else "| key in the file | variable | default | meaning |",
        "|---|---|---|---|",
    ]
    for each in described():
        default = f"`{each.default}`" if each.default else ""
        lines.append(f"| `{each.name}` | `{variable(each.name)}` | {default} | {_cell(each.help.to(locale))} |")
    return "\n".join(lines) + "\n"


def cli_page(locale: Locale) -> str:
    zh = locale == "zh"
    tree = command_tree(locale)
    lines = [
        "# 命令" if zh else "# Commands",
        "",
        _MADE.to(locale),
        "",
        "退出码:0 完成,1 有发现或被拒绝,2 用法错误。没有终端时从不提问。`clew --install-completion` 安装补全。"
        if zh
        else "Exit codes: 0 done, 1 findings or refused, 2 wrong usage. Without a terminal nothing is ever asked.\n"
        "`clew --install-completion` installs completion.",
    ]
    for name, command in commands_of(tree):
        usage = " ".join(_argument(each) for each in command.params if each.param_type_name == "argument")
        lines += ["", f"## clew {name}", "", command.help or "", "", f"`clew {name} {usage}`".replace(" `", "`"), ""]
        lines += ["| 选项 | 含义 |" if zh else "| option | meaning |", "|---|---|"]
        lines += [f"| `{' '.join(each.opts)}` | {_cell(getattr(each, 'help', '') or '')} |" for each in command.params]
    return "\n".join(lines) + "\n"


def commands_of(tree: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its whole name: `check`, `release export` …"""
    for name, command in tree.commands.items():
        if hasattr(command, "commands"):
            yield from commands_of(command, f"{before}{name} ")
        else:
            yield before + name, command


def _argument(parameter: Any) -> str:
    name = parameter.name.upper()
    return name if parameter.required else f"[{name}]"


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


__all__ = ["cli_page", "commands_of", "error_classes", "errors_page", "pages", "rules", "settings_page"]
