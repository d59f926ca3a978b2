"""Signing at the command line: who signs, with both components, each time (21 CFR 11.200(a)(1)(ii))."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from clew.cli.identity_desk import Counter
from clew.cli.options import Situation
from clew.cli.usage import WrongUsage
from clew.cli.words import t

if TYPE_CHECKING:
    from clew.access.decision import Decision
    from clew.identity.credentials import Proof
    from clew.kernel.context import Context
    from clew.storage.engine import Connection

As = Annotated[str, typer.Option("--as", help=t("Login of who signs.", "签署人的登录名。"))]
Totp = Annotated[str, typer.Option("--totp", help=t("The code of your generator.", "动态验证码。"))]


class NoPassword(WrongUsage):
    """Nothing was given to sign with, and nobody can be asked."""

    code = "NO_PASSWORD"
    en, zh = "Signing needs your password: --password-stdin", "签名需要密码:--password-stdin"


@dataclass(frozen=True, slots=True)
class Signing:
    """Somebody who has just proved who they are, and what they may."""

    context: Context
    decision: Decision
    proof: Proof


def asked_password(given: Situation, from_stdin: bool) -> str:
    """The password, from standard input or asked for without showing it. Raises NoPassword."""
    if from_stdin:
        found = sys.stdin.readline().rstrip("\r\n")
    elif given.terminal.interactive:
        found = str(typer.prompt("Password 密码", hide_input=True))
    else:
        found = ""
    if not found:
        raise NoPassword
    return found


async def prove(counter: Counter, login: str, password: str, totp: str) -> Signing:
    """Raises NoAccount, WrongCredentials, LockedOut."""
    account = await counter.account(login)
    components = {"login": login, "password": password, "totp": totp}
    context = counter.as_account(account)
    proof = await counter.desk.credentials.prove(account.id, components, "signature", context)
    async with counter.desk.database.read() as connection:
        return await signing(counter, connection, account.id, proof)


async def signing(counter: Counter, connection: Connection, account: UUID, proof: Proof) -> Signing:
    """Who signs, with the roles they hold now."""
    from clew.identity.people import person_of

    person = await person_of(connection, account, counter.desk.clock.now())
    context = replace(counter.context, person=person)
    return Signing(context, counter.runtime.decide(context), proof)
