"""The desk: identity for one database, put together once. Doors and commands ask it; it asks nobody above."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from clew.identity import accounts, confirming, sessions, throttle
from clew.identity.accounts import Account
from clew.identity.assignments import Assignments
from clew.identity.credentials import Credentials, Proof
from clew.identity.errors import LockedOut, NothingToConfirm, SessionEnded, SignInFailed, WrongConfirmation
from clew.identity.people import Facts, facts_of
from clew.identity.policy import CredentialPolicy
from clew.identity.ports import AnyRole, RoleBook, SecurityEvent, Witness
from clew.identity.secrets import Hasher, Vault, digest_of
from clew.identity.sessions import Limits, Session
from clew.kernel.clock import Clock
from clew.kernel.context import Context
from clew.storage.engine import Connection, Database

T = TypeVar("T")
VOUCHED = "sso"
"""The component of a session whose holder an identity provider vouched for."""


@dataclass(frozen=True, slots=True)
class Bearing:
    """A session and the facts of who holds it, as they were read together."""

    session: Session
    facts: Facts
    unconfirmed: bool = False
    """Its holder came in with what somebody else has set, and nobody has confirmed them: see `identity.confirming`."""

    def holds(self, at: datetime) -> bool:
        """Whether these may still be used without looking: no limit and no change that was foreseen has come."""
        until = self.facts.until
        return self.session.holds(at) and (until is None or at < until)


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything identity offers. `roles` comes from the release that is served; see `under`."""

    database: Database
    clock: Clock
    witness: Witness
    credentials: Credentials
    vault: Vault
    limits: Limits = Limits()
    roles: RoleBook = field(default_factory=AnyRole)

    @property
    def assignments(self) -> Assignments:
        return Assignments(self.witness, self.roles)

    async def within(self, work: Callable[[Connection, datetime], Awaitable[T]], context: Context | None = None) -> T:
        """Run a piece of administration in a transaction of its own. With a context its session must still hold.

        Raises SessionEnded.
        """

        async def run(connection: Connection) -> T:
            at = self.clock.now()
            if context is not None:
                await sessions.require(connection, context, at)
            return await work(connection, at)

        return await self.database.run_write(run)

    async def begin(self, proof: Proof, context: Context, *, client: str = "", replaces: str | None = None) -> str:
        """A session for who has just proved who they are; its secret, for the cookie. Raises SignInFailed."""

        async def work(connection: Connection, at: datetime) -> str:
            # Read again: the account may have been disabled while the password was compared.
            account = await accounts.find(connection, proof.account.id)
            if account is None or not account.active:
                raise SignInFailed
            secret, _ = await sessions.open_session(
                connection,
                self.witness,
                context,
                account.id,
                account.epoch,
                at,
                self.limits,
                components=proof.components_used,
                client=client,
                must_change=proof.must_change,
                replaces=replaces,
            )
            return secret

        return await self.within(work)

    async def resume(self, secret: str) -> Bearing:
        """Who holds this secret, read now. Raises SessionEnded."""
        at = self.clock.now()
        async with self.database.read() as connection:
            session = await sessions.find(connection, digest_of(secret), at)
            facts = await facts_of(connection, session.account, at, session.scopes)
            local = session.kind == "cookie" and VOUCHED not in session.components
            unconfirmed = local and bool(await confirming.waiting(connection, session.account))
            # The epoch last: had anybody changed the facts while they were read, it would be another one.
            if (await sessions.find(connection, session.id, at)).epoch != session.epoch:
                raise SessionEnded
        return Bearing(session, facts, unconfirmed)

    async def touch(self, session: Session) -> Session:
        """Its holder is there. Writes at most every tenth of the idle limit; the session as it is now."""

        async def work(connection: Connection, at: datetime) -> None:
            await sessions.touch(connection, session, at, self.limits)

        await self.within(work)
        async with self.database.read() as connection:
            return await sessions.find(connection, session.id, self.clock.now())

    async def code(self, account: Account) -> str:
        """What the account's holder shows to who confirms them; empty when nothing waits."""
        async with self.database.read() as connection:
            open_ = await confirming.waiting(connection, account.id)
        return confirming.code_of(self.vault, open_) if open_ else ""

    async def confirm(self, account: Account, code: str, context: Context, *, alone: bool = False) -> None:
        """Say that the account's owner holds what somebody else has set; see `confirming.confirm`. Wrong codes count.

        Raises NothingToConfirm, WrongConfirmation, NotYourself, LockedOut.
        """
        async with self.database.read() as connection:
            open_ = await confirming.waiting(connection, account.id)
        if not open_:
            raise NothingToConfirm(login=account.login)
        policy = self.credentials.policy
        counter = open_[-1].id
        if await throttle.take(self.database, counter, self.clock.now(), limit=policy.tries, lock=policy.lock) is None:
            raise LockedOut

        async def work(connection: Connection, at: datetime) -> None:
            await confirming.confirm(connection, self.witness, self.vault, context, account, code, at, alone=alone)
            await throttle.clear(connection, counter)

        try:
            await self.within(work, context)
        except WrongConfirmation:
            await self._tell(context, account, "identity.refuse")
            raise

    async def _tell(self, context: Context, account: Account, action: str) -> None:
        async def work(connection: Connection, at: datetime) -> None:
            await self.witness.record(connection, SecurityEvent(action, "account", account.id, context))

        await self.within(work)

    async def end_sessions(self, account: Account) -> None:
        """Everybody who is signed in as this account, wherever, signs in again."""

        async def work(connection: Connection, at: datetime) -> None:
            await sessions.end_all(connection, account.id, at)

        await self.within(work)

    async def leave(self, secret: str, context: Context) -> None:
        """Log out. Harmless for a session that has ended already."""

        async def work(connection: Connection, at: datetime) -> None:
            if await sessions.end(connection, digest_of(secret), at):
                event = SecurityEvent("session.end", "account", context.person.id, context)
                await self.witness.record(connection, event)

        await self.within(work)


def desk(
    database: Database,
    clock: Clock,
    witness: Witness,
    vault: Vault,
    *,
    policy: CredentialPolicy | None = None,
    limits: Limits | None = None,
    hasher: Hasher | None = None,
    roles: RoleBook | None = None,
) -> Desk:
    """A desk with its parts."""
    credentials = Credentials(database, clock, witness, vault, policy, hasher)
    return Desk(database, clock, witness, credentials, vault, limits or Limits(), roles or AnyRole())
