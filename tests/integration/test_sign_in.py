"""Signing in at the doors: cookies, tokens, forms, what a foreign page may not do, and what the next request sees."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from tests.integration.guarded_case import (
    INSTALLER,
    ORIGIN,
    SUPPLIERS,
    ask,
    code_of,
    guarded,
    make_account,
    make_token,
    sign_in,
)
from tests.integration.http_case import ADDRESS, served
from tests.integration.identity_case import PASSWORD, as_

from clew.identity import accounts, tokens
from clew.identity.assignments import Asked
from clew.kernel.clock import SystemClock
from clew.storage import identity_tables, system
from clew.storage.open import open_database
from clew.testing import TestDatabase

pytestmark = pytest.mark.anyio
ZH = {"accept-language": "zh"}


async def test_nobody_comes_in_without_signing_in(database: TestDatabase, tmp_path: Path) -> None:
    async with guarded(database.url, tmp_path) as house:
        client, desk = house.client, house.host.current.desk
        await make_account(desk, "li.wei", "buyer")
        for answer in (
            await ask(client),
            await client.post("/files", content=b"x", headers=ORIGIN),
            await client.get("/me"),
            await ask(client, authorization="Bearer clew_nonsense"),
            await ask(client, authorization="Basic bGk6d2Vp"),
            await ask(client, cookie="clew_session=nonsense"),
        ):
            assert (answer.status_code, code_of(answer)) == (401, "UNAUTHENTICATED"), answer.text
        for path in ("/", "/graphiql"):
            page = await client.get(path)
            assert (page.status_code, page.headers["location"]) == (303, f"/login?next={path}")
        entered = await sign_in(client, "li.wei")
        assert entered.status_code == 200
        assert (entered.json()["login"], entered.json()["roles"]) == ("li.wei", ["buyer"])
        assert entered.json()["session"]["components"] == ["login", "password"]
        cookies = entered.headers.get_list("set-cookie")
        assert any("clew_session=" in each and "HttpOnly" in each and "SameSite=strict" in each for each in cookies)
        assert (await ask(client)).json() == {"data": {"suppliers": {"totalCount": 0}}}
        assert (await client.get("/me")).json()["login"] == "li.wei"
        assert (await client.get("/")).status_code == 200
        secret = client.cookies["clew_session"]
        assert (await client.post("/logout", headers=ORIGIN)).status_code == 204
        assert code_of(await ask(client, cookie=f"clew_session={secret}")) == "UNAUTHENTICATED"
        async with house.host.database.read() as connection:
            told = [row[0] for row in await connection.fetch(sa.select(system.leaf.c.action))]
        assert {"account.create", "assignment.grant", "prove", "session.begin", "session.end"} <= set(told)


async def test_the_next_request_is_decided_anew(database: TestDatabase, tmp_path: Path) -> None:
    """What a server remembers of a session is worth nothing once the database says otherwise, for reads and writes."""
    async with guarded(database.url, tmp_path) as house:
        client, desk = house.client, house.host.current.desk
        li = await make_account(desk, "li.wei", "reader")
        await sign_in(client, "li.wei")
        assert (await ask(client)).status_code == 200
        before = house.app.entrance.gate._known[client.cookies["clew_session"]].facts.person
        # Behind the server's back, as another node would.
        other = await open_database(database.url, clock=SystemClock())
        try:
            given = await desk.within(
                lambda connection, at: desk.assignments.assign(connection, INSTALLER, Asked(li.id, "buyer", at), at)
            )
            create = 'mutation { createSupplier(input: {name: "Apex"}) { supplier { name } } }'
            assert (await ask(client, create)).json() == {"data": {"createSupplier": {"supplier": {"name": "Apex"}}}}
            after = house.app.entrance.gate._known[client.cookies["clew_session"]].facts.person
            assert (before.roles, after.roles) == (("reader",), ("buyer", "reader"))
            for query in (SUPPLIERS, create):
                assert (await ask(client, query)).status_code == 200

            # A role that is taken: what was remembered would still allow it, the session itself goes on.
            async def take(connection: Any) -> None:
                await desk.assignments.end(connection, INSTALLER, given.id, await connection.now(), "moved")

            await other.run_write(take)
            assert code_of(await ask(client, create)) == "GRAPHQL_INVALID"
            assert (await ask(client)).status_code == 200
            [held] = await desk.within(lambda connection, at: desk.assignments.of(connection, li.id))
            await desk.within(lambda connection, at: desk.assignments.end(connection, INSTALLER, held.id, at, "moved"))
            assert code_of(await ask(client)) == "GRAPHQL_INVALID"

            async def disable(connection: Any) -> None:
                at = await connection.now()
                await accounts.disable(connection, desk.witness, INSTALLER, li, at, "left")

            await other.run_write(disable)
        finally:
            await other.close()
        for query in (create, SUPPLIERS, create):
            refused = await ask(client, query)
            assert (refused.status_code, code_of(refused)) == (401, "UNAUTHENTICATED")
        async with house.host.database.read() as connection:
            assert await connection.fetch_value(sa.text("SELECT count(*) FROM supplier")) == 2


async def test_a_cookie_alone_changes_nothing(database: TestDatabase, tmp_path: Path) -> None:
    """Cross-site requests: a browser sends cookies along; Origin or the second cookie's value must show whose page."""
    async with guarded(database.url, tmp_path) as house:
        client, desk = house.client, house.host.current.desk
        await make_account(desk, "li.wei", "reader")
        await sign_in(client, "li.wei")
        body = {"query": SUPPLIERS}
        assert code_of(await client.post("/graphql", json=body)) == "FORGED_REQUEST"
        for origin in ("http://evil.example", "null"):
            assert code_of(await client.post("/graphql", json=body, headers={"origin": origin})) == "FOREIGN_ORIGIN"
        csrf = {"x-clew-csrf": client.cookies["clew_csrf"]}
        assert (await client.post("/graphql", json=body, headers=csrf)).status_code == 200
        assert code_of(await client.post("/graphql", json=body, headers={"x-clew-csrf": "0" * 32})) == "FORGED_REQUEST"
        assert code_of(await client.post("/logout")) == "FORGED_REQUEST"
        assert code_of(await client.post("/files", content=b"x")) == "FORGED_REQUEST"
        form = {"login": "li.wei", "password": PASSWORD}
        assert code_of(await client.post("/login", data=form)) == "FORGED_REQUEST"
        assert code_of(await client.post("/login", files={"login": b"x"}, headers=ORIGIN)) == "UNSUPPORTED_MEDIA_TYPE"
        assert (await ask(client)).status_code == 200


