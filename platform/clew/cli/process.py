"""`clew process map`: pictures of processes for people, and BPMN 2.0 for other tools."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from clew.cli import process_migration, process_proof, process_simulation
from clew.cli.options import AsJson, Lang, Project, situation
from clew.cli.process_proof import UnknownProcess
from clew.cli.usage import WrongUsage
from clew.cli.words import t


class Form(StrEnum):
    mermaid = "mermaid"
    svg = "svg"
    bpmn = "bpmn"


class OneProcessOnly(WrongUsage):
    code = "ONE_PROCESS_ONLY"
    en = "{form} draws one process: name it. The map of all of them is SVG or Mermaid."
    zh = "{form} 只绘制单个流程,请指定名称;全部流程的总图为 SVG 或 Mermaid。"


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True,
        help=t("Prove, simulate, draw processes; move running ones.", "流程的证明、模拟、绘图与在办迁移。"),
    )
    app.add_typer(group, name="process")
    process_proof.register(group)
    process_simulation.register(group)
    process_migration.register(group)

    @group.command("map", help=t("Draw one process, or the map of all.", "绘制单个流程,或全部流程的总图。"))
    def draw(
        name: Annotated[
            str | None, typer.Argument(help=t("The process; all of them when left out.", "流程名称,不写则为全部。"))
        ] = None,
        form: Annotated[
            Form | None,
            typer.Option(
                "--form",
                help=t(
                    "mermaid, svg or bpmn; what the ending of --out says, else mermaid.",
                    "mermaid、svg 或 bpmn;缺省按 --out 的扩展名,否则为 mermaid。",
                ),
            ),
        ] = None,
        out: Annotated[
            Path | None, typer.Option("--out", help=t("A file instead of the screen.", "写入文件而不是屏幕。"))
        ] = None,
        project: Project = None,
        lang: Lang = None,
        as_json: AsJson = False,
    ) -> None:
        from clew.metadata.load import load_folder
        from clew.process.drawing import bpmn, mermaid, svg
        from clew.runtime import usable

        given = situation(project, None, None, lang, as_json)
        ending = out.suffix.lstrip(".") if out is not None else ""
        form = form or (Form(ending) if ending in tuple(Form) else Form.mermaid)
        blueprint = usable(load_folder(given.settings.project))
        workflows, locale = blueprint.workflows, given.terminal.locale
        if name is None:
            if form is Form.bpmn:
                raise OneProcessOnly(form=form.value)
            text = (svg if form is Form.svg else mermaid).overview(blueprint, locale)
        else:
            workflow = workflows.get(name)
            if workflow is None:
                raise UnknownProcess(name=name, known=", ".join(workflows) or "–")
            makers = {Form.mermaid: mermaid.swimlanes, Form.svg: svg.swimlanes, Form.bpmn: bpmn.export}
            text = makers[form](blueprint, workflow, locale)
        if out is not None:
            out.write_text(text, encoding="utf-8")
            given.terminal.say(f"Wrote {out}", f"已写入 {out}")
        elif not as_json:
            typer.echo(text, nl=False)
        given.terminal.emit(ok=True, process=name, form=form.value, file=str(out) if out else None, text=text)
