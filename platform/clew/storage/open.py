"""Opening a database by its address."""

from __future__ import annotations

from urllib.parse import unquote

from clew.kernel.clock import Clock
from clew.storage.dialects import StatementCache
from clew.storage.engine import Database
from clew.storage.errors import UnknownDatabaseUrl
from clew.storage.postgres_engine import open_postgres
from clew.storage.sqlite_engine import SqliteDatabase


async def open_database(
    url: str,
    *,
    clock: Clock,
    connections: int = 16,
    statement_timeout: float = 30.0,
    statements: StatementCache | None = None,
) -> Database:
    """Open `sqlite:///file.db` (`sqlite:////absolute.db`), `sqlite://` (temporary) or `postgresql://…`.

    `connections` bounds the pool (readers on SQLite); `statement_timeout` is in seconds, 0 for none;
    `statements` is the cache of an earlier SQLite database of the same tables.
    Raises UnknownDatabaseUrl or DatabaseUnreachable.
    """
    if url.startswith(("postgresql://", "postgres://")):
        return await open_postgres(url, size=connections, limit=statement_timeout)
    if url == "sqlite://" or url.startswith("sqlite:///"):
        path = unquote(url[len("sqlite:///") :])
        return await SqliteDatabase(
            path, url, clock, readers=max(1, min(connections, 4)), timeout=statement_timeout, statements=statements
        ).open()
    raise UnknownDatabaseUrl(url=url.partition("@")[2] or url)
