"""`clew import` and `clew export`: records in and out of files."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from clew.cli.options import Situation, common
from clew.cli.usage import FileMissing, FolderMissing, UnknownFormat, WrongUsage
from clew.cli.words import t
from clew.kernel.text import Bilingual, Locale, counted

if TYPE_CHECKING:
    from clew.cli.terminal import Terminal
    from clew.metadata.blueprint import Blueprint, Entity
    from clew.records.exporting import Selection
    from clew.records.importing import ImportReport, Problem
    from clew.runtime import Runtime

T = TypeVar("T")
SHOWN = 50
"""Refused rows printed on the screen; the report file has them all."""


class UnknownEntity(WrongUsage):
    """The project has no entity of this name."""

    code = "UNKNOWN_ENTITY"
    en, zh = "There is no entity {name}.{near}", "没有实体 {name}。{near}"


class LinesOption(WrongUsage):
    """`--lines` without the field's name."""

    code = "LINES_OPTION"
    en, zh = "Write --lines FIELD=FILE, not {given}.", "请写作 --lines 字段=文件,而不是 {given}。"


class BadMoment(WrongUsage):
    """A moment that cannot be read."""

    code = "BAD_MOMENT"
    en = "{given} is not a moment: write 2026-03-31 or 2026-03-31T17:00."
    zh = "{given} 不是有效时刻:请写作 2026-03-31 或 2026-03-31T17:00。"


class Mode(StrEnum):
    all = "all"
    good = "good"


class Verb(StrEnum):
    upsert = "upsert"
    create = "create"


class Format(StrEnum):
    csv = "csv"
    xlsx = "xlsx"
    jsonl = "jsonl"


EntityName = Annotated[str, typer.Argument(metavar="ENTITY", help=t("The entity's name.", "实体名。"))]


def register(app: typer.Typer) -> None:
    app.command("import", help=t("Import records from CSV or Excel.", "从 CSV 或 Excel 导入记录。"))(import_command)
    app.command("export", help=t("Export records to CSV, Excel or JSON lines.", "导出记录为 CSV、Excel 或 JSON 行。"))(
        export_command
    )


@common
def import_command(
    given: Situation,
    entity: EntityName,
    file: Annotated[
        Path | None,
        typer.Argument(
            help=t("A CSV (UTF-8, UTF-16, GB18030) or Excel file.", "CSV(UTF-8、UTF-16、GB18030)或 Excel。")
        ),
    ] = None,
    template: Annotated[
        bool,
        typer.Option(
            "--template", help=t("Write an empty Excel file to fill in instead.", "改为生成待填写的 Excel 模板。")
        ),
    ] = False,
    lines: Annotated[
        list[str] | None,
        typer.Option("--lines", help=t("FIELD=FILE of line records; repeat it.", "明细:字段=文件,可重复。")),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=t("Report only; change nothing.", "仅报告,不写入。"))
    ] = False,
    mode: Annotated[
        Mode,
        typer.Option(
            "--mode",
            help=t(
                "all: every row or none. good: leave out the refused rows.",
                "all:全部写入或全不写入;good:略过被拒的行。",
            ),
        ),
    ] = Mode.all,
    verb: Annotated[
        Verb,
        typer.Option(
            "--verb", help=t("upsert: change what has the same key.", "upsert:业务键相同则更新;create:仅新增。")
        ),
    ] = Verb.upsert,
    report: Annotated[
        Path | None,
        typer.Option("--report", help=t("Write the refused rows to a CSV file.", "将被拒的行写入 CSV 文件。")),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help=t("Why; kept in the trail.", "原因,记入审计线索。"))] = "",
) -> None:
    if template:
        _template(given, entity, file)
        return
    if file is None:
        raise typer.BadParameter(
            given.terminal.text(Bilingual("请给出文件,或 --template", "give a file, or --template"))
        )
    pairs = dict(_pair(each) for each in lines or ())
    for each in (file, *pairs.values()):
        if not each.is_file():
            raise FileMissing(file=each)
    if report is not None:
        _has_folder(report)

    async def work(runtime: Runtime) -> ImportReport:
        from clew.records.importing import import_files

        _entity(runtime.blueprint, entity)
        call = runtime.operator_call(given.terminal.locale, reason or None)
        with _bar(given.terminal, Bilingual("导入", "importing")) as show:
            return await import_files(
                runtime.commands,
                call,
                entity,
                file,
                lines=pairs,
                verb=verb.value,
                mode="dry" if dry_run else mode.value,
                progress=show,
            )

    done = asyncio.run(_with_runtime(given, work))
    if report is not None:
        write_problems(report, done.problems, given.terminal.locale)
    _show_report(given.terminal, done, dry_run, report)


