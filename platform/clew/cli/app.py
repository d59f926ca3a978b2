"""The command tree in the caller's language. Exit codes: 0 done, 1 findings or refused, 2 wrong usage."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from clew import __version__
from clew.cli import (
    access,
    audit,
    change,
    check,
    data,
    doctor,
    environment,
    exchange,
    process,
    project,
    reference,
    release,
    retention,
    scenario,
    serve,
    tokens,
    users,
)
from clew.cli.terminal import Terminal, chosen_locale
from clew.cli.usage import WrongUsage
from clew.cli.words import localize, t
from clew.kernel.errors import ClewError
from clew.kernel.text import Locale

_GROUPS = (
    project,
    check,
    scenario,
    process,
    change,
    release,
    environment,
    serve,
    access,
    users,
    tokens,
    data,
    exchange,
    audit,
    retention,
    reference,
    doctor,
)


def build() -> typer.Typer:
    """All commands with bilingual help."""
    app = typer.Typer(
        name="clew",
        help=t(
            "A folder of YAML becomes tables, a GraphQL API, processes and an audit thread.",
            "一个 YAML 目录即可成为数据表、GraphQL 接口、流程与审计线索。",
        ),
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def root(
        version: Annotated[
            bool, typer.Option("--version", is_eager=True, callback=_version, help=t("The version.", "版本号。"))
        ] = False,
    ) -> None:
        pass

    for group in _GROUPS:
        group.register(app)
    return app


def command_tree(locale: Locale) -> Any:
    command = typer.main.get_command(build())
    localize(command, locale)
    return command


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code."""
    given = _language_last(list(sys.argv[1:] if arguments is None else arguments))
    locale = chosen_locale(given, os.environ)
    try:
        command_tree(locale).main(args=given, prog_name="clew")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    except ClewError as problem:
        Terminal(locale, "--json" in given).problem(problem)
        return 2 if isinstance(problem, WrongUsage) or problem.code == "SETTINGS_INVALID" else 1
    except OSError as problem:
        return _stopped(Terminal(locale, "--json" in given), problem)
    return 0


def _stopped(terminal: Terminal, problem: OSError) -> int:
    """The machine refused: a full disk, a folder without permission, a reader that went away (`clew docs | head`)."""
    if isinstance(problem, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    terminal.problem(MachineRefused(why=problem.strerror or str(problem), file=problem.filename or ""))
    return 1


class MachineRefused(ClewError):
    """The operating system would not do what a command needed."""

    code = "MACHINE_REFUSED"
    en, zh = "The machine refused: {why} {file}", "系统拒绝:{why} {file}"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"clew {__version__}")
        raise typer.Exit


def _language_last(given: list[str]) -> list[str]:
    """`clew --lang zh check` means `clew check --lang zh`: every command takes the option itself."""
    if given[:1] == ["--lang"] and len(given) > 1:
        rest, language = given[2:], given[:2]
    elif given and given[0].startswith("--lang="):
        rest, language = given[1:], given[:1]
    else:
        return given
    return [*rest, *language] if rest and not rest[0].startswith("-") else rest
