"""What the identity commands share: the desk of a project's database, who acts, and moments as people write them."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from clew.cli.options import Situation
from clew.cli.usage import WrongUsage
from clew.cli.words import t

if TYPE_CHECKING:
    from clew.identity.accounts import Account
    from clew.identity.desk import Desk
    from clew.kernel.context import Context
    from clew.runtime import Runtime
    from clew.storage.engine import Connection

T = TypeVar("T")
Login = Annotated[str, typer.Argument(help=t("The account's login.", "登录账号。"))]
RoleName = Annotated[str, typer.Argument(help=t("A role of the project.", "项目中的角色。"))]
Since = Annotated[str, typer.Option("--from", help=t("From when (now).", "生效时间,默认现在。"))]
Until = Annotated[str, typer.Option("--to", help=t("Until when (open).", "失效时间,默认不限。"))]
Sites = Annotated[
    list[str] | None,
    typer.Option("--site", help=t("A site's key or id; repeat it. Default: all.", "场所,可重复,默认全部。")),
]
Families = Annotated[
    list[str] | None,
    typer.Option("--family", help=t("A product family; repeat it. Default: all.", "产品族,可重复,默认全部。")),
]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help=t("Read the password from standard input.", "从标准输入读取密码。"))
]


class UnknownSite(WrongUsage):
    code = "UNKNOWN_SITE"
    en, zh = "There is no site {site}.", "没有场所 {site}。"


class BadTime(WrongUsage):
    code = "BAD_TIME"
    en = "{given} is not a moment: write 2026-03-31, 2026-03-31T17:00 or 30d."
    zh = "{given} 不是有效时刻:请写作 2026-03-31、2026-03-31T17:00 或 30d。"


class Counter:
    """The machine's own counter: its operator acts, and the trail says so."""

    def __init__(self, given: Situation, runtime: Runtime) -> None:
        self.given, self.runtime = given, runtime
        self.desk: Desk = runtime.desk
        self.context: Context = runtime.operator_call(given.terminal.locale).context
        self.alone = False
        """The installation is being set up and its operator acts alone; see `cli.acting`."""

    async def do(self, work: Callable[[Connection, datetime], Awaitable[T]]) -> T:
        return await self.desk.within(work)

    async def account(self, login: str) -> Account:
        from clew.identity import accounts

        async with self.desk.database.read() as connection:
            return await accounts.by_login(connection, login)

    def as_account(self, account: Account) -> Context:
        """What is done in an account's name, by its holder standing at this machine."""
        from dataclasses import replace

        from clew.kernel.context import Person

        return replace(self.context, person=Person(id=account.id, login=account.login, name=account.name))

    def moment(self, given: str, default: datetime | None = None, *, ends: bool = False) -> datetime | None:
        """A moment in the project's time zone. `30d` is from now; a day ends at its end. Raises BadTime."""
        if not given:
            return default
        zone = ZoneInfo(self.runtime.blueprint.project.time_zone)
        try:
            if given[-1] in "dh" and given[:-1].isdigit():
                number = int(given[:-1])
                return self.desk.clock.now() + (timedelta(days=number) if given[-1] == "d" else timedelta(hours=number))
            if "T" not in given:
                day = date.fromisoformat(given) + timedelta(days=1 if ends else 0)
                return datetime.combine(day, time(), zone).astimezone(UTC)
            found = datetime.fromisoformat(given)
        except (ValueError, OverflowError):
            raise BadTime(given=given) from None
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)

    async def sites(self, given: list[str] | None) -> tuple[UUID, ...] | None:
        """Ids of sites by their business key or id. Raises UnknownSite."""
        if not given:
            return None
        return tuple([await self._site(each) for each in given])

    async def _site(self, given: str) -> UUID:
        import json

        from clew.api.exchange import Caller
        from clew.records.query import plan as p

        try:
            return UUID(given)
        except ValueError:
            pass
        entity = self.runtime.blueprint.entities.get("site")
        if entity is None or len(entity.key) != 1:
            raise UnknownSite(site=given)
        root = p.RecordRoot("site", "site", ((entity.key[0], p.Const(given)),), (p.Leaf("id", "id"),))
        call = self.runtime.operator_call(self.given.terminal.locale)
        found = json.loads(await self.runtime.read(p.Plan((root,)), Caller(call.context, call.decision), {}))["site"]
        if found is None:
            raise UnknownSite(site=given)
        return UUID(found["id"])


def at_counter(given: Situation, work: Callable[[Counter], Awaitable[T]]) -> T:
    """Open the project's database, do something with its identity desk, and close it."""

    async def run() -> T:
        from clew.runtime import open_runtime

        host = await open_runtime(given.settings)
        try:
            return await work(Counter(given, host.current))
        finally:
            await host.close()

    return asyncio.run(run())


def random_password() -> str:
    """Twenty letters and digits that nobody mixes up, about 98 bits."""
    signs = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(signs) for _ in range(5)) for _ in range(4))


def given_password(given: Situation, from_stdin: bool) -> str:
    """A password from standard input or asked for; empty when neither is possible."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if given.terminal.interactive:
        return str(typer.prompt("Password 密码", hide_input=True, confirmation_prompt=True))
    return ""


def assignment_json(each: Any) -> dict[str, Any]:
    return {
        "id": each.id,
        "role": each.role,
        "kind": each.kind,
        "state": each.state,
        "sites": each.sites,
        "families": each.families,
        "from": each.valid_from,
        "to": each.valid_to,
        "delegator": each.delegator,
        "reason": each.reason,
    }


def account_json(each: Any) -> dict[str, Any]:
    return {
        "id": each.id,
        "login": each.login,
        "name": each.name,
        "kind": each.kind,
        "state": each.state,
        "employee": each.employee,
    }
