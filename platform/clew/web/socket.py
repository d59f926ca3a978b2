"""GraphQL over WebSocket: the graphql-transport-ws protocol (threat 14).

The client has a moment to introduce itself, may hold a bounded number of operations, and every operation is stopped
when the socket closes.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import msgspec
from starlette.types import Message, Receive, Scope, Send

from clew.api.exchange import Answer, Question
from clew.kernel.errors import ClewError
from clew.web.entrance import Entrance
from clew.web.errors import error_body
from clew.web.graphql import RequestBody
from clew.web.requests import Headers, headers_of, language_of

PROTOCOL = "graphql-transport-ws"

BAD_MESSAGE, UNAUTHORIZED, WRONG_PROTOCOL = 4400, 4401, 4406
INIT_TIMEOUT, DUPLICATE, TOO_MANY = 4408, 4409, 4429
FORBIDDEN, SERVICE_RESTART = 4403, 1012


class _Message(msgspec.Struct):
    type: str
    id: str | None = None
    payload: RequestBody | None = None
    """What an operation asks; in other messages it is free and not looked at."""


class _Errors(msgspec.Struct):
    errors: msgspec.Raw


class _Close(Exception):
    """Close the socket with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class SocketDoor:
    """ASGI callable for WebSocket connections to `/graphql`."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        await receive()  # websocket.connect
        try:
            self._entrance.doorkeeper.check(scope, headers)
            conversation = _Conversation(self._entrance, headers, receive, send)
            with self._entrance.live("websocket", conversation.end):
                if PROTOCOL not in scope.get("subprotocols", ()):
                    await _close(send, WRONG_PROTOCOL, "Subprotocol not acceptable")
                    return
                await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
                await conversation.run()
        except ClewError as problem:
            self._entrance.refused(problem)
            await _close(send, FORBIDDEN, problem.code)


class _Conversation:
    """One accepted socket."""

    def __init__(self, entrance: Entrance, headers: Headers, receive: Receive, send: Send) -> None:
        self._entrance = entrance
        self._headers = headers
        self._receive = receive
        self._send = send
        self._request_id = entrance.request_id(headers)
        self._decode = msgspec.json.Decoder(_Message).decode
        self._ready = False
        self._ending: asyncio.Task[None] | None = None
        self._operations: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        try:
            async with asyncio.timeout(self._entrance.settings.socket_init_timeout) as patience:
                while (message := await self._next()) is not None:
                    await self._take(message)
                    if self._ready and patience.when() is not None:
                        patience.reschedule(None)
        except TimeoutError:
            await _close(self._send, INIT_TIMEOUT, "Connection initialisation timeout")
        except _Close as closing:
            await _close(self._send, closing.code, closing.reason)
        finally:
            if self._ending is not None:
                await self._ending
            running = list(self._operations.values())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def end(self) -> None:
        """Close from our side with the code that makes clients connect again."""
        if self._ending is None:
            self._ending = asyncio.create_task(_close(self._send, SERVICE_RESTART, "Another release is served"))

    async def _next(self) -> _Message | None:
        received: Message = await self._receive()
        if received["type"] == "websocket.disconnect":
            return None
        text = received.get("text")
        if text is None:
            raise _Close(BAD_MESSAGE, "Messages are JSON text")
        try:
            return self._decode(text)
        except (msgspec.DecodeError, RecursionError):
            raise _Close(BAD_MESSAGE, "Invalid message") from None

    async def _take(self, message: _Message) -> None:
        kind = message.type
        if kind == "connection_init":
            if self._ready:
                raise _Close(TOO_MANY, "Too many initialisation requests")
            self._ready = True
            await self._say({"type": "connection_ack"})
        elif kind == "ping":
            await self._say({"type": "pong"})
        elif kind == "subscribe":
            self._subscribe(message)
        elif kind == "complete":
            if message.id is not None and (task := self._operations.pop(message.id, None)):
                task.cancel()
        elif kind != "pong":
            raise _Close(BAD_MESSAGE, "Unknown message type")

    def _subscribe(self, message: _Message) -> None:
        if not self._ready:
            raise _Close(UNAUTHORIZED, "Unauthorized")
        payload, name = message.payload, message.id
        if not name or payload is None or payload.query is None:
            raise _Close(BAD_MESSAGE, "Invalid subscribe message")
        if name in self._operations:
            raise _Close(DUPLICATE, "Subscriber already exists")
        if len(self._operations) >= self._entrance.settings.socket_subscriptions:
            raise _Close(TOO_MANY, "Too many operations")
        question = Question(payload.query, payload.operationName, payload.variables, payload.extensions)
        self._operations[name] = asyncio.create_task(self._run(name, question))

    async def _run(self, name: str, question: Question) -> None:
        runtime = self._entrance.host.current
        subscriptions = self._entrance.metrics.subscriptions
        subscriptions.inc()
        try:
            caller = self._entrance.caller(runtime, self._headers, self._request_id)
            async for answer in runtime.graphql.stream(question, caller):
                if not answer.executed:
                    await self._error(name, answer.body)
                    return
                await self._next_answer(name, answer)
            await self._say({"type": "complete", "id": name})
        except ClewError as problem:
            locale = language_of(self._headers, self._entrance.settings)
            await self._error(name, error_body(problem, locale, self._request_id))
        except Exception as problem:
            self._entrance.failed(problem, self._request_id, "websocket")
            locale = language_of(self._headers, self._entrance.settings)
            await self._error(name, error_body(ClewError(), locale, self._request_id))
        finally:
            subscriptions.dec()
            if self._operations.get(name) is asyncio.current_task():
                del self._operations[name]

    async def _next_answer(self, name: str, answer: Answer) -> None:
        await self._say({"type": "next", "id": name, "payload": msgspec.Raw(answer.body)})

    async def _error(self, name: str, body: bytes) -> None:
        errors = msgspec.json.decode(body, type=_Errors).errors
        await self._say({"type": "error", "id": name, "payload": errors})

    async def _say(self, message: dict[str, Any]) -> None:
        await self._send({"type": "websocket.send", "text": msgspec.json.encode(message).decode()})


async def _close(send: Send, code: int, reason: str) -> None:
    with suppress(RuntimeError, OSError):
        await send({"type": "websocket.close", "code": code, "reason": reason})
