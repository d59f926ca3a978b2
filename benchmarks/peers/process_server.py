"""Clew as it is served, one process: python -m benchmarks.peers.process_server PORT"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import uvicorn
import uvloop

from clew.kernel.collector import starting
from clew.runtime import open_runtime
from clew.settings import Settings
from clew.web.app import Application
from clew.web.server import bind, configuration


async def main(port: int, folder: Path) -> None:
    url = os.environ["BENCH_DATABASE_URL"]
    settings = Settings(database_url=url, port=port, project=folder, blobs=folder)
    listening = bind(settings)
    with starting():
        application = Application(await open_runtime(settings), settings)
    await uvicorn.Server(configuration(application, settings)).serve(sockets=[listening])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as made:
        uvloop.run(main(int(sys.argv[1]), Path(made)))
