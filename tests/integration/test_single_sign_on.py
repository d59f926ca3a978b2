"""Single sign-on with a real provider: who it vouches for comes in, and nobody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import RSAKey
from tests.integration.guarded_case import INSTALLER, ORIGIN, ask, code_of, guarded, make_account, sign_in
from tests.integration.http_case import ADDRESS, Served, served
from tests.integration.identity_case import CHEAP, PASSWORD
from tests.integration.oidc_case import CALLBACK, SECRET, at_the_provider, provider
from tests.integration.test_signing_accounts import House, Signer, signing_project

from clew.identity import accounts, sso
from clew.identity.assignments import Asked
from clew.identity.errors import SingleSignOnFailed
from clew.identity.secrets import Hasher, Vault
from clew.identity.sso import Provider, SingleSignOn
from clew.storage import system
from clew.testing import TestDatabase
from clew.testing.clock import ManualClock

pytestmark = pytest.mark.anyio

PEOPLE = {
    "p-1": {"preferred_username": "li.wei", "name": "李伟", "groups": ["Purchasing", "Everybody"]},
    "p-2": {"preferred_username": "wang.fang", "name": "王芳", "groups": []},
    "p-3": {"preferred_username": "zhao.min", "name": "赵敏", "groups": ["Purchasing", "Quality"]},
    "p-4": {"preferred_username": "erp.feed", "name": "robot", "groups": []},
}


def settings(issuer: str, **more: Any) -> dict[str, Any]:
    return {
        "oidc_issuer": issuer,
        "oidc_client_id": "clew",
        "oidc_client_secret": SECRET,
        "oidc_roles": ("Purchasing=buyer", "Quality=qa_manager", "Readers=reader"),
        "public_url": ADDRESS,
        **more,
    }


async def come_in(house: Served, subject: str) -> httpx2.Response:
    """The whole way: out, sign in at the provider, back."""
    out = await house.client.get("/login/oidc?next=/graphiql")
    assert out.status_code == 303, out.text
    back = await at_the_provider(out.headers["location"], subject)
    return await house.client.get(back)


async def test_who_the_provider_vouches_for_comes_in(database: TestDatabase, tmp_path: Path) -> None:
    with provider(PEOPLE) as issuer:
        async with guarded(database.url, tmp_path, **settings(issuer)) as house:
            desk, client = house.host.current.desk, house.client
            li = await make_account(desk, "li.wei", "reader", password="")
            await make_account(desk, "zhao.min", password="")
            await make_account(desk, "erp.feed", "feed", kind="service", password="")
            assert "/login/oidc" in (await client.get("/login")).text
            out = await client.get("/login/oidc?next=//evil.example")
            asked = parse_qs(urlsplit(out.headers["location"]).query)
            assert asked["code_challenge_method"] == ["S256"]
            assert {"state", "nonce", "code_challenge"} <= set(asked)
            assert "samesite=lax" in out.headers["set-cookie"].lower()
            for value in (*asked["state"], *asked["nonce"]):
                assert value not in out.headers["set-cookie"]

            entered = await come_in(house, "p-1")
            assert entered.status_code == 200, entered.text
            assert 'content="0;url=/graphiql"' in entered.text
            me = (await client.get("/me")).json()
            assert (me["login"], me["roles"], me["session"]["components"]) == ("li.wei", ["buyer", "reader"], ["sso"])
            assert (await ask(client)).status_code == 200

            # What the groups gave and do not give any more ends at the next sign-in; what was given here stays.
            async with desk.database.read() as connection:
                known = await accounts.by_subject(connection, f"{issuer}|p-1")
            assert known is not None
            assert known.id == li.id
            house.app.entrance.settings.__dict__["oidc_roles"] = ("Elsewhere=buyer",)
            fresh = type(house.app)(house.host, house.app.entrance.settings)
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=fresh), base_url=ADDRESS) as another:
                served = Served(house.host, fresh, another)
                assert (await come_in(served, "p-1")).status_code == 200
                assert (await another.get("/me")).json()["roles"] == ["reader"]
            assert (await client.get("/me")).json()["roles"] == ["reader"]


async def test_what_a_mapping_says_wrongly_is_told(
    tmp_path: Path, new_database: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A misspelt role, a role for programs, one that decides about access, and what cannot be read."""
    wrong = ("Purchasing=buyr", "Robots=feed", "Everybody=sys_admin", "Nonsense", "Readers=reader")
    with provider(PEOPLE) as issuer:
        async with guarded(new_database("sqlite").url, tmp_path, **settings(issuer, oidc_roles=wrong)) as house:
            told = [each.getMessage() for each in caplog.records if each.getMessage().startswith("oidc_roles")]
            assert told == [
                "oidc_roles: there is no role buyr. Did you mean buyer?",
                "oidc_roles: the role feed is not for people.",
                "oidc_roles: the role sys_admin decides about the access of others, so groups do not give it.",
                "oidc_roles: oidc_roles cannot be read: Nonsense",
            ]
            house.app.entrance.settings.__dict__["oidc_roles"] = wrong[2:3]
            await make_account(house.host.current.desk, "li.wei", "reader", password="")
            assert (await come_in(house, "p-1")).status_code == 200
            assert (await house.client.get("/me")).json()["roles"] == ["reader"]


