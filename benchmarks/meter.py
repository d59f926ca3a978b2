"""What a server and the database have taken of the processor between two looks."""

from __future__ import annotations

import psutil

from benchmarks import run


class Meter:
    """Processor time of one server, with its worker processes, and of all of PostgreSQL meanwhile."""

    def __init__(self, server: psutil.Process, postmaster: psutil.Process | None) -> None:
        self._server, self._postmaster = server, postmaster
        self._before = run.processor_time(self._working()), run.processor_time(run.behind(postmaster))

    def _working(self) -> list[psutil.Process]:
        return [self._server, *self._server.children(recursive=True)]

    def each(self, count: int) -> tuple[float, float]:
        """Milliseconds for each of so many: server, database."""
        server, database = self._before
        spent = run.spent_since(server, self._working()), run.spent_since(database, run.behind(self._postmaster))
        return spent[0] * 1e3 / count, spent[1] * 1e3 / count
