"""`clew test`: scenarios are played with the real runtime, and what they have walked of the processes is told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clew.cli.options import AsJson, Lang, Project, situation
from clew.cli.terminal import Terminal
from clew.cli.usage import WrongUsage
from clew.cli.words import t
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from clew.testing.scenarios.coverage import Covered
    from clew.testing.scenarios.play import Played

FORMAT = "clew.scenarios/1"


class UnknownScenario(WrongUsage):
    code = "UNKNOWN_SCENARIO"
    en = "There is no scenario {name}; there are: {known}."
    zh = "没有场景 {name};现有:{known}。"


def register(app: typer.Typer) -> None:
    @app.command(
        "test", help=t("Play the project's scenarios. 1 when one fails.", "运行项目的场景。有失败时退出码为 1。")
    )
    def test_command(
        names: Annotated[
            list[str] | None,
            typer.Argument(metavar="NAME...", help=t("Scenarios; all of them.", "场景名称,不写则为全部。")),
        ] = None,
        missing: Annotated[
            bool, typer.Option("--missing", help=t("Tell what no scenario has walked.", "列出没有场景走到的部分。"))
        ] = False,
        project: Project = None,
        lang: Lang = None,
        as_json: AsJson = False,
    ) -> None:
        from clew.metadata.load import load_folder
        from clew.runtime import usable
        from clew.testing.scenarios.coverage import covered
        from clew.testing.scenarios.play import play_all

        given = situation(project, None, None, lang, as_json)
        loaded = load_folder(given.settings.project)
        blueprint, known = usable(loaded), loaded.extras["scenario"]
        for name in names or ():
            if name not in known:
                raise UnknownScenario(name=name, known=", ".join(known) or "–")
        with TemporaryDirectory(prefix="clew-test-") as folder:
            chosen = [known[name] for name in names or known]
            played = asyncio.run(play_all(blueprint, chosen, Path(folder), given.settings.project))
        coverage = covered(blueprint.workflows, played)
        if names:
            # Of scenarios that were chosen: the processes they are about.
            coverage = [each for each in coverage if each.steps[0]]
        told(given.terminal, played, coverage, missing)
        failed = [each for each in played if each.failure is not None]
        given.terminal.emit(
            format=FORMAT,
            ok=not failed,
            scenarios=[scenario_json(each) for each in played],
            coverage=[coverage_json(each) for each in coverage],
        )
        if failed:
            raise typer.Exit(1)


def told(terminal: Terminal, played: list[Played], coverage: list[Covered], missing: bool) -> None:
    for each in played:
        label = each.scenario.label
        mark = "✓" if each.failure is None else "✗"
        terminal.say(
            f"{mark} {label.to('en')} ({each.scenario.name})", f"{mark} {label.to('zh')}({each.scenario.name})"
        )
        if each.failure is not None:
            place, say = each.failure.place, each.failure.say
            terminal.say(f"  {place}: {say.to('en')}", f"  {place}:{say.to('zh')}")
    failed = sum(each.failure is not None for each in played)
    terminal.say(
        f"{len(played)} scenarios, {failed} failed" if played else "There are no scenarios: write some in scenarios/.",
        f"{len(played)} 个场景,{failed} 个失败" if played else "没有场景:请写入 scenarios/。",
    )
    heads = [
        Bilingual("流程", "Process"),
        Bilingual("步骤", "Steps"),
        Bilingual("分支", "Branches"),
        Bilingual("条件", "Guards"),
    ]
    rows = [(each.workflow, _of(each.steps), _of(each.branches), _of(each.guards)) for each in coverage]
    terminal.table(heads, rows)
    for found in coverage if missing else ():
        for name in found.missing:
            terminal.say(f"not walked: {found.workflow} {name}", f"未走到:{found.workflow} {name}")


def scenario_json(each: Played) -> dict[str, Any]:
    failure = each.failure
    return {
        "scenario": each.scenario.name,
        "ok": failure is None,
        "failure": None
        if failure is None
        else {"place": str(failure.place), "zh": failure.say.to("zh"), "en": failure.say.to("en")},
    }


def coverage_json(each: Covered) -> dict[str, Any]:
    return {
        "process": each.workflow,
        "steps": list(each.steps),
        "branches": list(each.branches),
        "guards": list(each.guards),
        "missing": list(each.missing),
    }


def _of(pair: tuple[int, int]) -> str:
    return f"{pair[0]}/{pair[1]}" + (f" ({pair[0] / pair[1]:.0%})" if pair[1] else "")
