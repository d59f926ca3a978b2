"""`clew process simulate`: thousands of cases through a process, before anybody has to live with it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clew.cli.options import AsJson, Lang, Project, situation
from clew.cli.process_proof import named
from clew.cli.terminal import Terminal
from clew.cli.usage import FileMissing, WrongUsage
from clew.cli.words import t
from clew.kernel.diagnostics import nearest
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from clew.metadata.blueprint import Blueprint
    from clew.metadata.processes import Workflow
    from clew.process.simulation.assumptions import Assumptions
    from clew.process.simulation.report import Estimate, Report

FORMAT = "clew.process-simulation/1"


class BadAssumption(WrongUsage):
    code = "BAD_ASSUMPTION"
    en = "{file}: {where}: {problem}"
    zh = "{file}:{where}:{problem}"
    hint_en = "docs/proving.md says what a file of assumptions may hold."
    hint_zh = "docs/proving.zh.md 说明假设文件可写的内容。"


def register(group: typer.Typer) -> None:
    @group.command(
        "simulate",
        help=t(
            "Let thousands of cases through a process: cycle times, queues, utilisation, with 95 % intervals.",
            "让数千个案例走过流程:周期、排队、利用率,带 95 % 置信区间。",
        ),
    )
    def simulate_command(
        name: Annotated[str, typer.Argument(help=t("The process.", "流程名称。"))],
        file: Annotated[
            Path | None,
            typer.Option(
                "--with", help=t("YAML: arrivals, durations, staff, choices.", "YAML:到达、时长、人员、选择。")
            ),
        ] = None,
        cases: Annotated[
            int | None, typer.Option("--cases", min=1, help=t("Cases over all runs.", "案例总数。"))
        ] = None,
        per_day: Annotated[
            float | None,
            typer.Option("--per-day", help=t("Cases that arrive on a working day.", "每个工作日到达的案例数。")),
        ] = None,
        staff: Annotated[
            list[str] | None,
            typer.Option(
                "--staff", metavar="ROLE=N", help=t("People of a role; *=N for all.", "某角色的人数;*=N 为其他角色。")
            ),
        ] = None,
        seed: Annotated[int | None, typer.Option("--seed", help=t("The same dice again.", "随机种子。"))] = None,
        start: Annotated[
            datetime | None,
            typer.Option("--from", formats=["%Y-%m-%d"], help=t("The first day; today.", "起始日,默认今天。")),
        ] = None,
        site: Annotated[str | None, typer.Option("--site", help=t("Whose calendar.", "使用哪个场所的日历。"))] = None,
        project: Project = None,
        lang: Lang = None,
        as_json: AsJson = False,
    ) -> None:
        from clew.metadata.load import load_folder
        from clew.process.calendar import WorkingTime
        from clew.process.simulation.report import simulate
        from clew.process.time import calendar_of
        from clew.runtime import usable

        given = situation(project, None, None, lang, as_json)
        blueprint = usable(load_folder(given.settings.project))
        workflow = named(blueprint, [name])[0]
        options = {"cases": cases, "per_day": per_day, "seed": seed}
        assumed = assumptions(
            blueprint, workflow, file, {key: value for key, value in options.items() if value is not None}, staff
        )
        clock = WorkingTime(calendar_of(blueprint, site))
        first = start.replace(tzinfo=UTC) if start is not None else datetime.now(UTC)
        report = simulate(blueprint, workflow, assumed, clock, first)
        told(given.terminal, workflow, report)
        given.terminal.emit(format=FORMAT, ok=not report.stuck, assumptions=assumed.model_dump(), **asdict(report))


def assumptions(
    blueprint: Blueprint, workflow: Workflow, file: Path | None, options: dict[str, Any], staff: list[str] | None
) -> Assumptions:
    """What the file says, under what the options say. Raises BadAssumption, FileMissing."""
    from pydantic import ValidationError

    from clew.kernel.diagnostics import Findings
    from clew.metadata.source import parse, plain
    from clew.process.simulation.assumptions import Assumptions, problem

    said: dict[str, Any] = {}
    where = str(file) if file is not None else "--staff"
    if file is not None:
        if not file.is_file():
            raise FileMissing(file=str(file))
        findings = Findings()
        documents = parse(file.name, file.read_text(encoding="utf-8"), findings)
        for found in findings.sorted():
            raise BadAssumption(
                file=file.name, where=str(found.place), problem=Bilingual(found.message("zh"), found.message("en"))
            )
        said = plain(documents[0]) if documents else {}
    said.update(options)
    for each in staff or ():
        role, _, number = each.partition("=")
        said["staff"] = {**said.get("staff", {}), role: int(number) if number.isdigit() else number}
    try:
        found_ = Assumptions.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(each) for each in first["loc"]) or "-"
        raise BadAssumption(file=where, where=at, problem=problem(first)) from None
    steps = {key for _, step in workflow.walk() for key in (step.path, step.name)}
    roles = {role for _, step in workflow.walk() for role in _roles(step)} | {"*"}
    for kind, names, known in (("steps", found_.steps, steps), ("staff", found_.staff, roles)):
        for name in names:
            if name not in known:
                close = nearest(name, known)
                unknown = Bilingual(
                    f"流程中没有 {name}" + (f",是否想写 {close}?" if close else ""),
                    f"the process has no {name}" + (f"; did you mean {close}?" if close else ""),
                )
                raise BadAssumption(file=where, where=kind, problem=unknown)
    return found_


def _roles(step: Any) -> tuple[str, ...]:
    from clew.process.proof.cast import roles_of

    return roles_of(step)


def told(terminal: Terminal, workflow: Workflow, report: Report) -> None:
    """The report for people."""
    label = workflow.label
    terminal.say(
        f"{label.to('en')}: {report.cases:,} cases in {report.runs} runs",
        f"{label.to('zh')}:{report.cases:,} 个案例,{report.runs} 轮",
    )
    terminal.say(
        f"cycle time {hours(report.cycle)} working hours (median {hours(report.median)}, 90 % within "
        f"{hours(report.ninetieth)}); {hours(report.calendar)} hours on the calendar",
        f"周期 {hours(report.cycle)} 工作小时(中位数 {hours(report.median)},90 % 在 {hours(report.ninetieth)} 以内);"
        f"按日历 {hours(report.calendar)} 小时",
    )
    if report.assumed:
        years = ", ".join(map(str, report.assumed))
        terminal.say(
            f"the calendar is not published for {years}: assumed to be worked as its last year, 52 weeks before",
            f"日历尚未发布 {years} 年:假定与其最后一年相同,逐日对应 52 周前的那一天",
        )
    ends = ", ".join(f"{name} {share(each)}" for name, each in report.outcomes.items()) or "–"
    terminal.say(f"ends: {ends}", f"结局:{ends}")
    heads = [
        Bilingual("步骤", "Step"), Bilingual("等待(工时)", "Waiting (wh)"), Bilingual("办理(工时)", "Working (wh)"),
        Bilingual("超时", "Late"),
    ]  # fmt: skip
    terminal.table(
        heads, [(each.step, hours(each.waiting), hours(each.working), share(each.late)) for each in report.steps]
    )
    heads = [
        Bilingual("角色", "Role"), Bilingual("人数", "People"), Bilingual("利用率", "Utilisation"),
        Bilingual("平均排队", "Queue"), Bilingual("最长", "Longest"),
    ]  # fmt: skip
    terminal.table(
        heads,
        [
            (each.role, str(each.people), share(each.utilisation), hours(each.queue), str(each.longest))
            for each in report.roles
        ],
    )
    for why, number in report.stuck.items():
        terminal.say(f"{number} cases could not go on: {why}", f"{number} 个案例无法继续:{why}")


def hours(found: Estimate) -> str:
    if found.mean is None:
        return "–"
    return f"{found.mean:,.1f}" + (f" ± {found.half:,.1f}" if found.half is not None else "")


def share(found: Estimate) -> str:
    if found.mean is None:
        return "–"
    return f"{found.mean:.0%}" + (f" ± {found.half:.0%}" if found.half is not None else "")
