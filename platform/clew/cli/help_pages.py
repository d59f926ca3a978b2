"""The pages of `--help`: what the parser says by itself in the caller's language, and Chinese text whole.

The library that prints tables cuts a text without spaces at the end of its column; here it goes on in the next line.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from clew.kernel.text import Bilingual, Locale

_TITLES = {
    "ARGUMENTS_PANEL_TITLE": Bilingual("参数", "Arguments"),
    "OPTIONS_PANEL_TITLE": Bilingual("选项", "Options"),
    "COMMANDS_PANEL_TITLE": Bilingual("命令", "Commands"),
    "DEFAULT_STRING": Bilingual("[默认:{}]", "[default: {}]"),
    "REQUIRED_LONG_STRING": Bilingual("[必填]", "[required]"),
}
_OWN = {
    "install_completion": Bilingual("为当前 shell 安装命令补全。", "Install completion for this shell."),
    "show_completion": Bilingual("显示当前 shell 的补全脚本。", "Show completion for this shell, to copy it."),
}
_HELP, _USAGE = Bilingual("显示本帮助。", "Show this help."), Bilingual("用法:", "Usage:")


def put_into(command: Any, locale: Locale) -> None:
    """Put what the parser adds to a command's help page into one language. What prints it is loaded only then."""
    for parameter in getattr(command, "params", ()):
        if parameter.name in _OWN:
            parameter.help = _OWN[parameter.name].to(locale)
    command.format_help = partial(_page, command.format_help, locale)
    command.get_usage = partial(_usage, command.get_usage, locale)
    command.get_help_option = partial(_help_option, command.get_help_option, locale)


def _page(print_it: Callable[..., None], locale: Locale, *given: Any) -> None:
    from rich.columns import Columns
    from rich.table import Table
    from rich.text import Text
    from typer import rich_utils

    class Folding(Table):
        def add_row(self, *cells: Any, **more: Any) -> None:
            super().add_row(*cells, **more)
            for column in self.columns:
                column.overflow = "fold"
            for cell in cells:
                for text in cell.renderables if isinstance(cell, Columns) else ():
                    if isinstance(text, Text):
                        text.overflow = "fold"

    said = {name: title.to(locale) for name, title in _TITLES.items()}
    for name, value in {**said, "Table": Folding}.items():
        setattr(rich_utils, name, value)
    print_it(*given)


def _usage(told: Callable[[Any], str], locale: Locale, context: Any) -> str:
    return told(context).replace("Usage:", _USAGE.to(locale), 1)


def _help_option(made: Callable[[Any], Any], locale: Locale, context: Any) -> Any:
    option = made(context)
    if option is not None:
        option.help = _HELP.to(locale)
    return option