async def test_the_page_to_sign_in_on(tmp_path: Path, new_database: Any) -> None:
    async with guarded(new_database("sqlite").url, tmp_path) as house:
        client = house.client
        await make_account(house.host.current.desk, "li.wei", "reader")
        for locale, words in (("zh", "账号"), ("en", "Login")):
            page = await client.get(f"/login?lang={locale}&next=/graphiql")
            assert words in page.text
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert not re.search(r"https?://", page.text)
            assert 'name="next" value="/graphiql"' in page.text
            assert "&amp;next=/graphiql" in page.text, "the other language leads to the same place"
        form = {"login": '"><script>x</script>', "password": "secret canary words", "next": "/graphiql"}
        failed = await client.post("/login", data=form, headers={**ORIGIN, "accept-language": "zh"})
        assert (failed.status_code, "登录失败" in failed.text) == (401, True)
        kept = await client.post("/login", data={**form, "lang": "en"}, headers={**ORIGIN, "accept-language": "zh"})
        assert "The sign-in failed" in kept.text
        assert "<script>" not in failed.text
        assert "canary" not in failed.text
        for wanted, given in (("/graphiql", "/graphiql"), ("/", "//evil.example"), ("/", "https://evil.example"),
                              ("/", "/\\evil.example"), ("/", "javascript:alert(1)")):  # fmt: skip
            form = {"login": "li.wei", "password": PASSWORD, "next": given}
            entered = await client.post("/login", data=form, headers=ORIGIN)
            assert (entered.status_code, entered.headers["location"]) == (303, wanted)
        start = await client.get("/?lang=zh")
        assert "li.wei" in start.text
        assert '<form method="post" action="/logout">' in start.text
        assert "form-action 'self'" in start.headers["content-security-policy"]
        assert start.headers["referrer-policy"] == "same-origin", "or a browser sends Origin: null with the form"
        left = await client.post("/logout", data={"x": "y"}, headers=ORIGIN)
        assert (left.status_code, left.headers["location"]) == (303, "/login")


