"""A process that seals and nothing else, until somebody kills it.

usage: sealer_victim.py DATABASE_URL
"""

from __future__ import annotations

import asyncio
import sys

from clew.audit.sealing import log
from clew.kernel.clock import SystemClock
from clew.storage.open import open_database

SMALL = 3
"""Leaves of one batch, so that there are many moments between two commits."""


async def main(url: str) -> None:
    database = await open_database(url, clock=SystemClock())
    print("sealing", flush=True)
    while True:
        await log.seal_all(database, SMALL)
        await asyncio.sleep(0.001)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