@common
def export_command(
    given: Situation,
    entity: EntityName,
    file: Annotated[
        Path | None, typer.Argument(help=t("The file; without it ENTITY.csv.", "文件;默认为 实体名.csv。"))
    ] = None,
    format: Annotated[
        Format | None, typer.Option("--format", help=t("Without it the file's ending says.", "默认取自文件扩展名。"))
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            "--where",
            help=t("Only these, e.g. \"state == 'released'\".", "仅导出满足条件的记录,如 \"state == 'released'\"。"),
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            help=t("As it was at a moment; a date means its end.", "导出某一时刻的数据;只写日期表示当日结束时。"),
        ),
    ] = None,
) -> None:
    path = file or Path(f"{entity}.{(format or Format.csv).value}")
    ending = (format.value if format else path.suffix.removeprefix(".")).lower()
    if ending not in set(Format):
        raise UnknownFormat(file=path, formats=", ".join(f".{each.value}" for each in Format))
    _has_folder(path)

    async def work(runtime: Runtime) -> int:
        from clew.records.exporting import export_file
        from clew.records.source import Source

        known = _entity(runtime.blueprint, entity)
        call = runtime.operator_call(given.terminal.locale)
        source = Source(
            runtime.database,
            runtime.blueprint,
            runtime.tables,
            call.decision,
            call.context,
            runtime.clock.now(),
            str(runtime.number),
        )
        chosen = _selection(runtime.blueprint, known, where, as_of)
        with _bar(given.terminal, Bilingual("导出", "exporting")) as show:
            return await export_file(
                source, entity, path, Format(ending).value, chosen=chosen, progress=lambda done: show(done, None)
            )

    count = asyncio.run(_with_runtime(given, work))
    given.terminal.say(f"{counted(count, 'record')} written to {path}.", f"已将 {count} 条记录写入 {path}。")
    given.terminal.emit(ok=True, file=str(path), records=count)


def _template(given: Situation, entity: str, file: Path | None) -> None:
    """`clew import lot --template`, or the file's name alone: `clew import --template lot.xlsx`."""
    from clew.cli.applying import checked_project
    from clew.records.template import write_template

    path = file or Path(entity if entity.lower().endswith(".xlsx") else f"{entity}.xlsx")
    if path.suffix.lower() != ".xlsx":
        raise UnknownFormat(file=path, formats=".xlsx")
    _has_folder(path)
    blueprint = checked_project(given.settings.project, given.terminal)
    known = _entity(blueprint, path.stem if file is None else entity)
    write_template(blueprint, known.name, path, given.terminal.locale)
    given.terminal.say(f"Template written to {path}.", f"模板已写入 {path}。")
    given.terminal.emit(ok=True, file=str(path))


def _selection(blueprint: Blueprint, entity: Entity, where: str | None, as_of: str | None) -> Selection:
    """Raises ExpressionError for a condition that the entity's fields cannot answer."""
    from clew.expressions.check import check
    from clew.expressions.tree import Base, Type
    from clew.metadata.schema import BlueprintSchema
    from clew.records.exporting import Selection

    condition = None
    if where is not None:
        condition = check(where, BlueprintSchema.of(blueprint), entity.name, expect=Type(Base.BOOLEAN))
    return Selection(condition, None if as_of is None else moment(as_of, blueprint.project.time_zone))


