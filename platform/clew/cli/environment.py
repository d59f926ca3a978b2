"""`clew environment`: what a database is (development, test, production), told once and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clew.cli.options import Situation, common
from clew.cli.reasons import Reason
from clew.cli.words import t

if TYPE_CHECKING:
    from clew.storage.promotion.environment import Declaration, Environment

By = Annotated[str, typer.Option("--by", help=t("Who says so.", "由谁声明。"))]
Trust = Annotated[
    Path | None,
    typer.Option(
        "--trust", help=t("Public keys whose bundles are believed, one a line.", "受信任的公钥文件,每行一个。")
    ),
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help=t("What a database is: development, test, production.", "数据库的环境:开发、测试或生产。"),
        no_args_is_help=True,
    )
    group.command("show", help=t("What this database is.", "显示该数据库的环境。"))(show_command)
    group.command("set", help=t("Tell a database what it is; never less strict.", "声明数据库的环境,只能变严。"))(
        set_command
    )
    app.add_typer(group, name="environment")


@common
def show_command(given: Situation) -> None:
    told = asyncio.run(_show(given))
    terminal = given.terminal
    terminal.emit(**_json(told))
    terminal.say(told.environment.value, told.environment.value)
    for key, public in sorted(told.trusted.items()):
        terminal.say(f"  believes bundles sealed by {key}  {public}", f"  信任由 {key} 封印的发布包  {public}")
    if told.number:
        terminal.say(f"  told by {told.by}: {told.reason}", f"  由 {told.by} 声明:{told.reason}")


@common
def set_command(
    given: Situation,
    environment: Annotated[
        str, typer.Argument(help=t("development, test or production.", "development、test 或 production。"))
    ],
    by: By,
    reason: Reason,
    trust: Trust = None,
) -> None:
    from clew.storage.promotion.environment import Environment
    from clew.storage.promotion.keys import read_trusted

    if environment not in set(Environment):
        raise typer.BadParameter(" | ".join(Environment))
    trusted = read_trusted(trust) if trust is not None else None
    told = asyncio.run(_set(given, Environment(environment), trusted, by, reason))
    given.terminal.say(f"This database is {told.environment}.", f"该数据库的环境为 {told.environment}。")
    given.terminal.emit(**_json(told))


async def _show(given: Situation) -> Declaration:
    from clew.cli.applying import owner_database
    from clew.storage.promotion.environment import declaration

    async with owner_database(given.settings, whatever=True) as database, database.read() as connection:
        return await declaration(connection)


async def _set(
    given: Situation, environment: Environment, trusted: Mapping[str, str] | None, by: str, reason: str
) -> Declaration:
    from clew.audit.releases import record_environment
    from clew.cli.applying import open_to_servers, operator_context, owner_database
    from clew.storage.promotion.environment import declaration, declare

    async with owner_database(given.settings, whatever=True) as database:
        async with database.migrate() as connection:
            keep = (await declaration(connection)).trusted if trusted is None else trusted
            told = await declare(connection, environment, keep, by, reason)
            await record_environment(connection, operator_context())
        await open_to_servers(given.settings, database)
    return told


def _json(told: Declaration) -> dict[str, Any]:
    return {
        "format": 1,
        "environment": told.environment.value,
        "trusted": dict(told.trusted),
        "told": told.number,
        "at": told.at,
        "by": told.by,
        "reason": told.reason,
    }
