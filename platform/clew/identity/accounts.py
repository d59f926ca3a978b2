"""Accounts: who may sign in. A login belongs to one person for ever; an account is disabled, never deleted.

Whatever changes what a person may do raises the account's epoch and that of its sessions, so that the next request on
every node is decided anew (threat 24).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa

from clew.identity.errors import BadLogin, EmployeeTaken, LoginTaken, NoAccount
from clew.identity.ports import SecurityEvent, Witness
from clew.kernel.context import Context
from clew.kernel.ids import uuid7
from clew.storage import identity_tables
from clew.storage.engine import Connection, Row

Kind = Literal["person", "service", "external"]
State = Literal["active", "disabled"]

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{1,59}")
_a, _c = identity_tables.account, identity_tables.credential
_COLUMNS = (_a.c.id, _a.c.login, _a.c.name, _a.c.kind, _a.c.state, _a.c.epoch, _a.c.employee, _a.c.facts, _a.c.subject)


@dataclass(frozen=True, slots=True)
class Account:
    """One account. `facts` are what conditions may ask about its person: site, department, party."""

    id: UUID
    login: str
    name: str
    kind: Kind
    state: State = "active"
    epoch: int = 1
    employee: UUID | None = None
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    subject: str | None = None

    @property
    def active(self) -> bool:
        return self.state == "active"

    def fact(self, name: str) -> UUID | None:
        value = self.facts.get(name)
        return UUID(value) if value else None


def canonical_login(login: str) -> str:
    """The one spelling of a login. Raises BadLogin."""
    found = login.strip().lower()
    # Other letters are never folded into these: a Kelvin sign is a k in lower case.
    if not login.isascii() or not _LOGIN.fullmatch(found):
        raise BadLogin(path=["login"])
    return found


async def create(
    connection: Connection,
    witness: Witness,
    context: Context,
    *,
    login: str,
    name: str,
    at: datetime,
    kind: Kind = "person",
    employee: UUID | None = None,
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> Account:
    """A new account without credentials. Raises BadLogin, LoginTaken (also for a login that was ever used),
    EmployeeTaken."""
    login = canonical_login(login)
    if await connection.fetch_one(sa.select(_a.c.id).where(_a.c.login == login)) is not None:
        raise LoginTaken(login=login)
    await _free(connection, employee)
    made = Account(uuid7(), login, name.strip() or login, kind, employee=employee, facts=_stored(facts))
    row = {
        "id": made.id,
        "login": login,
        "name": made.name,
        "kind": kind,
        "state": "active",
        "epoch": 1,
        "employee": employee,
        "facts": dict(made.facts),
        "created_at": at,
    }
    await connection.execute(sa.insert(_a).values(**row))
    empty = {"account": made.id, "must_change": False, "history": [], "totp_on": False, "totp_step": 0}
    await connection.execute(sa.insert(_c).values(**empty))
    particulars = {"login": login, "name": made.name, "kind": kind, "employee": employee}
    await witness.record(connection, SecurityEvent("account.create", "account", made.id, context, particulars))
    return made


async def find(connection: Connection, account: UUID) -> Account | None:
    row = await connection.fetch_one(sa.select(*_COLUMNS).where(_a.c.id == account))
    return _account(row) if row else None


async def by_login(connection: Connection, login: str) -> Account:
    """Raises NoAccount, also for what cannot be a login."""
    try:
        known = canonical_login(login)
    except BadLogin:
        raise NoAccount(login=login) from None
    row = await connection.fetch_one(sa.select(*_COLUMNS).where(_a.c.login == known))
    if row is None:
        raise NoAccount(login=login)
    return _account(row)


async def by_subject(connection: Connection, subject: str) -> Account | None:
    row = await connection.fetch_one(sa.select(*_COLUMNS).where(_a.c.subject == subject))
    return _account(row) if row else None


async def by_employee(connection: Connection, employee: UUID) -> Account | None:
    row = await connection.fetch_one(sa.select(*_COLUMNS).where(_a.c.employee == employee))
    return _account(row) if row else None


async def every(connection: Connection) -> list[Account]:
    return [_account(row) for row in await connection.fetch(sa.select(*_COLUMNS).order_by(_a.c.login))]


async def any_exists(connection: Connection) -> bool:
    return await connection.fetch_value(sa.select(_a.c.id).limit(1)) is not None


async def change(
    connection: Connection,
    witness: Witness,
    context: Context,
    account: Account,
    *,
    name: str | None = None,
    employee: UUID | None = None,
    facts: Mapping[str, Any] | None = None,
    subject: str | None = None,
) -> Account:
    """What is given changes; the login and kind never do. Raises EmployeeTaken."""
    if employee is not None and employee != account.employee:
        await _free(connection, employee)
    after = replace(
        account,
        name=account.name if name is None else name,
        employee=account.employee if employee is None else employee,
        facts=account.facts if facts is None else _stored(facts),
        subject=account.subject if subject is None else subject,
    )
    if after == account:
        return account
    values = {"name": after.name, "employee": after.employee, "facts": dict(after.facts), "subject": after.subject}
    await connection.execute(sa.update(_a).where(_a.c.id == account.id).values(**values))
    changed = {key: value for key, value in values.items() if getattr(account, key) != value}
    await witness.record(connection, SecurityEvent("account.change", "account", account.id, context, changed))
    await raise_epoch(connection, account.id)
    return after


async def disable(
    connection: Connection, witness: Witness, context: Context, account: Account, at: datetime, reason: str
) -> None:
    """No sign-in, session, token or signature any more, from the next request on every node."""
    found = await find(connection, account.id)
    if found is None or not found.active:
        return
    await connection.execute(sa.update(_a).where(_a.c.id == account.id).values(state="disabled", disabled_at=at))
    await _end_sessions(connection, account.id, at)
    await raise_epoch(connection, account.id)
    event = SecurityEvent("account.disable", "account", account.id, context, {"state": "disabled"}, reason)
    await witness.record(connection, event)


async def enable(connection: Connection, witness: Witness, context: Context, account: Account, reason: str) -> None:
    """The same person comes back. Sessions and tokens of before stay ended."""
    found = await find(connection, account.id)
    if found is None or found.active:
        return
    await connection.execute(sa.update(_a).where(_a.c.id == account.id).values(state="active", disabled_at=None))
    await raise_epoch(connection, account.id)
    event = SecurityEvent("account.enable", "account", account.id, context, {"state": "active"}, reason)
    await witness.record(connection, event)


async def raise_epoch(connection: Connection, account: UUID) -> None:
    """What was known about the account is out of date: its sessions are read anew by whoever serves them next."""
    session = identity_tables.session
    await connection.execute(sa.update(_a).where(_a.c.id == account).values(epoch=_a.c.epoch + 1))
    stale = sa.update(session).where(session.c.account == account, session.c.revoked_at.is_(None))
    await connection.execute(stale.values(epoch=session.c.epoch + 1))


async def _end_sessions(connection: Connection, account: UUID, at: datetime) -> None:
    session, token = identity_tables.session, identity_tables.token
    open_ = sa.update(session).where(session.c.account == account, session.c.revoked_at.is_(None))
    await connection.execute(open_.values(revoked_at=at))
    live = sa.update(token).where(token.c.account == account, token.c.revoked_at.is_(None))
    await connection.execute(live.values(revoked_at=at))


async def _free(connection: Connection, employee: UUID | None) -> None:
    """One person, one account."""
    holder = await by_employee(connection, employee) if employee is not None else None
    if holder is not None:
        raise EmployeeTaken(login=holder.login)


def _stored(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: str(value) for name, value in facts.items() if value is not None}


def _account(row: Row) -> Account:
    return Account(*row)