async def test_separations_and_unknown_people_at_single_sign_on(tmp_path: Path, new_database: Any) -> None:
    with provider(PEOPLE) as issuer:
        async with guarded(new_database("sqlite").url, tmp_path, **settings(issuer)) as house:
            desk, client = house.host.current.desk, house.client
            await make_account(desk, "zhao.min", password="")
            await make_account(desk, "erp.feed", "feed", kind="service", password="")
            assert (await come_in(house, "p-3")).status_code == 200
            assert (await client.get("/me")).json()["roles"] == ["buyer"]  # not both of a pair that excludes each other
            async with desk.database.read() as connection:
                told = [row[0] for row in await connection.fetch(sa.select(system.leaf.c.action))]
            assert "assignment.refuse" in told
            await client.post("/logout", headers=ORIGIN)
            for subject in ("p-2", "p-4"):  # no account; a service's account
                refused = await come_in(house, subject)
                assert refused.status_code == 401
                assert "clew_session" not in refused.headers.get("set-cookie", "")
            zhao = await desk.within(lambda connection, at: accounts.by_login(connection, "zhao.min"))
            await desk.within(
                lambda connection, at: accounts.disable(connection, desk.witness, INSTALLER, zhao, at, "left")
            )
            assert (await come_in(house, "p-3")).status_code == 401
            assert code_of(await ask(client)) == "UNAUTHENTICATED"
        async with guarded(new_database("sqlite").url, tmp_path / "two", **settings(issuer, oidc_create=True)) as house:
            assert (await come_in(house, "p-2")).status_code == 200
            assert (await house.client.get("/me")).json()["name"] == "王芳"


