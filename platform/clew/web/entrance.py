"""What all doors share: who is let in, who the caller is, what is counted and written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from clew.api.exchange import Caller
from clew.kernel.context import Context
from clew.kernel.errors import ClewError
from clew.runtime import Runtime, RuntimeHost
from clew.settings import Settings
from clew.web.errors import TooManyConnections, error_body
from clew.web.log import RequestLog
from clew.web.metrics import Metrics
from clew.web.requests import Doorkeeper, Headers, RequestIds, language_of

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
        self._live: dict[object, Callable[[], None]] = {}

    def caller(self, runtime: Runtime, headers: Headers, request_id: str) -> Caller:
        """Who asks. While a project declares no policies that is the operator of this machine, with every right."""
        context = Context(
            person=runtime.operator, request_id=request_id, locale=language_of(headers, self.settings), channel="api"
        )
        return Caller(context, runtime.decide(context))

    @contextmanager
    def live(self, kind: LiveKind, end: Callable[[], None]) -> Iterator[None]:
        """Count a live connection. `end` asks it to stop, so that its client comes back to the next release.

        Raises TooManyConnections.
        """
        if len(self._live) >= self.settings.socket_connections:
            raise TooManyConnections
        place = object()
        self._live[place] = end
        gauge = self.metrics.live.labels(kind)
        gauge.inc()
        try:
            yield
        finally:
            del self._live[place]
            gauge.dec()

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
            (b"access-control-allow-headers", b"content-type, accept, x-request-id, x-clew-file-name"),
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