def moment(text: str, time_zone: str) -> datetime:
    """A moment as people write it: in the project's time unless it names a zone; a date means the end of that day,
    because "as of 31 March" includes what happened on 31 March."""
    from datetime import date, time
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(time_zone)
    try:
        if len(text) == len("2026-03-31"):
            return datetime.combine(date.fromisoformat(text), time.max, zone)
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadMoment(given=text[:60]) from None
    return found if found.tzinfo else found.replace(tzinfo=zone)


def _entity(blueprint: Blueprint, name: str) -> Entity:
    from clew.kernel.diagnostics import nearest

    if name not in blueprint.entities:
        near = nearest(name, list(blueprint.entities))
        words = Bilingual(f"是否想写 {near}?", f" Did you mean {near}?") if near else Bilingual()
        raise UnknownEntity(name=name[:60], near=words)
    return blueprint.entities[name]


def _has_folder(file: Path) -> None:
    if not file.parent.is_dir():
        raise FolderMissing(folder=file.parent)


async def _with_runtime(given: Situation, work: Callable[[Runtime], Awaitable[T]]) -> T:
    from clew.runtime import open_runtime

    host = await open_runtime(given.settings)
    try:
        return await work(host.current)
    finally:
        await host.close()


@contextmanager
def _bar(terminal: Terminal, what: Bilingual) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on a terminal; anywhere else nothing is drawn."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    drawn = terminal.err.is_terminal and not terminal.as_json
    with Progress(*columns, console=terminal.err, transient=True, disable=not drawn) as bar:
        task = bar.add_task(terminal.text(what), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _pair(text: str) -> tuple[str, Path]:
    name, separator, file = text.partition("=")
    if not separator or not name or not file:
        raise LinesOption(given=text)
    return name, Path(file)


def write_problems(file: Path, problems: tuple[Problem, ...], locale: Locale) -> None:
    """The refused rows as a CSV file that spreadsheets open: where, why."""
    from clew.records.files import safe_cell

    heads = {
        "zh": ["文件", "工作表", "行", "列", "代码", "原因"],
        "en": ["file", "sheet", "row", "column", "code", "reason"],
    }
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(heads[locale])
        for each in problems:
            cells = [each.file, each.sheet, str(each.row), each.column, each.code, _why(each, locale)]
            writer.writerow([safe_cell(cell) for cell in cells])


def _why(problem: Problem, locale: Locale) -> str:
    return problem.zh if locale == "zh" else problem.en


def _show_report(terminal: Terminal, report: ImportReport, dry: bool, file: Path | None) -> None:
    """Row-numbered problems first, then the sum. Exit code 1 when a row was refused."""
    for each in report.problems[:SHOWN]:
        if not terminal.as_json:
            place = f"{each.file}:{each.row}" + (f" [{each.column}]" if each.column else "")
            terminal.raw(f"{place}: {each.code}: {_why(each, terminal.locale)}")
    hidden = len(report.problems) - SHOWN
    if hidden > 0:
        terminal.say(f"… and {hidden} more (all of them: --report).", f"……另有 {hidden} 行(全部见 --report)。")
    refused = len(report.problems)
    if dry:
        tail = Bilingual("试运行,未写入", "a dry run, nothing written")
    else:
        tail = Bilingual("已写入", "written") if report.committed else Bilingual("未写入任何行", "nothing was written")
    terminal.say(
        f"{counted(report.rows, 'row')}: {report.created} new, {report.updated} changed, {refused} refused; {tail.en}.",
        f"共 {report.rows} 行:新增 {report.created},更新 {report.updated},拒绝 {refused};{tail.zh}。",
    )
    if file is not None:
        terminal.say(f"Refused rows: {file}", f"被拒的行:{file}")
    terminal.emit(**_report_json(report, dry))
    if report.problems:
        raise typer.Exit(1)


def _report_json(report: ImportReport, dry: bool) -> dict[str, Any]:
    problems = [
        {"file": p.file, "sheet": p.sheet, "row": p.row, "column": p.column, "code": p.code, "zh": p.zh, "en": p.en}
        for p in report.problems
    ]
    return {
        "ok": not problems,
        "dry": dry,
        "rows": report.rows,
        "created": report.created,
        "updated": report.updated,
        "committed": report.committed,
        "problems": problems,
    }
