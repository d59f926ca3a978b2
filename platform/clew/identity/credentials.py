"""Proving who one is: the only place where a password, PIN or code is compared with what is stored.

Every way in comes through `prove` or `sign_in`, so there is one counter of tries, one policy and one report of misuse
(21 CFR 11.300(d)). What is slow happens before any transaction of the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.identity import accounts, confirming, sign_ons, throttle, totp
from clew.identity.accounts import Account
from clew.identity.errors import (
    ComponentsMissing,
    IdentityDue,
    LockedOut,
    NoAccount,
    PinExpired,
    SignInFailed,
    WeakPassword,
    WrongCredentials,
)
from clew.identity.policy import CredentialPolicy
from clew.identity.ports import NOBODY, SecurityEvent, Witness
from clew.identity.secrets import Hasher, Vault, same
from clew.kernel.clock import Clock
from clew.kernel.context import Context
from clew.kernel.ids import uuid7
from clew.kernel.text import Bilingual
from clew.storage import identity_tables
from clew.storage.engine import Connection, Database

COMPONENTS = ("login", "password", "pin", "totp", "sso")
SECRET = ("password", "pin", "totp", "sso")
SSO = "sso"
"""A fresh sign-on at the identity provider; see `identity.sign_ons`."""
CHANGING = "password"
"""The path of somebody who changes the password: what else was set by another hand does not stand in the way."""
_c = identity_tables.credential
_WAITS = (
    sa.select(sa.func.count())
    .select_from(identity_tables.confirmation)
    .where(
        identity_tables.confirmation.c.account == _c.c.account, identity_tables.confirmation.c.confirmed_at.is_(None)
    )
    .scalar_subquery()
)


@dataclass(frozen=True, slots=True)
class Proof:
    """Somebody has just proved to be this account, with these components."""

    account: Account
    components_used: tuple[str, ...]
    at: datetime
    must_change: bool = False
    """The password is expired or was set by an administrator."""
    unconfirmed: bool = False
    """Nobody has confirmed yet that its owner holds what somebody else has set; see `identity.confirming`."""


@dataclass(frozen=True, slots=True)
class _Stored:
    password: str | None = None
    password_at: datetime | None = None
    must_change: bool = False
    history: tuple[str, ...] = ()
    pin: str | None = None
    pin_at: datetime | None = None
    totp: str | None = None
    totp_on: bool = False
    unconfirmed: bool = False


class Credentials:
    """The credentials of one database."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        witness: Witness,
        vault: Vault,
        policy: CredentialPolicy | None = None,
        hasher: Hasher | None = None,
    ) -> None:
        self.database, self.clock, self.witness, self.vault = database, clock, witness, vault
        self.policy = policy or CredentialPolicy()
        self.hasher = hasher or Hasher()

    # ── proving ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def prove(
        self, account: UUID, components: Mapping[str, str], path: str, context: Context | None = None
    ) -> Proof:
        """The account's holder proves it again, to sign or to re-authenticate.

        `components` are of `COMPONENTS`; at least one secret one, and every one given must be right. `login` must be
        the account's own. `path` says where it was asked (`signature`, `reauthenticate` …) for the trail.

        Raises WrongCredentials, LockedOut, ComponentsMissing, IdentityDue (a credential was set by somebody else and
        nobody has confirmed its holder; only the password may be changed), PinExpired (the PIN was right, and is due to
        be changed). A disabled account proves nothing.
        """
        given = {name: value for name, value in components.items() if value}
        unknown = set(given) - set(COMPONENTS)
        if unknown or not any(name in given for name in SECRET):
            raise ComponentsMissing(components=" / ".join(SECRET))
        async with self.database.read() as connection:
            found = await accounts.find(connection, account)
            stored = await _read(connection, account)
            session = context.session if context else None
            if SSO in given and not await sign_ons.is_there(connection, session, account, self.clock.now()):
                # Nothing that could be guessed: it costs no try.
                raise ComponentsMissing(components="/login/oidc/sign")
        if stored.unconfirmed and path != CHANGING:
            raise IdentityDue
        context = context or _stranger(path)
        tried = await throttle.take(
            self.database, account, self.clock.now(), limit=self.policy.tries, lock=self.policy.lock
        )
        if tried is None or found is None:
            await self._report(account, path, context, "locked" if tried is None else "unknown", locked=False)
            raise LockedOut if tried is None else WrongCredentials
        step = await self._compare(found, stored, given)
        if step is None or not await self._succeed(found, given, step, path, context):
            await self._report(account, path, context, "wrong", locked=tried.last)
            raise WrongCredentials
        if "pin" in given and stored.pin_at is not None and self._old(stored.pin_at, self.policy.pin_max_age):
            # Only whoever knows it learns that.
            raise PinExpired
        used = tuple(name for name in COMPONENTS if name in given)
        return Proof(found, used, self.clock.now(), self._expired(stored), stored.unconfirmed)

    async def sign_in(self, login: str, password: str, code: str, context: Context | None = None) -> Proof:
        """Sign in with a password and, where the account has a generator, its code.

        Raises SignInFailed: the same answer and the same work for whatever is wrong (threat 28).
        """
        context = context or _stranger("login")
        found, stored = await self._look(login)
        counter = found.id if found else throttle.stranger(login)
        tried = await throttle.take(
            self.database, counter, self.clock.now(), limit=self.policy.tries, lock=self.policy.lock
        )
        given = {"login": login, "password": password}
        if stored.totp_on:
            given["totp"] = code or "-"
        usable = found is not None and found.active and tried is not None and not self._lapsed(stored)
        step = await self._compare(found if usable else None, stored, given)
        if found is not None and step is not None and await self._succeed(found, given, step, "login", context):
            used = tuple(name for name in COMPONENTS if name in given)
            return Proof(found, used, self.clock.now(), self._expired(stored), stored.unconfirmed)
        why = "locked" if tried is None else "wrong"
        await self._report(counter, "login", context, why, locked=bool(tried and tried.last), known=found is not None)
        raise SignInFailed

    async def _look(self, login: str) -> tuple[Account | None, _Stored]:
        async with self.database.read() as connection:
            try:
                found = await accounts.by_login(connection, login[:200])
            except NoAccount:
                # As many statements as for an account that exists.
                return None, await _read(connection, throttle.stranger(login))
            return found, await _read(connection, found.id)

    async def _compare(self, account: Account | None, stored: _Stored, given: Mapping[str, str]) -> int | None:
        """0, or the time step of the code that was given, when every component is right; None otherwise.

        Nothing stops early: the work tells nobody which component was wrong.
        """
        usable = account is not None and account.active
        right = usable
        if "password" in given:
            right &= await self.hasher.verify(stored.password if usable else None, given["password"])
        if "pin" in given:
            right &= await self.hasher.verify(stored.pin if usable else None, given["pin"])
        if "login" in given:
            right &= account is not None and same(account.login, given["login"].strip().lower())
        step = 0
        if "totp" in given:
            key = self.vault.open(stored.totp, account.id) if account and stored.totp and stored.totp_on else None
            found = totp.step_of(key, given["totp"], self.clock.now()) if key else None
            right &= found is not None
            step = found or 0
        return step if right else None

    async def _succeed(
        self, account: Account, given: Mapping[str, str], step: int, path: str, context: Context
    ) -> bool:
        """Use the code up, forget the tries, tell the trail. False when the code was used already."""

        async def work(connection: Connection) -> bool:
            if step and not await totp.spend(connection, account.id, step):
                return False
            if SSO in given and not await sign_ons.use(connection, context.session, account.id, self.clock.now()):
                return False
            await throttle.clear(connection, account.id)
            if "pin" in given:
                # A PIN of before ages were kept has its age from the first time it is used since: so an upgrade does
                # not make everybody's due on one day.
                aged = sa.update(_c).where(_c.c.account == account.id, _c.c.pin_at.is_(None))
                await connection.execute(aged.values(pin_at=self.clock.now()))
            used = [name for name in COMPONENTS if name in given]
            event = SecurityEvent("prove", "account", account.id, context, {"path": path, "components": used})
            await self.witness.record(connection, event)
            return True

        return await self.database.run_write(work)

    async def _report(
        self, account: UUID, path: str, context: Context, why: str, *, locked: bool, known: bool = True
    ) -> None:
        """Misuse is told at once. What was typed is not: people type passwords where logins belong."""

        async def work(connection: Connection) -> None:
            particulars = {"path": path, "why": why, "locked": locked, "known": known}
            event = SecurityEvent("prove.refuse", "account", account, context, particulars)
            await self.witness.record(connection, event)
            if locked:
                minutes = int(self.policy.lock.total_seconds() // 60)
                lock = {"path": path, "tries": self.policy.tries, "minutes": minutes}
                await self.witness.record(connection, SecurityEvent("account.lock", "account", account, context, lock))

        await self.database.run_write(work)

    def _expired(self, stored: _Stored) -> bool:
        aged = stored.password_at is not None and self._old(stored.password_at, self.policy.max_age)
        return stored.must_change or aged

    def _old(self, since: datetime, most: timedelta | None) -> bool:
        """Whether something set then has reached its age."""
        return most is not None and self.clock.now() - since >= most

    def _lapsed(self, stored: _Stored) -> bool:
        """A password set by somebody else that its owner has not changed in time."""
        since = stored.password_at
        return stored.must_change and since is not None and self.clock.now() - since > confirming.ISSUED_LASTS

    # ── setting ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def set_password(
        self,
        account: Account,
        password: str,
        context: Context,
        *,
        must_change: bool = False,
        settled: bool = False,
        why: str = "",
    ) -> None:
        """A new password. Raises WeakPassword, also for one of the last ones. Ends nothing: sessions may go on. `why`:
        the reason of whoever sets it for somebody else.

        Set by somebody else it opens nothing until a second person has confirmed its holder, unless `settled`: the
        installation is being set up, or is a demonstration.
        """
        self.policy.check_password(password, account.login)
        async with self.database.read() as connection:
            stored = await _read(connection, account.id)
        earlier = ((stored.password,) if stored.password else ()) + stored.history
        for known in earlier[: self.policy.history]:
            if await self.hasher.verify(known, password):
                raise WeakPassword(what=Bilingual("不能与最近用过的密码相同", "it was used before"))
        hashed = await self.hasher.hash(password)
        values = {
            "password": hashed,
            "password_at": self.clock.now(),
            "must_change": must_change,
            "history": list(earlier[: self.policy.history]),
        }
        await self._set(account, values, "password", context, settled=settled, why=why)

    async def set_pin(self, account: Account, pin: str, context: Context) -> None:
        """The signing PIN of somebody who signs in elsewhere (single sign-on). Raises WeakPassword."""
        self.policy.check_pin(pin, account.login)
        async with self.database.read() as connection:
            present = (await _read(connection, account.id)).pin
        if present and await self.hasher.verify(present, pin):
            raise WeakPassword(what=Bilingual("不能与当前 PIN 相同", "it is the present one"))
        values = {"pin": await self.hasher.hash(pin), "pin_at": self.clock.now()}
        await self._set(account, values, "pin", context)

    async def begin_totp(self, account: Account, context: Context, issuer: str, why: str = "") -> str:
        """Give the account a new code generator; it counts once `confirm_totp` has seen a code, the one before no more.
        The otpauth address. `why`: the reason of whoever does it for somebody else."""
        key = totp.new_key()
        values = {"totp": self.vault.seal(key, account.id), "totp_on": False}
        await self._set(account, values, "totp.begin", context, why=why)
        return totp.address(key, account.login, issuer)

    async def confirm_totp(self, account: Account, code: str, context: Context) -> None:
        """From now on signing in needs a code. Raises WrongCredentials for a wrong one, LockedOut."""
        async with self.database.read() as connection:
            stored = await _read(connection, account.id)
        at = self.clock.now()
        tried = await throttle.take(self.database, account.id, at, limit=self.policy.tries, lock=self.policy.lock)
        if tried is None:
            raise LockedOut
        key = self.vault.open(stored.totp, account.id) if stored.totp else None
        step = totp.step_of(key, code, at) if key else None

        async def spend(connection: Connection) -> bool:
            return step is not None and await totp.spend(connection, account.id, step)

        if not await self.database.run_write(spend):
            await self._report(account.id, "totp", context, "wrong", locked=tried.last)
            raise WrongCredentials
        await self._set(account, {"totp_on": True}, "totp.confirm", context)

    async def remove_totp(self, account: Account, context: Context, why: str) -> None:
        """The generator is lost: an administrator takes it away (21 CFR 11.300(c))."""
        await self._set(account, {"totp": None, "totp_on": False}, "totp.remove", context, why=why)

    async def unlock(self, account: Account, context: Context, why: str) -> None:
        """Let an account try again before its lock ends."""

        async def work(connection: Connection) -> None:
            await throttle.clear(connection, account.id)
            event = SecurityEvent("account.unlock", "account", account.id, context, reason=why)
            await self.witness.record(connection, event)

        await self.database.run_write(work)

    async def available(self, account: UUID) -> tuple[str, ...]:
        """Which secret components the account has: what a signing prompt asks for."""
        async with self.database.read() as connection:
            stored = await _read(connection, account)
        have = {"password": stored.password, "pin": stored.pin, "totp": stored.totp if stored.totp_on else None}
        return tuple(name for name in SECRET if have.get(name))

    async def _set(
        self,
        account: Account,
        values: Mapping[str, Any],
        what: str,
        context: Context,
        *,
        settled: bool = False,
        why: str = "",
    ) -> None:
        async def work(connection: Connection) -> None:
            await connection.execute(sa.update(_c).where(_c.c.account == account.id).values(**values))
            await throttle.clear(connection, account.id)
            by, at = context.person.id, self.clock.now()
            by_self = by == account.id
            if settled:
                await confirming.settle(connection, account.id, by, at)
            elif not by_self:
                await confirming.issued(connection, account.id, what, by, at)
            told = {"what": what, "by_self": by_self}
            event = SecurityEvent("credential.set", "account", account.id, context, told, why or None)
            await self.witness.record(connection, event)

        await self.database.run_write(work)


async def _read(connection: Connection, account: UUID) -> _Stored:
    columns = (
        _c.c.password, _c.c.password_at, _c.c.must_change, _c.c.history, _c.c.pin, _c.c.pin_at, _c.c.totp, _c.c.totp_on,
        _WAITS,
    )  # fmt: skip
    row = await connection.fetch_one(sa.select(*columns).where(_c.c.account == account))
    if row is None:
        return _Stored()
    password, since, must_change, history, pin, pin_at, key, on, waits = row
    return _Stored(password, since, must_change, tuple(history), pin, pin_at, key, on, bool(waits))


def _stranger(path: str) -> Context:
    return Context(NOBODY, str(uuid7()), channel=path)
