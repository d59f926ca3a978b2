"""What the session check costs: the same read through the whole application with it and without it.

    python -m benchmarks.session [--seconds 3] [--rounds 5] [postgresql://…]

Prints ratios only, of requests in turns: nobody signed in (a project without policies on loopback), a session checked
inside the read's own statement (what the product does), and a session looked up before each read (what it does not do).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

from starlette.types import Message

from benchmarks.peers.clew_server import SECRET, install
from clew.runtime import RuntimeHost, open_runtime
from clew.settings import Settings
from clew.testing.databases import PostgresServer
from clew.web.app import Application

QUERY = "query($no: String!) { lots(where: {lotNo: {eq: $no}}, first: 1) { nodes { id lotNo state qty } } }"
BODY = json.dumps({"query": QUERY, "variables": {"no": "L-1"}}).encode()
AT_ONCE = 8
Ask = Callable[[], Awaitable[None]]


def asking(application: Application, *headers: tuple[bytes, bytes]) -> Ask:
    """One request straight into the application, without a socket."""
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "query_string": b"",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), *headers],
    }

    async def ask() -> None:
        status = 0

        async def receive() -> Message:
            return {"type": "http.request", "body": BODY}

        async def send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)

        await application(scope, receive, send)
        assert status == 200, status

    return ask


async def rate(ask: Ask, seconds: float) -> float:
    """Requests a second, several at once."""
    stop, done = time.perf_counter() + seconds, 0

    async def work() -> None:
        nonlocal done
        while time.perf_counter() < stop:
            await ask()
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return done / (time.perf_counter() - began)


async def measure(host: RuntimeHost, seconds: float, rounds: int) -> dict[str, float]:
    """The median over the rounds of each way's rate against the one without a session."""
    settings = host.settings
    plain, checked, looked = (Application(host, settings) for _ in range(3))
    bearer = (b"authorization", f"Bearer {SECRET}".encode())
    gate = looked.entrance.gate
    remembered = gate.caller

    async def always(*given: Any, fresh: bool = False) -> Any:
        return await remembered(*given, fresh=True)

    gate.caller = always  # type: ignore[method-assign,assignment]
    ways = {
        "without": asking(plain),
        "checked in the statement": asking(checked, bearer),
        "looked up first": asking(looked, bearer),
    }
    for ask in ways.values():
        await rate(ask, 0.5)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        turn = {name: await rate(ask, seconds) for name, ask in ways.items()}
        for name, each in turn.items():
            found[name].append(each / turn["without"])
    return {name: median(each) for name, each in found.items()}


async def run(url: str, seconds: float, rounds: int) -> dict[str, float]:
    await install(url)
    with tempfile.TemporaryDirectory() as folder:
        host = await open_runtime(Settings(database_url=url, project=Path(folder), blobs=Path(folder)))
        try:
            return await measure(host, seconds, rounds)
        finally:
            await host.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as folder:
        server = given.url or PostgresServer.start(Path(folder) / "pg").create()
        for name, url in (("postgresql", server), ("sqlite", f"sqlite:///{folder}/clew.db")):
            found = asyncio.run(run(url, given.seconds, given.rounds))
            print(f"{name}: " + ", ".join(f"{way} {each:.2f} ×" for way, each in found.items()))


if __name__ == "__main__":
    main()