async def test_who_keeps_the_logins_of_the_provider_is_no_administrator_here(
    database: TestDatabase, tmp_path: Path
) -> None:
    """A login claim takes no account that administers, nor one that asked to: its holder links it, by its own password;
    and no account at all where the settings say so."""
    people = {**PEOPLE, "p-5": {"preferred_username": "admin", "name": "sly", "groups": []}}
    with provider(people) as issuer:
        async with guarded(database.url, tmp_path, **settings(issuer)) as house:
            desk, client = house.host.current.desk, house.client
            await make_account(desk, "admin", "sys_admin")
            wang = await make_account(desk, "wang.fang")
            await desk.within(
                lambda connection, at: desk.assignments.request(
                    connection, INSTALLER, Asked(wang.id, "sys_admin", at), at
                )
            )
            for subject in ("p-5", "p-2"):
                refused = await come_in(house, subject)
                assert (refused.status_code, "clew_session" in refused.headers.get("set-cookie", "")) == (401, False)
            async with desk.database.read() as connection:
                assert {each.subject for each in await accounts.every(connection)} == {None}
                told = await connection.fetch(sa.select(system.leaf.c.action, system.leaf.c.record_id))
            assert ("prove.refuse", wang.id) in [tuple(row) for row in told]

            async def link(subject: str, **given: str) -> httpx2.Response:
                begun = await client.post("/me/sso", json=given, headers=ORIGIN)
                if begun.status_code != 200:
                    return begun
                return await client.get(await at_the_provider(begun.json()["address"], subject))

            assert code_of(await link("p-2", password=PASSWORD)) == "UNAUTHENTICATED"
            assert (await sign_in(client, "wang.fang")).status_code == 200
            assert 'action="/me/sso"' in (await client.get("/me/sso?lang=en")).text
            assert code_of(await link("p-2", password="not hers at all")) == "WRONG_CREDENTIALS"
            assert code_of(await link("p-2")) == "WRONG_CREDENTIALS"
            form = await client.post("/me/sso", data={"password": PASSWORD}, headers=ORIGIN)
            assert f'content="0;url={issuer}' in form.text, "a form leads to no other site; a page does"
            assert (await link("p-2", password=PASSWORD)).status_code == 200
            client.cookies.clear()
            assert (await come_in(house, "p-2")).status_code == 200
            assert (await client.get("/me")).json()["login"] == "wang.fang"
            client.cookies.clear()
            assert (await sign_in(client, "admin")).status_code == 200
            assert (await link("p-2", password=PASSWORD)).status_code == 401, "another is known by it"

            plain = await make_account(desk, "li.wei")
            house.app.entrance.settings.__dict__["oidc_match_login"] = False
            client.cookies.clear()
            assert (await come_in(house, "p-1")).status_code == 401
            house.app.entrance.settings.__dict__["oidc_match_login"] = True
            assert (await come_in(house, "p-1")).status_code == 200
            assert (await client.get("/me")).json()["id"] == str(plain.id)


async def test_an_answer_counts_once_and_in_its_own_browser(tmp_path: Path, new_database: Any) -> None:
    with provider(PEOPLE) as issuer:
        async with guarded(new_database("sqlite").url, tmp_path, **settings(issuer)) as house:
            client = house.client
            await make_account(house.host.current.desk, "li.wei", password="")
            out = await client.get("/login/oidc")
            back = await at_the_provider(out.headers["location"], "p-1")
            cookie = client.cookies["clew_sso"]
            client.cookies.clear()
            assert (await client.get(back)).status_code == 401  # somebody else's link, opened in this browser
            jar = {"cookie": f"clew_sso={cookie}"}
            assert (await client.get(back.replace("state=", "state=x"), headers=jar)).status_code == 401
            assert (await client.get(back.replace("code=", "code=x"), headers=jar)).status_code == 401
            other = back.replace("iss=http", "iss=https")
            assert (await client.get(other, headers=jar)).status_code == 401
            assert (await client.get(back, headers=jar)).status_code == 200
            assert (await client.get(back, headers=jar)).status_code == 401
            no = f"{CALLBACK}?error=access_denied&state=x"
            assert (await client.get(no, headers=jar)).status_code == 401


