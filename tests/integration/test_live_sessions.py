"""Sessions of what lives long and of many servers: sockets and streams end with them, no node remembers too much."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.integration.guarded_case import (
    INSTALLER,
    SUPPLIERS,
    ask,
    code_of,
    guarded,
    guarded_project,
    make_account,
    make_token,
    sign_in,
)
from tests.integration.http_case import installed, listening, process
from tests.integration.identity_case import PASSWORD
from tests.integration.test_subscriptions import CHANGES, closed, following, hear, say, socket
from websockets.exceptions import InvalidStatus

from clew.identity import accounts, tokens
from clew.identity.assignments import Asked
from clew.runtime import open_runtime
from clew.settings import Settings
from clew.testing import TestDatabase
from clew.testing.plugin import Tier

pytestmark = pytest.mark.anyio


async def test_ws_auth_of_sessions(database: TestDatabase, tmp_path: Path) -> None:
    """A socket needs a session when it opens and is closed when that ends or its holder's rights change mid-stream."""
    async with guarded(database.url, tmp_path) as house, listening(house) as port:
        desk, client = house.host.current.desk, house.client
        await make_account(desk, "li.wei", "reader")
        for headers in ({"cookie": "clew_session=nonsense"}, {"authorization": "Bearer nonsense"}):
            with pytest.raises(InvalidStatus):
                async with socket(port, init=False, **headers):
                    pass
        async with socket(port, init=False) as ws:  # nobody yet: who they are must come with the introduction
            await say(ws, type="connection_init")
            assert await closed(ws) == 4403
        async with socket(port, init=False) as ws:
            await say(ws, type="connection_init", payload={"authorization": "Bearer nonsense"})
            assert await closed(ws) == 4403
        with pytest.raises(InvalidStatus):  # another site's page, with our cookie
            async with socket(port, init=False, origin="http://evil.example", cookie="clew_session=x"):
                pass

        await sign_in(client, "li.wei")
        own = {"cookie": f"clew_session={client.cookies['clew_session']}", "origin": f"http://127.0.0.1:{port}"}
        async with socket(port, **own) as ws:
            await say(ws, type="subscribe", id="1", payload={"query": CHANGES})
            await following(house)
            await client.post("/logout", headers={"origin": "http://127.0.0.1:8000"})
            assert await closed(ws) == 1012

        feed = await make_account(desk, "erp.feed", "feed", kind="service", password="")
        secret, token = await make_token(desk, feed)
        async with socket(port, init=False) as ws:
            await say(ws, type="connection_init", payload={"authorization": f"Bearer {secret}"})
            assert await hear(ws) == {"type": "connection_ack"}
            await say(ws, type="subscribe", id="q", payload={"query": SUPPLIERS})
            assert (await hear(ws))["payload"] == {"data": {"suppliers": {"totalCount": 0}}}
            await hear(ws)
            await say(ws, type="subscribe", id="1", payload={"query": CHANGES})
            await following(house)
            await desk.within(lambda connection, at: tokens.revoke(connection, desk.witness, INSTALLER, token, at))
            assert await closed(ws) == 1012

        secret, _ = await make_token(desk, feed)
        async with socket(port, authorization=f"Bearer {secret}") as ws:
            await say(ws, type="subscribe", id="1", payload={"query": CHANGES})
            await following(house)
            [held] = await desk.within(lambda connection, at: desk.assignments.of(connection, feed.id))
            await desk.within(lambda connection, at: desk.assignments.end(connection, INSTALLER, held.id, at, "gone"))
            assert await closed(ws) == 1012


async def test_a_stream_ends_with_its_session(tmp_path: Path, new_database: Any) -> None:
    async with guarded(new_database("sqlite").url, tmp_path) as house, listening(house) as port:
        desk = house.host.current.desk
        feed = await make_account(desk, "erp.feed", "feed", kind="service", password="")
        secret, token = await make_token(desk, feed)
        headers = {"accept": "text/event-stream", "authorization": f"Bearer {secret}"}
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            async with client.stream("POST", "/graphql", json={"query": CHANGES}, headers=headers) as stream:
                assert stream.status_code == 200
                await following(house)
                await desk.within(lambda connection, at: tokens.revoke(connection, desk.witness, INSTALLER, token, at))
                async with asyncio.timeout(30):  # a stream that goes on would be followed for ever
                    assert [line async for line in stream.aiter_lines() if "data" in line] == []
            assert (await client.post("/graphql", json={"query": CHANGES}, headers=headers)).status_code == 401


