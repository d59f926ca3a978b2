"""Clew as it is served: python -m benchmarks.peers.process_server PORT [WORKERS]"""

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
from clew.web.server import bind, configuration, serve_workers


def settings_of(port: int, folder: Path, workers: int) -> Settings:
    url = os.environ["BENCH_DATABASE_URL"]
    return Settings(database_url=url, port=port, project=folder, blobs=folder, workers=workers)


async def main(settings: Settings) -> None:
    listening = bind(settings)
    with starting():
        application = Application(await open_runtime(settings), settings)
    await uvicorn.Server(configuration(application, settings)).serve(sockets=[listening])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as made:
        asked = settings_of(int(sys.argv[1]), Path(made), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
        if asked.workers > 1:
            serve_workers(asked, bind(asked))
        else:
            uvloop.run(main(asked))
