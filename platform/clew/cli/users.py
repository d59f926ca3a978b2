"""`clew user`: accounts and their credentials, at the machine itself."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from clew.cli import user_roles
from clew.cli.acting import ACCOUNTS, ASSIGNMENTS, IDENTITIES, By, ByCode, ByStdin, acting, step_up, tell_two
from clew.cli.identity_desk import (
    Counter,
    Login,
    PasswordStdin,
    account_json,
    assignment_json,
    at_counter,
    given_password,
    random_password,
)
from clew.cli.options import Situation, common
from clew.cli.reasons import Reason, stated
from clew.cli.words import t
from clew.kernel.errors import BadInput
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from datetime import datetime

    from clew.identity.accounts import Account
    from clew.storage.engine import Connection


class AccountKind(StrEnum):
    person = "person"
    service = "service"
    external = "external"


class NoAdministrator(BadInput):
    """`--admin` where no role administers accounts."""

    code = "NO_ADMIN_ROLE"
    en = "No role of this project administers accounts, so there is nothing to make an administrator with."
    zh = "本项目没有可管理账号的角色,无法建立管理员。"
    hint_en = "Give a role in permissions/: administer: [accounts, assignments]"
    hint_zh = "请在 permissions/ 的某个角色中写明 administer: [accounts, assignments]"


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=t("Accounts, credentials and roles.", "账号、凭证与角色。"), no_args_is_help=True)
    group.command("add", help=t("Make an account; its password is shown once.", "新建账号,密码仅显示一次。"))(add)
    group.command("list", help=t("All accounts.", "列出全部账号。"))(list_accounts)
    group.command("show", help=t("One account, its roles and sessions.", "查看账号、角色与会话。"))(show)
    group.command("disable", help=t("Let an account in no more.", "停用账号。"))(disable)
    group.command("enable", help=t("Let an account in again.", "恢复账号。"))(enable)
    group.command("unlock", help=t("End a lock after too many tries.", "解除锁定。"))(unlock)
    group.command("password", help=t("Set a password, to be changed at once.", "重设密码,首次登录须修改。"))(password)
    group.command("confirm", help=t("Seen in person: they hold what was set.", "当面确认本人持有凭证。"))(confirm)
    group.command("totp", help=t("Give an account a code generator.", "为账号启用动态验证码。"))(totp)
    user_roles.register(group)
    app.add_typer(group, name="user")


@common
def add(
    given: Situation,
    login: Login,
    name: Annotated[str, typer.Option("--name", help=t("The person's printed name.", "姓名。"))] = "",
    kind: Annotated[AccountKind, typer.Option("--kind", help=t("Whom it is for.", "账号类别。"))] = AccountKind.person,
    role: Annotated[
        list[str] | None, typer.Option("--role", help=t("A role everywhere; repeat it.", "全范围角色,可重复。"))
    ] = None,
    admin: Annotated[
        bool, typer.Option("--admin", help=t("Give the roles that administer.", "授予管理角色。"))
    ] = False,
    party: Annotated[
        str, typer.Option("--party", help=t("Record an external user acts for (id).", "外部用户所代表的记录标识。"))
    ] = "",
    password_stdin: PasswordStdin = False,
    by: By = "",
    by_stdin: ByStdin = False,
    by_code: ByCode = "",
) -> None:
    who = acting(given, by, by_stdin, by_code)
    asked = given_password(given, True) if password_stdin else ""
    secret = "" if kind is AccountKind.service and not password_stdin else asked or random_password()

    async def work(counter: Counter) -> tuple[Account, bool]:
        from clew.identity import accounts
        from clew.identity.assignments import Asked
        from clew.identity.book import PolicyBook

        await step_up(counter, who, (ACCOUNTS,))
        desk = counter.desk
        roles = list(role or ())
        if admin:
            book = desk.roles
            found = book.administrators() if isinstance(book, PolicyBook) else ()
            if not found:
                raise NoAdministrator
            roles += found[:1]
        if secret:
            desk.credentials.policy.check_password(secret, login)
        facts = {"party": UUID(party)} if party else {}

        async def make(connection: Connection, at: datetime) -> Account:
            made = await accounts.create(
                connection, desk.witness, counter.context, login=login, name=name, at=at, kind=kind.value, facts=facts
            )
            give = desk.assignments.assign if counter.alone else desk.assignments.request
            for each in dict.fromkeys(roles):
                await give(connection, counter.context, Asked(made.id, each, at), at)
            return made

        made = await counter.do(make)
        if secret:
            await desk.credentials.set_password(
                made, secret, counter.context, must_change=not asked or not counter.alone, settled=counter.alone
            )
        return made, counter.alone

    made, alone = at_counter(given, work)
    given.terminal.say(f"Account {made.login} is there.", f"已建立账号 {made.login}。")
    tell_two(given, made.login, alone=alone)
    if secret and not asked:
        given.terminal.say(f"Password, shown this once: {secret}", f"密码(仅显示这一次):{secret}")
    shown = {"password": secret} if secret and not asked else {}
    given.terminal.emit(ok=True, account=account_json(made), **shown)


@common
def list_accounts(given: Situation) -> None:
    async def work(counter: Counter) -> list[tuple[Account, tuple[str, ...]]]:
        from clew.identity import accounts, people
        from clew.identity.errors import SessionEnded

        found = []
        async with counter.desk.database.read() as connection:
            for each in await accounts.every(connection):
                try:
                    held = (await people.person_of(connection, each.id, counter.desk.clock.now())).roles
                except SessionEnded:
                    held = ()
                found.append((each, held))
        return found

    found = at_counter(given, work)
    names = {"login": "账号", "name": "姓名", "kind": "类别", "state": "状态", "roles": "角色"}
    heads = [Bilingual(zh, en) for en, zh in names.items()]
    given.terminal.table(heads, [[each.login, each.name, each.kind, each.state, ", ".join(on)] for each, on in found])
    given.terminal.emit(ok=True, accounts=[{**account_json(each), "roles": list(on)} for each, on in found])


@common
def show(
    given: Situation,
    login: Login,
) -> None:
    async def work(counter: Counter) -> dict[str, Any]:
        from clew.identity import sessions, throttle

        account, desk = await counter.account(login), counter.desk
        async with desk.database.read() as connection:
            now = desk.clock.now()
            held = await desk.assignments.of(connection, account.id)
            open_ = await sessions.of(connection, account.id, now)
            locked = await throttle.locked_until(connection, account.id, now)
        return {
            **account_json(account),
            "components": await desk.credentials.available(account.id),
            "lockedUntil": locked,
            "assignments": [assignment_json(each) for each in held],
            "sessions": [
                {"kind": each.kind, "client": each.client, "seenAt": each.seen_at, "expiresAt": each.expires_at}
                for each in open_
            ],
        }

    found = at_counter(given, work)
    terminal = given.terminal
    terminal.say(f"{found['login']} · {found['name']} · {found['kind']} · {found['state']}",
                 f"{found['login']} · {found['name']} · {found['kind']} · {found['state']}")  # fmt: skip
    heads = [Bilingual("标识", "id"), Bilingual("角色", "role"), Bilingual("方式", "kind"), Bilingual("状态", "state"),
             Bilingual("起", "from"), Bilingual("止", "to")]  # fmt: skip
    rows = [[str(each["id"]), each["role"], each["kind"], each["state"], f"{each['from']:%Y-%m-%d %H:%M}",
             f"{each['to']:%Y-%m-%d %H:%M}" if each["to"] else ""] for each in found["assignments"]]  # fmt: skip
    terminal.table(heads, rows)
    terminal.say(f"{len(found['sessions'])} open sessions.", f"{len(found['sessions'])} 个会话。")
    terminal.emit(ok=True, account=found)


@common
def disable(
    given: Situation,
    login: Login,
    reason: Reason,
) -> None:
    async def work(counter: Counter) -> None:
        from clew.identity import leaving

        account, desk = await counter.account(login), counter.desk
        await counter.do(
            lambda connection, at: leaving.disable(desk.assignments, connection, counter.context, account, at, reason)
        )

    at_counter(given, work)
    given.terminal.say(f"{login} is let in no more.", f"已停用 {login}。")
    given.terminal.emit(ok=True, login=login, state="disabled")


@common
def enable(
    given: Situation,
    login: Login,
    reason: Reason,
) -> None:
    async def work(counter: Counter) -> None:
        from clew.identity import accounts

        account, desk = await counter.account(login), counter.desk
        await counter.do(
            lambda connection, at: accounts.enable(connection, desk.witness, counter.context, account, reason)
        )

    at_counter(given, work)
    given.terminal.say(f"{login} is let in again.", f"已恢复 {login}。")
    given.terminal.emit(ok=True, login=login, state="active")


@common
def unlock(
    given: Situation,
    login: Login,
    reason: Reason,
) -> None:
    async def work(counter: Counter) -> None:
        await counter.desk.credentials.unlock(await counter.account(login), counter.context, reason)

    at_counter(given, work)
    given.terminal.say(f"{login} may try again.", f"{login} 可重新尝试登录。")
    given.terminal.emit(ok=True, login=login)


@common
def password(
    given: Situation,
    login: Login,
    reason: Reason,
    password_stdin: PasswordStdin = False,
    by: By = "",
    by_stdin: ByStdin = False,
    by_code: ByCode = "",
) -> None:
    who = acting(given, by, by_stdin, by_code)
    asked = given_password(given, password_stdin)
    secret = asked or random_password()

    async def work(counter: Counter) -> bool:
        from clew.identity.errors import NotYourself

        account = await counter.account(login)
        actor = await step_up(counter, who, (ACCOUNTS,))
        if actor is not None and actor.id == account.id:
            raise NotYourself(action=Bilingual("重设密码", "reset a password"))
        await counter.desk.credentials.set_password(
            account, secret, counter.context, must_change=True, settled=counter.alone, why=reason
        )
        await counter.desk.end_sessions(account)
        return counter.alone

    alone = at_counter(given, work)
    given.terminal.say(f"{login} changes the password at the next sign-in.", f"{login} 下次登录须修改密码。")
    tell_two(given, login, alone=alone)
    if not asked:
        given.terminal.say(f"Password, shown this once: {secret}", f"密码(仅显示这一次):{secret}")
    given.terminal.emit(ok=True, login=login, **({} if asked else {"password": secret}))


@common
def confirm(
    given: Situation,
    login: Login,
    code: Annotated[str, typer.Argument(help=t("The code of their screen.", "本人屏幕上的确认码。"))],
    by: By = "",
    by_stdin: ByStdin = False,
    by_code: ByCode = "",
) -> None:
    who = acting(given, by, by_stdin, by_code)

    async def work(counter: Counter) -> None:
        account = await counter.account(login)
        await step_up(counter, who, (ASSIGNMENTS, IDENTITIES))
        await counter.desk.confirm(account, code, counter.context, alone=counter.alone)

    at_counter(given, work)
    given.terminal.say(f"{login} is confirmed.", f"已确认 {login} 的身份。")
    given.terminal.emit(ok=True, login=login)


@common
def totp(
    given: Situation,
    login: Login,
    confirm: Annotated[str, typer.Option("--confirm", help=t("A code it shows.", "输入当前动态码确认。"))] = "",
    remove: Annotated[bool, typer.Option("--remove", help=t("It is lost.", "遗失时移除。"))] = False,
    reason: Annotated[
        str, typer.Option("--reason", help=t("Why, where it is another's.", "原因;为他人办理时必填。"))
    ] = "",
    by: By = "",
    by_stdin: ByStdin = False,
    by_code: ByCode = "",
) -> None:
    # Nobody explains what they do with their own; a code proves by itself that its generator is at hand.
    if remove or not (confirm or by == login):
        reason = stated(reason)
    who = acting(given, by, by_stdin, by_code)

    async def work(counter: Counter) -> str:
        from clew.identity.errors import NotYourself

        account, prove = await counter.account(login), counter.desk.credentials
        own = by == account.login
        if own and remove:
            raise NotYourself(action=Bilingual("移除动态验证码", "take a code generator away"))
        if not confirm:
            await step_up(counter, who, () if own else (ACCOUNTS,))
        if counter.alone:
            counter.context = counter.as_account(account)
        if remove:
            await prove.remove_totp(account, counter.context, reason)
            return ""
        if confirm:
            await prove.confirm_totp(account, confirm, counter.context)
            return ""
        return await prove.begin_totp(account, counter.context, counter.runtime.blueprint.project.name, reason)

    address = at_counter(given, work)
    if address:
        if not given.terminal.as_json and sys.stdout.isatty():
            import segno

            segno.make(address).terminal(compact=True)
        given.terminal.say(
            f"{address}\nScan it, then: clew user totp {login} --confirm CODE",
            f"{address}\n扫码后执行:clew user totp {login} --confirm 动态码",
        )
    else:
        given.terminal.say("Done.", "完成。")
    given.terminal.emit(ok=True, login=login, **({"address": address} if address else {}))
