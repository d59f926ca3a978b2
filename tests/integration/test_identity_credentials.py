"""Credentials on both databases: one counter over every way in, codes that count once, nothing told to strangers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest
import sqlalchemy as sa
from tests.integration.identity_case import BY_ADMIN, PASSWORD, Case, as_, identity

from clew.identity import accounts, vouching
from clew.identity.accounts import Account
from clew.identity.credentials import Credentials
from clew.identity.errors import (
    BadLogin,
    ComponentsMissing,
    LockedOut,
    LoginTaken,
    PinExpired,
    SecretKeyMissing,
    SignInFailed,
    SingleSignOnFailed,
    WeakPassword,
    WrongCredentials,
)
from clew.identity.secrets import Vault
from clew.identity.sso import Provider, Vouched
from clew.identity.totp import STEP_SECONDS
from clew.kernel.errors import ClewError
from clew.storage import identity_tables, system
from clew.storage.engine import Connection
from clew.storage.errors import InsertOnly
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier

pytestmark = pytest.mark.anyio


async def generator(case: Case, account: Account) -> pyotp.TOTP:
    """Give the account a code generator that is in use."""
    address = await case.desk.credentials.begin_totp(account, as_(account), "Clew")
    made = pyotp.parse_uri(address)
    assert isinstance(made, pyotp.TOTP)
    await case.desk.credentials.confirm_totp(account, made.at(case.clock.now()), as_(account))
    case.later(seconds=2 * STEP_SECONDS)
    return made


async def test_signing_in_and_proving(database: TestDatabase) -> None:
    case = await identity(database)
    li = await case.account("li.wei")
    proof = await case.desk.credentials.sign_in(" Li.Wei ", PASSWORD, "")
    assert (proof.account.id, proof.components_used, proof.must_change) == (li.id, ("login", "password"), False)
    proof = await case.desk.credentials.prove(li.id, {"login": "li.wei", "password": PASSWORD}, "signature")
    assert proof.components_used == ("login", "password")
    with pytest.raises(WrongCredentials):
        await case.desk.credentials.prove(li.id, {"login": "somebody.else", "password": PASSWORD}, "signature")
    with pytest.raises(ComponentsMissing):
        await case.desk.credentials.prove(li.id, {"login": "li.wei"}, "signature")
    with pytest.raises(ComponentsMissing):
        await case.desk.credentials.prove(li.id, {"password": PASSWORD, "admin": "yes"}, "signature")
    await case.desk.credentials.set_pin(li, "480913", as_(li))
    assert (await case.desk.credentials.prove(li.id, {"pin": "480913"}, "signature")).components_used == ("pin",)
    assert await case.desk.credentials.available(li.id) == ("password", "pin")
    with pytest.raises(WrongCredentials):
        await case.desk.credentials.prove(li.id, {"pin": "480914", "password": PASSWORD}, "signature")


async def test_a_signing_pin_is_revised_in_time(database: TestDatabase) -> None:
    """21 CFR 11.300(b): it signs no more once it has its age, which counts from its first use where nobody knows it;
    only whoever knows it is told; the same one does not come back."""
    case = await identity(database)
    prove, li = case.desk.credentials, await case.account("li.wei")
    await prove.set_pin(li, "480913", as_(li))
    case.later(days=179)
    assert (await prove.prove(li.id, {"pin": "480913"}, "signature")).components_used == ("pin",)
    case.later(days=1)
    with pytest.raises(PinExpired):
        await prove.prove(li.id, {"login": "li.wei", "pin": "480913"}, "signature")
    with pytest.raises(WrongCredentials):
        await prove.prove(li.id, {"pin": "480914"}, "signature")
    assert (await prove.prove(li.id, {"password": PASSWORD}, "pin")).components_used == ("password",)
    with pytest.raises(WeakPassword):
        await prove.set_pin(li, "480913", as_(li))
    await prove.set_pin(li, "735192", as_(li))
    assert (await prove.prove(li.id, {"pin": "735192"}, "signature")).components_used == ("pin",)

    async def of_before(connection: Connection) -> None:
        await connection.execute(sa.update(identity_tables.credential).values(pin_at=None))

    await case.desk.database.run_write(of_before)
    with pytest.raises(WrongCredentials):
        await prove.prove(li.id, {"pin": "735193"}, "signature")
    case.later(days=400)
    for days in (0, 179):
        case.later(days=days)
        assert (await prove.prove(li.id, {"pin": "735192"}, "signature")).components_used == ("pin",)
    case.later(days=1)
    with pytest.raises(PinExpired):
        await prove.prove(li.id, {"pin": "735192"}, "signature")
    prove.policy = replace(prove.policy, pin_max_age=None)
    assert (await prove.prove(li.id, {"pin": "735192"}, "signature")).components_used == ("pin",)


async def test_lockout_every_path(database: TestDatabase, tier: Tier) -> None:
    """Sign-in, signature, PIN and parallel guesses share one counter; the lock ends by itself; it is told at once."""
    case = await identity(database)
    prove = case.desk.credentials
    await prove.set_pin(li := await case.account("li.wei"), "480913", as_(li))
    case.witness.events.clear()
    wrong = [
        lambda: prove.sign_in("li.wei", "wrong password", ""),
        lambda: prove.sign_in("LI.WEI", PASSWORD + "x", "123456"),
        lambda: prove.prove(li.id, {"password": "wrong"}, "signature"),
        lambda: prove.prove(li.id, {"pin": "111222"}, "signature"),
        lambda: prove.prove(li.id, {"totp": "123456"}, "reauthenticate"),
    ]
    for way in wrong:
        with pytest.raises((SignInFailed, WrongCredentials)):
            await way()
    assert case.witness.actions() == ["prove.refuse"] * 5 + ["account.lock"]
    with pytest.raises(LockedOut):
        await prove.prove(li.id, {"password": PASSWORD}, "signature")
    with pytest.raises(SignInFailed):
        await prove.sign_in("li.wei", PASSWORD, "")
    case.later(minutes=15)
    assert (await prove.sign_in("li.wei", PASSWORD, "")).account.id == li.id

    # Many at once: no more than the limit are ever compared with the password.
    before = prove.hasher.verified
    many = tier.count(20, 200)

    async def guess(number: int) -> ClewError:
        try:
            if number % 2:
                await prove.sign_in("li.wei", f"guess {number}", "")
            else:
                await prove.prove(li.id, {"password": f"guess {number}"}, "signature")
        except ClewError as refused:
            return refused
        raise AssertionError("a guess was right")

    refused = await asyncio.gather(*(guess(number) for number in range(many)))
    compared = sum(isinstance(each, WrongCredentials) for each in refused)
    compared += (
        sum(
            each.action == "prove.refuse" and each.particulars["why"] == "wrong" and each.particulars["path"] == "login"
            for each in case.witness.events[-4 * many :]
        )
        - 2
    )
    assert compared == prove.policy.tries
    assert prove.hasher.verified - before <= many
    with pytest.raises(LockedOut):
        await prove.prove(li.id, {"password": PASSWORD}, "signature")
    await prove.unlock(li, BY_ADMIN, "he asked")
    assert await prove.prove(li.id, {"password": PASSWORD}, "signature")


async def test_totp_once(database: TestDatabase, tier: Tier) -> None:
    """A code is good once: again, from the drift window behind it, and of many at once exactly one."""
    case = await identity(database)
    prove = case.desk.credentials
    li = await case.account("li.wei")
    codes = await generator(case, li)
    now = codes.at(case.clock.now())
    with pytest.raises(SignInFailed):
        await prove.sign_in("li.wei", PASSWORD, "")
    assert "totp" in (await prove.sign_in("li.wei", PASSWORD, now)).components_used
    with pytest.raises(SignInFailed):
        await prove.sign_in("li.wei", PASSWORD, now)
    with pytest.raises(WrongCredentials):
        await prove.prove(li.id, {"totp": now}, "signature")
    with pytest.raises(WrongCredentials):  # the step before is still in the window, but a later one was used
        await prove.prove(li.id, {"totp": codes.at(case.clock.now() - timedelta(seconds=STEP_SECONDS))}, "signature")
    early = codes.at(case.clock.now() + timedelta(seconds=STEP_SECONDS))
    assert await prove.prove(li.id, {"totp": early}, "signature")
    await prove.unlock(li, BY_ADMIN, "he asked")

    case.later(seconds=5 * STEP_SECONDS)
    code = codes.at(case.clock.now())
    # The limit of tries is not what decides here.
    freely = Credentials(prove.database, case.clock, case.witness, case.desk.vault, hasher=prove.hasher)
    object.__setattr__(freely.policy, "tries", 10_000)

    async def use() -> bool:
        try:
            await freely.prove(li.id, {"totp": code}, "signature")
        except WrongCredentials:
            return False
        return True

    won = await asyncio.gather(*(use() for _ in range(tier.count(20, 200))))
    assert sum(won) == 1


async def test_no_enumeration(database: TestDatabase) -> None:
    """Unknown, wrong, locked and disabled: the same error with the same words, and the same hashing work."""
    case = await identity(database)
    prove = case.desk.credentials
    await case.account("known")
    disabled = await case.account("disabled")
    await case.desk.within(
        lambda connection, at: accounts.disable(connection, case.witness, BY_ADMIN, disabled, at, "left")
    )
    nobody = await case.account("no.password", password="")
    assert nobody
    said, work = set(), set()
    for login, tries in (("known", 8), ("unknown", 8), ("disabled", 8), ("no.password", 8), ("'; DROP", 2), ("", 1)):
        for number in range(tries):
            before = prove.hasher.verified
            with pytest.raises(SignInFailed) as refused:
                await prove.sign_in(login, PASSWORD if login == "disabled" else f"wrong {number}", "")
            said.add((refused.value.code, refused.value.message("en"), refused.value.message("zh")))
            work.add(prove.hasher.verified - before)
    assert len(said) == 1
    assert work == {1}
    told = repr(case.witness.events)
    assert "DROP" not in told
    assert "wrong 1" not in told
    async with prove.database.read() as connection:
        rows = await connection.fetch_value(sa.select(sa.func.count()).select_from(identity_tables.throttle))
    assert rows <= 6


async def test_passwords_have_a_policy_a_history_and_an_end(database: TestDatabase) -> None:
    case = await identity(database)
    prove = case.desk.credentials
    li = await case.account("li.wei")
    for bad in (
        "short",
        "x" * 300,
        "my li.wei password",
        "password1234!",
        "123456789012",
        "aaaabbbbaaaa",
        "P4ssw0rd!!!!",
    ):
        with pytest.raises(WeakPassword) as refused:
            await prove.set_password(li, bad, as_(li))
        assert bad not in refused.value.message("en") + refused.value.message("zh")
    with pytest.raises(WeakPassword):
        await prove.set_password(li, PASSWORD, as_(li))
    await prove.set_password(li, "another fine sentence", as_(li))
    with pytest.raises(WeakPassword):
        await prove.set_password(li, PASSWORD, as_(li))
    with pytest.raises(WeakPassword):
        await prove.set_pin(li, "123456", as_(li))
    assert not (await prove.sign_in("li.wei", "another fine sentence", "")).must_change
    case.later(days=180)
    assert (await prove.sign_in("li.wei", "another fine sentence", "")).must_change
    await prove.set_password(li, "set by an administrator", BY_ADMIN, must_change=True)
    assert (await prove.sign_in("li.wei", "set by an administrator", "")).must_change


async def test_a_login_is_never_given_again(database: TestDatabase) -> None:
    case = await identity(database)
    li = await case.account("li.wei")
    await case.desk.within(lambda connection, at: accounts.disable(connection, case.witness, BY_ADMIN, li, at, "left"))
    with pytest.raises(LoginTaken):
        await case.account("LI.WEI")


@pytest.mark.parametrize("alike", ["\u212aate.li", "kate.\uff4ci", "\u3000kate.li", "kate.li\x00"])
async def test_a_login_that_only_looks_the_same_is_nobodys(database: TestDatabase, alike: str) -> None:
    """A provider whose people choose their names vouches for none of ours by a letter that folds into another."""
    case = await identity(database)
    kate = await case.account("kate.li")
    provider = Provider("https://login.test", "clew", "secret", "preferred_username", "groups", ())
    stranger = Vouched("https://login.test|9", alike, "Kate", (), "/")
    for create in (False, True):
        with pytest.raises(SingleSignOnFailed):
            await vouching.enter(case.desk, provider, stranger, BY_ADMIN, create=create)
    async with case.desk.database.read() as connection:
        found = await accounts.find(connection, kate.id)
    assert found is not None
    assert found.subject is None
    with pytest.raises(BadLogin):
        await case.account(alike)
    with pytest.raises(SignInFailed):
        await case.desk.credentials.sign_in(alike, "whatever it is", "")


async def test_no_account_goes_away(database: TestDatabase) -> None:
    """Not by the platform and not by hand: who did something years ago stays known."""
    case = await identity(database)
    await case.account("li.wei")
    for table in system.NEVER_DELETED:
        async with case.desk.database.read() as connection:
            count = await connection.fetch_value(sa.text(f"SELECT count(*) FROM {table}"))
        if not count:
            continue
        with pytest.raises(InsertOnly):
            async with case.desk.database.write() as connection:
                await connection.run_sql(f"DELETE FROM {table}")


async def test_a_generator_is_sealed_with_the_installations_key(database: TestDatabase) -> None:
    case = await identity(database)
    li, wang = await case.account("li.wei"), await case.account("wang.fang")
    codes = await generator(case, li)
    column = identity_tables.credential.c.totp
    async with case.desk.database.read() as connection:
        sealed = await connection.fetch_value(sa.select(column).where(identity_tables.credential.c.account == li.id))
    assert codes.secret not in sealed
    assert case.desk.vault.open(sealed, li.id) == codes.secret
    for vault, owner in ((Vault("another key"), li.id), (case.desk.vault, wang.id), (Vault(None), li.id)):
        with pytest.raises(SecretKeyMissing):
            vault.open(sealed, owner)
