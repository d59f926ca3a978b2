"""Servers that are processes of their own and may be killed at any moment.

`Nursery` starts one process that has imported the platform; for each server that is asked for it forks, so that the
five hundredth costs no more than opening the database. usage as a program: forked_servers.py URL FOLDER, then a line on
its standard input for each server; it answers with pid and port.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from clew.runtime import open_runtime
from clew.settings import Settings
from clew.web.app import Application
from clew.web.server import bind, configuration


@dataclass(slots=True)
class Forked:
    """A server that runs."""

    pid: int
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """SIGKILL: nothing is said, nothing is put in order."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class Nursery:
    """Where servers come from."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._started: list[Forked] = []

    async def server(self) -> Forked:
        """A new server, once it listens."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"start\n")
        line = await self._process.stdout.readline()
        assert line, "no server came"
        pid, port = line.split()
        self._started.append(Forked(int(pid), int(port)))
        return self._started[-1]

    async def close(self) -> None:
        for each in self._started:
            each.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


@asynccontextmanager
async def nursery(url: str, folder: Path) -> AsyncIterator[Nursery]:
    """Servers of one database. They are gone when the block ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__)), url, str(folder),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "COVERAGE_PROCESS_START": ""},
    )  # fmt: skip
    made = Nursery(process)
    try:
        yield made
    finally:
        await made.close()


async def _serve(settings: Settings) -> None:
    host = await open_runtime(settings)
    with bind(settings) as listening:
        application = Application(host, settings)
        # It is announced when the socket listens: whoever comes now waits at worst until the first answer.
        listening.listen(128)
        os.write(1, f"{os.getpid()} {listening.getsockname()[1]}\n".encode())
        await uvicorn.Server(configuration(application, settings)).serve(sockets=[listening])


def _nurse(settings: Settings) -> None:
    # Children that are killed are nobody's to wait for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in sys.stdin:
        if os.fork() == 0:
            try:
                os.close(0)
                asyncio.run(_serve(settings))
            finally:
                os._exit(1)


if __name__ == "__main__":
    _folder = Path(sys.argv[2])
    _nurse(Settings(database_url=sys.argv[1], project=_folder, blobs=_folder, port=0, release_poll=0.2))