async def test_revocation_all_workers(database: TestDatabase, tmp_path: Path, tier: Tier) -> None:
    """Several server processes on one database: each knows the session, and the next request after a revocation is
    refused by every one of them; a role that is given or taken is seen by each at once."""
    project = guarded_project(tmp_path / "guarded")
    await installed(database.url, project)
    host = await open_runtime(Settings(database_url=database.url, project=project, blobs=tmp_path / "blobs"))
    environ = {"CLEW_DATABASE_URL": database.url, "CLEW_BLOBS": str(tmp_path / "blobs")}
    try:
        desk = host.current.desk
        li = await make_account(desk, "li.wei", "reader")
        async with AsyncExitStack() as stack:
            clients = []
            for _ in range(tier.count(2, 4)):
                _, address = stack.enter_context(process("serve", cwd=project, **environ))
                made = httpx2.AsyncClient(base_url=address, timeout=30, headers={"origin": address})
                clients.append(await stack.enter_async_context(made))
            body = {"login": "li.wei", "password": PASSWORD}
            entered = await clients[0].post("/login", json=body)
            cookie = {"cookie": f"clew_session={entered.cookies['clew_session']}"}

            async def each(path: str) -> list[Any]:
                if path == "/me":
                    return [(await client.get("/me", headers=cookie)).json().get("roles") for client in clients]
                return [
                    (await client.post("/graphql", json={"query": SUPPLIERS}, headers=cookie)).status_code
                    for client in clients
                ]

            async def creates() -> list[Any]:
                """The code of each node's refusal, None where it was done."""
                query = {"query": 'mutation { createSupplier(input: {name: "Apex"}) { created } }'}
                found = [(await client.post("/graphql", json=query, headers=cookie)).json() for client in clients]
                return [each["errors"][0]["extensions"]["code"] if "errors" in each else None for each in found]

            for _ in range(2):  # the second time each answers from what it remembers
                assert set(await each("/graphql")) == {200}
            asked = Asked(li.id, "buyer", desk.clock.now())
            given = await desk.within(lambda connection, at: desk.assignments.assign(connection, INSTALLER, asked, at))
            assert await each("/me") == [["buyer", "reader"]] * len(clients)
            assert await creates() == [None] * len(clients)
            await desk.within(lambda connection, at: desk.assignments.end(connection, INSTALLER, given.id, at, "x"))
            # Each node remembers the role: none of them allows what it gave.
            assert await creates() == ["GRAPHQL_INVALID"] * len(clients)
            assert await each("/me") == [["reader"]] * len(clients)
            assert set(await each("/graphql")) == {200}
            await desk.within(lambda connection, at: accounts.disable(connection, desk.witness, INSTALLER, li, at, "x"))
            assert set(await each("/graphql")) == {401}
            await desk.within(lambda connection, at: accounts.enable(connection, desk.witness, INSTALLER, li, "back"))
            assert set(await each("/graphql")) == {401}  # what was ended stays ended

            # Signed in at one node, signed out at another.
            entered = await clients[-1].post("/login", json=body)
            assert entered.status_code == 200, entered.text
            cookie = {"cookie": f"clew_session={entered.cookies['clew_session']}"}
            assert set(await each("/graphql")) == {200}
            assert (await clients[0].post("/logout", headers=cookie)).status_code == 204
            assert set(await each("/graphql")) == {401}
    finally:
        await host.close()


async def test_parallel_requests_of_one_session_are_not_in_each_others_way(tmp_path: Path, new_database: Any) -> None:
    async with guarded(new_database("postgresql").url, tmp_path) as house:
        await make_account(house.host.current.desk, "li.wei", "buyer")
        await sign_in(house.client, "li.wei")
        house.app.entrance.gate._known.clear()
        create = 'mutation { createSupplier(input: {name: "Apex"}) { created } }'
        found = await asyncio.gather(*(ask(house.client, create if at % 2 else SUPPLIERS) for at in range(20)))
        assert {each.status_code for each in found} == {200}
        assert all("errors" not in each.json() for each in found), [code_of(e) for e in found if "errors" in e.json()]
