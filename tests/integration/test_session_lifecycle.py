"""Threat 27, against a model: whatever is done in whatever order, a secret works exactly as long as it should."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from tests.integration.identity_case import BY_ADMIN, PASSWORD, Case, identity

from clew.identity import accounts, sessions, tokens
from clew.identity.accounts import Account
from clew.identity.errors import SessionEnded, SignInFailed
from clew.identity.secrets import digest_of
from clew.identity.sessions import Limits
from clew.storage import identity_tables
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier


@dataclass
class Known:
    """What the model says about one secret."""

    account: int
    idle_until: datetime | None
    ends_at: datetime
    revoked: bool = False

    def alive(self, now: datetime) -> bool:
        return not self.revoked and now < self.ends_at and (self.idle_until is None or now < self.idle_until)


@dataclass
class World:
    """A database that outlives the examples; each example has accounts of its own."""

    loop: asyncio.AbstractEventLoop
    case: Case
    made: int = 0
    numbers: list[int] = field(default_factory=list)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)


def machine(world: World) -> Callable[[], RuleBasedStateMachine]:
    """The machine that plays in a world."""
    case, desk = world.case, world.case.desk

    class Lifecycle(RuleBasedStateMachine):
        secrets = Bundle("secrets")

        def __init__(self) -> None:
            super().__init__()
            self.accounts: list[Account] = []
            self.active: list[bool] = []
            self.known: dict[str, Known] = {}
            for _ in range(2):
                world.made += 1
                self.accounts.append(world.run(case.account(f"user{world.made}")))
                self.active.append(True)

        @property
        def now(self) -> datetime:
            return case.clock.now()

        def sign(self, at: int, replaces: str | None) -> str | None:
            async def enter() -> str:
                proof = await desk.credentials.sign_in(self.accounts[at].login, PASSWORD, "")
                return await desk.begin(proof, BY_ADMIN, replaces=replaces)

            try:
                secret: str = world.run(enter())
            except SignInFailed:
                assert not self.active[at]
                return None
            assert self.active[at]
            assert secret not in self.known
            self.known[secret] = Known(at, self.now + desk.limits.idle, self.now + desk.limits.absolute)
            return secret

        @rule(target=secrets, at=st.integers(0, 1))
        def signs_in(self, at: int) -> str:
            return self.sign(at, None) or "nothing"

        @rule(target=secrets, at=st.integers(0, 1), planted=st.sampled_from(["", "planted", "x" * 43]))
        def signs_in_with_a_planted_cookie(self, at: int, planted: str) -> str:
            found = self.sign(at, planted)
            assert found != planted
            return found or "nothing"

        @rule(target=secrets, at=st.integers(0, 1), old=secrets)
        def signs_in_again(self, at: int, old: str) -> str:
            found = self.sign(at, old)
            if found and old in self.known:
                self.known[old].revoked = True
            return found or "nothing"

        @rule(target=secrets, at=st.integers(0, 1), hours=st.integers(1, 48))
        def makes_a_token(self, at: int, hours: int) -> str:
            if not self.active[at]:
                return "nothing"
            account = world.run(self.fresh(at))
            until = self.now + timedelta(hours=hours)
            made = world.run(
                desk.within(
                    lambda connection, now: tokens.create(
                        connection, case.witness, BY_ADMIN, account, name="t", at=now, expires_at=until
                    )
                )
            )
            self.known[made[0]] = Known(at, None, until)
            return str(made[0])

        async def fresh(self, at: int) -> Account:
            async with desk.database.read() as connection:
                return await accounts.by_login(connection, self.accounts[at].login)

        @rule(secret=secrets)
        def is_used(self, secret: str) -> None:
            """A request: reads who it is, and says that its holder is there."""
            model = self.known.get(secret)
            alive = model is not None and model.alive(self.now)
            try:
                bearing = world.run(desk.resume(secret))
                world.run(desk.touch(bearing.session))
            except SessionEnded:
                assert not alive
                return
            assert alive
            assert model is not None
            assert bearing.facts.account.login == self.accounts[model.account].login
            if model.idle_until is not None:
                model.idle_until = self.now + desk.limits.idle

        @rule(secret=secrets)
        def is_refreshed_while_it_ends(self, secret: str) -> None:
            """The race of a refresh against a log-out: whichever is first, the session is over afterwards."""
            try:
                bearing = world.run(desk.resume(secret))
            except SessionEnded:
                return

            async def race() -> None:
                await asyncio.gather(desk.touch(bearing.session), desk.leave(secret, BY_ADMIN), return_exceptions=True)

            world.run(race())
            self.known[secret].revoked = True

        @rule(secret=secrets)
        def logs_out(self, secret: str) -> None:
            world.run(desk.leave(secret, BY_ADMIN))
            if secret in self.known:
                self.known[secret].revoked = True

        @rule(at=st.integers(0, 1))
        def is_disabled(self, at: int) -> None:
            account = world.run(self.fresh(at))
            world.run(
                desk.within(
                    lambda connection, now: accounts.disable(connection, case.witness, BY_ADMIN, account, now, "x")
                )
            )
            self.active[at] = False
            for each in self.known.values():
                if each.account == at:
                    each.revoked = True

        @rule(at=st.integers(0, 1))
        def is_enabled(self, at: int) -> None:
            account = world.run(self.fresh(at))
            world.run(
                desk.within(lambda connection, now: accounts.enable(connection, case.witness, BY_ADMIN, account, "x"))
            )
            self.active[at] = True

        @rule(at=st.integers(0, 1))
        def changes_the_password(self, at: int) -> None:
            """Cookie sessions end everywhere; tokens have a life of their own."""
            world.run(desk.end_sessions(self.accounts[at]))
            for each in self.known.values():
                if each.account == at and each.idle_until is not None:
                    each.revoked = True

        @rule(minutes=st.sampled_from([1, 5, 9, 10, 11, 25, 60, 1440]))
        def time_passes(self, minutes: int) -> None:
            case.clock.advance(timedelta(minutes=minutes))

        @invariant()
        def what_the_statement_of_a_read_checks_agrees(self) -> None:
            async def holding() -> dict[str, int]:
                async with desk.database.read() as connection:
                    return await sessions.holding(connection, [digest_of(each) for each in self.known], self.now)

            found = world.run(holding())
            expected = {digest_of(secret) for secret, each in self.known.items() if each.alive(self.now)}
            assert set(found) == expected

        @invariant()
        def what_a_request_and_a_write_ask_agrees(self) -> None:
            """A secret that is over brings nobody in, and no facts of another epoch write."""
            rows = identity_tables.session

            async def held(connection: Connection, secret: str, epoch: int) -> bool:
                asking = replace(BY_ADMIN, session=digest_of(secret), epoch=epoch)
                try:
                    await sessions.require(connection, asking, self.now)
                except SessionEnded:
                    return False
                return True

            async def comes_in(secret: str) -> bool:
                try:
                    await desk.resume(secret)
                except SessionEnded:
                    return False
                return True

            async def answers() -> dict[str, tuple[bool, bool, bool]]:
                found = {}
                async with desk.database.read() as connection:
                    for secret in self.known:
                        asked = sa.select(rows.c.epoch).where(rows.c.id == digest_of(secret))
                        epoch = int(await connection.fetch_value(asked))
                        here, other = await held(connection, secret, epoch), await held(connection, secret, epoch + 1)
                        found[secret] = (here, other, await comes_in(secret))
                return found

            alive = {secret: each.alive(self.now) for secret, each in self.known.items()}
            assert world.run(answers()) == {secret: (lives, False, lives) for secret, lives in alive.items()}

    return Lifecycle


def test_the_absolute_limit_of_a_session_is_reached_by_whoever_never_leaves(database: TestDatabase) -> None:
    """Used every nine minutes, it ends at its limit all the same; logged out, it is not taken up again."""
    loop = asyncio.new_event_loop()
    try:
        machine_ = machine(World(loop, short(loop.run_until_complete(identity(database)))))()
        secret = machine_.signs_in(0)
        for minutes in (9, 9, 6, 1):
            machine_.is_used(secret)
            machine_.time_passes(minutes)
            machine_.what_a_request_and_a_write_ask_agrees()
        assert not machine_.known[secret].alive(machine_.now)
        machine_.is_used(secret)
        other = machine_.signs_in(1)
        machine_.logs_out(other)
        machine_.is_used(other)
        machine_.what_a_request_and_a_write_ask_agrees()
    finally:
        database.close()
        loop.close()


def short(case: Case) -> Case:
    """With an absolute limit that a few steps reach."""
    return replace(case, desk=replace(case.desk, limits=Limits(absolute=timedelta(minutes=25))))


def test_session_lifecycle(database: TestDatabase, tier: Tier) -> None:
    """Fixation, log-out, disabling, limits, tokens, and a refresh that races a log-out: the old secret is dead."""
    loop = asyncio.new_event_loop()
    try:
        world = World(loop, short(loop.run_until_complete(identity(database))))
        chosen = settings(max_examples=tier.count(8, 200), stateful_step_count=tier.count(20, 60), deadline=None)
        run_state_machine_as_test(machine(world), settings=chosen)
    finally:
        database.close()
        loop.close()
