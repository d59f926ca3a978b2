"""The application: which address leads to which door. `/graphql` goes straight to its door, past all routing."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from clew.kernel.errors import ClewError, NotFound
from clew.kernel.text import Bilingual
from clew.runtime import RuntimeHost
from clew.settings import Settings
from clew.web.entrance import Entrance
from clew.web.errors import MethodNotAllowed, error_body
from clew.web.files import Files
from clew.web.graphql import GraphQLDoor
from clew.web.health import Health
from clew.web.log import RequestLog
from clew.web.login import SignIn
from clew.web.metrics import Metrics
from clew.web.pages import STATIC, Pages
from clew.web.printing import Printing
from clew.web.requests import UNREAD, headers_of, language_of, respond
from clew.web.socket import SocketDoor
from clew.web.sso import CALLBACK, OidcDoor

_ADDRESS = Bilingual("地址", "address")


class Application:
    """The whole server as one ASGI callable."""

    def __init__(self, host: RuntimeHost, settings: Settings, log: RequestLog | None = None) -> None:
        self.entrance = Entrance(host, settings, Metrics(), log or RequestLog())
        self._graphql = GraphQLDoor(self.entrance)
        self._socket = SocketDoor(self.entrance)
        self._others = _others(self.entrance)
        host.on_change(self.entrance.serves)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http" and scope["path"] == "/graphql":
            await self._graphql(scope, receive, send)
        elif kind == "http":
            await self._others(scope, receive, send)
        elif kind == "websocket" and scope["path"] == "/graphql":
            await self._socket(scope, receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4404, "reason": "Not found"})


def _others(entrance: Entrance) -> ASGIApp:
    health, pages, files, sign_in = Health(entrance), Pages(entrance), Files(entrance), SignIn(entrance)
    oidc, printing = OidcDoor(entrance, sign_in), Printing(entrance, pages)
    routes: list[BaseRoute] = [
        Route("/", pages.start),
        Route("/login", sign_in.page, methods=["GET"]),
        Route("/login", sign_in.sign_in, methods=["POST"]),
        Route("/login/oidc", oidc.leave, methods=["GET"]),
        Route("/login/oidc/sign", oidc.sign, methods=["GET"]),
        Route(CALLBACK, oidc.come_back, methods=["GET"]),
        Route("/logout", sign_in.sign_out, methods=["POST"]),
        Route("/me", sign_in.me, methods=["GET"]),
        Route("/me/password", sign_in.password_form, methods=["GET"]),
        Route("/me/password", sign_in.change_password, methods=["POST"]),
        Route("/me/pin", sign_in.pin_form, methods=["GET"]),
        Route("/me/pin", sign_in.set_pin, methods=["POST"]),
        Route("/me/sso", oidc.link_form, methods=["GET"]),
        Route("/me/sso", oidc.link, methods=["POST"]),
        Route("/me/confirmation", sign_in.confirmation, methods=["GET"]),
        Route("/healthz", health.alive),
        Route("/readyz", health.ready),
        Route("/metrics", health.metrics),
        Route("/files", files.upload, methods=["POST"]),
        Route("/files/{sha256}", files.download, methods=["GET"]),
        Route("/print/{entity}/{id}", printing.record, methods=["GET"]),
        Mount("/static", StaticFiles(directory=STATIC, check_dir=False)),
    ]
    if not entrance.settings.production:
        routes.append(Route("/graphiql", pages.graphiql))

    async def explain(request: Request, problem: Exception) -> Response:
        headers = headers_of(request.scope)
        request_id = entrance.request_id(headers)
        shown: ClewError
        if isinstance(problem, HTTPException):
            shown = MethodNotAllowed(allowed="GET, POST") if problem.status_code == 405 else NotFound(what=_ADDRESS)
        elif isinstance(problem, ClewError):
            shown = problem
        else:
            entrance.failed(problem, request_id, request.url.path.split("/")[1][:20])
            shown = ClewError()
        if shown.status < 500:
            entrance.refused(shown)
        body = error_body(shown, language_of(headers, entrance.settings), request_id)
        more = {"x-request-id": request_id}
        if shown.status in UNREAD:
            more["connection"] = "close"
        return Response(body, shown.status, media_type="application/json", headers=more)

    handlers = {HTTPException: explain, ClewError: explain, Exception: explain}
    guard = Middleware(_Threshold, entrance=entrance)
    return Starlette(routes=routes, exception_handlers=handlers, middleware=[guard])


class _Threshold:
    """Host and Origin of every other address are checked as strictly as those of `/graphql`."""

    def __init__(self, app: ASGIApp, entrance: Entrance) -> None:
        self._app = app
        self._entrance = entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        try:
            self._entrance.doorkeeper.check(scope, headers)
        except ClewError as problem:
            self._entrance.refused(problem)
            body = error_body(problem, language_of(headers, self._entrance.settings))
            return await respond(send, problem.status, body, b"application/json")
        return await self._app(scope, receive, send)
