"""`clew access diff`: who gains and loses what between two versions of the policies, on the real people and records."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clew.cli.options import AsJson, DatabaseUrl, Lang, Project, SettingsFile, Situation, situation
from clew.cli.words import t
from clew.kernel.text import Bilingual, counted

if TYPE_CHECKING:
    from clew.metadata.blueprint import Blueprint
    from clew.records.review.difference import Difference
    from clew.storage.engine import Database

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


def diff_command(
    before: Before = LIVE,
    after: After = WORKING,
    project: Project = None,
    database_url: DatabaseUrl = None,
    settings: SettingsFile = None,
    lang: Lang = None,
    as_json: AsJson = False,
) -> None:
    given = situation(project, database_url, settings, lang, as_json)
    found = asyncio.run(_difference(given, before, after))
    terminal = given.terminal
    terminal.emit(before=before, after=after, **difference_json(found))
    for line in difference_lines(found):
        terminal.say(line.en, line.zh)
    if not found.empty:
        raise typer.Exit(1)
    terminal.say("Nobody gains or loses anything.", "没有人得到或失去任何权限。")


def difference_json(found: Difference) -> dict[str, Any]:
    """Versioned; also what a release bundle carries."""
    from clew.cli.reviewing import FORMAT, change_json

    return {
        "format": FORMAT,
        "changes": [change_json(each) for each in found.changes],
        "new_conflicts": [
            {"login": each.login, "name": each.name, "separation": each.separation, "roles": list(each.roles)}
            for each in found.conflicts
        ],
        "roles_gone": list(found.roles_gone),
        "roles_new": list(found.roles_new),
    }


def difference_lines(found: Difference) -> Sequence[Bilingual]:
    """What a person reads: by person, gains before losses."""
    lines: list[Bilingual] = []
    last = ""
    order = {"gains": 0, "both": 1, "loses": 2, "changes": 3, "none today": 4}
    for each in sorted(found.changes, key=lambda each: (each.login, order[each.effect], each.entity, each.action)):
        if each.login != last:
            lines.append(Bilingual(f"{each.name}({each.login})", f"{each.name} ({each.login})"))
            last = each.login
        zh, en = _COUNTED[each.effect]
        numbers = {"gained": each.gained, "lost": each.lost}
        counted_en = {name: counted(number or 0, "record") for name, number in numbers.items()}
        lines.append(
            Bilingual(
                f"  {each.subject.to('zh')} · {each.label.to('zh')}:{zh.format(**numbers)}\n"
                f"      原:{each.before.to('zh')}\n      新:{each.after.to('zh')}",
                f"  {each.subject.to('en')} · {each.label.to('en')}: {en.format(**counted_en)}\n"
                f"      was: {each.before.to('en')}\n      now: {each.after.to('en')}",
            )
        )
    for conflict in found.conflicts:
        roles = ", ".join(conflict.roles)
        lines.append(
            Bilingual(
                f"新冲突:{conflict.login} 违反 {conflict.separation}({roles})",
                f"New conflict: {conflict.login} breaks {conflict.separation} ({roles})",
            )
        )
    for name in found.roles_gone:
        lines.append(Bilingual(f"角色 {name} 不再存在", f"Role {name} is gone"))
    for name in found.roles_new:
        lines.append(Bilingual(f"新角色 {name}", f"Role {name} is new"))
    return lines


_COUNTED = {
    "gains": ("得到 {gained} 条记录", "gains {gained}"),
    "loses": ("失去 {lost} 条记录", "loses {lost}"),
    "both": ("得到 {gained} 条、失去 {lost} 条记录", "gains {gained}, loses {lost}"),
    "changes": ("有变化(尚无可计数的记录)", "changes (no records to count)"),
    "none today": ("有变化,但不涉及现有记录", "changes, but for no present record"),
}


async def access_change(database: Database, after: Blueprint) -> dict[str, Any]:
    """What a project would change for the people of this database, from what it serves now (nothing at first)."""
    from clew.audit.trail import Trail
    from clew.identity.assignments import Assignments
    from clew.identity.book import book_of
    from clew.records.review.difference import Comparison, Difference, Side
    from clew.records.review.people import everybody
    from clew.records.unit import Engine
    from clew.runtime import stored_blueprint
    from clew.storage.releases import current_in
    from clew.storage.tables import Tables

    async with database.read() as connection:
        live = await current_in(connection)
        if live is None:
            return difference_json(
                Difference((), (), (), tuple(sorted(after.policies.roles if after.policies else ())))
            )
        blueprint = stored_blueprint(live.sources)
        before, then = Side(blueprint), Side(after)
        at = await connection.now()
        witness, book = Trail(), book_of(blueprint.policies)
        people = await everybody(connection, Assignments(witness, book), before.policies, at)
        engine = Engine(blueprint, Tables(blueprint, live.catalog, database.dialect), str(live.number))
        return difference_json(await Comparison(engine, connection, at, before, then).difference(people))


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
