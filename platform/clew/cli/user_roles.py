"""Roles for a time, and their ends: `clew user assign`, `delegate`, `break-glass`, `leave` and what belongs to them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from clew.cli.acting import ASSIGNMENTS, By, ByCode, ByStdin, acting, step_up
from clew.cli.identity_desk import (
    Counter,
    Families,
    Login,
    RoleName,
    Since,
    Sites,
    Until,
    assignment_json,
    at_counter,
)
from clew.cli.options import Situation, common
from clew.cli.reasons import Reason, stated
from clew.cli.words import t
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from clew.identity.accounts import Account
    from clew.identity.assignments import Asked, Assignment


def register(group: typer.Typer) -> None:
    group.command("assign", help=t("Give a role.", "授予角色。"))(assign)
    group.command("approve", help=t("Grant what another asked for.", "批准他人申请的角色。"))(approve)
    group.command("revoke", help=t("Take a role away.", "收回角色。"))(revoke)
    group.command("delegate", help=t("Let somebody stand in with a role.", "委托角色。"))(delegate)
    group.command("break-glass", help=t("A role in an emergency, 24 h at most.", "紧急授权,最长 24 小时。"))(
        break_glass
    )
    group.command("review", help=t("Emergencies to be looked at, or a verdict.", "复核紧急授权。"))(review)
    group.command("leave", help=t("End all somebody holds; name what is open.", "离职:终止全部授权并列出待交接。"))(
        leave
    )
    group.command("handover", help=t("What waits to be taken over, or who did.", "待交接事项,或登记接手人。"))(handover)


@common
def assign(
    given: Situation,
    login: Login,
    role: RoleName,
    reason: Reason,
    since: Since = "",
    until: Until = "",
    site: Sites = None,
    family: Families = None,
    by: By = "",
    by_stdin: ByStdin = False,
    by_code: ByCode = "",
) -> None:
    who = acting(given, by, by_stdin, by_code)

    async def work(counter: Counter) -> Assignment:
        await step_up(counter, who, ("accounts", ASSIGNMENTS))
        asked = await _asked(counter, await counter.account(login), role, since, until, site, family, reason)
        book = counter.desk.assignments
        give = book.assign if counter.alone else book.request
        return await counter.do(lambda connection, at: give(connection, counter.context, asked, at))

    _granted(given, login, at_counter(given, work))


@common
def approve(
    given: Situation,
    assignment: Annotated[str, typer.Argument(help=t("The assignment's id.", "授权标识。"))],
    reason: Reason,
    by: By = "",
    by_stdin: ByStdin = False,
    by_code: ByCode = "",
) -> None:
    who = acting(given, by, by_stdin, by_code)

    async def work(counter: Counter) -> tuple[str, Assignment]:
        from clew.identity import accounts

        await step_up(counter, who, (ASSIGNMENTS,))
        book = counter.desk.assignments

        async def grant(connection: Any, at: Any) -> tuple[str, Assignment]:
            chosen = identifier_of(assignment)
            made = await book.approve(connection, counter.context, chosen, at, reason, alone=counter.alone)
            holder = await accounts.find(connection, made.account)
            return holder.login if holder else "?", made

        return await counter.do(grant)

    login, made = at_counter(given, work)
    _granted(given, login, made)


@common
def revoke(
    given: Situation,
    login: Login,
    role: Annotated[str, typer.Argument(help=t("A role, or an assignment's id.", "角色或授权标识。"))],
    reason: Reason,
) -> None:
    async def work(counter: Counter) -> int:
        from clew.identity.errors import NoAssignment

        account, book = await counter.account(login), counter.desk.assignments

        async def end(connection: Any, at: Any) -> int:
            held = await book.of(connection, account.id, states=("active",))
            found = [each for each in held if role in (each.role, str(each.id))]
            if not found:
                raise NoAssignment
            for each in found:
                await book.end(connection, counter.context, each.id, at, reason)
            return len(found)

        return await counter.do(end)

    count = at_counter(given, work)
    given.terminal.say(f"{login} does not hold {role} any more.", f"{login} 不再持有 {role}。")
    given.terminal.emit(ok=True, login=login, ended=count)


@common
def delegate(
    given: Situation,
    login: Annotated[str, typer.Argument(help=t("Who holds the role.", "委托人账号。"))],
    to: Annotated[str, typer.Argument(help=t("Who stands in.", "受托人账号。"))],
    role: RoleName,
    until: Annotated[str, typer.Option("--to", help=t("Until when.", "截止时间。"))],
    reason: Reason,
    since: Since = "",
    site: Sites = None,
    family: Families = None,
    by: By = "",
    by_stdin: ByStdin = False,
    by_code: ByCode = "",
) -> None:
    who = acting(given, by, by_stdin, by_code)

    async def work(counter: Counter) -> Assignment:
        from clew.identity.errors import NotHeld

        actor = await step_up(counter, who, ())
        if actor is not None and actor.login != login:
            # Only its holder passes a role on.
            raise NotHeld(login=actor.login, role=role)
        giver, taker = await counter.account(login), await counter.account(to)
        asked = await _asked(counter, taker, role, since, until, site, family, reason)
        passed = replace(asked, delegator=giver.id)
        return await counter.do(
            lambda connection, at: counter.desk.assignments.delegate(connection, counter.context, passed, at)
        )

    _granted(given, to, at_counter(given, work))


@common
def break_glass(
    given: Situation,
    login: Login,
    role: RoleName,
    reason: Reason,
    hours: Annotated[float, typer.Option("--hours", help=t("How long, 24 at most.", "小时数,至多 24。"))] = 4,
    by: By = "",
    by_stdin: ByStdin = False,
    by_code: ByCode = "",
    site: Sites = None,
) -> None:
    who = acting(given, by, by_stdin, by_code)

    async def work(counter: Counter) -> Assignment:
        from clew.identity import emergency

        account, book = await counter.account(login), counter.desk.assignments
        await step_up(counter, who, () if by == account.login else ("accounts", ASSIGNMENTS))
        asked = await _asked(counter, account, role, "", "", site, None, reason)

        async def ask(connection: Any, at: Any) -> Assignment:
            return (await emergency.ask(book, connection, counter.context, asked, at, hours)).assignment

        return await counter.do(ask)

    _granted(given, login, at_counter(given, work))


@common
def review(
    given: Situation,
    assignment: Annotated[str, typer.Argument(help=t("The assignment's id.", "授权标识。"))] = "",
    by: Annotated[str, typer.Option("--by", help=t("Who reviews.", "复核人账号。"))] = "",
    by_stdin: ByStdin = False,
    by_code: ByCode = "",
    justified: Annotated[
        bool, typer.Option("--justified/--not-justified", help=t("The verdict.", "复核结论。"))
    ] = True,
    note: Annotated[str, typer.Option("--note", help=t("What was found.", "复核说明。"))] = "",
) -> None:
    if assignment and not justified:
        note = stated(note, "--note")
    who = acting(given, by, by_stdin, by_code)

    async def work(counter: Counter) -> list[tuple[str, Assignment]]:
        from clew.identity import accounts, emergency

        book = counter.desk.assignments
        if assignment:
            await step_up(counter, who, (ASSIGNMENTS,))
            verdict: emergency.Verdict = "justified" if justified else "not_justified"
            await counter.do(
                lambda connection, at: emergency.review(
                    book, connection, counter.context, identifier_of(assignment), at, verdict, note
                )
            )
        found = []
        async with counter.desk.database.read() as connection:
            for each in await emergency.pending(book, connection):
                holder = await accounts.find(connection, each.assignment.account)
                found.append((holder.login if holder else "?", each.assignment))
        return found

    found = at_counter(given, work)
    heads = [
        Bilingual("标识", "id"),
        Bilingual("账号", "login"),
        Bilingual("角色", "role"),
        Bilingual("原因", "reason"),
    ]
    given.terminal.table(heads, [[str(each.id), who, each.role, each.reason] for who, each in found])
    given.terminal.say(f"{len(found)} to be reviewed.", f"{len(found)} 项待复核。")
    given.terminal.emit(ok=True, pending=[{"login": who, **assignment_json(each)} for who, each in found])


@common
def leave(
    given: Situation,
    login: Login,
    reason: Reason,
) -> None:
    async def work(counter: Counter) -> list[Any]:
        from clew.identity import leaving

        account, book = await counter.account(login), counter.desk.assignments
        return await counter.do(
            lambda connection, at: leaving.leave(book, connection, counter.context, account, at, reason)
        )

    opened = at_counter(given, work)
    given.terminal.say(f"{login} holds nothing any more.", f"{login} 已无任何授权。")
    for each in opened:
        given.terminal.say(f"To be handed over: {each.what}", f"待交接:{each.what}")
    given.terminal.emit(ok=True, login=login, handovers=[{"id": each.id, "what": each.what} for each in opened])


@common
def handover(
    given: Situation,
    identifier: Annotated[str, typer.Argument(help=t("The handover's id.", "交接标识。"))] = "",
    to: Annotated[str, typer.Option("--to", help=t("Who took it over.", "接手人账号。"))] = "",
) -> None:
    async def work(counter: Counter) -> list[Any]:
        from clew.identity import leaving

        book = counter.desk.assignments
        if identifier:
            taker = await counter.account(to)
            await counter.do(
                lambda connection, at: leaving.close_handover(
                    book, connection, counter.context, UUID(identifier), taker, at
                )
            )
        async with counter.desk.database.read() as connection:
            return await leaving.open_handovers(connection)

    found = at_counter(given, work)
    for each in found:
        given.terminal.say(f"{each.id}  {each.what}", f"{each.id}  {each.what}")
    given.terminal.say(f"{len(found)} open.", f"{len(found)} 项待交接。")
    given.terminal.emit(ok=True, handovers=[{"id": each.id, "what": each.what} for each in found])


async def _asked(
    counter: Counter,
    account: Account,
    role: str,
    since: str,
    until: str,
    site: list[str] | None,
    family: list[str] | None,
    reason: str,
) -> Asked:
    from clew.identity.assignments import Asked

    start = counter.moment(since, counter.desk.clock.now())
    assert start is not None
    return Asked(
        account.id,
        role,
        start,
        counter.moment(until, ends=True),
        await counter.sites(site),
        tuple(family) if family else None,
        reason,
    )


def identifier_of(given: str) -> UUID:
    """Raises NoAssignment."""
    from clew.identity.errors import NoAssignment

    try:
        return UUID(given)
    except ValueError:
        raise NoAssignment from None


def _granted(given: Situation, login: str, made: Assignment) -> None:
    if made.state == "active":
        given.terminal.say(f"{login} holds {made.role}.", f"{login} 持有 {made.role}。")
    else:
        given.terminal.say(
            f"{made.role} is asked for. Another person grants it: clew user approve {made.id} --by LOGIN --reason …",
            f"已申请 {made.role},须由另一人批准:clew user approve {made.id} --by 账号 --reason …",
        )
    given.terminal.emit(ok=True, login=login, assignment=assignment_json(made))
