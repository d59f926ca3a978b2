"""`clew access who-can`, `clew access can`: who can do something to a record, and why one person can or cannot."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from clew.cli.options import Situation, common
from clew.cli.words import t
from clew.kernel.text import Bilingual, Locale

if TYPE_CHECKING:
    from clew.records.review.answer import Standing

Action = Annotated[
    str,
    typer.Argument(
        help=t("read, update, release, start, decide, run …", "操作:read、update、release、start、decide、run 等。")
    ),
]
Target = Annotated[
    str,
    typer.Argument(
        metavar="RECORD",
        help=t(
            "lot/L-001, lot.price/L-001, lot; a process or a step of it: ncr/N-1, ncr.board/N-1; connector:erp.",
            "lot/L-001、lot.price/L-001、lot;流程及其步骤:ncr/N-1、ncr.board/N-1;connector:erp。",
        ),
    ),
]
Login = Annotated[str, typer.Argument(metavar="PERSON", help=t("The person's login.", "人员的登录名。"))]


def register(group: typer.Typer) -> None:
    group.command("who-can", help=t("Who can do this to the record now.", "现在谁可以对该记录执行此操作。"))(
        who_command
    )
    group.command("can", help=t("Why this person can or cannot.", "此人为何可以或不可以。"))(can_command)


@common
def who_command(
    given: Situation,
    action: Action,
    record: Target,
) -> None:
    found, also = asyncio.run(_who(given, action, record))
    from clew.cli.reviewing import FORMAT, both, standing_json

    terminal = given.terminal
    people = [standing_json(each) for each in found]
    terminal.emit(format=FORMAT, action=action, record=record, people=people, also=[both(each) for each in also])
    heads = [
        Bilingual("登录名", "Login"),
        Bilingual("姓名", "Name"),
        Bilingual("经由", "Through"),
        Bilingual("策略", "Policy"),
    ]
    rows = []
    for each in found:
        links = each.through
        kinds = [_kind(link.holding.kind, terminal.locale) for link in links]
        chains = [" → ".join(link.way) + kind for link, kind in zip(links, kinds, strict=True)]
        ways = ", ".join(dict.fromkeys(chains))
        places = ", ".join(dict.fromkeys(str(link.line.place) for link in links))
        rows.append([each.known.account.login, each.known.account.name, ways, places])
    if found:
        terminal.table(heads, rows)
    for words in also:
        terminal.say(f"By the case also: {words.to('en')}.", f"按个案还包括:{words.to('zh')}。")
    if not found and not also:
        terminal.say(
            f"Nobody can. Why one person cannot: clew access can PERSON {action} {record}",
            f"没有人可以。查看某人为何不可以:clew access can 登录名 {action} {record}",
        )


@common
def can_command(
    given: Situation,
    person: Login,
    action: Action,
    record: Target,
) -> None:
    found = asyncio.run(_can(given, person, action, record))
    from clew.cli.reviewing import FORMAT, chain_lines, standing_json

    terminal, locale = given.terminal, given.terminal.locale
    terminal.emit(format=FORMAT, action=action, record=record, **standing_json(found))
    who, what = found.known.account.name, found.words
    if found.allowed:
        terminal.say(f"{who} can: {what.to('en')}, {record}.", f"{who} 可以:{what.to('zh')},{record}。")
    else:
        terminal.say(f"{who} cannot: {what.to('en')}, {record}", f"{who} 不能:{what.to('zh')},{record}")
        for reason in found.reasons:
            terminal.say(f"  ✗ {reason.text.to('en')}", f"  ✗ {reason.text.to('zh')}")
    for links, forbids in ((found.forbids, True), (found.links, False)):
        for link in links:
            for line in chain_lines(link, locale, forbids=forbids):
                terminal.say(f"  {line}", f"  {line}")
    if found.could:
        terminal.say(f"  Roles that would: {', '.join(found.could)}", f"  具备该权限的角色:{'、'.join(found.could)}")
    if not found.allowed:
        raise typer.Exit(1)


def split(text: str) -> tuple[str, str | None]:
    """`lot/L-001` as entity and record; the key may hold slashes itself."""
    entity, _, record = text.partition("/")
    return entity, record or None


async def _who(given: Situation, action: str, target: str) -> tuple[list[Standing], tuple[Bilingual, ...]]:
    """Everybody who can, and whom a step asks besides, by the case."""
    from clew.cli.reviewing import reviewing
    from clew.records.review.standing import Standings

    entity, record = split(target)
    async with reviewing(given.settings) as now:
        question = now.desk.asked(action, entity)
        found = await now.desk.asked_about(now.connection, question, record)
        people = await now.desk.everybody(now.connection, now.at)
        standings = Standings(now.desk, now.connection, now.at)
        also = standings.also(question) if found is None else ()
        return await standings.who_can(people, question, found), also


async def _can(given: Situation, login: str, action: str, target: str) -> Standing:
    from clew.cli.reviewing import reviewing
    from clew.records.review.standing import Standings

    entity, record = split(target)
    async with reviewing(given.settings) as now:
        question = now.desk.asked(action, entity)
        found = await now.desk.asked_about(now.connection, question, record)
        known = await now.desk.one(now.connection, login, now.at)
        return await Standings(now.desk, now.connection, now.at).can(known, question, found)


def _kind(kind: str, locale: Locale) -> str:
    from clew.cli.reviewing import KINDS

    return "" if kind == "permanent" else f" ({KINDS[kind].to(locale)})"
