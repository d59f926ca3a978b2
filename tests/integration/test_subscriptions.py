"""Live changes over WebSocket and SSE: seen by those who may, read through the same read path."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.integration.http_case import Served, listening, served
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from clew.records import verbs
from clew.testing import TestDatabase

pytestmark = pytest.mark.anyio

PROTOCOL = "graphql-transport-ws"
CHANGES = "subscription($w: SupplierWhere) { supplierChanged(where: $w) { action rowVersion record { name state } } }"


@asynccontextmanager
async def socket(port: int, *, init: bool = True, **headers: str) -> AsyncIterator[ClientConnection]:
    address = f"ws://127.0.0.1:{port}/graphql"
    async with connect(address, subprotocols=[PROTOCOL], additional_headers=headers) as open_socket:  # type: ignore[list-item]
        if init:
            await say(open_socket, type="connection_init")
            assert await hear(open_socket) == {"type": "connection_ack"}
        yield open_socket


async def say(open_socket: ClientConnection, **message: Any) -> None:
    await open_socket.send(json.dumps(message))


async def hear(open_socket: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await asyncio.wait_for(open_socket.recv(), 15))
    return found


async def closed(open_socket: ClientConnection) -> int | None:
    try:
        while True:
            await asyncio.wait_for(open_socket.recv(), 15)
    except ConnectionClosed:
        return open_socket.close_code


async def supplier(house: Served, name: str) -> Any:
    return await house.host.current.commands.create(house.call(), "supplier", {"name": name})


async def following(house: Served, count: int = 1) -> None:
    """Until the process follows the outbox for so many subscribers."""
    for _ in range(1000):
        if len(house.host.feed.listeners) >= count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody listens")


async def test_a_change_reaches_its_subscribers_and_only_them(database: TestDatabase, tmp_path: Path) -> None:
    async with served(database.url, tmp_path) as house, listening(house) as port, socket(port) as ws:
        await say(ws, type="subscribe", id="all", payload={"query": CHANGES})
        wanted = {"name": {"startsWith": "B"}}
        await say(ws, type="subscribe", id="b", payload={"query": CHANGES, "variables": {"w": wanted}})
        await following(house, 2)
        await supplier(house, "Apex")
        first = await hear(ws)
        assert first["id"] == "all"
        record = {"name": "Apex", "state": first["payload"]["data"]["supplierChanged"]["record"]["state"]}
        assert first["payload"] == {
            "data": {"supplierChanged": {"action": "create", "rowVersion": 1, "record": record}}
        }
        made = await supplier(house, "Beta")
        both = [await hear(ws), await hear(ws)]
        assert {each["id"] for each in both} == {"all", "b"}
        await house.host.current.commands.update(house.call(), "supplier", made.id, 1, {"name": "Boron"})
        again = [await hear(ws), await hear(ws)]
        assert {each["payload"]["data"]["supplierChanged"]["record"]["name"] for each in again} == {"Boron"}
        assert {each["payload"]["data"]["supplierChanged"]["rowVersion"] for each in again} == {2}


async def test_one_record_can_be_followed(tmp_path: Path, new_database: Any) -> None:
    async with served(new_database("sqlite").url, tmp_path) as house, listening(house) as port, socket(port) as ws:
        one, other = await supplier(house, "One"), await supplier(house, "Other")
        query = f'subscription {{ supplierChanged(id: "{one.id}") {{ __typename id a: record {{ name }} }} }}'
        await say(ws, type="subscribe", id="1", payload={"query": query})
        await following(house)
        commands = house.host.current.commands
        await commands.update(house.call(), "supplier", other.id, 1, {"name": "Unheard"})
        await commands.update(house.call(), "supplier", one.id, 1, {"name": "Heard"})
        heard = (await hear(ws))["payload"]["data"]["supplierChanged"]
        assert heard == {"__typename": "SupplierChange", "id": str(one.id), "a": {"name": "Heard"}}


async def test_queries_and_errors_over_the_socket(tmp_path: Path, new_database: Any) -> None:
    async with served(new_database("sqlite").url, tmp_path) as house, listening(house) as port, socket(port) as ws:
        await say(ws, type="ping")
        assert await hear(ws) == {"type": "pong"}
        await say(ws, type="subscribe", id="q", payload={"query": "{ suppliers { totalCount } }"})
        assert (await hear(ws))["payload"] == {"data": {"suppliers": {"totalCount": 0}}}
        assert await hear(ws) == {"type": "complete", "id": "q"}
        await say(ws, type="subscribe", id="e", payload={"query": "{ nothing }"})
        refused = await hear(ws)
        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "GRAPHQL_INVALID")
        await say(ws, type="subscribe", id="s", payload={"query": CHANGES})
        await following(house)
        await say(ws, type="complete", id="s")
        await say(ws, type="subscribe", id="s", payload={"query": CHANGES})
        await following(house)


async def test_an_answer_crosses_the_socket_byte_for_byte(tmp_path: Path, new_database: Any) -> None:
    """The text the database wrote is spliced into the message; an introduction may carry anything or null."""
    async with served(new_database("sqlite").url, tmp_path) as house, listening(house) as port:
        await supplier(house, 'Quote " and 中文')
        query = "{ suppliers { nodes { name } } }"
        answer = await house.client.post("/graphql", json={"query": query})
        async with socket(port, init=False) as ws:
            await say(ws, type="connection_init", payload=None)
            assert await hear(ws) == {"type": "connection_ack"}
            await say(ws, type="subscribe", id="1", payload={"query": query, "extensions": {"any": 1}})
            assert await ws.recv() == f'{{"id":"1","type":"next","payload":{answer.text}}}'


async def test_ws_auth(tmp_path: Path, new_database: Any) -> None:
    """Who does not introduce itself, or asks for too much, is closed."""
    options = {"socket_init_timeout": 0.3, "socket_subscriptions": 5, "socket_connections": 3}
    async with served(new_database("sqlite").url, tmp_path, **options) as house, listening(house) as port:
        async with socket(port, init=False) as ws:
            await say(ws, type="subscribe", id="1", payload={"query": CHANGES})
            assert await closed(ws) == 4401
        async with socket(port, init=False) as ws:
            assert await closed(ws) == 4408
        async with socket(port) as ws:
            await say(ws, type="connection_init")
            assert await closed(ws) == 4429
        async with socket(port) as ws:
            await say(ws, type="subscribe", id="1", payload={"query": CHANGES})
            await say(ws, type="subscribe", id="1", payload={"query": CHANGES})
            assert await closed(ws) == 4409
        async with socket(port) as ws:
            for name in range(6):
                await say(ws, type="subscribe", id=str(name), payload={"query": CHANGES})
            assert await closed(ws) == 4429
        async with socket(port) as ws:
            await ws.send("{nonsense")
            assert await closed(ws) == 4400
        async with socket(port) as ws:
            await ws.send(b"\x00\x01")
            assert await closed(ws) == 4400
        for odd in ("[]", "5", '{"id": "1"}', '{"type": "shout"}', '{"type": "subscribe", "id": 5, "payload": {}}'):
            async with socket(port) as ws:
                await ws.send(odd)
                assert await closed(ws) == 4400, odd
        for payload in ({}, {"query": 5}, {"query": "{ node }", "variables": "x"}):
            async with socket(port) as ws:
                await say(ws, type="subscribe", id="1", payload=payload)
                assert await closed(ws) == 4400, payload
        for _ in range(500):
            if not house.host.feed.listeners:
                break
            await asyncio.sleep(0.01)
        assert not house.host.feed.listeners, "a closed socket leaves nothing behind"
        with pytest.raises(Exception, match="HTTP 403"):
            async with socket(port, init=False, Origin="https://evil.example"):
                pass
        async with socket(port), socket(port), socket(port):
            with pytest.raises(Exception, match="HTTP 403"):
                async with socket(port, init=False):
                    pass


async def test_changes_stream_over_sse(database: TestDatabase, tmp_path: Path) -> None:
    async with served(database.url, tmp_path) as house, listening(house) as port:
        headers = {"accept": "text/event-stream"}
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=15) as client:
            async with client.stream("POST", "/graphql", json={"query": CHANGES}, headers=headers) as stream:
                assert stream.headers["content-type"].startswith("text/event-stream")
                await following(house)
                await supplier(house, "Apex")
                lines = stream.aiter_lines()
                assert await anext(lines) == "event: next"
                data = json.loads((await anext(lines)).removeprefix("data: "))
                assert data["data"]["supplierChanged"]["record"]["name"] == "Apex"
            for _ in range(500):
                if not house.host.feed.listeners:
                    break
                await asyncio.sleep(0.01)
            assert not house.host.feed.listeners
            whole = await client.post("/graphql", json={"query": "{ nothing }"}, headers=headers)
            assert whole.text.startswith('event: next\ndata: {"errors":')
            assert whole.text.endswith("event: complete\ndata:\n\n")


async def test_late_commits_are_not_missed(new_database: Any, tmp_path: Path) -> None:
    """A transaction that began first and commits last is told too, once."""
    async with served(new_database("postgresql").url, tmp_path) as house:
        commands, feed = house.host.current.commands, house.host.feed
        async with feed.listen("supplier") as listener:
            release = asyncio.Event()
            begun = asyncio.Event()

            async def slow(unit: Any) -> Any:
                made = await verbs.create(unit, "supplier", {"name": "Late"})
                begun.set()
                await release.wait()
                await unit.flush()
                return made

            late = asyncio.create_task(commands.run(house.call(), slow))
            await begun.wait()
            early = await supplier(house, "Early")
            assert (await asyncio.wait_for(listener.next(), 15)).record_id == early.id
            release.set()
            made = await late
            assert (await asyncio.wait_for(listener.next(), 15)).record_id == made["id"]


async def test_the_next_release_ends_live_connections_so_that_they_come_back(tmp_path: Path, new_database: Any) -> None:
    async with served(new_database("sqlite").url, tmp_path) as house, listening(house) as port, socket(port) as ws:
        await say(ws, type="subscribe", id="1", payload={"query": CHANGES})
        await following(house)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=15) as client:
            body, headers = {"query": CHANGES}, {"accept": "text/event-stream"}
            async with client.stream("POST", "/graphql", json=body, headers=headers) as stream:
                await following(house, 2)
                house.app.entrance.serves(house.host.current)
                assert await closed(ws) == 1012
                assert "complete" not in "".join([text async for text in stream.aiter_text()])
        async with socket(port) as again:
            await say(again, type="subscribe", id="1", payload={"query": "{ suppliers { totalCount } }"})
            assert (await hear(again))["type"] == "next"
