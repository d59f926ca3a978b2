"""Who acts at this machine. Once two people administer, nobody does so as the machine: they prove who they are.

While an installation is being set up there is one administrator at most, so the operator acts alone and the trail says
so. Afterwards the command line is a door like any other: what takes two people there takes two here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from clew.cli.options import Situation
from clew.cli.words import t
from clew.kernel.errors import Forbidden
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from clew.cli.identity_desk import Counter
    from clew.identity.accounts import Account

By = Annotated[str, typer.Option("--by", help=t("Who acts: their login.", "操作人账号。"))]
ByStdin = Annotated[
    bool,
    typer.Option(
        "--by-stdin", help=t("Read that person's password from standard input.", "从标准输入读取操作人密码。")
    ),
]
ByCode = Annotated[str, typer.Option("--by-code", help=t("The code of their generator.", "操作人的动态验证码。"))]
ACCOUNTS, ASSIGNMENTS, IDENTITIES = "accounts", "assignments", "identities"
PATH = "command line"


class WhoActs(Forbidden):
    """Two people administer this installation, so the machine's operator is not enough."""

    code = "WHO_ACTS"
    en = "Two people administer this installation, so say who acts and prove it: --by LOGIN."
    zh = "本系统已由两人以上管理,须指明操作人并验证身份:--by 账号。"
    hint_en = "The password is asked for, or read from standard input with --by-stdin."
    hint_zh = "密码将提示输入,或以 --by-stdin 从标准输入读取。"


class MayNot(Forbidden):
    """Somebody proved who they are, but this is not theirs to do."""

    code = "NOT_AN_ADMINISTRATOR"
    en, zh = "{login} does not look after {what}.", "{login} 无权管理{what}。"
    hint_en, hint_zh = "See who does: clew access who-can", "查看谁有权限:clew access who-can"


@dataclass(frozen=True, slots=True)
class Acting:
    """What was given about who acts, read before the database is opened."""

    by: str = ""
    password: str = ""
    code: str = ""


_WHAT = {
    ACCOUNTS: Bilingual("账号", "accounts"),
    ASSIGNMENTS: Bilingual("授权", "assignments"),
    IDENTITIES: Bilingual("身份确认", "identities"),
}


def acting(given: Situation, by: str, by_stdin: bool, by_code: str) -> Acting:
    """Read the password of who acts. Raises WhoActs when nobody can be asked for it."""
    if not by:
        return Acting()
    if by_stdin:
        return Acting(by, sys.stdin.readline().rstrip("\r\n"), by_code)
    if not given.terminal.interactive:
        raise WhoActs
    asked = str(typer.prompt(f"Password 密码 ({by})", hide_input=True))
    return Acting(by, asked, by_code)


async def step_up(counter: Counter, who: Acting, rights: Iterable[str]) -> Account | None:
    """Let the counter act as whoever proved it, if one of these rights is theirs; their account. None: the operator
    acts alone, because the installation is being set up (`counter.alone`).

    No rights: whoever it is acts for themselves. Raises WhoActs, MayNot, WrongCredentials, LockedOut, IdentityDue.
    """
    from clew.identity.people import person_of

    desk = counter.desk
    if not who.by:
        async with desk.database.read() as connection:
            counter.alone = await desk.assignments.set_up(connection)
        if not counter.alone:
            raise WhoActs
        return None
    account = await counter.account(who.by)
    components = {"login": who.by, "password": who.password or "-", "totp": who.code}
    await desk.credentials.prove(account.id, components, PATH, counter.as_account(account))
    async with desk.database.read() as connection:
        person = await person_of(connection, account.id, desk.clock.now())
    context = replace(counter.context, person=person)
    needed = frozenset(rights)
    if needed and not needed & counter.runtime.decide(context).administers:
        raise MayNot(login=account.login, what=_WHAT[sorted(needed)[0]])
    counter.context, counter.alone = context, False
    return account


def tell_two(given: Situation, login: str, *, alone: bool) -> None:
    """Whether this took effect at once, or what is still to be done by somebody else."""
    if alone:
        given.terminal.say(
            "Done alone: fewer than two people administer this installation. The trail says so.",
            "单人办理:本系统的管理人员不足两人,审计轨迹已注明。",
        )
        return
    given.terminal.say(
        f"It opens once another person has confirmed {login}: clew user confirm. Roles: clew user approve.",
        f"须由另一人当面确认 {login} 后方可使用:clew user confirm;角色须另行批准:clew user approve。",
    )
