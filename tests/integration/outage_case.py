"""A PostgreSQL server of one's own, that a test may stop and start."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from clew.testing.databases import PostgresServer, embedded_postgres
from clew.testing.plugin import in_memory


class Switched(PostgresServer):
    """The server. Its address stays the same."""

    def __init__(self, embedded: Any) -> None:
        super().__init__(embedded.get_uri())
        self._embedded = embedded

    def stop(self, how: Literal["fast", "immediate"] = "fast") -> None:
        """`fast` ends the connections in order, `immediate` is a crash."""
        program = self._embedded.bin_path / "pg_ctl"
        options = "-w", "-D", str(self._embedded.pgdata), "-m", how, "stop"
        subprocess.run([program, *options], check=True, capture_output=True, user=self._embedded.system_user)

    def start_again(self) -> None:
        with self._embedded._lock:
            self._embedded.ensure_postgres_running()

    def say(self, sql: str) -> None:
        """As its owner, on a connection of its own."""
        self._admin(sql)


@contextmanager
def switched() -> Iterator[Switched]:
    """A server that runs, and is gone after the block."""
    embedded = embedded_postgres(Path(tempfile.mkdtemp(prefix="clew-outage-", dir=in_memory())), "delete")
    try:
        yield Switched(embedded)
    finally:
        embedded.cleanup()
