"""A served project for tests: a real runtime on a real database behind the real application."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from clew.kernel.clock import SystemClock
from clew.metadata.load import load_folder
from clew.records.commands import Call
from clew.runtime import OPERATOR, RuntimeHost, open_runtime
from clew.settings import Settings
from clew.storage.change import install
from clew.storage.open import open_database
from clew.web.app import Application
from clew.web.log import RequestLog

MINI = Path(__file__).parents[1] / "projects" / "mini"
ADDRESS = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class Served:
    host: RuntimeHost
    app: Application
    client: httpx2.AsyncClient

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = await self.client.post("/graphql", json={"query": query, "variables": variables})
        found: dict[str, Any] = answer.json()
        return found

    def call(self) -> Call:
        from clew.kernel.context import Context

        context = Context(OPERATOR, "test-request")
        return Call(context, self.host.current.decide(context))


async def installed(url: str, folder: Path = MINI) -> None:
    loaded = load_folder(folder)
    assert loaded.blueprint is not None, [str(each.place) for each in loaded.diagnostics]
    database = await open_database(url, clock=SystemClock())
    try:
        await install(database, loaded.blueprint)
    finally:
        await database.close()


@asynccontextmanager
async def served(
    url: str, blobs: Path, log: RequestLog | None = None, folder: Path = MINI, **options: Any
) -> AsyncIterator[Served]:
    """A project (mini by default), installed and served in this loop."""
    await installed(url, folder)
    settings = Settings(database_url=url, blobs=blobs, **options)
    host = await open_runtime(settings)
    try:
        app = Application(host, settings, log)
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=ADDRESS) as client:
            yield Served(host, app, client)
    finally:
        await host.close()


def free_port() -> int:
    with socket.socket() as probing:
        probing.bind(("127.0.0.1", 0))
        return int(probing.getsockname()[1])


@contextmanager
def process(*arguments: str, cwd: Path, **environ: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`clew …` as a process of its own; its address once it says it is ready (`--json`)."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLEW_")}
    running = subprocess.Popen(
        [sys.executable, "-c", "from clew.cli import main; main()", *arguments, "--port", "0", "--json"],
        cwd=cwd, env={**environment, **environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert running.stdout is not None
        said = ""
        while not said.endswith("\n}\n"):
            line = running.stdout.readline()
            assert line, f"it stopped: {said} {running.stderr.read() if running.stderr else ''}"
            said += line
        yield running, json.loads(said)["address"]
    finally:
        running.terminate()
        try:
            running.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()


def _started(server: Any) -> Any:
    async def started() -> bool:
        return bool(server.started)

    return started


async def until(check: Any, seconds: float = 20.0) -> Any:
    """Wait until an async check gives something true; its result."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = await check()
        if found:
            return found
        assert asyncio.get_running_loop().time() < deadline, "it never happened"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def listening(house: Served, **options: Any) -> AsyncIterator[int]:
    """The same application behind the real server, with its real protocol classes, on a free port."""
    import uvicorn

    from clew.web.server import bind, configuration

    settings = house.app.entrance.settings.model_copy(update={"port": 0, **options})
    with bind(settings) as bound:
        server = uvicorn.Server(configuration(house.app, settings))
        running = asyncio.create_task(server._serve([bound]))
        await until(_started(server))
        try:
            yield int(bound.getsockname()[1])
        finally:
            server.should_exit = True
            await running
