"""Below ASGI, over a real socket: heads that never end, bodies that never come, and memory that stays where it is."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path
from typing import Any

import pytest
from tests.integration.http_case import listening, served

pytestmark = pytest.mark.anyio


async def exchange(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send pieces of a request, then read whatever comes until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_endless_heads_are_cut_off(tmp_path: Path, new_database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clew.web.guard.HEAD_SECONDS", 0.3)
    async with served(new_database("sqlite").url, tmp_path) as house, listening(house) as port:
        large = await exchange(port, b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n", *[b"x-a: " + b"a" * 8000 + b"\r\n"] * 40)
        assert b" 431 " in large or large == b""
        slow = await exchange(port, b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n")
        assert b" 408 " in slow
        silent = await exchange(port, b"")
        assert b" 408 " in silent
        second = await exchange(
            port, b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", b"GET /healthz HTTP/1.1\r\nhost:", pause=0.1
        )
        assert second.startswith(b"HTTP/1.1 200")
        assert b" 408 " in second


async def test_http_limits_on_the_wire(tmp_path: Path, new_database: Any) -> None:
    """Half a gigabyte offered to both doors: refused, and none of it is held in memory."""
    async with served(new_database("sqlite").url, tmp_path, upload_limit=1 << 20) as house, listening(house) as port:
        head = b"POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n"
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for door in (b"/graphql", b"/files"):
            declared = await exchange(port, head % (door, port) + b"content-length: 536870912\r\n\r\n")
            assert b" 413 " in declared
            chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
            chunked = await exchange(port, head % (door, port) + b"transfer-encoding: chunked\r\n\r\n", *[chunk] * 100)
            assert b" 413 " in chunked or chunked == b""
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 200_000, "KiB"
