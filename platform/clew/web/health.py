"""What a supervisor asks: alive, ready, and the figures."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from clew.audit.errors import AuditKeyUnreadable
from clew.audit.sealing import outside
from clew.audit.sealing.keys import configured_key
from clew.identity.errors import Unauthenticated
from clew.identity.secrets import same
from clew.kernel.errors import ClewError
from clew.kernel.scalars import instant_text
from clew.settings import Settings
from clew.storage import health, releases
from clew.web.entrance import Entrance
from clew.web.gate import address_of
from clew.web.requests import headers_of

READY_SECONDS = 2.0
DRIFT_SECONDS = 5.0
"""How far this server's clock and the database's may be apart before whoever watches is told."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via")


class Health:
    """Handlers of `/healthz`, `/readyz` and `/metrics`."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    async def alive(self, request: Request) -> Response:
        """The process runs its loop. Says nothing about the database, so that a database outage restarts nobody."""
        return JSONResponse({"status": "alive"})

    async def ready(self, request: Request) -> Response:
        """The database answers and a release is being served. 503 otherwise."""
        host = self._entrance.host
        found: dict[str, Any] = {"release": host.current.number, "node": host.node}
        if host.trouble is not None:
            trouble = host.trouble
            found["newerReleaseRefused"] = trouble.code if isinstance(trouble, ClewError) else type(trouble).__name__
        try:
            async with asyncio.timeout(READY_SECONDS), host.database.read() as connection:
                await releases.current_number(connection)
                ahead = (await health.clock_ahead(connection, host.clock.now())).total_seconds()
                failing = [each for each in await outside.deliveries(connection) if each.failing_since is not None]
        except (ClewError, TimeoutError, OSError) as problem:
            code = problem.code if isinstance(problem, ClewError) else "UNAVAILABLE"
            return JSONResponse({"status": "unready", "code": code, **found}, status_code=503)
        if failing:
            # Writes go on; whoever watches the platform must know that the trail's checkpoints do not leave it.
            found["checkpointsNotDelivered"] = [
                {"place": each.place, "since": instant_text(each.failing_since)}
                for each in failing
                if each.failing_since is not None
            ]
        if abs(ahead) > DRIFT_SECONDS:
            # The trail and histories use the database's time; a server that is off counts limits and tokens wrongly.
            found["databaseClockAheadSeconds"] = round(ahead, 1)
        if (unsigned := _unsigned(host.settings)) is not None:
            found["checkpointsNotSigned"] = unsigned
        return JSONResponse({"status": "ready", **found})

    async def metrics(self, request: Request) -> Response:
        """Figures tell a stranger how busy we are and what goes wrong. Raises Unauthenticated."""
        headers, wanted = headers_of(request.scope), self._entrance.settings.metrics_token
        if wanted:
            given = headers.get(b"authorization", b"").decode("latin-1")
            allowed = same(given, f"Bearer {wanted}")
        else:
            # A proxy on this machine speaks for anybody.
            near = address_of(request.scope) in LOOPBACK and request.url.hostname in LOOPBACK
            allowed = near and not any(name in headers for name in FORWARDED)
        if not allowed:
            raise Unauthenticated
        body, content_type = self._entrance.metrics.text()
        return Response(body, media_type=content_type)


def _unsigned(settings: Settings) -> str | None:
    """Why the trail's checkpoints cannot be signed; the log says it once, here it stands for as long as it is so. While
    developing a missing key is made by whoever signs first."""
    if not settings.production:
        return None
    try:
        configured_key(settings)
    except ClewError as problem:
        return problem.code
    except OSError:
        return AuditKeyUnreadable.code
    return None
