"""What all doors share: who is let in, who the caller is, what is counted and written down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from starlette.types import Scope

from clew.api.exchange import Caller
from clew.identity import sessions
from clew.kernel.context import Context
from clew.kernel.errors import ClewError
from clew.runtime import Runtime, RuntimeHost
from clew.settings import Settings
from clew.web.errors import TooManyConnections, error_body
from clew.web.gate import Gate
from clew.web.log import RequestLog
from clew.web.metrics import Metrics
from clew.web.requests import Doorkeeper, Headers, RequestIds, language_of

WATCH_SECONDS = 2.0
"""How often sessions of live connections are looked at."""
Watch = Callable[[Context], None]

LiveKind = Literal["sse", "websocket"]


class Entrance:
    """One per server process."""

    def __init__(self, host: RuntimeHost, settings: Settings, metrics: Metrics, log: RequestLog) -> None:
        self.host = host
        self.settings = settings
        self.metrics = metrics
        self.log = log
        self.doorkeeper = Doorkeeper(settings)
        self.request_id = RequestIds().of
        self._origins = frozenset(origin.encode("latin-1") for origin in settings.origins)
        self.gate = Gate(settings)
        self._live: dict[object, Callable[[], None]] = {}
        self._watched: dict[object, tuple[str, int, Callable[[], None]]] = {}
        self._watching: asyncio.Task[None] | None = None

    async def caller(
        self, runtime: Runtime, scope: Scope, headers: Headers, request_id: str, *, fresh: bool = False
    ) -> Caller:
        """Who asks; see `web.gate`. Raises Unauthenticated, SessionEnded, ForgedRequest, PasswordExpired."""
        return await self.gate.caller(runtime, scope, headers, request_id, fresh=fresh)

    @contextmanager
    def live(self, kind: LiveKind, end: Callable[[], None]) -> Iterator[Watch]:
        """Count a live connection. `end` asks it to stop, so that its client comes back: to the next release, or to be
        judged again when the session it told us to watch does not hold any more.

        Raises TooManyConnections.
        """
        if len(self._live) >= self.settings.socket_connections:
            raise TooManyConnections
        place = object()
        self._live[place] = end

        def watch(context: Context) -> None:
            if context.session is not None:
                self._watched[place] = (context.session, context.epoch, end)
                if self._watching is None or self._watching.done():
                    self._watching = asyncio.create_task(self._watch_sessions())

        gauge = self.metrics.live.labels(kind)
        gauge.inc()
        try:
            yield watch
        finally:
            del self._live[place]
            self._watched.pop(place, None)
            gauge.dec()

    async def _watch_sessions(self) -> None:
        """Look at the sessions of live connections while there are any, and end those that do not hold (threat 14)."""
        while self._watched:
            await asyncio.sleep(WATCH_SECONDS)
            watched = dict(self._watched)
            try:
                async with self.host.database.read() as connection:
                    ids = sorted({session for session, _, _ in watched.values()})
                    holding = await sessions.holding(connection, ids, self.host.clock.now())
            except Exception as problem:
                # Whether they hold cannot be known: they end, and their clients are judged when they come back.
                self.failed(problem, "", "sessions")
                holding = {}
            for place, (session, epoch, end) in watched.items():
                if holding.get(session) != epoch:
                    self._watched.pop(place, None)
                    end()

    def serves(self, runtime: Runtime) -> None:
        """Another release is served from now on: live connections, which hold plans of the one before, are ended."""
        self.metrics.release.set(runtime.number)
        for end in list(self._live.values()):
            end()

    def cors(self, headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
        """Headers that let a page of an allowed origin read the answer."""
        origin = headers.get(b"origin")
        if origin is None or origin not in self._origins:
            return ()
        return (
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"Origin"),
        )

    def preflight(self, headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
        allowed = self.cors(headers)
        if not allowed:
            return ((b"allow", b"POST"),)
        return (
            *allowed,
            (b"access-control-allow-methods", b"POST"),
            (
                b"access-control-allow-headers",
                b"content-type, accept, authorization, x-request-id, x-clew-csrf, x-clew-file-name",
            ),
            (b"access-control-max-age", b"600"),
        )

    def refused(self, problem: ClewError) -> None:
        self.metrics.refused.labels(problem.code).inc()
        self.log.refused(problem.code)

    def failed(self, problem: BaseException, request_id: str, where: str) -> None:
        self.metrics.failures.labels(where).inc()
        self.log.failed(problem, request_id, where)

    def apology(self, problem: Exception, headers: Headers, request_id: str, where: str) -> bytes:
        """The error body for whatever went wrong; the unexpected is logged and shown only as its request id."""
        if isinstance(problem, ClewError):
            self.refused(problem)
            shown = problem
        else:
            self.failed(problem, request_id, where)
            shown = ClewError()
        return error_body(shown, language_of(headers, self.settings), request_id)
