"""`clew access review`: campaigns in which owners attest or revoke every assignment, signed, by a due date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clew.cli.identity_desk import Counter, PasswordStdin, at_counter
from clew.cli.options import Out, Situation, common
from clew.cli.signing import As, Totp, asked_password, prove
from clew.cli.usage import UnknownFormat, WrongUsage
from clew.cli.words import t
from clew.kernel.text import Bilingual, Locale, counted

if TYPE_CHECKING:
    from clew.access.judgement import Judgement
    from clew.records.review.campaign import Campaign, Item, Verdict
    from clew.records.review.desk import ReviewDesk
    from clew.records.review.progress import Progress
    from clew.storage.engine import Connection

Which = Annotated[str, typer.Argument(metavar="REVIEW", help=t("Its id, name, or latest.", "标识、名称或 latest。"))]
Given = Annotated[
    str, typer.Argument(metavar="ASSIGNMENT", help=t("Its id, or login:role.", "授权标识,或 登录名:角色。"))
]
Comment = Annotated[str, typer.Option("--comment", help=t("A remark, kept with it.", "备注,随之保存。"))]


class NoReview(WrongUsage):
    """There is no such campaign, or no such item in it."""

    code = "NO_REVIEW"
    en, zh = "There is no {what} {name}.", "没有{what} {name}。"


class BadOwner(WrongUsage):
    """An owner that is not written as role=login."""

    code = "BAD_OWNER"
    en, zh = "Write --owner role=login, not {given}.", "请写作 --owner 角色=登录名,而不是 {given}。"


def register(group: typer.Typer) -> None:
    review = typer.Typer(
        help=t("Owners attest or revoke every assignment.", "由负责人逐项确认或撤销授权。"), no_args_is_help=True
    )
    review.command("start", help=t("Begin a review of assignments.", "发起授权复核。"))(start)
    review.command("list", help=t("All reviews.", "列出各次复核。"))(list_reviews)
    review.command("show", help=t("Progress of a review; --out writes Excel.", "复核进度;--out 导出 Excel。"))(show)
    review.command("attest", help=t("This role is still needed; signed.", "签名确认仍需该角色。"))(attest)
    review.command("revoke", help=t("Take the role away at once; signed.", "签名撤销该角色,立即生效。"))(revoke)
    review.command("close", help=t("End a review.", "结束复核。"))(close)
    group.add_typer(review, name="review")


@common
def start(
    given: Situation,
    name: Annotated[str, typer.Argument(help=t("What it is called.", "名称。"))],
    due: Annotated[str, typer.Option("--due", help=t("By when: 2026-12-31 or 30d.", "截止:2026-12-31 或 30d。"))],
    role: Annotated[
        list[str] | None, typer.Option("--role", help=t("Only this role; repeat it.", "仅此角色,可重复。"))
    ] = None,
    owner: Annotated[
        list[str] | None,
        typer.Option("--owner", help=t("role=login, *=login for all others.", "角色=登录名;*=登录名 表示其余。")),
    ] = None,
) -> None:
    named = [each.partition("=") for each in owner or ()]
    for before, sign, after in named:
        if not (before and sign and after):
            raise BadOwner(given=f"{before}{sign}{after}")

    async def work(counter: Counter) -> tuple[Campaign, int]:
        from clew.records.review.campaign import Wanted, begin, items_of

        desk = desk_of(counter)
        ends = counter.moment(due, ends=True)
        assert ends is not None
        roles = tuple(desk.role(each) for each in role or ())
        owners = {before: (await counter.account(after)).id for before, _, after in named}

        async def write(connection: Connection, at: datetime) -> tuple[Campaign, int]:
            people = await desk.everybody(connection, at)
            wanted = Wanted(name, ends, roles, owners)
            made = await begin(connection, counter.context, desk.engine.release, people, wanted)
            return made, len(await items_of(connection, made.id))

        return await counter.do(write)

    made, count = at_counter(given, work)
    given.terminal.say(
        f"Review {made.name} began: {counted(count, 'assignment')}, due {made.due_at:%Y-%m-%d %H:%M} UTC.",
        f"复核 {made.name} 已发起:{count} 项授权,截止 {made.due_at:%Y-%m-%d %H:%M} UTC。",
    )
    given.terminal.emit(ok=True, review=campaign_json(made), items=count)


@common
def list_reviews(given: Situation) -> None:
    async def work(counter: Counter) -> list[Campaign]:
        from clew.records.review.campaign import campaigns

        async with counter.desk.database.read() as connection:
            return await campaigns(connection)

    found = at_counter(given, work)
    given.terminal.emit(reviews=[campaign_json(each) for each in found])
    heads = [Bilingual("名称", "Name"), Bilingual("截止", "Due"), Bilingual("结束", "Closed"), Bilingual("标识", "Id")]
    given.terminal.table(
        heads,
        [
            [
                each.name,
                each.due_at.isoformat(timespec="minutes"),
                each.closed_at.isoformat(timespec="minutes") if each.closed_at else "",
                str(each.id),
            ]
            for each in found
        ],
    )


@common
def show(
    given: Situation,
    review: Which = "latest",
    out: Out = None,
) -> None:
    if out is not None and out.suffix != ".xlsx":
        raise UnknownFormat(file=out, formats=".xlsx")

    async def work(counter: Counter) -> tuple[Progress, bytes]:
        from clew.records.review.progress import progress

        async with counter.desk.database.read() as connection:
            campaign = await found_review(connection, review)
            found = await progress(desk_of(counter), connection, campaign.id, counter.desk.clock.now())
        return found, await _workbook(counter, found, given.terminal.locale) if out is not None else b""

    from clew.records.review.progress import VERDICTS

    found, workbook = at_counter(given, work)
    terminal = given.terminal
    if out is not None:
        out.write_bytes(workbook)
        terminal.say(f"Written to {out}.", f"已写入 {out}。")
    terminal.emit(**progress_json(found))
    done, total = found.decided, len(found.rows)
    terminal.say(
        f"{found.campaign.name}: {done} of {total} decided" + (", overdue" if found.overdue else ""),
        f"{found.campaign.name}:已处理 {done}/{total}" + (",已逾期" if found.overdue else ""),
    )
    heads = [
        Bilingual("人员", "Person"),
        Bilingual("角色", "Role"),
        Bilingual("负责人", "Owner"),
        Bilingual("结论", "Verdict"),
        Bilingual("签名", "Signed"),
    ]
    rows = [
        [
            each.item.shown["login"],
            each.item.shown["role"],
            each.owner,
            VERDICTS[each.state].to(terminal.locale),
            each.item.decided_at.isoformat(timespec="minutes") if each.item.signature and each.item.decided_at else "",
        ]
        for each in found.rows
    ]
    terminal.table(heads, rows)
    if found.overdue:
        raise typer.Exit(1)


@common
def attest(
    given: Situation,
    review: Which,
    assignment: Given,
    signer: As,
    comment: Comment = "",
    password_stdin: PasswordStdin = False,
    totp: Totp = "",
) -> None:
    _decide(given, review, assignment, "attest", comment, (signer, asked_password(given, password_stdin), totp))


@common
def revoke(
    given: Situation,
    review: Which,
    assignment: Given,
    signer: As,
    comment: Comment = "",
    password_stdin: PasswordStdin = False,
    totp: Totp = "",
) -> None:
    _decide(given, review, assignment, "revoke", comment, (signer, asked_password(given, password_stdin), totp))


@common
def close(
    given: Situation,
    review: Which,
    lapse: Annotated[
        bool, typer.Option("--lapse", help=t("Revoke what is undecided.", "撤销尚未处理的授权。"))
    ] = False,
) -> None:
    async def work(counter: Counter) -> Campaign:
        from clew.records.review import campaign as campaigns

        async def write(connection: Connection, at: datetime) -> Campaign:
            chosen = await found_review(connection, review)
            return await campaigns.close(desk_of(counter), connection, counter.context, chosen.id, lapse=lapse)

        return await counter.do(write)

    closed = at_counter(given, work)
    given.terminal.say(f"Review {closed.name} is closed.", f"复核 {closed.name} 已结束。")
    given.terminal.emit(ok=True, review=campaign_json(closed))


def _decide(
    given: Situation, review: str, assignment: str, verdict: Verdict, comment: str, who: tuple[str, str, str]
) -> None:
    async def work(counter: Counter) -> Item:
        from clew.records.review.campaign import Deciding, items_of

        signing = await prove(counter, *who)
        desk = desk_of(counter)

        async def write(connection: Connection, at: datetime) -> Item:
            campaign = await found_review(connection, review)
            chosen = item_of(await items_of(connection, campaign.id), assignment)
            deciding = Deciding(desk, connection, signing.context, signing.decision, signing.proof)
            return await deciding.decide(campaign.id, chosen.assignment, verdict, comment)

        return await counter.do(write)

    done = at_counter(given, work)
    login, role = done.shown["login"], done.shown["role"]
    if verdict == "attest":
        given.terminal.say(f"{login} keeps {role}.", f"{login} 保留角色 {role}。")
    else:
        given.terminal.say(f"{login} no longer holds {role}.", f"{login} 不再持有角色 {role}。")
    given.terminal.emit(ok=True, assignment=done.assignment, verdict=done.verdict, signature=done.signature)


def desk_of(counter: Counter) -> ReviewDesk:
    """Raises NoPolicies."""
    from clew.records.review.desk import ReviewDesk

    runtime = counter.runtime
    return ReviewDesk(runtime.database, runtime.commands.engine, judgement_of(counter), counter.desk.assignments)


def judgement_of(counter: Counter) -> Judgement | None:
    from clew.access.judgement import Judgement

    blueprint = counter.runtime.blueprint
    return Judgement(blueprint) if blueprint.policies is not None else None


async def found_review(connection: Connection, given: str) -> Campaign:
    """By id, by name, or the newest. Raises NoReview."""
    from clew.records.review.campaign import campaigns

    every = await campaigns(connection)
    found = [each for each in every if given in (str(each.id), each.name)] or (every if given == "latest" else [])
    if not found:
        raise NoReview(what=Bilingual("复核", "review"), name=given)
    return found[0]


def item_of(items: Sequence[Item], given: str) -> Item:
    """By assignment, or login and role. Raises NoReview; also where login and role do not say which one."""
    login, _, role = given.partition(":")
    found = [each for each in items if given == str(each.assignment)] or [
        each for each in items if (each.shown["login"], each.shown["role"]) == (login, role)
    ]
    if len(found) != 1:
        raise NoReview(what=Bilingual("复核项", "item"), name=given)
    return found[0]


def campaign_json(each: Campaign) -> dict[str, Any]:
    return {
        "id": each.id,
        "name": each.name,
        "roles": list(each.roles),
        "started_at": each.started_at,
        "due_at": each.due_at,
        "closed_at": each.closed_at,
    }


def progress_json(found: Progress) -> dict[str, Any]:
    from clew.cli.reviewing import FORMAT

    return {
        "format": FORMAT,
        "review": campaign_json(found.campaign),
        "decided": found.decided,
        "total": len(found.rows),
        "overdue": found.overdue,
        "items": [
            {
                **each.item.shown,
                "assignment": each.item.assignment,
                "owner": each.owner,
                "state": each.state,
                "decided_at": each.item.decided_at,
                "comment": each.item.comment,
                "signature": each.item.signature,
            }
            for each in found.rows
        ],
    }


async def _workbook(counter: Counter, found: Progress, locale: Locale) -> bytes:
    """The campaign as a workbook; that it is taken out stands in the trail."""
    from clew.identity import accounts
    from clew.records.review.campaign import tell_export
    from clew.records.review.workbook import campaign_workbook

    async def write(connection: Connection, at: datetime) -> bytes:
        people = {each.id: each.login for each in await accounts.every(connection)}
        release = counter.runtime.commands.engine.release
        await tell_export(connection, counter.context, release, found.campaign, len(found.rows))
        return campaign_workbook(found, people, at, locale)

    return await counter.do(write)
