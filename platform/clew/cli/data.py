"""`clew seed`, `clew import`, `clew export`: records in bulk."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clew.cli.options import AsJson, DatabaseUrl, Lang, Project, SettingsFile, Situation, situation
from clew.cli.words import t
from clew.kernel.errors import BadInput
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from clew.cli.terminal import Terminal
    from clew.records.importing import ImportReport
    from clew.runtime import Runtime, RuntimeHost
    from clew.testing.seed import Seeded

_FORMATS = ("csv", "xlsx", "jsonl")


class UnknownSize(BadInput):
    """There is no seed of this size."""

    code = "UNKNOWN_SIZE"
    en, zh = "There is no size {size}: use {sizes}.", "没有规模 {size},可选 {sizes}。"


class UnknownFormat(BadInput):
    """The file's ending does not say a format that can be written."""

    code = "UNKNOWN_FORMAT"
    en, zh = "{file} should end in {formats}.", "{file} 应以 {formats} 结尾。"


class LinesOption(BadInput):
    """`--lines` without the field's name."""

    code = "LINES_OPTION"
    en, zh = "Write --lines FIELD=FILE, not {given}.", "请写作 --lines 字段=文件,而不是 {given}。"


Entity = Annotated[str, typer.Argument(help=t("The entity's name.", "实体名。"))]
File = Annotated[Path, typer.Argument(help=t("The file.", "文件。"))]


def register(app: typer.Typer) -> None:
    app.command("seed", help=t("Fill an empty database with a believable group.", "用示例集团数据填充空数据库。"))(
        seed_command
    )
    app.command("import", help=t("Import records from CSV or Excel.", "从 CSV 或 Excel 导入记录。"))(import_command)
    app.command("export", help=t("Export records to CSV, Excel or JSON lines.", "导出记录为 CSV、Excel 或 JSON 行。"))(
        export_command
    )


def seed_command(
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

    async def work() -> Seeded:
        from clew.runtime import open_runtime

        host = await open_runtime(given.settings)
        try:
            return await seed_with_progress(given.terminal, host, size)
        finally:
            await host.close()

    done = asyncio.run(work())
    given.terminal.emit(ok=True, size=size, records=done.records, counts=done.counts)


def import_command(
    entity: Entity,
    file: File,
    lines: Annotated[
        list[str] | None,
        typer.Option("--lines", help=t("FIELD=FILE of line records; repeat it.", "明细:字段=文件,可重复。")),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=t("Report only; change nothing.", "仅报告,不写入。"))
    ] = False,
    good_rows: Annotated[
        bool, typer.Option("--good-rows", help=t("Take the good rows, report the others.", "导入正确的行,报告其余行。"))
    ] = False,
    verb: Annotated[
        str, typer.Option("--verb", help=t("upsert or create.", "upsert(按业务键更新或新增)或 create。"))
    ] = "upsert",
    reason: Annotated[str, typer.Option("--reason", help=t("Why; kept in the trail.", "原因,记入审计线索。"))] = "",
    project: Project = None,
    database_url: DatabaseUrl = None,
    settings: SettingsFile = None,
    lang: Lang = None,
    as_json: AsJson = False,
) -> None:
    given = situation(project, database_url, settings, lang, as_json)
    pairs = dict(_pair(each) for each in lines or ())

    async def work(runtime: Runtime) -> ImportReport:
        from clew.records.importing import import_files

        with _bar(given.terminal) as show:
            mode: Any = "dry" if dry_run else "good" if good_rows else "all"
            call = runtime.operator_call(given.terminal.locale, reason or None)
            return await import_files(
                runtime.commands, call, entity, file, lines=pairs, verb=verb, mode=mode, progress=show
            )

    _show_report(given.terminal, asyncio.run(_with_runtime(given, work)), dry_run)


def export_command(
    entity: Entity,
    file: File,
    template: Annotated[
        bool, typer.Option("--template", help=t("An empty Excel file to fill in.", "导出待填写的 Excel 模板。"))
    ] = False,
    project: Project = None,
    database_url: DatabaseUrl = None,
    settings: SettingsFile = None,
    lang: Lang = None,
    as_json: AsJson = False,
) -> None:
    given = situation(project, database_url, settings, lang, as_json)
    ending = file.suffix.removeprefix(".").lower()
    if ending not in _FORMATS or (template and ending != "xlsx"):
        raise UnknownFormat(file=file, formats=".xlsx" if template else ", ".join(f".{each}" for each in _FORMATS))

    async def work(runtime: Runtime) -> int:
        from clew.records.exporting import Source, export_file
        from clew.records.template import write_template

        if template:
            write_template(runtime.blueprint, entity, file, given.terminal.locale)
            return 0
        call = runtime.operator_call(given.terminal.locale)
        source = Source(runtime.database, runtime.blueprint, runtime.tables, call.decision, call.context, runtime.clock)
        return await export_file(source, entity, file, ending)  # type: ignore[arg-type]

    count = asyncio.run(_with_runtime(given, work))
    if template:
        given.terminal.say(f"Template written to {file}.", f"模板已写入 {file}。")
    else:
        given.terminal.say(f"{count} records written to {file}.", f"已将 {count} 条记录写入 {file}。")
    given.terminal.emit(ok=True, file=str(file), records=count)


async def _with_runtime(given: Situation, work: Any) -> Any:
    from clew.runtime import open_runtime

    host = await open_runtime(given.settings)
    try:
        return await work(host.current)
    finally:
        await host.close()


async def seed_with_progress(terminal: Terminal, host: RuntimeHost, size: str) -> Seeded:
    """Seed and show how far it is: a bar on a terminal, otherwise a line at every tenth."""
    from rich.progress import Progress

    from clew.testing.seed import Size, run_seed

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


class _bar:
    """A progress bar as a context manager that gives the function to call."""

    def __init__(self, terminal: Terminal) -> None:
        from rich.progress import Progress

        self._bar = Progress(console=terminal.err, transient=True, disable=not terminal.err.is_terminal)

    def __enter__(self) -> Any:
        self._bar.start()
        task = self._bar.add_task("", total=None)
        return lambda done, total: self._bar.update(task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def _pair(text: str) -> tuple[str, Path]:
    name, separator, file = text.partition("=")
    if not separator or not name or not file:
        raise LinesOption(given=text)
    return name, Path(file)


def _show_report(terminal: Terminal, report: ImportReport, dry: bool) -> None:
    """Row-numbered problems first, then the sum. Exit code 1 when a row was refused."""
    for each in report.problems:
        if not terminal.as_json:
            place = f"{each.file}:{each.row}" + (f" [{each.column}]" if each.column else "")
            terminal.raw(f"{place}: {each.code}: {each.zh if terminal.locale == 'zh' else each.en}")
    counts = f"{report.rows}/{report.created}/{report.updated}/{len(report.problems)}"
    tail = Bilingual("未写入", "nothing written") if not report.committed else Bilingual("已写入", "written")
    terminal.say(f"rows/new/updated/refused: {counts}, {tail.en}.", f"行/新增/更新/拒绝:{counts},{tail.zh}。")
    problems = [
        {"file": p.file, "sheet": p.sheet, "row": p.row, "column": p.column, "code": p.code, "zh": p.zh, "en": p.en}
        for p in report.problems
    ]
    ok = not report.problems
    terminal.emit(
        ok=ok, dry=dry, rows=report.rows, created=report.created, updated=report.updated,
        committed=report.committed, problems=problems,
    )  # fmt: skip
    if not ok:
        raise typer.Exit(1)