async def test_signing_in_again_gives_another_session(database: TestDatabase, tmp_path: Path) -> None:
    async with guarded(database.url, tmp_path) as house:
        client = house.client
        await make_account(house.host.current.desk, "li.wei", "reader")
        client.cookies.set("clew_session", "planted-by-somebody-else", domain="127.0.0.1", path="/")
        await sign_in(client, "li.wei")
        first = client.cookies["clew_session"]
        assert first != "planted-by-somebody-else"
        await sign_in(client, "li.wei")
        assert client.cookies["clew_session"] != first
        client.cookies.clear()
        assert code_of(await ask(client, cookie=f"clew_session={first}")) == "UNAUTHENTICATED"


async def test_tokens_at_the_door(database: TestDatabase, tmp_path: Path) -> None:
    async with guarded(database.url, tmp_path) as house:
        client, desk = house.client, house.host.current.desk
        feed = await make_account(desk, "erp.feed", "feed", kind="service", password="")
        secret, token = await make_token(desk, feed)
        bearer = {"authorization": f"Bearer {secret}"}
        answer = await client.post("/graphql", json={"query": SUPPLIERS}, headers=bearer)
        assert answer.json() == {"data": {"suppliers": {"totalCount": 0}}}
        assert (await client.get("/me", headers=bearer)).json()["session"]["kind"] == "token"
        await desk.within(lambda connection, at: tokens.revoke(connection, desk.witness, INSTALLER, token, at))
        refused = await client.post("/graphql", json={"query": SUPPLIERS}, headers=bearer)
        assert (refused.status_code, code_of(refused)) == (401, "UNAUTHENTICATED")


async def test_a_password_that_is_due_opens_nothing_else(database: TestDatabase, tmp_path: Path) -> None:
    async with guarded(database.url, tmp_path) as house:
        client, desk = house.client, house.host.current.desk
        li = await make_account(desk, "li.wei", "reader")
        await desk.credentials.set_password(li, "set for you by somebody", INSTALLER, must_change=True)
        entered = await sign_in(client, "li.wei", "set for you by somebody")
        assert entered.json()["mustChange"] is True
        assert code_of(await ask(client)) == "PASSWORD_DUE"
        assert (await client.get("/")).headers["location"] == "/me/password"
        change = {"password": "set for you by somebody", "new": "short"}
        assert code_of(await client.post("/me/password", json=change, headers=ORIGIN)) == "PASSWORD_POLICY"
        change["new"] = "my own long sentence"
        wrong = {**change, "password": "not the present one"}
        assert code_of(await client.post("/me/password", json=wrong, headers=ORIGIN)) == "WRONG_CREDENTIALS"
        elsewhere = httpx2.AsyncClient(transport=client._transport, base_url=ADDRESS)
        await sign_in(elsewhere, "li.wei", "set for you by somebody")
        assert (await client.post("/me/password", json=change, headers=ORIGIN)).json()["mustChange"] is False
        assert code_of(await elsewhere.get("/me")) == "UNAUTHENTICATED"
        # Who set it could have come in just as well: nothing opens before somebody else has seen who holds it.
        assert code_of(await ask(client)) == "IDENTITY_DUE"
        assert (await client.get("/")).headers["location"] == "/me/confirmation"
        code = (await client.get("/me")).json()["confirmation"]
        assert code in (await client.get("/me/confirmation")).text
        wang = await make_account(desk, "wang.fang", "sys_admin")
        await desk.confirm(li, code, as_(wang))
        assert (await ask(client)).status_code == 200
        assert (await client.get("/me")).json()["unconfirmed"] is False
        assert (await client.get("/me/confirmation")).headers["location"] == "/"
        assert (await sign_in(client, "li.wei", "my own long sentence")).status_code == 200


