"""The GraphQL door over HTTP, after the GraphQL-over-HTTP specification, straight on ASGI.

Nothing sits between the server and this file: no routing, no middleware, no request object.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.types import Receive, Scope, Send

from clew.api.exchange import Answer, Caller, Question, RequestBody
from clew.identity.errors import SessionEnded
from clew.kernel.errors import ClewError
from clew.kernel.text import Locale
from clew.runtime import Runtime
from clew.web.entrance import Entrance
from clew.web.errors import (
    MalformedRequest,
    MethodNotAllowed,
    NotAcceptable,
    UnsupportedMediaType,
    error_body,
)
from clew.web.requests import (
    UNREAD,
    Headers,
    headers_of,
    language_of,
    media_type,
    negotiate,
    read_body,
    respond,
)
from clew.web.stream import stream_events

RESPONSE, JSON, EVENTS = "application/graphql-response+json", "application/json", "text/event-stream"
OFFERS = (RESPONSE, JSON, EVENTS)
_CONTENT_TYPE = {RESPONSE: f"{RESPONSE}; charset=utf-8".encode(), JSON: f"{JSON}; charset=utf-8".encode()}


class GraphQLDoor:
    """ASGI callable for `/graphql`."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._decode = msgspec.json.Decoder(RequestBody).decode

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        entrance = self._entrance
        headers = headers_of(scope)
        request_id = entrance.request_id(headers)
        wanted: str | None = RESPONSE
        try:
            entrance.doorkeeper.check(scope, headers)
            if scope["method"] == "OPTIONS":
                return await respond(send, 204, b"", b"text/plain", request_id, entrance.preflight(headers))
            wanted = negotiate(headers.get(b"accept"), OFFERS)
            if wanted is None:
                raise NotAcceptable(types=", ".join(OFFERS))
            question = await self._question(scope, headers, receive)
            runtime = entrance.host.current
            caller = await entrance.caller(runtime, scope, headers, request_id)
            reading = scope["method"] == "GET"
            if wanted == EVENTS:
                ending = asyncio.Event()
                # A stream begins with what the database says now, not with what was remembered.
                caller = await entrance.caller(runtime, scope, headers, request_id, fresh=True)
                with entrance.live("sse", ending.set) as watch:
                    watch(caller.context)
                    source = runtime.graphql.stream(question, caller, queries_only=reading)
                    apology = partial(entrance.apology, headers=headers, request_id=request_id, where="sse")
                    return await stream_events(
                        source, receive, send, ending, request_id, apology, entrance.cors(headers)
                    )
            answer = await self._answer(
                question,
                caller,
                reading,
                runtime,
                partial(entrance.caller, runtime, scope, headers, request_id, fresh=True),
            )
        except ClewError as problem:
            entrance.refused(problem)
            return await self._explain(send, problem, headers, request_id, wanted)
        except Exception as problem:
            entrance.failed(problem, request_id, "graphql")
            return await self._explain(send, ClewError(), headers, request_id, wanted)
        metrics = entrance.metrics
        (metrics.answered if answer.executed else metrics.request_errors).observe(perf_counter() - started)
        # A request error answered as application/json is still 200: that is what its clients expect.
        status = 200 if answer.executed or wanted == JSON else 400
        await respond(send, status, answer.body, _CONTENT_TYPE[wanted], request_id, entrance.cors(headers))
        return None

    @staticmethod
    async def _answer(
        question: Question, caller: Caller, reading: bool, runtime: Runtime, again: Callable[[], Awaitable[Caller]]
    ) -> Answer:
        """The answer, under the rights of this moment. What was remembered of a session is looked at `again` when the
        statement says that it does not hold, and before a document is refused without any statement."""
        answer: Answer | None = None
        try:
            answer = await runtime.graphql.execute(question, caller, queries_only=reading)
            if answer.executed or caller.context.session is None:
                return answer
        except SessionEnded:
            # Ended, or something about its holder has changed. Nothing was written yet.
            pass
        now = await again()
        if answer is not None and now.context.epoch == caller.context.epoch:
            return answer
        return await runtime.graphql.execute(question, now, queries_only=reading)

    async def _question(self, scope: Scope, headers: Headers, receive: Receive) -> Question:
        method = scope["method"]
        if method == "GET" and self._entrance.settings.get_queries:
            return self._from_address(scope["query_string"])
        if method != "POST":
            raise MethodNotAllowed(allowed="POST")
        if media_type(headers) != (JSON, "utf-8"):
            raise UnsupportedMediaType(types=JSON)
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise UnsupportedMediaType(types="identity")
        settings = self._entrance.settings
        return self._decoded(await read_body(headers, receive, settings.body_limit, settings.body_timeout))

    def _decoded(self, body: bytes) -> Question:
        try:
            given = self._decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
            raise MalformedRequest(what=str(problem)[:200]) from None
        return given.question()

    def _from_address(self, query_string: bytes) -> Question:
        try:
            given = parse_qs(query_string.decode("ascii"), strict_parsing=True, max_num_fields=8, errors="strict")
            members: dict[str, Any] = {name: values[0] for name, values in given.items() if len(values) == 1}
            for name in ("variables", "extensions"):
                if name in members:
                    members[name] = msgspec.json.decode(members[name], type=dict[str, Any])
        except (ValueError, msgspec.DecodeError, RecursionError) as problem:
            raise MalformedRequest(what=str(problem)[:200]) from None
        return Question(
            members.get("query"), members.get("operationName"), members.get("variables"), members.get("extensions")
        )

    async def _explain(
        self, send: Send, problem: ClewError, headers: Headers, request_id: str, wanted: str | None
    ) -> None:
        locale: Locale = language_of(headers, self._entrance.settings)
        content_type = _CONTENT_TYPE.get(wanted or RESPONSE, _CONTENT_TYPE[RESPONSE])
        more: tuple[tuple[bytes, bytes], ...] = self._entrance.cors(headers)
        if problem.status in UNREAD:
            more = (*more, (b"connection", b"close"))
        if problem.status == 405:
            more = (*more, (b"allow", b"POST"))
        await respond(send, problem.status, error_body(problem, locale, request_id), content_type, request_id, more)
