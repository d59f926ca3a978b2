"""`clew process migrate`: move what is running to another definition; a preview first, then one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from clew.cli.acting import By, ByCode, ByStdin, acting, step_up
from clew.cli.identity_desk import Counter, at_counter
from clew.cli.options import Situation, common
from clew.cli.process_proof import named
from clew.cli.reasons import stated
from clew.cli.usage import WrongUsage
from clew.cli.words import t
from clew.kernel.errors import ClewError
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from clew.cli.terminal import Terminal
    from clew.process.migrating import Migration, Preview

FORMAT = "clew.process-migration/1"


class NotAMapping(WrongUsage):
    code = "NOT_A_MAPPING"
    en, zh = "{given} does not say old=new.", "{given} 应写作 原步骤=新步骤。"


class NotAnInstance(WrongUsage):
    code = "NOT_AN_INSTANCE"
    en = "{given} is not the id of a running process that follows another definition."
    zh = "{given} 不是按其他定义办理的在办流程编号。"


Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="ID", help=t("Only this one; repeat it.", "仅此编号,可重复。"))
]
Maps = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="OLD=NEW", help=t("A step's new path; repeat it.", "步骤的新路径,可重复。")),
]
To = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="DIGEST",
        help=t(
            "To this definition, by the beginning of its digest; left out: to the present one.",
            "迁移到该定义(摘要开头);缺省为现行定义。",
        ),
    ),
]
Passing = Annotated[
    bool,
    typer.Option(
        "--passing-new-steps",
        help=t(
            "Also those past added steps they will never do, and to less than they were asked for.",
            "包括将略过新增步骤的,以及新定义要求更少的流程。",
        ),
    ),
]
Most = Annotated[int, typer.Option("--most", min=1, help=t("At most so many now.", "本次最多迁移数量。"))]
Why = Annotated[str, typer.Option("--reason", help=t("Why; it stands in the trail.", "原因,记入审计轨迹。"))]
Moved = dict[UUID, ClewError | None]
"""What became of each that was tried: None when it has moved."""


def register(group: typer.Typer) -> None:
    told = t(
        "Which running processes can go on by the present definition, and why others cannot; --apply moves them.",
        "预览哪些在办流程可改按现行定义办理及原因;--apply 执行迁移。",
    )
    group.command("migrate", help=told)(migrate_command)


@common
def migrate_command(
    given: Situation,
    name: Annotated[str, typer.Argument(help=t("The process.", "流程名称。"))],
    only: Only = None,
    to: To = "",
    maps: Maps = None,
    apply: Annotated[bool, typer.Option("--apply", help=t("Move those that can.", "迁移可迁移者。"))] = False,
    passing: Passing = False,
    most: Most = 1000,
    reason: Why = "",
    by: By = "",
    by_stdin: ByStdin = False,
    by_code: ByCode = "",
) -> None:
    mapping, wanted = _mapping(maps or ()), [_id(each) for each in only or ()]
    if apply:
        reason = stated(reason)
    who = acting(given, by, by_stdin, by_code) if apply else None

    async def work(counter: Counter) -> tuple[list[Preview], Moved]:
        from clew.process.migrating import Migration, aim

        runtime = counter.runtime
        named(runtime.blueprint, [name])
        migration = Migration(runtime.processes, await aim(runtime.processes, name, to), mapping)
        found = await migration.preview(wanted)
        for one in wanted:
            if one not in {each.process for each in found}:
                raise NotAnInstance(given=str(one))
        if who is None:
            return found, {}
        await step_up(counter, who, ())
        return found, await _move(counter, migration, found, reason, passing, most)

    found, moved = at_counter(given, work)
    _tell(given.terminal, found, moved, applied=apply)
    done = sum(error is None for error in moved.values())
    given.terminal.emit(
        format=FORMAT,
        ok=done == len(moved),
        process=name,
        applied=apply,
        moved=done,
        instances=[_json(each, moved) for each in found],
    )
    if done < len(moved):
        raise typer.Exit(1)


async def _move(
    counter: Counter, migration: Migration, found: list[Preview], reason: str, passing: bool, most: int
) -> Moved:
    """Move those that can. Each stands for itself: one that has gone on meanwhile does not keep the others."""
    from clew.records.commands import Call

    call = Call(counter.context, counter.runtime.decide(counter.context), reason)
    able = [each for each in found if each.verdict.state is not None and (passing or each.verdict.free)]
    moved: Moved = {}
    for each in able[:most]:
        try:
            await migration.move(call, each.process, passing=passing)
            moved[each.process] = None
        except ClewError as error:
            moved[each.process] = error
    return moved


def _tell(terminal: Terminal, found: list[Preview], moved: Moved, *, applied: bool) -> None:
    """For people: one line for each instance, and how many it comes to."""
    heads = [Bilingual("流程", "Process"), Bilingual("所在步骤", "Stands at"), Bilingual("结论", "Verdict")]
    terminal.table(
        heads, [(str(each.process), ", ".join(each.at), _verdict(each, moved).to(terminal.locale)) for each in found]
    )
    done = sum(error is None for error in moved.values())
    can = sum(each.verdict.state is not None for each in found)
    if applied:
        terminal.say(f"{done} of {len(found)} moved.", f"共 {len(found)} 个,已迁移 {done} 个。")
    else:
        terminal.say(
            f"{can} of {len(found)} can move. Nothing was changed: --apply --reason … moves them.",
            f"共 {len(found)} 个,可迁移 {can} 个。尚未变更:--apply --reason … 执行迁移。",
        )


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


def _verdict(preview: Preview, moved: Moved) -> Bilingual:
    from clew.process.migrating import why

    if preview.process in moved:
        error = moved[preview.process]
        if error is None:
            return Bilingual("已迁移", "moved")
        return Bilingual(error.message("zh"), error.message("en"))
    if preview.verdict.state is None:
        reasons = why(preview.verdict)
        return Bilingual(f"不可迁移:{reasons.zh}", f"cannot: {reasons.en}")
    if not preview.verdict.free:
        reasons = why(preview.verdict)
        return Bilingual(f"须 --passing-new-steps:{reasons.zh}", f"only --passing-new-steps: {reasons.en}")
    return Bilingual("可迁移", "can move")


def _json(preview: Preview, moved: Moved) -> dict[str, Any]:
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
        "loosened": [{"zh": each.zh, "en": each.en} for each in preview.verdict.loosened],
        "moved": preview.process in moved and error is None,
        "error": error.code if error is not None else None,
    }
