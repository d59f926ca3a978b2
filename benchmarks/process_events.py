"""What the events of a completion cost: the same completions with nobody listening and with somebody at each of two
subscriptions, in turns. Every event is stored either way; what differs is what the server sends, and to whom."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

LISTENED = {
    "a subscriber to the records": "subscription { checkChanged { id action record { code state } } }",
    "a subscriber to their own work": "subscription { myWorkChanged { tasks { id } } }",
}
NOBODY = "nobody listens"
Round = Callable[[], Awaitable[tuple[float, float, float]]]
"""Completes some tasks: milliseconds of each, of the server's processor and of the database's."""


@dataclass(slots=True)
class Heard:
    """What a subscriber has been sent."""

    events: int = 0
    failed: bytes = b""


@asynccontextmanager
async def listening(port: int, document: str, headers: Mapping[str, str]) -> AsyncIterator[Heard]:
    """Somebody subscribes over server-sent events."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"query": document}).encode()
    asked = {**headers, "Accept": "text/event-stream", "Content-Type": "application/json", "Host": "127.0.0.1"}
    head = "".join(f"{name}: {value}\r\n" for name, value in asked.items())
    writer.write(f"POST /graphql HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    first = await reader.readline()
    if b" 200 " not in first:
        raise SystemExit(f"{document!r} was answered {first!r} {await reader.read(500)!r}")
    heard = Heard()

    async def read() -> None:
        while line := await reader.readline():
            heard.events += line.startswith((b"event: next", b"event:next"))
            if b'"errors"' in line:
                heard.failed = line

    reading = asyncio.create_task(read())
    try:
        yield heard
    finally:
        reading.cancel()
        writer.close()


async def compared(port: int, headers: Mapping[str, str], one: Round, rounds: int) -> dict[str, dict[str, Any]]:
    """Each case in turns: medians, and how many events a subscriber was sent for each completion's round."""
    taken: dict[str, list[tuple[float, float, float]]] = {}
    sent: dict[str, int] = {}
    for turn in range(rounds + 1):
        for case, document in {NOBODY: "", **LISTENED}.items():
            if not document:
                found = await one()
            else:
                async with listening(port, document, headers) as heard:
                    found = await one()
                    await asyncio.sleep(0.5)  # what is still on its way
                if heard.failed or not heard.events:
                    raise SystemExit(f"{case}: {heard.events} events, {heard.failed!r}")
                sent[case] = heard.events
            if turn:  # the first round only warms up
                taken.setdefault(case, []).append(found)
    names = ("ms", "server_ms", "database_ms")
    return {
        case: {**dict(zip(names, map(median, zip(*each, strict=True)), strict=True)), "events": sent.get(case, 0)}
        for case, each in taken.items()
    }


def lines(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    head = "| a completion while | ms | ms of processor: server + database | events sent in a round |"
    rows = [
        f"| {case} | {each['ms']:.2f} | {each['server_ms']:.2f} + {each['database_ms']:.2f} | {each['events'] or ''} |"
        for case, each in found.items()
    ]
    return [head, "|---|---|---|---|", *rows, ""]
