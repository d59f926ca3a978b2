"""`clew token`: long random secrets for programs, shown once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from clew.cli.identity_desk import Counter, at_counter
from clew.cli.options import AsJson, DatabaseUrl, Lang, Project, SettingsFile, situation
from clew.cli.words import t
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from clew.identity.tokens import Token

User = Annotated[str, typer.Option("--user", help=t("Whose token (login).", "令牌所属账号。"))]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=t("API tokens for programs.", "供程序使用的接口令牌。"), no_args_is_help=True)
    group.command("create", help=t("Make a token; it is shown once.", "新建令牌,仅显示一次。"))(create)
    group.command("list", help=t("Tokens, without their secrets.", "列出令牌(不含密文)。"))(list_tokens)
    group.command("revoke", help=t("End a token.", "吊销令牌。"))(revoke)
    app.add_typer(group, name="token")


def create(
    user: User,
    name: Annotated[str, typer.Option("--name", help=t("What it is for.", "用途。"))] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help=t("Only this role; repeat it.", "仅限该角色,可重复。")),
    ] = None,
    expires: Annotated[str, typer.Option("--expires", help=t("90d or a date.", "如 90d 或日期。"))] = "90d",
    project: Project = None,
    database_url: DatabaseUrl = None,
    settings: SettingsFile = None,
    lang: Lang = None,
    as_json: AsJson = False,
) -> None:
    given = situation(project, database_url, settings, lang, as_json)

    async def work(counter: Counter) -> tuple[str, Token]:
        from clew.identity import tokens
        from clew.identity.errors import UnknownRole

        account, desk = await counter.account(user), counter.desk
        for each in scope or ():
            if not desk.roles.knows(each):
                raise UnknownRole(role=each)
        until = counter.moment(expires, ends=True)
        assert until is not None
        return await counter.do(
            lambda connection, at: tokens.create(
                connection, desk.witness, counter.context, account, name=name or "token", at=at, expires_at=until,
                scopes=scope or (),
            )
        )  # fmt: skip

    secret, made = at_counter(given, work)
    given.terminal.say(f"Token, shown this once:\n{secret}", f"令牌(仅显示这一次):\n{secret}")
    given.terminal.emit(ok=True, token=secret, id=made.id, expiresAt=made.expires_at)


def list_tokens(
    user: Annotated[str, typer.Option("--user", help=t("Only of this login.", "仅该账号。"))] = "",
    project: Project = None,
    database_url: DatabaseUrl = None,
    settings: SettingsFile = None,
    lang: Lang = None,
    as_json: AsJson = False,
) -> None:
    given = situation(project, database_url, settings, lang, as_json)

    async def work(counter: Counter) -> list[tuple[str, Token]]:
        from clew.identity import accounts, tokens

        async with counter.desk.database.read() as connection:
            logins = {each.id: each.login for each in await accounts.every(connection)}
            only = (await accounts.by_login(connection, user)).id if user else None
            return [(logins[each.account], each) for each in await tokens.listed(connection, only)]

    found = at_counter(given, work)
    heads = [Bilingual("标识", "id"), Bilingual("账号", "login"), Bilingual("用途", "name"),
             Bilingual("失效", "expires"), Bilingual("已吊销", "revoked")]  # fmt: skip
    rows = [[str(each.id), who, each.name, f"{each.expires_at:%Y-%m-%d}",
             f"{each.revoked_at:%Y-%m-%d}" if each.revoked_at else ""] for who, each in found]  # fmt: skip
    given.terminal.table(heads, rows)
    given.terminal.emit(
        ok=True,
        tokens=[
            {
                "id": each.id,
                "login": who,
                "name": each.name,
                "scopes": each.scopes,
                "expiresAt": each.expires_at,
                "revokedAt": each.revoked_at,
            }
            for who, each in found
        ],
    )


def revoke(
    token: Annotated[str, typer.Argument(help=t("The token's id.", "令牌标识。"))],
    project: Project = None,
    database_url: DatabaseUrl = None,
    settings: SettingsFile = None,
    lang: Lang = None,
    as_json: AsJson = False,
) -> None:
    given = situation(project, database_url, settings, lang, as_json)

    async def work(counter: Counter) -> None:
        from clew.identity import tokens
        from clew.identity.tokens import NoToken

        try:
            identifier = UUID(token)
        except ValueError:
            raise NoToken from None
        desk = counter.desk
        await counter.do(
            lambda connection, at: tokens.revoke(connection, desk.witness, counter.context, identifier, at)
        )

    at_counter(given, work)
    given.terminal.say("Nobody gets in with it any more.", "该令牌已失效。")
    given.terminal.emit(ok=True, id=token)
