"""Serving: one process in its own loop, or several workers on one port."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from clew.kernel.collector import starting
from clew.runtime import RuntimeHost, open_runtime
from clew.settings import Settings
from clew.web.app import Application
from clew.web.errors import AddressInUse, LoopbackOnly
from clew.web.guard import GuardedProtocol
from clew.web.log import configure_logging

KEEP_ALIVE_SECONDS = 30


def refuse_strangers(settings: Settings, *, guarded: bool = False) -> None:
    """While there are no access policies only this machine is served. Raises LoopbackOnly."""
    if not settings.loopback and not guarded:
        raise LoopbackOnly(host=settings.host)


def bind(settings: Settings) -> socket.socket:
    """The listening socket, so that a taken port is told before anything else starts. Raises AddressInUse."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named because event loops switch Nagle off only where they see it is TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError:
        listening.close()
        raise AddressInUse(host=settings.host, port=settings.port) from None
    listening.set_inheritable(True)
    return listening


def address_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(
    host: RuntimeHost, settings: Settings, listening: socket.socket, ready: Callable[[], None] = lambda: None
) -> None:
    """Serve until a signal asks to stop; running requests get their grace. `ready` runs once the port answers."""
    await _Server(configuration(Application(host, settings), settings), ready).serve(sockets=[listening])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def serve_workers(settings: Settings, listening: socket.socket) -> None:
    """Several processes on one socket. Each opens its own runtime; settings reach them through `worker`."""
    from uvicorn.supervisors import Multiprocess

    config = configuration(_Worker(settings), settings)
    config.workers = settings.workers
    Multiprocess(config, sockets=[listening]).run()


class _Worker:
    """The application of one worker process: opens its runtime when the process starts."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        configure_logging(self._settings.log_level, human=False)
        try:
            with starting():
                host = await open_runtime(self._settings)
        except Exception as problem:
            await send({"type": "lifespan.startup.failed", "message": str(problem)})
            return
        self._app = Application(host, self._settings)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await host.close()
        await send({"type": "lifespan.shutdown.complete"})


def configuration(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How the HTTP server runs: no access log, no server header, guarded heads, bounded messages."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=GuardedProtocol,
        ws="websockets-sansio",
        ws_max_size=settings.body_limit,
        lifespan="on" if isinstance(app, _Worker) else "off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.shutdown_grace),
    )


__all__ = ["address_of", "bind", "configuration", "refuse_strangers", "serve", "serve_workers"]
