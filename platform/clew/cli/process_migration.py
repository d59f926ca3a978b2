"""`clew process migrate`: move what is running to the present definition; a preview first, then one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from clew.cli.acting import By, ByCode, ByStdin, acting, step_up
from clew.cli.identity_desk import Counter, at_counter
from clew.cli.options import AsJson, DatabaseUrl, Lang, Project, SettingsFile, situation
from clew.cli.process_proof import named
from clew.cli.usage import WrongUsage
from clew.cli.words import t
from clew.kernel.errors import ClewError
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from clew.process.migrating import Preview

FORMAT = "clew.process-migration/1"


class NotAMapping(WrongUsage):
    code = "NOT_A_MAPPING"
    en, zh = "{given} does not say old=new.", "{given} 应写作 原步骤=新步骤。"


class ReasonMissing(WrongUsage):
    code = "MIGRATION_REASON"
    en, zh = "Say why with --reason: it stands in the trail.", "请用 --reason 说明原因,将记入审计轨迹。"


class NotAnInstance(WrongUsage):
    code = "NOT_AN_INSTANCE"
    en = "{given} is not the id of a running process that follows another definition."
    zh = "{given} 不是按其他定义办理的在办流程编号。"


def register(group: typer.Typer) -> None:
    @group.command(
        "migrate",
        help=t(
            "Which running processes can go on by the present definition, and why others cannot; --apply moves them.",
            "预览哪些在办流程可改按现行定义办理及原因;--apply 执行迁移。",
        ),
    )
    def migrate_command(
        name: Annotated[str, typer.Argument(help=t("The process.", "流程名称。"))],
        only: Annotated[
            list[str] | None,
            typer.Option("--only", metavar="ID", help=t("Only this one; repeat it.", "仅此编号,可重复。")),
        ] = None,
        maps: Annotated[
            list[str] | None,
            typer.Option("--map", metavar="OLD=NEW", help=t("A step's new path; repeat it.", "步骤的新路径,可重复。")),
        ] = None,
        apply: Annotated[bool, typer.Option("--apply", help=t("Move those that can.", "迁移可迁移者。"))] = False,
        passing: Annotated[
            bool,
            typer.Option(
                "--passing-new-steps",
                help=t("Also those past added steps they will never do.", "包括将略过新增步骤的流程。"),
            ),
        ] = False,
        most: Annotated[
            int, typer.Option("--most", min=1, help=t("At most so many now.", "本次最多迁移数量。"))
        ] = 1000,
        reason: Annotated[
            str, typer.Option("--reason", help=t("Why; it stands in the trail.", "原因,记入审计轨迹。"))
        ] = "",
        by: By = "",
        by_stdin: ByStdin = False,
        by_code: ByCode = "",
        project: Project = None,
        database_url: DatabaseUrl = None,
        settings: SettingsFile = None,
        lang: Lang = None,
        as_json: AsJson = False,
    ) -> None:
        given = situation(project, database_url, settings, lang, as_json)
        mapping, wanted = _mapping(maps or ()), [_id(each) for each in only or ()]
        if apply and not reason.strip():
            raise ReasonMissing
        who = acting(given, by, by_stdin, by_code) if apply else None

        async def work(counter: Counter) -> tuple[list[Preview], dict[UUID, ClewError | None]]:
            from clew.process.migrating import Migration
            from clew.records.commands import Call

            runtime = counter.runtime
            migration = Migration(runtime.processes, named(runtime.blueprint, [name])[0], mapping)
            if who is not None:
                await step_up(counter, who, ())
            found = await migration.preview(wanted)
            for one in wanted:
                if one not in {each.process for each in found}:
                    raise NotAnInstance(given=str(one))
            moved: dict[UUID, ClewError | None] = {}
            if who is not None:
                call = Call(counter.context, runtime.decide(counter.context), reason)
                able = [each for each in found if each.verdict.state is not None]
                for each in [each for each in able if passing or not each.verdict.missed][:most]:
                    # Each stands for itself: one that has moved on meanwhile does not keep the others.
                    try:
                        await migration.move(call, each.process, passing=passing)
                        moved[each.process] = None
                    except ClewError as error:
                        moved[each.process] = error
            return found, moved

        found, moved = at_counter(given, work)
        terminal = given.terminal
        heads = [Bilingual("流程", "Process"), Bilingual("所在步骤", "Stands at"), Bilingual("结论", "Verdict")]
        terminal.table(
            heads,
            [(str(each.process), ", ".join(each.at), _verdict(each, moved).to(terminal.locale)) for each in found],
        )
        done = sum(error is None for error in moved.values())
        can = sum(each.verdict.state is not None for each in found)
        if apply:
            terminal.say(f"{done} of {len(found)} moved.", f"共 {len(found)} 个,已迁移 {done} 个。")
        else:
            terminal.say(
                f"{can} of {len(found)} can move. Nothing was changed: --apply --reason … moves them.",
                f"共 {len(found)} 个,可迁移 {can} 个。尚未变更:--apply --reason … 执行迁移。",
            )
        failed = len(moved) - done
        terminal.emit(
            format=FORMAT,
            ok=not failed,
            process=name,
            applied=apply,
            moved=done,
            instances=[_json(each, moved) for each in found],
        )
        if failed:
            raise typer.Exit(1)


def _mapping(given: list[str] | tuple[()]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        here, sign, there = each.partition("=")
        if not (here and sign and there) or here in found:
            raise NotAMapping(given=each)
        found[here] = there
    return found


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotAnInstance(given=text) from None


def _verdict(preview: Preview, moved: dict[UUID, ClewError | None]) -> Bilingual:
    from clew.process.migrating import why

    if preview.process in moved:
        error = moved[preview.process]
        if error is None:
            return Bilingual("已迁移", "moved")
        return Bilingual(error.message("zh"), error.message("en"))
    if preview.verdict.state is None:
        reasons = why(preview.verdict)
        return Bilingual(f"不可迁移:{reasons.zh}", f"cannot: {reasons.en}")
    if preview.verdict.missed:
        reasons = why(preview.verdict)
        return Bilingual(f"须 --passing-new-steps:{reasons.zh}", f"only --passing-new-steps: {reasons.en}")
    return Bilingual("可迁移", "can move")


def _json(preview: Preview, moved: dict[UUID, ClewError | None]) -> dict[str, Any]:
    error = moved.get(preview.process)
    return {
        "id": str(preview.process),
        "entity": preview.entity,
        "record": str(preview.record_id),
        "definition": preview.digest,
        "at": list(preview.at),
        "can": preview.verdict.state is not None,
        "reasons": [{"zh": each.zh, "en": each.en} for each in preview.verdict.reasons],
        "missed": list(preview.verdict.missed),
        "moved": preview.process in moved and error is None,
        "error": error.code if error is not None else None,
    }
