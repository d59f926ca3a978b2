"""`clew access`: who may do what, for a compliance officer. The matrix, what is unused, what conflicts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clew.cli import access_difference, access_people, access_replay, access_review
from clew.cli.options import Out, Situation, common
from clew.cli.usage import UnknownFormat
from clew.cli.words import t
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from clew.access.review.matrix import Cell
    from clew.records.review.usage import Breach, Orphan, Unused

Roles = Annotated[list[str] | None, typer.Option("--role", help=t("Only this role; repeat it.", "仅此角色,可重复。"))]
Entities = Annotated[
    list[str] | None, typer.Option("--entity", help=t("Only this entity; repeat it.", "仅此实体,可重复。"))
]
Fields = Annotated[bool, typer.Option("--fields", help=t("Fields too.", "包含字段。"))]
Denied = Annotated[bool, typer.Option("--denied", help=t("Show what is denied too.", "同时显示被拒绝的项。"))]
Days = Annotated[int, typer.Option("--days", min=1, help=t("Within these days.", "最近的天数。"))]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help=t("Who may do what and why; what changes, what is unused.", "谁可以做什么、为何;变化与闲置。"),
        no_args_is_help=True,
    )
    group.command("matrix", help=t("Roles, entities, actions, fields: allowed, if, denied.", "角色权限矩阵。"))(
        matrix_command
    )
    access_people.register(group)
    access_difference.register(group)
    group.command("unused", help=t("Grants nobody used; roles nobody holds.", "从未使用的授权与无人持有的角色。"))(
        unused_command
    )
    group.command("conflicts", help=t("Separations of duties that people break now.", "现存的职责分离冲突。"))(
        conflicts_command
    )
    access_review.register(group)
    access_replay.register(group)
    app.add_typer(group, name="access")


@common
def matrix_command(
    given: Situation,
    role: Roles = None,
    entity: Entities = None,
    fields: Fields = False,
    denied: Denied = False,
    out: Out = None,
) -> None:
    if out is not None and out.suffix != ".xlsx":
        raise UnknownFormat(file=out, formats=".xlsx")
    release, cells = asyncio.run(_matrix(given, role or [], entity or [], fields))
    if out is not None:
        _write_matrix(given, cells, out)
    from clew.cli.reviewing import EFFECTS, FORMAT, SIGNS, cell_json

    given.terminal.emit(format=FORMAT, release=release, cells=[cell_json(each) for each in cells])
    locale = given.terminal.locale
    shown = [each for each in cells if denied or each.effect != "deny"]
    heads = [
        Bilingual("角色", "Role"),
        Bilingual("对象", "What"),
        Bilingual("操作", "Action"),
        Bilingual("", ""),
        Bilingual("条件", "When"),
    ]
    given.terminal.table(
        heads,
        [
            [
                each.role,
                each.entity + (f".{each.field}" if each.field else ""),
                each.label.to(locale),
                f"{SIGNS[each.effect]} {EFFECTS[each.effect].to(locale)}",
                each.when.to(locale) if each.effect == "conditional" else "",
            ]
            for each in shown
        ],
    )
    hidden = len(cells) - len(shown)
    if hidden:
        given.terminal.say(
            f"{hidden} more are denied (--denied shows them).", f"另有 {hidden} 项被拒绝(--denied 显示)。"
        )


@common
def unused_command(
    given: Situation,
    days: Days = 90,
) -> None:
    grants, orphans = asyncio.run(_unused(given, days))
    from clew.cli.reviewing import FORMAT, both

    terminal, locale = given.terminal, given.terminal.locale
    terminal.emit(
        format=FORMAT,
        days=days,
        not_judged=["read", "audit"],
        unused=[
            {
                "role": each.role,
                "entity": each.entity,
                "action": each.action,
                "label": both(each.label),
                "holders": list(each.holders),
            }
            for each in grants
        ],
        orphans=[
            {"role": each.role, "label": both(each.label), "disabled_holders": list(each.disabled_holders)}
            for each in orphans
        ],
    )
    heads = [
        Bilingual("角色", "Role"),
        Bilingual("实体", "Entity"),
        Bilingual("操作", "Action"),
        Bilingual("人员", "Holders"),
    ]
    rows = [[each.role, each.entity, each.label.to(locale), ", ".join(each.holders)] for each in grants]
    if rows:
        terminal.say(
            f"Not used in {days} days by anybody who has held the role that long (reading leaves no trace):",
            f"{days} 天内,持有该角色满此期限的人员均未使用(查看不留痕迹,不作判断):",
        )
        terminal.table(heads, rows)
    else:
        terminal.say(
            f"Nothing is unused: what a role grants was used in {days} days, or nobody has held it that long.",
            f"没有闲置的授权:角色的授权在 {days} 天内均已使用,或尚无人持有满此期限。",
        )
    for each in orphans:
        who = ", ".join(each.disabled_holders)
        terminal.say(
            f"Nobody can use role {each.role}" + (f" (only disabled: {who})." if who else "."),
            f"没有人可使用角色 {each.role}" + (f"(仅停用账号:{who})。" if who else "。"),
        )
    if grants or orphans:
        raise typer.Exit(1)


@common
def conflicts_command(given: Situation) -> None:
    found = asyncio.run(_conflicts(given))
    from clew.cli.reviewing import FORMAT, both

    terminal = given.terminal
    terminal.emit(
        format=FORMAT,
        conflicts=[
            {
                "login": each.login,
                "name": each.name,
                "separation": each.separation,
                "label": both(each.label),
                "roles": list(each.roles),
                "stands_in_for": list(each.stands_in_for),
            }
            for each in found
        ],
    )
    for each in found:
        roles, stands = ", ".join(each.roles), ", ".join(each.stands_in_for)
        terminal.say(
            f"{each.login}: {each.separation} ({roles})" + (f", standing in for {stands}" if stands else ""),
            f"{each.login}:{each.separation}({roles})" + (f",代行 {stands}" if stands else ""),
        )
    if found:
        raise typer.Exit(1)
    terminal.say("No conflicts.", "没有冲突。")


async def _matrix(
    given: Situation, roles: Sequence[str], entities: Sequence[str], fields: bool
) -> tuple[int, list[Cell]]:
    from clew.access.review.matrix import connectors_in, matrix
    from clew.cli.reviewing import reviewing

    async with reviewing(given.settings) as now:
        chosen_roles = [now.desk.role(each) for each in roles] or sorted(now.desk.policies.roles)
        every = [*sorted(now.desk.engine.blueprint.entities), *connectors_in(now.desk.judgement)]
        chosen = [now.desk.subject(each) for each in entities] or every
        return now.release, list(matrix(now.desk.judgement, chosen_roles, chosen, fields=fields))


async def _unused(given: Situation, days: int) -> tuple[list[Unused], list[Orphan]]:
    from clew.cli.reviewing import reviewing
    from clew.records.review.usage import orphans, unused

    async with reviewing(given.settings) as now:
        people = await now.desk.everybody(now.connection, now.at)
        return await unused(now.desk, now.connection, people, now.at, days), orphans(now.desk, people)


async def _conflicts(given: Situation) -> list[Breach]:
    from clew.cli.reviewing import reviewing
    from clew.records.review.usage import breaches

    async with reviewing(given.settings) as now:
        return breaches(now.desk, await now.desk.everybody(now.connection, now.at), now.at.date())


def _write_matrix(given: Situation, cells: Sequence[Cell], out: Path) -> None:
    from clew.cli.reviewing import EFFECTS
    from clew.records.review.workbook import write_workbook

    locale = given.terminal.locale
    head = ("角色", "实体", "字段", "操作", "结果", "条件", "策略", "经由") if locale == "zh" else (
        "Role", "Entity", "Field", "Action", "Result", "When", "Policy", "Through"
    )  # fmt: skip

    def row(each: Cell) -> list[Any]:
        policy = ", ".join(map(str, each.places))
        effect = EFFECTS[each.effect].to(locale)
        return [
            each.role,
            each.entity,
            each.field,
            each.action,
            effect,
            each.when.to(locale),
            policy,
            ", ".join(each.through),
        ]

    actions = [row(each) for each in cells if not each.field]
    fields = [row(each) for each in cells if each.field]
    sheets = {"操作" if locale == "zh" else "Actions": (head, actions)}
    if fields:
        sheets["字段" if locale == "zh" else "Fields"] = (head, fields)
    write_workbook(out, sheets)
    given.terminal.say(f"Written to {out}.", f"已写入 {out}。")
