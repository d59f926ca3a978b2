"""GraphQL over WebSocket (threat 14): the door; the protocol itself is `clew.api.conversation`.

The client has a moment to introduce itself, may hold a bounded number of operations, and every operation is stopped
when the socket closes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any

from starlette.types import Receive, Scope, Send

from clew.api.conversation import PROTOCOL, WRONG_PROTOCOL, Conversation
from clew.api.exchange import Answer, Caller, Question
from clew.kernel.errors import ClewError
from clew.web.entrance import Entrance, Watch
from clew.web.gate import secret_of
from clew.web.requests import Headers, headers_of

FORBIDDEN = 4403


class SocketDoor:
    """ASGI callable for WebSocket connections to `/graphql`."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        entrance, settings = self._entrance, self._entrance.settings
        headers, wire = headers_of(scope), _Wire(receive, send)
        await receive()  # websocket.connect
        try:
            entrance.doorkeeper.check(scope, headers)
            guest = _Guest(entrance, scope, headers)
            if guest.introduced:
                # Who came with a cookie or token that does not hold is turned away before anything is accepted.
                await guest.caller()
            conversation = Conversation(
                wire,
                guest.answers,
                guest.welcome,
                init_timeout=settings.socket_init_timeout,
                operations=settings.socket_subscriptions,
            )
            with entrance.live("websocket", conversation.end) as watch:
                guest.watch = watch
                if PROTOCOL not in scope.get("subprotocols", ()):
                    await wire.close(WRONG_PROTOCOL, "Subprotocol not acceptable")
                    return
                await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
                await conversation.handle()
        except ClewError as problem:
            entrance.refused(problem)
            await wire.close(FORBIDDEN, problem.code)


class _Guest:
    """Who is at the other end of one socket, and the answers of their operations: each from the release that is served
    when it begins, each for who they are then."""

    def __init__(self, entrance: Entrance, scope: Scope, headers: Headers) -> None:
        self._entrance = entrance
        self._scope = scope
        self._headers = headers
        self._request_id = entrance.request_id(headers)
        self.watch: Watch = lambda context: None

    @property
    def introduced(self) -> bool:
        return secret_of(self._headers) is not None

    async def caller(self) -> Caller:
        runtime = self._entrance.host.current
        return await self._entrance.caller(runtime, self._scope, self._headers, self._request_id, fresh=True)

    async def welcome(self, payload: Mapping[str, Any]) -> None:
        """Browsers cannot send headers with a socket, so a token may also come in the payload: `authorization`."""
        given = payload.get("authorization", payload.get("Authorization"))
        if isinstance(given, str) and given.isascii():
            self._headers = {**self._headers, b"authorization": given.encode("ascii")}
        try:
            self.watch((await self.caller()).context)
        except ClewError as problem:
            self._entrance.refused(problem)
            raise

    async def answers(self, question: Question) -> AsyncGenerator[Answer, None]:
        runtime = self._entrance.host.current
        with self._entrance.metrics.subscriptions.track_inprogress():
            try:
                async for answer in runtime.graphql.stream(question, await self.caller()):
                    yield answer
            except Exception as problem:
                yield Answer(self._entrance.apology(problem, self._headers, self._request_id, "websocket"), False)


class _Wire:
    """ASGI messages as texts; a client that went away is no error."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send

    async def hear(self) -> str | bytes | None:
        received = await self._receive()
        if received["type"] == "websocket.disconnect":
            return None
        text: str | None = received.get("text")
        return text if text is not None else b""

    async def say(self, text: str) -> None:
        with suppress(RuntimeError, OSError):
            await self._send({"type": "websocket.send", "text": text})

    async def close(self, code: int, reason: str) -> None:
        with suppress(RuntimeError, OSError):
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