async def test_a_fresh_sign_on_signs_once(database: TestDatabase, tmp_path: Path) -> None:
    """Who signs in elsewhere is asked again there, whatever the provider remembers; it counts once, for them alone."""
    project = signing_project(tmp_path / "signing")
    with provider(PEOPLE) as issuer:
        async with served(
            database.url, tmp_path / "blobs", folder=project, project=project, **settings(issuer)
        ) as running:
            running.host.current.desk.credentials.hasher = Hasher(CHEAP)
            house = House(running, {})
            await house.furnish()
            await house.person("li.wei", "releaser", sites=("SHA",))
            wang = await make_account(house.desk, "wang.fang", password="")
            await house.desk.within(
                lambda connection, at: accounts.change(
                    connection, house.desk.witness, INSTALLER, wang, subject=f"{issuer}|p-2"
                )
            )
            client, jar = running.client, httpx2.Cookies()
            first, second = await house.lot(), await house.lot()
            signer = Signer(client)

            async def sign_on(subject: str, address: str = "/login/oidc/sign?next=/graphiql") -> httpx2.Response:
                out = await client.get(address)
                asked = parse_qs(urlsplit(out.headers["location"]).query)
                if "sign" in address:
                    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
                return await client.get(await at_the_provider(out.headers["location"], subject, jar))

            assert code_of(await client.get("/login/oidc/sign")) == "UNAUTHENTICATED"
            assert (await sign_on("p-1", "/login/oidc")).status_code == 200
            # Signed in, and remembered by the provider: neither is a signature.
            assert await signer.release(first, login="li.wei", sso="fresh") == "COMPONENTS_MISSING"
            assert (await sign_on("p-2")).status_code == 401  # somebody else at this browser
            assert await signer.release(first, login="li.wei", sso="fresh") == "COMPONENTS_MISSING"
            before = client.cookies["clew_session"]
            assert 'content="0;url=/graphiql"' in (await sign_on("p-1")).text
            assert client.cookies["clew_session"] == before
            assert await signer.release(first, sso="fresh") == "SIGNATURE_COMPONENTS"  # used up by a try without login
            assert (await sign_on("p-1")).status_code == 200
            assert await signer.release(first, login="wang.fang", sso="fresh") == "WRONG_CREDENTIALS"
            assert await signer.release(first, login="li.wei", sso="fresh") == "released"
            assert await signer.release(second, login="li.wei", sso="fresh") == "COMPONENTS_MISSING"
            # A signing PIN of one's own takes a fresh sign-on, too.
            own = {"pin": "735192"}
            assert code_of(await client.post("/me/pin", json=own, headers=ORIGIN)) == "COMPONENTS_MISSING"
            assert (await sign_on("p-1")).status_code == 200
            assert (await client.post("/me/pin", json=own, headers=ORIGIN)).status_code == 204
            assert await signer.release(second, login="li.wei", pin="735192") == "released"
            async with running.host.current.database.read() as connection:
                rows = await connection.fetch(sa.select(system.signature.c.components_used).order_by("signed_at"))
            assert [row[0] for row in rows] == [["login", "sso"], ["login", "pin"]]


async def test_single_sign_on_that_is_not_set_up(tmp_path: Path, new_database: Any) -> None:
    async with guarded(new_database("sqlite").url, tmp_path) as house:
        assert (await house.client.get("/login/oidc")).status_code == 404
        assert "/login/oidc" not in (await house.client.get("/login")).text
    with pytest.raises(SingleSignOnFailed):
        SingleSignOn(Provider("http://idp.example", "clew", "x", "sub", "groups", ()), Vault("k"), ManualClock())


KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})
ISSUER = "http://127.0.0.1:1"


def claims_of(now: int) -> dict[str, Any]:
    return {"iss": ISSUER, "aud": "clew", "sub": "p-1", "nonce": "n", "iat": now, "exp": now + 60,
            "preferred_username": "li.wei"}  # fmt: skip


def made_token(now: int, key: Any = KEY, **changes: Any) -> str:
    claims = {name: value for name, value in {**claims_of(now), **changes}.items() if value is not None}
    return jwt.encode({"alg": "RS256", "kid": "one"}, claims, key, algorithms=["RS256"])


def wrong_tokens(now: int) -> dict[str, str]:
    """Id tokens that must not be believed, by what is wrong with them."""
    good = claims_of(now)

    def made(key: Any = KEY, **changes: Any) -> str:
        return made_token(now, key, **changes)

    head, body, _ = made().split(".")
    none = "eyJhbGciOiJub25lIn0"
    from joserfc.jwk import OctKey

    shared = OctKey.import_key(SECRET)
    return {
        "good": made(),
        "another key": made(OTHER),
        "no signature": f"{none}.{body}.",
        "cut signature": f"{head}.{body}.",
        "signed with the shared secret": jwt.encode({"alg": "HS256", "kid": "one"}, good, shared, algorithms=["HS256"]),
        "another issuer": made(iss="http://127.0.0.1:2"),
        "another audience": made(aud="other"),
        "audiences without a party": made(aud=["clew", "other"]),
        "another party": made(azp="other"),
        "another nonce": made(nonce="m"),
        "no nonce": made(nonce=None),
        "expired": made(exp=now - 61, iat=now - 200),
        "not yet": made(iat=now + 120, exp=now + 200),
        "not before": made(nbf=now + 120),
        "no times": made(exp=None),
        "a truth for a time": made(iat=True),
        "no subject": made(sub=None),
        "nonsense": "nonsense",
        "empty": "",
    }