async def test_sessions_idle_out_at_the_door(tmp_path: Path, new_database: Any) -> None:
    async with guarded(new_database("sqlite").url, tmp_path) as house:
        client, desk = house.client, house.host.current.desk
        await make_account(desk, "li.wei", "reader")
        await sign_in(client, "li.wei")
        session = identity_tables.session

        async def age(minutes: float) -> None:
            back = timedelta(minutes=minutes)
            async with house.host.database.write() as connection:
                for row in await connection.fetch(sa.select(session.c.id, session.c.seen_at, session.c.expires_at)):
                    changed = sa.update(session).where(session.c.id == row[0])
                    await connection.execute(changed.values(seen_at=row[1] - back, expires_at=row[2] - back))
            house.app.entrance.gate._known.clear()

        await age(9)
        assert (await ask(client)).status_code == 200  # and this writes that its holder is there
        await age(9)
        assert (await ask(client)).status_code == 200
        await age(10)
        assert code_of(await ask(client)) == "UNAUTHENTICATED"


async def test_without_policies_the_operator_is_let_in_on_this_machine_only(tmp_path: Path, new_database: Any) -> None:
    async with served(new_database("sqlite").url, tmp_path, host="0.0.0.0") as house:
        assert code_of(await ask(house.client)) == "UNAUTHENTICATED"
    async with guarded(new_database("sqlite").url, tmp_path, trust_this_machine=True) as house:
        assert (await house.client.post("/graphql", json={"query": SUPPLIERS})).status_code == 200


async def test_a_token_changes_no_secret_and_becomes_no_session(database: TestDatabase, tmp_path: Path) -> None:
    """Whoever has found a token and knows the password would come in without the code, and stay for longer."""
    async with guarded(database.url, tmp_path) as house:
        client, desk = house.client, house.host.current.desk
        li = await make_account(desk, "li.wei", "buyer")
        secret, _ = await make_token(desk, li)
        own = {"password": PASSWORD, "new": "another long sentence", "pin": "735192"}
        for headers in ({"authorization": f"Bearer {secret}"}, {"cookie": f"clew_session={secret}"}):
            for path in ("/me/password", "/me/pin"):
                answer = await client.post(path, json=own, headers={**headers, **ORIGIN})
                assert (answer.status_code, code_of(answer)) == (403, "TOKEN_NOT_ENOUGH"), path
                assert "set-cookie" not in answer.headers
        async with desk.database.read() as connection:
            kept = await connection.fetch(sa.select(identity_tables.credential.c.pin))
        assert kept == [(None,)]
        assert (await sign_in(client, "li.wei")).status_code == 200


async def test_a_signing_pin_is_set_on_a_page(database: TestDatabase, tmp_path: Path) -> None:
    """What is wrong is said on the page; wrong passwords count; what everybody could guess is no PIN."""
    async with guarded(database.url, tmp_path) as house:
        client, desk = house.client, house.host.current.desk
        await make_account(desk, "li8264", "buyer")
        assert (await client.get("/me/pin")).headers["location"] == "/login"
        await sign_in(client, "li8264")
        assert 'action="/me/pin"' in (await client.get("/me/pin?lang=zh")).text

        async def set_to(pin: str, password: str = PASSWORD, **headers: str) -> httpx2.Response:
            form = {"pin": pin, "password": password}
            return await client.post("/me/pin", data=form, headers={**ORIGIN, **headers})

        for weak in ("12345", "111222", "123456", "987654", "１２３４５７", "8264735", "826473 ", ""):
            refused = await set_to(weak)
            assert (refused.status_code, "role=alert" in refused.text) == (400, True), weak
            assert 'value="' not in refused.text, "what was typed does not come back"
        wrong = await set_to("735192", "not the password")
        assert (wrong.status_code, "role=alert" in wrong.text) == (403, True)
        assert (await client.post("/me/pin", data={"pin": "735192"}, headers=ORIGIN)).status_code != 303
        foreign = await client.post("/me/pin", data={"pin": "735192", "password": PASSWORD})
        assert code_of(foreign) == "FORGED_REQUEST"
        assert (await set_to("735192")).status_code == 303
        for _ in range(5):
            assert "锁定" not in (await set_to("735193", "guess", **ZH)).text
        assert "锁定" in (await set_to("735193", **ZH)).text, "the right one, too late"
