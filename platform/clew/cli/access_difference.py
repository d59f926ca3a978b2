"""`clew access diff`: who gains and loses what between two versions of the policies, on the real people and records."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clew.cli.options import Situation, common
from clew.cli.words import t
from clew.kernel.text import Bilingual, counted

if TYPE_CHECKING:
    from clew.metadata.blueprint import Blueprint
    from clew.records.review.difference import Difference

WORKING = "folder"
LIVE = "live"
Before = Annotated[str, typer.Argument(metavar="BEFORE", help=t("A release, or live.", "发布编号,或 live。"))]
After = Annotated[
    str, typer.Argument(metavar="AFTER", help=t("A release, live, or folder.", "发布编号、live 或 folder。"))
]


def register(group: typer.Typer) -> None:
    group.command("diff", help=t("Who gains and loses what between two versions.", "两个版本间谁得到、失去什么。"))(
        diff_command
    )


@common
def diff_command(
    given: Situation,
    before: Before = LIVE,
    after: After = WORKING,
) -> None:
    from clew.records.review.promoted import difference_json

    found = asyncio.run(_difference(given, before, after))
    terminal, told = given.terminal, difference_json(found)
    terminal.emit(before=before, after=after, **told)
    for line in difference_lines(told):
        terminal.say(line.en, line.zh)
    if not found.empty:
        raise typer.Exit(1)
    terminal.say("Nobody gains or loses anything.", "没有人得到或失去任何权限。")


def difference_lines(found: Mapping[str, Any]) -> Sequence[Bilingual]:
    """What a person reads of a difference as JSON: by person, gains before losses."""
    lines: list[Bilingual] = []
    last = ""
    order = {"gains": 0, "both": 1, "loses": 2, "changes": 3, "none today": 4}

    def placed(each: Mapping[str, Any]) -> tuple[Any, ...]:
        return each["login"], order[each["effect"]], each["entity"], each["action"]

    for each in sorted(found["changes"], key=placed):
        if each["login"] != last:
            last = each["login"]
            lines.append(Bilingual(f"{each['name']}({last})", f"{each['name']} ({last})"))
        zh, en = _COUNTED[each["effect"]]
        numbers = {"gained": each["records_gained"], "lost": each["records_lost"]}
        counted_en = {name: counted(number or 0, "record") for name, number in numbers.items()}
        subject, label, before, after = (each[name] for name in ("subject", "label", "before", "after"))
        lines.append(
            Bilingual(
                f"  {subject['zh']} · {label['zh']}:{zh.format(**numbers)}\n"
                f"      原:{before['zh']}\n      新:{after['zh']}",
                f"  {subject['en']} · {label['en']}: {en.format(**counted_en)}\n"
                f"      was: {before['en']}\n      now: {after['en']}",
            )
        )
    for each in found["new_conflicts"]:
        roles, breaks = ", ".join(each["roles"]), (each["login"], each["separation"])
        lines.append(
            Bilingual(
                f"新冲突:{breaks[0]} 违反 {breaks[1]}({roles})",
                f"New conflict: {breaks[0]} breaks {breaks[1]} ({roles})",
            )
        )
    lines += [Bilingual(f"角色 {name} 不再存在", f"Role {name} is gone") for name in found["roles_gone"]]
    lines += [Bilingual(f"新角色 {name}", f"Role {name} is new") for name in found["roles_new"]]
    return lines


_COUNTED = {
    "gains": ("得到 {gained} 条记录", "gains {gained}"),
    "loses": ("失去 {lost} 条记录", "loses {lost}"),
    "both": ("得到 {gained} 条、失去 {lost} 条记录", "gains {gained}, loses {lost}"),
    "changes": ("有变化(尚无可计数的记录)", "changes (no records to count)"),
    "none today": ("有变化,但不涉及现有记录", "changes, but for no present record"),
}


async def _difference(given: Situation, before: str, after: str) -> Difference:
    from clew.cli.reviewing import reviewing
    from clew.records.review.difference import Comparison, Side

    async with reviewing(given.settings) as now:
        sides = [Side(await _version(given, now.desk, each)) for each in (before, after)]
        people = await now.desk.everybody(now.connection, now.at)
        return await Comparison(now.desk.engine, now.connection, now.at, *sides).difference(people)


async def _version(given: Situation, desk: Any, text: str) -> Blueprint:
    from clew.cli.applying import checked_project
    from clew.records.review.desk import unknown
    from clew.runtime import stored_blueprint
    from clew.storage.releases import listed, numbered

    if text == LIVE:
        live: Blueprint = desk.engine.blueprint
        return live
    if not text.isdigit():
        folder = given.settings.project if text == WORKING else Path(text)
        return checked_project(folder, given.terminal)
    known = {str(each.number): each for each in await listed(desk.database)}
    if text not in known:
        raise unknown(Bilingual("发布", "release"), text, known)
    return stored_blueprint((await numbered(desk.database, int(text))).sources)
