"""What administration shows and does: accounts, tokens, sessions, roles asked for and granted, emergencies."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from graphql import GraphQLList

from clew.api import scalars
from clew.api.build import required
from clew.api.operations import Call
from clew.identity import accounts, emergency, leaving, sessions, throttle, tokens
from clew.identity.accounts import Account
from clew.identity.assignments import Asked, Assignment
from clew.identity.desk import Desk
from clew.identity.errors import NotYourself, UnknownRole
from clew.kernel.context import Context
from clew.kernel.errors import BadInput
from clew.kernel.text import Bilingual
from clew.records.spoken import spoken, why
from clew.storage.engine import Connection

ACCOUNTS, ASSIGNMENTS = "accounts", "assignments"
KINDS = ("person", "service", "external")
_TEXT, _ID, _WHEN = scalars.TEXT.type, scalars.ID.type, scalars.DATE_TIME.type
_TEXTS, _IDS = GraphQLList(required(_TEXT)), GraphQLList(required(_ID))

TYPES: Mapping[str, Mapping[str, Any]] = {
    "UserRole": {
        "id": required(_ID), "login": _TEXT, "role": required(_TEXT), "kind": required(_TEXT),
        "state": required(_TEXT), "sites": _IDS, "families": _TEXTS, "from": required(_WHEN), "to": _WHEN,
        "delegator": _ID, "requestedBy": required(_ID), "grantedBy": _ID, "reason": _TEXT,
    },
    "UserSession": {
        "id": required(_TEXT), "kind": required(_TEXT), "client": _TEXT, "components": _TEXTS,
        "seenAt": required(_WHEN), "expiresAt": required(_WHEN),
    },
    "UserToken": {
        "id": required(_ID), "name": required(_TEXT), "scopes": _TEXTS, "createdAt": required(_WHEN),
        "expiresAt": required(_WHEN), "revokedAt": _WHEN,
    },
    "UserAccount": {
        "id": required(_ID), "login": required(_TEXT), "name": required(_TEXT), "kind": required(_TEXT),
        "state": required(_TEXT), "employee": _ID, "lockedUntil": _WHEN, "components": _TEXTS,
        "assignments": "UserRole", "sessions": "UserSession", "tokens": "UserToken",
    },
    "UserSecret": {"login": required(_TEXT), "secret": required(_TEXT), "id": _ID},
    "UserHandover": {"id": required(_ID), "account": required(_ID), "what": required(_TEXT), "openedAt": _WHEN},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    """A query field: what it is, who sees it, what it finds."""

    type: str
    says: Bilingual
    find: Callable[[Desk, Connection, datetime, Call], Awaitable[list[Any]]]
    administers: frozenset[str] = frozenset()
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Act:
    """A mutation field: what it answers, who sees it, what it does."""

    type: str
    says: Bilingual
    do: Callable[[Desk, Call, Mapping[str, Any], Context], Awaitable[Any]]
    args: Mapping[str, Any]
    administers: frozenset[str] = frozenset()


# ── what is shown ─────────────────────────────────────────────────────────────────────────────────────────────────


def _assignment(each: Assignment, login: str | None = None) -> dict[str, Any]:
    return {
        "id": each.id, "login": login, "role": each.role, "kind": each.kind, "state": each.state, "sites": each.sites,
        "families": each.families, "from": each.valid_from, "to": each.valid_to, "delegator": each.delegator,
        "requestedBy": each.requested_by, "grantedBy": each.granted_by, "reason": each.reason,
    }  # fmt: skip


async def _account(desk: Desk, connection: Connection, each: Account, at: datetime) -> dict[str, Any]:
    held = await desk.assignments.of(connection, each.id)
    open_ = await sessions.of(connection, each.id, at)
    return {
        "id": each.id,
        "login": each.login,
        "name": each.name,
        "kind": each.kind,
        "state": each.state,
        "employee": each.employee,
        "lockedUntil": await throttle.locked_until(connection, each.id, at),
        "components": list(await desk.credentials.available(each.id)),
        "assignments": [_assignment(one, each.login) for one in held],
        "sessions": [
            # Not even the digest: its beginning is enough to tell two apart.
            {"id": one.id[:16], "kind": one.kind, "client": one.client, "components": one.components,
             "seenAt": one.seen_at, "expiresAt": one.expires_at}
            for one in open_
        ],
        "tokens": [
            {"id": one.id, "name": one.name, "scopes": one.scopes, "createdAt": one.created_at,
             "expiresAt": one.expires_at, "revokedAt": one.revoked_at}
            for one in await tokens.listed(connection, each.id)
        ],
    }  # fmt: skip


async def _accounts(desk: Desk, connection: Connection, at: datetime, call: Call) -> list[Any]:
    wanted = call.arguments.get("login")
    found = [await accounts.by_login(connection, wanted)] if wanted else await accounts.every(connection)
    return [await _account(desk, connection, each, at) for each in found]


async def _logins(connection: Connection, found: Iterable[Assignment]) -> list[Any]:
    names = {each.id: each.login for each in await accounts.every(connection)}
    return [_assignment(each, names.get(each.account)) for each in found]


async def _requests(desk: Desk, connection: Connection, at: datetime, call: Call) -> list[Any]:
    return await _logins(connection, await desk.assignments.every(connection, states=("requested",)))


async def _emergencies(desk: Desk, connection: Connection, at: datetime, call: Call) -> list[Any]:
    due = await emergency.pending(desk.assignments, connection)
    return await _logins(connection, [each.assignment for each in due])


async def _handovers(desk: Desk, connection: Connection, at: datetime, call: Call) -> list[Any]:
    return [
        {"id": each.id, "account": each.account, "what": each.what, "openedAt": each.opened_at}
        for each in await leaving.open_handovers(connection)
    ]


async def _mine(desk: Desk, connection: Connection, at: datetime, call: Call) -> list[Any]:
    me = call.caller.context.person
    return [_assignment(each, me.login) for each in await desk.assignments.of(connection, me.id)]


# ── what is done ──────────────────────────────────────────────────────────────────────────────────────────────────


async def account_of(desk: Desk, login: str) -> Account:
    async with desk.database.read() as connection:
        return await accounts.by_login(connection, login)


async def _again(desk: Desk, account: Account) -> dict[str, Any]:
    async with desk.database.read() as connection:
        return await _account(desk, connection, await accounts.by_login(connection, account.login), desk.clock.now())


ADMINISTERING = Bilingual("管理账号与授权", "accounts and roles are administered")


def _password() -> str:
    return "-".join(secrets.token_hex(3) for _ in range(4))


async def _create(desk: Desk, call: Call, args: Mapping[str, Any], context: Context) -> Any:
    kind: accounts.Kind = args.get("kind") or "person"
    if kind not in KINDS:
        raise BadInput(path=["kind"], what=Bilingual(f"kind 须为 {' / '.join(KINDS)}", f"kind: {' / '.join(KINDS)}"))

    async def work(connection: Connection, at: datetime) -> Account:
        return await accounts.create(
            connection, desk.witness, context, login=args["login"], name=args.get("name") or "", at=at, kind=kind,
            employee=args.get("employee"), facts={"party": args.get("party")},
        )  # fmt: skip

    made = await desk.within(work, context)
    secret = "" if kind == "service" else _password()
    if secret:
        await desk.credentials.set_password(made, secret, context, must_change=True)
    return {"login": made.login, "secret": secret, "id": made.id}


async def _reset(desk: Desk, call: Call, args: Mapping[str, Any], context: Context) -> Any:
    reason = why(args["reason"], ADMINISTERING)
    account, secret = await account_of(desk, args["login"]), _password()
    if account.id == context.person.id:
        raise NotYourself(action=Bilingual("重设密码", "reset a password"))
    # The caller's session is looked at in the same breath as everybody else's is ended.
    await desk.within(lambda connection, at: sessions.end_all(connection, account.id, at), context)
    await desk.credentials.set_password(account, secret, context, must_change=True, why=reason)
    return {"login": account.login, "secret": secret, "id": account.id}


def _on_account(work: Callable[[Desk, Connection, datetime, Account, str, Context], Awaitable[Any]]) -> Any:
    async def do(desk: Desk, call: Call, args: Mapping[str, Any], context: Context) -> Any:
        account = await account_of(desk, args["login"])
        reason = why(args["reason"], ADMINISTERING) if "reason" in args else ""
        await desk.within(lambda connection, at: work(desk, connection, at, account, reason, context), context)
        return await _again(desk, account)

    return do


async def _disable(desk: Desk, connection: Connection, at: datetime, who: Account, why: str, by: Context) -> None:
    await leaving.disable(desk.assignments, connection, by, who, at, why)


async def _enable(desk: Desk, connection: Connection, at: datetime, who: Account, why: str, by: Context) -> None:
    await accounts.enable(connection, desk.witness, by, who, why)


async def _end_sessions(desk: Desk, connection: Connection, at: datetime, who: Account, why: str, by: Context) -> None:
    await sessions.end_all(connection, who.id, at)
    await accounts.raise_epoch(connection, who.id)


async def _leave(desk: Desk, connection: Connection, at: datetime, who: Account, why: str, by: Context) -> None:
    await leaving.leave(desk.assignments, connection, by, who, at, why)


async def _unlock(desk: Desk, call: Call, args: Mapping[str, Any], context: Context) -> Any:
    reason, account = why(args["reason"], ADMINISTERING), await account_of(desk, args["login"])
    await desk.credentials.unlock(account, context, reason)
    return await _again(desk, account)


async def _lose(desk: Desk, call: Call, args: Mapping[str, Any], context: Context) -> Any:
    reason, account = why(args["reason"], ADMINISTERING), await account_of(desk, args["login"])
    if account.id == context.person.id:
        raise NotYourself(action=Bilingual("移除动态验证码", "take a code generator away"))
    await desk.credentials.remove_totp(account, context, reason)
    return await _again(desk, account)


async def _token(desk: Desk, call: Call, args: Mapping[str, Any], context: Context) -> Any:
    account, scopes = await account_of(desk, args["login"]), args.get("scopes") or []
    known_roles(desk, scopes)
    if account.id != context.person.id:
        # A token is its holder's: nobody makes one to act as another person, and a service's takes two people.
        raise NotYourself(action=Bilingual("建立该账号的令牌", "make this account's token"))
    secret, made = await desk.within(
        lambda connection, at: tokens.create(
            connection, desk.witness, context, account, name=args["name"], at=at, expires_at=args["expiresAt"],
            scopes=scopes,
        ),
        context,
    )  # fmt: skip
    return {"login": account.login, "secret": secret, "id": made.id}


def known_roles(desk: Desk, scopes: Iterable[str]) -> None:
    """Raises UnknownRole."""
    for each in scopes:
        if not desk.roles.knows(each):
            raise UnknownRole(role=each)


async def _revoke(desk: Desk, call: Call, args: Mapping[str, Any], context: Context) -> Any:
    token = args["id"]
    await desk.within(lambda connection, at: tokens.revoke(connection, desk.witness, context, token, at), context)
    async with desk.database.read() as connection:
        [found] = [each for each in await tokens.listed(connection) if each.id == token]
        owner = await accounts.find(connection, found.account)
    assert owner is not None
    return await _again(desk, owner)


def _asked(args: Mapping[str, Any], account: Account, at: datetime) -> Asked:
    sites, families = args.get("sites"), args.get("families")
    return Asked(
        account.id,
        args["role"],
        args.get("from") or at,
        args.get("to"),
        None if sites is None else tuple(sites),
        None if families is None else tuple(families),
        why(args.get("reason"), ADMINISTERING),
    )


def _assigning(work: Callable[[Desk, Connection, datetime, Mapping[str, Any], Context], Awaitable[Assignment]]) -> Any:
    async def do(desk: Desk, call: Call, args: Mapping[str, Any], context: Context) -> Any:
        made = await desk.within(lambda connection, at: work(desk, connection, at, args, context), context)
        async with desk.database.read() as connection:
            return (await _logins(connection, [made]))[0]

    return do


async def _request(
    desk: Desk, connection: Connection, at: datetime, args: Mapping[str, Any], by: Context
) -> Assignment:
    account = await accounts.by_login(connection, args["login"])
    return await desk.assignments.request(connection, by, _asked(args, account, at), at)


async def _approve(
    desk: Desk, connection: Connection, at: datetime, args: Mapping[str, Any], by: Context
) -> Assignment:
    return await desk.assignments.approve(connection, by, args["id"], at, why(args["reason"], ADMINISTERING))


async def _refuse(desk: Desk, connection: Connection, at: datetime, args: Mapping[str, Any], by: Context) -> Assignment:
    await desk.assignments.refuse(connection, by, args["id"], at, why(args["reason"], ADMINISTERING))
    return await desk.assignments.one(connection, args["id"])


async def _end(desk: Desk, connection: Connection, at: datetime, args: Mapping[str, Any], by: Context) -> Assignment:
    await desk.assignments.end(connection, by, args["id"], at, why(args["reason"], ADMINISTERING))
    return await desk.assignments.one(connection, args["id"])


async def _review(desk: Desk, connection: Connection, at: datetime, args: Mapping[str, Any], by: Context) -> Assignment:
    verdict: emergency.Verdict = "justified" if args["justified"] else "not_justified"
    note = spoken(args.get("note"), "note") if args["justified"] else why(args.get("note"), ADMINISTERING, "note")
    await emergency.review(desk.assignments, connection, by, args["id"], at, verdict, note)
    return await desk.assignments.one(connection, args["id"])


async def _delegate(
    desk: Desk, connection: Connection, at: datetime, args: Mapping[str, Any], by: Context
) -> Assignment:
    taker = await accounts.by_login(connection, args["to"])
    given = {**args, "to": args["until"]}
    asked = _asked(given, taker, at)
    mine = Asked(
        asked.account, asked.role, asked.valid_from, asked.valid_to, asked.sites, asked.families, asked.reason,
        "delegation", by.person.id,
    )  # fmt: skip
    return await desk.assignments.delegate(connection, by, mine, at)


async def _break(desk: Desk, connection: Connection, at: datetime, args: Mapping[str, Any], by: Context) -> Assignment:
    me = await accounts.by_login(connection, by.person.login)
    asked = _asked(args, me, at)
    return (await emergency.ask(desk.assignments, connection, by, asked, at, float(args["hours"]))).assignment


def _b(zh: str, en: str) -> Bilingual:
    return Bilingual(zh, en)


_A, _R = frozenset({ACCOUNTS}), frozenset({ASSIGNMENTS})
_LOGIN, _WHY = {"login": required(_TEXT)}, {"reason": required(_TEXT)}
_SCOPE = {"sites": _IDS, "families": _TEXTS, "from": _WHEN}
_ONE = {"id": required(_ID)}

QUERIES: Mapping[str, Query] = {
    "userAccounts": Query("UserAccount", _b("账号", "Accounts"), _accounts, _A | _R, {"login": _TEXT}),
    "userRoleRequests": Query("UserRole", _b("待批准的授权申请", "Roles asked for"), _requests, _R),
    "userEmergencies": Query("UserRole", _b("待复核的紧急授权", "Emergencies to review"), _emergencies, _R),
    "userHandovers": Query("UserHandover", _b("待交接事项", "Open handovers"), _handovers, _A | _R),
}
OWN_QUERIES: Mapping[str, Query] = {"myRoles": Query("UserRole", _b("我的授权", "My roles"), _mine)}
ADMINISTERED: Mapping[str, Act] = {
    "createUserAccount": Act(
        "UserSecret", _b("新建账号,密码仅显示一次", "A new account; its password is shown once"), _create,
        {**_LOGIN, "name": _TEXT, "kind": _TEXT, "employee": _ID, "party": _ID}, _A,
    ),
    "disableUserAccount": Act(
        "UserAccount", _b("停用账号", "Let it in no more"), _on_account(_disable), _LOGIN | _WHY, _A
    ),
    "enableUserAccount": Act("UserAccount", _b("恢复账号", "Let it in again"), _on_account(_enable), _LOGIN | _WHY, _A),
    "unlockUserAccount": Act("UserAccount", _b("解除锁定", "End a lock"), _unlock, _LOGIN | _WHY, _A),
    "resetUserPassword": Act("UserSecret", _b("重设密码", "A new password, shown once"), _reset, _LOGIN | _WHY, _A),
    "removeUserCodeGenerator": Act(
        "UserAccount", _b("移除动态验证码", "The generator is lost"), _lose, _LOGIN | _WHY, _A
    ),
    "endUserSessions": Act(
        "UserAccount", _b("结束全部会话", "Sign it out everywhere"), _on_account(_end_sessions), _LOGIN, _A
    ),
    "leaveUserAccount": Act("UserAccount", _b("离职", "End all it holds"), _on_account(_leave), _LOGIN | _WHY, _A),
    "createUserToken": Act(
        "UserSecret", _b("为自己新建令牌,仅显示一次", "A token of one's own, shown once"), _token,
        {**_LOGIN, "name": required(_TEXT), "scopes": _TEXTS, "expiresAt": required(_WHEN)}, _A,
    ),
    "revokeUserToken": Act("UserAccount", _b("吊销令牌", "End a token"), _revoke, _ONE, _A),
    "requestUserRole": Act(
        "UserRole", _b("申请授权", "Ask for a role"), _assigning(_request),
        {**_LOGIN, "role": required(_TEXT), **_SCOPE, "to": _WHEN, **_WHY}, _A | _R,
    ),
    "approveUserRole": Act("UserRole", _b("批准授权", "Grant it"), _assigning(_approve), _ONE | _WHY, _R),
    "refuseUserRole": Act("UserRole", _b("驳回授权申请", "Refuse it"), _assigning(_refuse), _ONE | _WHY, _R),
    "endUserRole": Act("UserRole", _b("收回授权", "Take it away"), _assigning(_end), _ONE | _WHY, _R),
    "reviewUserEmergency": Act(
        "UserRole", _b("复核紧急授权", "Was it justified?"), _assigning(_review),
        {**_ONE, "justified": required(scalars.BOOLEAN.type), "note": _TEXT}, _R,
    ),
}  # fmt: skip
OWN: Mapping[str, Act] = {
    "delegateUserRole": Act(
        "UserRole", _b("委托我的角色", "Let somebody stand in for me"), _assigning(_delegate),
        {"to": required(_TEXT), "role": required(_TEXT), **_SCOPE, "until": required(_WHEN), **_WHY},
    ),
    "breakGlass": Act(
        "UserRole", _b("申请紧急授权", "A role in an emergency, once another approves"), _assigning(_break),
        {"role": required(_TEXT), "hours": required(scalars.INT.type), "sites": _IDS, **_WHY},
    ),
}  # fmt: skip