async def test_only_a_good_token_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    now = int(clock.now().timestamp())
    tokens = wrong_tokens(now)
    served = {
        "/.well-known/openid-configuration": {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/auth",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
        },
        "/keys": {"keys": [KEY.as_dict(private=False)]},
    }
    answer: dict[str, Any] = {}

    def handle(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=answer if request.url.path == "/token" else served[request.url.path])

    monkeypatch.setattr(sso, "_client", lambda: httpx2.AsyncClient(transport=httpx2.MockTransport(handle)))
    vault = Vault("a key for tests")
    given = Provider(ISSUER, "clew", SECRET, "preferred_username", "groups", ())
    for name, token in tokens.items():
        party = SingleSignOn(given, vault, clock)
        kept = {"state": "s", "nonce": "n", "verifier": "v", "after": "/", "at": now}
        sealed = vault.seal(json.dumps(kept), "sso")
        answer.clear()
        answer.update({"id_token": token})
        if name == "good":
            assert (await party.finish(CALLBACK, {"state": "s", "code": "c"}, sealed)).login == "li.wei"
            old = vault.seal(json.dumps({**kept, "at": now - 601}), "sso")
            with pytest.raises(SingleSignOnFailed):
                await party.finish(CALLBACK, {"state": "s", "code": "c"}, old)
            again = vault.seal(json.dumps({**kept, "session": "x"}), "sso")
            for at, believed in ((None, False), (now - 60, False), (now + 120, False), (True, False), (now, True)):
                answer.update({"id_token": made_token(now, auth_time=at)})
                try:
                    vouched = await party.finish(CALLBACK, {"state": "s", "code": "c"}, again)
                except SingleSignOnFailed:
                    assert not believed, at
                else:
                    assert (believed, vouched.session) == (True, "x"), at
            continue
        try:
            await party.finish(CALLBACK, {"state": "s", "code": "c"}, sealed)
        except SingleSignOnFailed:
            continue
        raise AssertionError(f"believed: {name}")


async def test_a_provider_is_spoken_to_under_tls_and_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A description with an address in the clear is not used: the client's secret and the code would go there.
    Where the provider always names itself in its answer (RFC 9207), one without the name is somebody else's."""
    clock = ManualClock()
    now = int(clock.now().timestamp())
    described: dict[str, Any] = {"issuer": ISSUER, "authorization_response_iss_parameter_supported": True}
    described |= {"authorization_endpoint": f"{ISSUER}/auth", "token_endpoint": f"{ISSUER}/token"}
    described |= {"jwks_uri": f"{ISSUER}/keys"}
    served = {"/keys": {"keys": [KEY.as_dict(private=False)]}, "/token": {"id_token": made_token(now)}}
    asked: list[str] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        return httpx2.Response(200, json=served.get(request.url.path, described))

    monkeypatch.setattr(sso, "_client", lambda: httpx2.AsyncClient(transport=httpx2.MockTransport(handle)))
    vault = Vault("a key for tests")
    given = Provider(ISSUER, "clew", SECRET, "preferred_username", "groups", ())
    sealed = vault.seal(json.dumps({"state": "s", "nonce": "n", "verifier": "v", "after": "/", "at": now}), "sso")
    back = {"state": "s", "code": "c"}
    with pytest.raises(SingleSignOnFailed):
        await SingleSignOn(given, vault, clock).finish(CALLBACK, back, sealed)
    assert (await SingleSignOn(given, vault, clock).finish(CALLBACK, {**back, "iss": ISSUER}, sealed)).login == "li.wei"
    asked.clear()
    for each in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
        before, described[each] = described.get(each, f"{ISSUER}/me"), "http://provider.example/x"
        party = SingleSignOn(given, vault, clock)
        with pytest.raises(SingleSignOnFailed):
            await party.begin(CALLBACK, "/")
        with pytest.raises(SingleSignOnFailed):
            await party.finish(CALLBACK, {**back, "iss": ISSUER}, sealed)
        described[each] = before
    assert set(asked) == {"/.well-known/openid-configuration"}
