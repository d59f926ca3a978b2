"""`clew seed`, `clew import`, `clew export`: records in bulk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from clew.cli.options import AsJson, DatabaseUrl, Lang, Project, SettingsFile, Situation, situation
from clew.cli.words import t
from clew.kernel.errors import BadInput

if TYPE_CHECKING:
    from clew.cli.terminal import Terminal
    from clew.runtime import Runtime


class UnknownSize(BadInput):
    """There is no seed of this size."""

    code = "UNKNOWN_SIZE"
    en, zh = "There is no size {size}: use {sizes}.", "没有规模 {size},可选 {sizes}。"


def register(app: typer.Typer) -> None:
    @app.command(help=t("Fill an empty database with a believable group.", "用示例集团数据填充空数据库。"))
    def seed(
        size: Annotated[
            str, typer.Option("--size", help=t("small, medium or large.", "small、medium 或 large。"))
        ] = "small",
        project: Project = None,
        database_url: DatabaseUrl = None,
        settings: SettingsFile = None,
        lang: Lang = None,
        as_json: AsJson = False,
    ) -> None:
        given = situation(project, database_url, settings, lang, as_json)
        count = asyncio.run(_seed(given, size))
        given.terminal.emit(ok=True, records=count)


async def _seed(given: Situation, size: str) -> int:
    from clew.runtime import open_runtime

    host = await open_runtime(given.settings)
    try:
        return await seed_with_progress(given.terminal, host.current, size)
    finally:
        await host.close()


async def seed_with_progress(terminal: Terminal, runtime: Runtime, size: str) -> int:
    """Seed and show how far it is. Without a terminal only the end is told."""
    from rich.progress import Progress

    from clew.testing.seed import Size, run_seed

    if size not in set(Size):
        raise UnknownSize(size=size, sizes=", ".join(Size))
    with Progress(console=terminal.err, transient=True, disable=not terminal.err.is_terminal) as bar:
        tasks: dict[str, object] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)  # type: ignore[arg-type]

        count = await run_seed(runtime, Size(size), show)
    if count:
        terminal.say(f"{count} records were made.", f"已生成 {count} 条记录。")
    return count
