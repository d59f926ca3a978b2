"""`clew seed`: a believable group to look at."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from clew.cli.options import Situation, common
from clew.cli.usage import WrongUsage
from clew.cli.words import t
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from clew.cli.seeding import Seeded
    from clew.cli.terminal import Terminal
    from clew.runtime import RuntimeHost

_FORMATS = ("csv", "xlsx", "jsonl")


class UnknownSize(WrongUsage):
    """There is no seed of this size."""

    code = "UNKNOWN_SIZE"
    en, zh = "There is no size {size}: use {sizes}.", "没有规模 {size},可选 {sizes}。"


def register(app: typer.Typer) -> None:
    app.command("seed", help=t("Fill an empty database with a believable group.", "用示例集团数据填充空数据库。"))(
        seed_command
    )


@common
def seed_command(
    given: Situation,
    size: Annotated[
        str, typer.Option("--size", help=t("small, medium or large.", "small、medium 或 large。"))
    ] = "small",
) -> None:
    async def work() -> Seeded:
        from clew.runtime import open_runtime

        host = await open_runtime(given.settings)
        try:
            return await seed_with_progress(given.terminal, host, size)
        finally:
            await host.close()

    done = asyncio.run(work())
    given.terminal.emit(ok=True, size=size, records=done.records, counts=done.counts)


async def seed_with_progress(terminal: Terminal, host: RuntimeHost, size: str) -> Seeded:
    """Seed and show how far it is: a bar on a terminal, otherwise a line at every tenth."""
    from rich.progress import Progress

    from clew.cli.seeding import Size, run_seed

    if size not in set(Size):
        raise UnknownSize(size=size, sizes=", ".join(Size))
    told = 0
    with Progress(console=terminal.err, transient=True, disable=not terminal.err.is_terminal) as bar:
        task = bar.add_task(terminal.text(Bilingual("生成记录", "records")), total=None)

        def show(done: int, total: int) -> None:
            nonlocal told
            bar.update(task, completed=done, total=total)
            if not terminal.err.is_terminal and done * 10 // total > told:
                told = done * 10 // total
                terminal.note(f"{told * 10}% · {done} records", f"{told * 10}% · {done} 条记录")

        seeded = await run_seed(host, Size(size), show)
    terminal.say(f"{seeded.records} records were made.", f"已生成 {seeded.records} 条记录。")
    return seeded
