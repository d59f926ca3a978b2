"""What follows from a provider's word: which account that is, by whose consent, and which roles its groups give."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from clew.identity import accounts, sessions, sign_ons
from clew.identity.accounts import Account
from clew.identity.assignments import Asked
from clew.identity.credentials import Proof
from clew.identity.desk import VOUCHED, Desk
from clew.identity.errors import (
    BadLogin,
    NoAccount,
    ScopeClash,
    SeparationConflict,
    SessionEnded,
    SingleSignOnFailed,
    UnknownRole,
    WrongKind,
)
from clew.identity.ports import SecurityEvent
from clew.identity.sessions import Session
from clew.identity.sso import Provider, Vouched
from clew.kernel.context import Context, Person
from clew.kernel.errors import ClewError
from clew.kernel.text import Bilingual
from clew.storage.engine import Connection

COMPONENT = VOUCHED
"""How a session says that somebody else vouched for its holder: it carries no component of a signature."""
REASON = "single sign-on"


async def enter(
    desk: Desk, provider: Provider, vouched: Vouched, context: Context, *, create: bool, by_login: bool = True
) -> Proof:
    """The account somebody was vouched for, its roles in step with the provider's groups. `by_login`: an account that
    is there already is taken by its login the first time, but for one that administers anything.

    Raises SingleSignOnFailed when there is no such account, a disabled one, or one that only its holder may link.
    """

    async def work(connection: Connection, at: datetime) -> Account | None:
        account = await _account(desk, connection, vouched, context, at, create=create)
        if not account.active:
            raise _unknown()
        if account.subject is None:
            if not by_login or await _administers(desk, connection, account):
                particulars = {"path": REASON, "why": "not linked", "locked": False, "known": True}
                refused = SecurityEvent("prove.refuse", "account", account.id, context, particulars)
                await desk.witness.record(connection, refused)
                return None
            account = await accounts.change(connection, desk.witness, context, account, subject=vouched.subject)
        event = SecurityEvent("prove", "account", account.id, context, {"path": REASON, "components": [COMPONENT]})
        await desk.witness.record(connection, event)
        return account

    account = await desk.within(work)
    if account is None:
        raise _unknown()
    await _follow(desk, provider, vouched, account, context)
    return Proof(account, (COMPONENT,), desk.clock.now())


async def sign_again(desk: Desk, vouched: Vouched, context: Context) -> None:
    """The provider has asked again, for one signature of the session that sent them there.

    Raises SingleSignOnFailed unless it vouches for the session's own person, and the session still holds.
    """

    async def work(connection: Connection, at: datetime) -> None:
        known, session = await _sent(connection, vouched, at)
        if known is None or not known.active or session.account != known.id or session.kind != "cookie":
            raise _another()
        await sign_ons.keep(connection, session.id, known.id, at)
        particulars = {"path": "fresh sign-on", "components": [COMPONENT], "session": session.id[:16]}
        await desk.witness.record(connection, SecurityEvent("prove", "account", known.id, context, particulars))

    await desk.within(work)


async def _sent(connection: Connection, vouched: Vouched, at: datetime) -> tuple[Account | None, Session]:
    """Whom the provider's word is known to be, and the session that sent them there. Raises SingleSignOnFailed when it
    has ended."""
    known = await accounts.by_subject(connection, vouched.subject)
    try:
        return known, await sessions.find(connection, vouched.session, at)
    except SessionEnded:
        raise _another() from None


async def link(desk: Desk, vouched: Vouched, context: Context) -> None:
    """The holder of a session, who has just proved the account with its own credentials, is known by what the provider
    vouches for from now on. This is the only way for an account that administers: whoever keeps the provider's logins
    would else be its holder (21 CFR 11.100(b), 11.300(a)).

    Raises SingleSignOnFailed when the session has ended, or somebody else is known by it.
    """

    async def work(connection: Connection, at: datetime) -> None:
        known, session = await _sent(connection, vouched, at)
        account = await accounts.find(connection, session.account)
        mine = account is not None and account.active and account.kind == "person" and session.kind == "cookie"
        if account is None or not mine or (known is not None and known.id != account.id):
            raise _another()
        holder = Person(account.id, account.login, account.name, employee=account.employee)
        await accounts.change(
            connection, desk.witness, replace(context, person=holder), account, subject=vouched.subject
        )

    await desk.within(work)


async def _administers(desk: Desk, connection: Connection, account: Account) -> bool:
    """Whether an account has, will have or has asked for a role that administers anything."""
    administering = desk.roles.administering()
    return any(each.role in administering for each in await desk.assignments.of(connection, account.id))


def _another() -> SingleSignOnFailed:
    return SingleSignOnFailed(what=Bilingual("并非发起签名的会话本人", "this is not who asked to sign"))


async def _account(
    desk: Desk, connection: Connection, vouched: Vouched, context: Context, at: datetime, *, create: bool
) -> Account:
    known = await accounts.by_subject(connection, vouched.subject)
    if known is not None:
        return known
    try:
        found = await accounts.by_login(connection, vouched.login)
    except NoAccount:
        if not create:
            raise _unknown() from None
        try:
            made = await accounts.create(
                connection, desk.witness, context, login=vouched.login, name=vouched.name, at=at
            )
        except BadLogin:
            raise _unknown() from None
        return await accounts.change(connection, desk.witness, context, made, subject=vouched.subject)
    # An account that belongs to another subject, or is no person's, is nobody's by this name.
    if found.kind != "person" or found.subject is not None:
        raise _unknown()
    return found


async def _follow(desk: Desk, provider: Provider, vouched: Vouched, account: Account, context: Context) -> None:
    """Make and end assignments of kind `claim` as the groups say. What the separations forbid is told and not given."""
    wanted = provider.roles_of(vouched.groups) - frozenset(desk.roles.deciding())

    async def end(connection: Connection, at: datetime) -> frozenset[str]:
        held = await desk.assignments.of(connection, account.id, states=("active",))
        mine = [each for each in held if each.kind == "claim"]
        for each in mine:
            if each.role not in wanted:
                await desk.assignments.end(connection, context, each.id, at, REASON)
        return frozenset(each.role for each in mine)

    present = await desk.within(end)
    for role in sorted(wanted - present):

        async def give(connection: Connection, at: datetime, role: str = role) -> None:
            asked = replace(Asked(account.id, role, at, reason=REASON), kind="claim")
            await desk.assignments.assign(connection, context, asked, at)

        try:
            await desk.within(give)
        except (SeparationConflict, ScopeClash, UnknownRole, WrongKind) as refused:
            await _tell(desk, account, role, context, refused)


async def _tell(desk: Desk, account: Account, role: str, context: Context, refused: ClewError) -> None:
    async def work(connection: Connection, at: datetime) -> None:
        particulars = {"role": role, "code": refused.code}
        event = SecurityEvent("assignment.refuse", "account", account.id, context, particulars, REASON)
        await desk.witness.record(connection, event)

    await desk.within(work)


def _unknown() -> SingleSignOnFailed:
    """The same whatever stands in the way: whether there is such an account, and what it may do, is not told."""
    return SingleSignOnFailed(
        what=Bilingual(
            "本系统没有可供此身份使用的账号;已有账号者请以密码登录后在 /me/sso 关联",
            "no account here can be used so; whoever has one signs in with its password and links it at /me/sso",
        )
    )
