"""`clew plan`, `clew apply`, `clew releases`: change under life, reviewed before it happens."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clew.cli.options import Out, Situation, common
from clew.cli.reasons import stated
from clew.cli.usage import FileMissing
from clew.cli.words import t
from clew.kernel.clock import SystemClock
from clew.kernel.errors import BadInput
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from clew.storage.change import Plan
    from clew.storage.releases import Release


class PlanUnreadable(BadInput):
    """The file given to apply is not a plan of this platform."""

    code = "PLAN_UNREADABLE"
    en, zh = "{file} is not a plan that can be read.", "{file} 不是可读取的计划文件。"
    hint_en, hint_zh = "Make one: clew plan --out plan.json", "请先生成:clew plan --out plan.json"


Consent = Annotated[
    list[str] | None,
    typer.Option("--consent", help=t("An object whose data may go; repeat it.", "同意其数据可弃用的对象,可重复。")),
]


def register(app: typer.Typer) -> None:
    app.command("plan", help=t("Show what applying would change, in real numbers.", "展示应用后的变化及其真实影响。"))(
        plan_command
    )
    app.command("apply", help=t("Carry out a reviewed plan.", "执行已复核的计划。"))(apply_command)
    app.command("releases", help=t("List what was applied to the database.", "列出数据库上的各次发布。"))(
        releases_command
    )


@common
def plan_command(
    given: Situation,
    out: Out = None,
    sql: Annotated[bool, typer.Option("--sql", help=t("Print the SQL for a DBA.", "输出供 DBA 查看的 SQL。"))] = False,
    release: Annotated[
        int | None, typer.Option("--release", help=t("Plan the way back to a release.", "制定回到某发布的计划。"))
    ] = None,
) -> None:
    found = asyncio.run(_plan(given, release))
    if out is not None:
        out.write_text(json.dumps(found.to_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    terminal = given.terminal
    if terminal.as_json:
        terminal.emit(**found.to_json())
    else:
        terminal.raw(found.sql(SystemClock().now()) if sql else found.text(terminal.locale))
        if out is not None:
            terminal.say(
                f"Written to {out}. Next: clew apply {out} --note …", f"已写入 {out}。下一步:clew apply {out} --note …"
            )
    if found.blocked:
        raise typer.Exit(1)


@common
def apply_command(
    given: Situation,
    plan: Annotated[Path | None, typer.Argument(help=t("The plan's file.", "计划文件。"))] = None,
    consent: Consent = None,
    note: Annotated[str, typer.Option("--note", help=t("Why; it stands in the trail.", "说明,记入审计轨迹。"))] = "",
    by: Annotated[str, typer.Option("--by", help=t("Who applies.", "执行人。"))] = "",
    resume: Annotated[
        bool, typer.Option("--resume", help=t("Finish what was interrupted.", "继续未完成的变更。"))
    ] = False,
    abandon: Annotated[
        bool, typer.Option("--abandon", help=t("Give up a change that is not live yet.", "放弃尚未生效的变更。"))
    ] = False,
) -> None:
    if [plan is not None, resume, abandon].count(True) != 1:
        raise typer.BadParameter(
            Bilingual("请给出计划文件,或 --resume,或 --abandon 之一", "give a plan, --resume or --abandon").to(
                given.terminal.locale
            )
        )
    if plan is not None:
        note = stated(note, "--note")
    if abandon:
        asyncio.run(_abandon(given))
    else:
        asyncio.run(_apply(given, plan, frozenset(consent or ()), note, by))


@common
def releases_command(given: Situation) -> None:
    found = asyncio.run(_releases(given))
    terminal = given.terminal
    terminal.emit(releases=[release_json(each) for each in found])
    if not found:
        terminal.say("Nothing has been applied yet.", "尚未应用任何发布。")
        return
    heads = [
        Bilingual("发布", "Release"),
        Bilingual("状态", "State"),
        Bilingual("时间", "When"),
        Bilingual("执行人", "By"),
        Bilingual("摘要", "Digest"),
        Bilingual("说明", "Note"),
    ]
    terminal.table(
        heads,
        [
            [
                str(each.number),
                each.state,
                each.at.isoformat(timespec="seconds"),
                each.by,
                each.digest[:12],
                each.note,
            ]
            for each in found
        ],
    )


async def _plan(given: Situation, release: int | None) -> Plan:
    from clew.cli.applying import checked_project, owner_database, plan_for, tell_unknown_sites
    from clew.runtime import stored_blueprint
    from clew.storage.releases import numbered

    async with owner_database(given.settings) as database:
        if release is None:
            blueprint = checked_project(given.settings.project, given.terminal)
        else:
            blueprint = stored_blueprint((await numbered(database, release)).sources)
        await tell_unknown_sites(database, blueprint, given.terminal)
        return await plan_for(database, blueprint)


async def _apply(given: Situation, file: Path | None, consents: frozenset[str], note: str, by: str) -> None:
    from clew.audit.releases import release_recorder
    from clew.cli.applying import (
        carry_out,
        catch_up,
        open_to_servers,
        operator_context,
        owner_database,
        tell_unknown_sites,
    )
    from clew.runtime import TEXTS, stored_blueprint
    from clew.storage.change import Signer, resume

    terminal = given.terminal
    async with owner_database(given.settings) as database:
        if file is None:
            caught_up = await catch_up(database)
            release = await resume(
                database,
                load=stored_blueprint,
                texts=TEXTS,
                signer=Signer(by=by, note=note),
                on_live=release_recorder(operator_context()),
            )
            await open_to_servers(given.settings, database)
            if caught_up:
                added = ", ".join(caught_up)
                terminal.say(f"Added for this version of Clew: {added}.", f"已为本版本的 Clew 补充:{added}。")
            if release is None:
                terminal.say("There is no change to finish.", "没有未完成的变更。")
                terminal.emit(ok=True, release=None, added=caught_up)
                return
        else:
            release = await carry_out(database, _read_plan(file), consents=consents, by=by, note=note)
            await open_to_servers(given.settings, database)
        await tell_unknown_sites(database, stored_blueprint(release.sources), terminal)
    terminal.say(f"Release {release.number} is live.", f"发布 {release.number} 已生效。")
    terminal.emit(ok=True, release=release_json(release))


async def _abandon(given: Situation) -> None:
    from clew.cli.applying import owner_database
    from clew.storage.change import abandon

    async with owner_database(given.settings) as database:
        done = await abandon(database)
    if done:
        given.terminal.say("The change was given up.", "已放弃该变更。")
    else:
        given.terminal.say("There is no change to give up.", "没有可放弃的变更。")
    given.terminal.emit(ok=True, abandoned=done)


async def _releases(given: Situation) -> list[Release]:
    from clew.cli.applying import owner_database
    from clew.storage.releases import listed

    async with owner_database(given.settings) as database:
        return await listed(database)


def _read_plan(file: Path) -> Plan:
    from clew.storage.change import Plan

    try:
        return Plan.from_json(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise FileMissing(file=file) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise PlanUnreadable(file=file) from None


def release_json(each: Release) -> dict[str, object]:
    return {
        "number": each.number,
        "base": each.base,
        "state": each.state,
        "at": each.at,
        "by": each.by,
        "note": each.note,
        "digest": each.digest,
        "blueprint_digest": each.blueprint_digest,
        "compiler": each.compiler,
        "consents": list(each.consents),
    }
