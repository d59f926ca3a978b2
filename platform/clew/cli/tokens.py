"""`clew token`: long random secrets for programs, shown once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from clew.cli.acting import ACCOUNTS, ASSIGNMENTS, IDENTITIES, By, ByCode, ByStdin, acting, step_up
from clew.cli.identity_desk import Counter, at_counter
from clew.cli.options import Situation, common
from clew.cli.reasons import Reason
from clew.cli.words import t
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from clew.identity.token_requests import TokenRequest
    from clew.identity.tokens import Token

User = Annotated[str, typer.Option("--user", help=t("Whose token (login).", "令牌所属账号。"))]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=t("API tokens for programs.", "供程序使用的接口令牌。"), no_args_is_help=True)
    group.command("create", help=t("Make a token; it is shown once.", "新建令牌,仅显示一次。"))(create)
    group.command("approve", help=t("Agree to what another asked for.", "批准他人申请的令牌。"))(approve)
    group.command("collect", help=t("Take an approved token, once.", "领取已批准的令牌,仅一次。"))(collect)
    group.command("list", help=t("Tokens, without their secrets.", "列出令牌(不含密文)。"))(list_tokens)
    group.command("revoke", help=t("End a token.", "吊销令牌。"))(revoke)
    app.add_typer(group, name="token")


@common
def create(
    given: Situation,
    user: User,
    name: Annotated[str, typer.Option("--name", help=t("What it is for.", "用途。"))] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help=t("Only this role; repeat it.", "仅限该角色,可重复。")),
    ] = None,
    expires: Annotated[str, typer.Option("--expires", help=t("90d or a date.", "如 90d 或日期。"))] = "90d",
    by: By = "",
    by_stdin: ByStdin = False,
    by_code: ByCode = "",
) -> None:
    who = acting(given, by, by_stdin, by_code)

    async def work(counter: Counter) -> tuple[str, Token] | TokenRequest:
        from clew.identity import token_requests, tokens
        from clew.identity.errors import NotYourself, UnknownRole

        account, desk = await counter.account(user), counter.desk
        for each in scope or ():
            if not desk.roles.knows(each):
                raise UnknownRole(role=each)
        until = counter.moment(expires, ends=True)
        assert until is not None
        own = by == account.login
        await step_up(counter, who, () if own else (ACCOUNTS,))
        if not (own or counter.alone or account.kind == "service"):
            raise NotYourself(action=Bilingual("建立该账号的令牌", "make this account's token"))
        make = tokens.create if own or counter.alone else token_requests.request
        return await counter.do(
            lambda connection, at: make(
                connection, desk.witness, counter.context, account, name=name or "token", at=at, expires_at=until,
                scopes=scope or (),
            )
        )  # fmt: skip

    found = at_counter(given, work)
    if not isinstance(found, tuple):
        given.terminal.say(
            f"A token is asked for. Another person agrees to it: clew token approve {found.id} --by LOGIN --reason …",
            f"已申请令牌,须由另一人批准:clew token approve {found.id} --by 账号 --reason …",
        )
        given.terminal.emit(ok=True, request=found.id)
        return
    _shown_once(given, *found)


@common
def approve(
    given: Situation,
    request: Annotated[str, typer.Argument(help=t("The request's id.", "申请标识。"))],
    reason: Reason,
    by: By = "",
    by_stdin: ByStdin = False,
    by_code: ByCode = "",
) -> None:
    who = acting(given, by, by_stdin, by_code)

    async def work(counter: Counter) -> None:
        from clew.identity import token_requests

        await step_up(counter, who, (ASSIGNMENTS, IDENTITIES))
        await counter.do(
            lambda connection, at: token_requests.approve(
                connection, counter.desk.witness, counter.context, identifier_of(request), at, reason
            )
        )

    at_counter(given, work)
    given.terminal.say(
        f"Agreed. Who asked takes it: clew token collect {request} --by LOGIN",
        f"已批准,由申请人领取:clew token collect {request} --by 账号",
    )
    given.terminal.emit(ok=True, request=request)


@common
def collect(
    given: Situation,
    request: Annotated[str, typer.Argument(help=t("The request's id.", "申请标识。"))],
    by: By = "",
    by_stdin: ByStdin = False,
    by_code: ByCode = "",
) -> None:
    who = acting(given, by, by_stdin, by_code)

    async def work(counter: Counter) -> tuple[str, Token]:
        from clew.identity import token_requests

        await step_up(counter, who, (ACCOUNTS,))
        return await counter.do(
            lambda connection, at: token_requests.collect(
                connection, counter.desk.witness, counter.context, identifier_of(request), at
            )
        )

    _shown_once(given, *at_counter(given, work))


def _shown_once(given: Situation, secret: str, made: Token) -> None:
    given.terminal.say(f"Token, shown this once:\n{secret}", f"令牌(仅显示这一次):\n{secret}")
    given.terminal.emit(ok=True, token=secret, id=made.id, expiresAt=made.expires_at)


@common
def list_tokens(
    given: Situation,
    user: Annotated[str, typer.Option("--user", help=t("Only of this login.", "仅该账号。"))] = "",
) -> None:
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


@common
def revoke(
    given: Situation,
    token: Annotated[str, typer.Argument(help=t("The token's id.", "令牌标识。"))],
) -> None:
    async def work(counter: Counter) -> None:
        from clew.identity import tokens

        identifier, desk = identifier_of(token), counter.desk
        await counter.do(
            lambda connection, at: tokens.revoke(connection, desk.witness, counter.context, identifier, at)
        )

    at_counter(given, work)
    given.terminal.say("Nobody gets in with it any more.", "该令牌已失效。")
    given.terminal.emit(ok=True, id=token)


def identifier_of(given: str) -> UUID:
    """Raises NoToken."""
    from clew.identity.tokens import NoToken

    try:
        return UUID(given)
    except ValueError:
        raise NoToken from None
