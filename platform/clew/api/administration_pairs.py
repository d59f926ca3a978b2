"""What takes two people: a service's token, and what a credential opens that somebody else has set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from graphql import GraphQLList

from clew.api import scalars
from clew.api.administration_acts import ACCOUNTS, ADMINISTERING, ASSIGNMENTS, Act, Query, account_of, known_roles
from clew.api.build import required
from clew.api.operations import Call
from clew.identity import accounts, confirming, token_requests
from clew.identity.desk import Desk
from clew.identity.token_requests import TokenRequest
from clew.kernel.context import Context
from clew.kernel.text import Bilingual
from clew.records.spoken import why
from clew.storage.engine import Connection

IDENTITIES = "identities"
"""Who confirms that people hold their credentials, and agrees to tokens of services."""
_TEXT, _ID, _WHEN = scalars.TEXT.type, scalars.ID.type, scalars.DATE_TIME.type
_TEXTS = GraphQLList(required(_TEXT))

TYPES: Mapping[str, Mapping[str, Any]] = {
    "UserConfirmation": {
        "id": required(_ID), "login": required(_TEXT), "name": required(_TEXT), "employee": _ID,
        "what": required(_TEXT), "issuedBy": _TEXT, "issuedAt": required(_WHEN),
    },
    "UserConfirmed": {"login": required(_TEXT), "confirmed": required(scalars.BOOLEAN.type)},
    "UserTokenRequest": {
        "id": required(_ID), "login": required(_TEXT), "name": required(_TEXT), "scopes": _TEXTS,
        "expiresAt": required(_WHEN), "reason": _TEXT, "state": required(_TEXT), "requestedBy": _TEXT,
        "requestedAt": required(_WHEN), "decidedBy": _TEXT,
    },
}  # fmt: skip


async def _waiting(desk: Desk, connection: Connection, at: datetime, call: Call) -> list[Any]:
    known = {each.id: each for each in await accounts.every(connection)}
    return [
        {
            "id": each.id,
            "login": known[each.account].login,
            "name": known[each.account].name,
            "employee": known[each.account].employee,
            "what": each.what,
            "issuedBy": known[each.issued_by].login if each.issued_by in known else None,
            "issuedAt": each.issued_at,
        }
        for each in await confirming.waiting(connection)
    ]


async def _asked_for(desk: Desk, connection: Connection, at: datetime, call: Call) -> list[Any]:
    return await _shown(connection, await token_requests.listed(connection))


async def _shown(connection: Connection, found: Iterable[TokenRequest]) -> list[Any]:
    logins = {each.id: each.login for each in await accounts.every(connection)}
    return [
        {
            "id": each.id,
            "login": logins[each.account],
            "name": each.name,
            "scopes": each.scopes,
            "expiresAt": each.expires_at,
            "reason": each.reason,
            "state": each.state,
            "requestedBy": logins.get(each.requested_by),
            "requestedAt": each.requested_at,
            "decidedBy": logins.get(each.decided_by) if each.decided_by else None,
        }
        for each in found
    ]


async def _confirm(desk: Desk, call: Call, args: Mapping[str, Any], context: Context) -> Any:
    account = await account_of(desk, args["login"])
    await desk.confirm(account, args["code"], context)
    return {"login": account.login, "confirmed": True}


async def _request(desk: Desk, call: Call, args: Mapping[str, Any], context: Context) -> Any:
    account, scopes = await account_of(desk, args["login"]), args.get("scopes") or []
    known_roles(desk, scopes)

    async def work(connection: Connection, at: datetime) -> Any:
        made = await token_requests.request(
            connection, desk.witness, context, account, name=args["name"], at=at, expires_at=args["expiresAt"],
            scopes=scopes, reason=why(args["reason"], ADMINISTERING),
        )  # fmt: skip
        return (await _shown(connection, [made]))[0]

    return await desk.within(work, context)


async def _approve(desk: Desk, call: Call, args: Mapping[str, Any], context: Context) -> Any:
    async def work(connection: Connection, at: datetime) -> Any:
        reason = why(args["reason"], ADMINISTERING)
        made = await token_requests.approve(connection, desk.witness, context, args["id"], at, reason)
        return (await _shown(connection, [made]))[0]

    return await desk.within(work, context)


async def _refuse(desk: Desk, call: Call, args: Mapping[str, Any], context: Context) -> Any:
    async def work(connection: Connection, at: datetime) -> Any:
        made = await token_requests.refuse(
            connection, desk.witness, context, args["id"], at, why(args["reason"], ADMINISTERING)
        )
        return (await _shown(connection, [made]))[0]

    return await desk.within(work, context)


async def _collect(desk: Desk, call: Call, args: Mapping[str, Any], context: Context) -> Any:
    async def work(connection: Connection, at: datetime) -> Any:
        secret, made = await token_requests.collect(connection, desk.witness, context, args["id"], at)
        owner = await accounts.find(connection, made.account)
        assert owner is not None
        return {"login": owner.login, "secret": secret, "id": made.id}

    return await desk.within(work, context)


def _b(zh: str, en: str) -> Bilingual:
    return Bilingual(zh, en)


_ASKING, _AGREEING = frozenset({ACCOUNTS}), frozenset({ASSIGNMENTS, IDENTITIES})
_ONE, _WHY = {"id": required(_ID)}, {"reason": required(_TEXT)}

QUERIES: Mapping[str, Query] = {
    "userConfirmations": Query(
        "UserConfirmation", _b("待当面确认的凭证", "Credentials whose holder is to be confirmed"), _waiting,
        _ASKING | _AGREEING,
    ),
    "userTokenRequests": Query(
        "UserTokenRequest", _b("待批准或待领取的服务令牌", "Tokens of services asked for"), _asked_for,
        _ASKING | _AGREEING,
    ),
}  # fmt: skip
ACTS: Mapping[str, Act] = {
    "confirmUserIdentity": Act(
        "UserConfirmed", _b("当面确认本人持有凭证", "This person, seen in person, holds the credentials"), _confirm,
        {"login": required(_TEXT), "code": required(_TEXT)}, _AGREEING,
    ),
    "requestUserToken": Act(
        "UserTokenRequest", _b("为服务账号申请令牌", "Ask for a service's token"), _request,
        {"login": required(_TEXT), "name": required(_TEXT), "scopes": _TEXTS,
         "expiresAt": required(_WHEN), **_WHY}, _ASKING,
    ),
    "approveUserToken": Act("UserTokenRequest", _b("批准令牌", "Agree to it"), _approve, _ONE | _WHY, _AGREEING),
    "refuseUserToken": Act("UserTokenRequest", _b("驳回令牌", "Refuse it"), _refuse, _ONE | _WHY, _AGREEING),
    "collectUserToken": Act(
        "UserSecret", _b("领取已批准的令牌,仅显示一次", "Take the token, shown once"), _collect, _ONE, _ASKING
    ),
}  # fmt: skip
