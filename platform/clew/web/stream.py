"""GraphQL over server-sent events, distinct connections mode: one request, one stream, one operation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

from starlette.types import Receive, Send

from clew.api.exchange import Answer
from clew.web.requests import HARDENING

HEARTBEAT_SECONDS = 12.0
"""A comment this often keeps proxies from closing a quiet stream."""


async def stream_events(
    source: AsyncGenerator[Answer, None],
    receive: Receive,
    send: Send,
    ending: asyncio.Event,
    request_id: str,
    apology: Callable[[Exception], bytes],
    more: tuple[tuple[bytes, bytes], ...] = (),
) -> None:
    """Send every answer as a `next` event, then `complete`; stop when the client goes away.

    `ending` stops it from our side, without `complete`: the client then comes back. `apology` makes the error body for
    a failure of the source: the stream has begun, so its status stays 200.
    """
    headers = [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"x-request-id", request_id.encode("ascii")),
        *HARDENING,
        *more,
    ]
    start: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": headers}
    await send(start)
    gone = asyncio.ensure_future(_gone(receive, ending))
    upcoming: asyncio.Future[Answer | None] | None = None
    try:
        while not gone.done():
            if upcoming is None:
                upcoming = asyncio.ensure_future(_next(source))
            await asyncio.wait((upcoming, gone), timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not upcoming.done():
                await _write(send, b":\n\n")
                continue
            done, upcoming = upcoming, None
            problem = done.exception()
            if isinstance(problem, Exception):
                await _write(send, _event(apology(problem)))
            answer = None if problem else done.result()
            if answer is None:
                await _write(send, b"event: complete\ndata:\n\n", last=True)
                return
            await _write(send, _event(answer.body))
        await _write(send, b"", last=True)
    finally:
        for task in (gone, upcoming):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task
        await source.aclose()


def _event(body: bytes) -> bytes:
    # A JSON text has no raw line break inside strings; one between tokens may become a space.
    return b"event: next\ndata: " + body.replace(b"\n", b" ") + b"\n\n"


async def _next(source: AsyncGenerator[Answer, None]) -> Answer | None:
    return await anext(source, None)


async def _gone(receive: Receive, ending: asyncio.Event) -> None:
    tasks = [asyncio.ensure_future(_disconnected(receive)), asyncio.ensure_future(ending.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _write(send: Send, data: bytes, last: bool = False) -> None:
    message: dict[str, Any] = {"type": "http.response.body", "body": data, "more_body": not last}
    await send(message)
