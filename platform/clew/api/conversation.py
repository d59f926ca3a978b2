"""The graphql-transport-ws protocol, spoken by Strawberry; what an operation answers comes from us.

Strawberry keeps the protocol's state: introduction and its time limit, ids, `complete`, stopping everything at the end.
An operation is run here instead, because our answers are JSON text that is spliced into the message, never objects.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import timedelta
from typing import Any, NotRequired, Protocol, TypedDict, cast

import msgspec
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.exceptions import NonJsonMessageReceived, NonTextMessageReceived
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation
from strawberry.subscriptions.protocols.graphql_transport_ws.types import SubscribeMessage
from strawberry.types.unset import UNSET

from clew.api.exchange import Answer, Question, RequestBody
from clew.kernel.errors import ClewError

PROTOCOL = "graphql-transport-ws"
WRONG_PROTOCOL, TOO_MANY, SERVICE_RESTART = 4406, 4429, 1012

Answers = Callable[[Question], AsyncGenerator[Answer, None]]
"""Every answer of one operation; what goes wrong is an answer too."""
Welcome = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Takes the payload of `connection_init`; raises a ClewError for somebody who is not let in."""


class Wire(Protocol):
    """An accepted socket."""

    async def hear(self) -> str | bytes | None:
        """The next message; None when the client is gone."""
        ...

    async def say(self, text: str) -> None: ...

    async def close(self, code: int, reason: str) -> None: ...


class _Message(TypedDict):
    type: str
    id: NotRequired[str]
    payload: NotRequired[dict[str, Any] | None]


class _Errors(msgspec.Struct):
    errors: msgspec.Raw


_decode = msgspec.json.Decoder(_Message).decode


class _Messages:
    """A wire as Strawberry sees it: JSON in, JSON out, nothing more after closing."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._closed = False

    async def iter_json(self) -> AsyncGenerator[_Message, None]:
        while not self._closed and (text := await self._wire.hear()) is not None:
            if not isinstance(text, str):
                raise NonTextMessageReceived
            try:
                message = _decode(text)
            except (msgspec.DecodeError, RecursionError):
                raise NonJsonMessageReceived from None
            if message.get("payload") is None:
                message.pop("payload", None)
            yield message

    async def send_json(self, message: Any) -> None:
        if not self._closed:
            await self._wire.say(msgspec.json.encode(message).decode())

    async def close(self, code: int, reason: str) -> None:
        if not self._closed:
            self._closed = True
            await self._wire.close(code, reason)


class _Door:
    """Lets in whom `welcome` lets in, by the payload they introduce themselves with."""

    def __init__(self, welcome: Welcome) -> None:
        self._welcome = welcome

    async def on_ws_connect(self, context: dict[str, Any]) -> Any:
        try:
            await self._welcome(context.get("connection_params") or {})
        except ClewError:
            raise ConnectionRejectionError from None
        return UNSET


class Conversation(BaseGraphQLTransportWSHandler[dict[str, Any], None]):
    """One accepted socket. `handle` returns when it is over and nothing of it runs any more."""

    def __init__(self, wire: Wire, answers: Answers, welcome: Welcome, *, init_timeout: float, operations: int) -> None:
        nothing: Any = None
        super().__init__(
            view=cast(Any, _Door(welcome)),
            websocket=cast(Any, _Messages(wire)),
            context={},
            root_value=None,
            schema=nothing,
            connection_init_wait_timeout=timedelta(seconds=init_timeout),
        )
        self._answers = answers
        self._most = operations
        self._ending: asyncio.Task[None] | None = None

    def end(self) -> None:
        """Close from our side with the code that makes clients connect again."""
        if self._ending is None:
            self._ending = asyncio.create_task(self.websocket.close(SERVICE_RESTART, "Another release is served"))

    async def shutdown(self) -> None:
        """After the last message: stop what runs, let a closing of ours finish."""
        await super().shutdown()
        if self._ending is not None:
            await self._ending

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Closes on a malformed request and on one operation too many, then lets Strawberry decide the rest."""
        try:
            asked = msgspec.convert(message["payload"], RequestBody)
        except msgspec.ValidationError:
            return await self.handle_invalid_message("Invalid subscribe message")
        if not message["id"] or asked.query is None:
            return await self.handle_invalid_message("Invalid subscribe message")
        if len(self.operations) >= self._most:
            return await self.websocket.close(TOO_MANY, "Too many operations")
        # Strawberry carries `query` to run_operation without looking at it, so the whole question travels in it.
        payload: Any = {"query": asked.question()}
        return await super().handle_subscribe({"id": message["id"], "type": "subscribe", "payload": payload})

    async def run_operation(self, operation: Operation[dict[str, Any], None]) -> None:
        """Every answer as it comes, then `complete`; a request error ends the operation."""
        name = operation.id
        async with aclosing(self._answers(cast(Question, operation.query))) as answers:
            async for answer in answers:
                if not answer.executed:
                    errors: Any = msgspec.json.decode(answer.body, type=_Errors).errors
                    return await operation.send_operation_message({"id": name, "type": "error", "payload": errors})
                body: Any = msgspec.Raw(answer.body)
                await operation.send_operation_message({"id": name, "type": "next", "payload": body})
        return await operation.send_operation_message({"id": name, "type": "complete"})
