"""Looking at a request before anything else does: whose page sent it, in which form, how much, how fast.

These are the checks of threats 13 and 47. They work on the raw ASGI messages because the hot path has no middleware.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from starlette.types import Message, Receive, Scope, Send

from clew.kernel.ids import uuid7
from clew.kernel.text import Locale, locale_of
from clew.settings import Settings
from clew.web.errors import BodyTooLarge, BodyTooSlow, ForeignOrigin, MalformedRequest

Headers = Mapping[bytes, bytes]

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
UNREAD = (408, 413, 429, 507)
"""Answers given before the body was read to its end: the connection cannot be used again."""
HARDENING: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}")


class Doorkeeper:
    """Decides whether a request may come in, by Host and Origin.

    A server that trusts its own machine must also check Host: a foreign page can point its own name at 127.0.0.1 and
    would then be of the same origin (DNS rebinding). Names other than the loopback ones are known from `origins`.
    """

    def __init__(self, settings: Settings) -> None:
        self._origins = frozenset(settings.origins)
        self._hosts = frozenset(filter(None, (urlsplit(each).hostname for each in settings.origins)))
        self._loopback = settings.loopback
        self._welcome: set[tuple[bytes | None, bytes | None]] = set()

    def check(self, scope: Scope, headers: Headers) -> None:
        """Raises ForeignOrigin."""
        pair = headers.get(b"host"), headers.get(b"origin")
        if pair in self._welcome:
            return
        self._judge(scope, *pair)
        if len(self._welcome) < 256:
            self._welcome.add(pair)

    def _judge(self, scope: Scope, raw_host: bytes | None, raw_origin: bytes | None) -> None:
        host = (raw_host or b"").decode("latin-1").lower()
        if self._loopback:
            try:
                name = urlsplit(f"//{host}").hostname or ""
            except ValueError:
                name = ""
            if name not in LOOPBACK_NAMES and name not in self._hosts:
                raise ForeignOrigin
        if raw_origin is None:
            return
        origin = raw_origin.decode("latin-1").lower()
        # Behind a proxy that speaks TLS the scheme is unknown here; Host already names who was called.
        own = {f"http://{host}", f"https://{host}"}
        if origin not in own and origin not in self._origins:
            raise ForeignOrigin


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """Header names are lower case in ASGI; of a repeated header the last one counts."""
    return dict(scope["headers"])


class RequestIds:
    """Names for requests. One per process: a random beginning and a counter, because a UUID costs as much as a door."""

    def __init__(self) -> None:
        self._beginning = uuid7().hex[:24]
        self._numbers = count(1)

    def of(self, headers: Headers) -> str:
        """The caller's own id when it is harmless, otherwise a new one."""
        given = headers.get(b"x-request-id")
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given.decode("ascii")
        return f"{self._beginning}-{next(self._numbers):x}"


def language_of(headers: Headers, settings: Settings) -> Locale:
    return settings.lang or _language(headers.get(b"accept-language", b""))


@lru_cache(maxsize=256)
def _language(header: bytes) -> Locale:
    return locale_of(header.decode("latin-1"))


@lru_cache(maxsize=256)
def negotiate(accept: bytes | None, offers: tuple[str, ...]) -> str | None:
    """The offer the Accept header likes best; the first one for a missing header; None when nothing fits."""
    if accept is None or not accept.strip():
        return offers[0]
    parts = (part.partition(";") for part in _decoded(accept).split(","))
    ranges = [(name.strip(), _quality(rest)) for name, _, rest in parts]
    chosen, best = None, (0.0, 0)
    for offer in offers:
        matching = [(precision, quality) for name, quality in ranges if (precision := _matches(name, offer))]
        if matching:
            precision, quality = max(matching)
            if quality > 0 and (quality, precision) > best:
                chosen, best = offer, (quality, precision)
    return chosen


def _decoded(header: bytes) -> str:
    return header.decode("latin-1").lower()


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _matches(pattern: str, offer: str) -> int:
    """How precisely a media range names an offer: 0 not at all, then `*/*`, `type/*`, `type/subtype`."""
    if pattern == offer:
        return 3
    if pattern == offer.partition("/")[0] + "/*":
        return 2
    return 1 if pattern == "*/*" else 0


def media_type(headers: Headers) -> tuple[str, str]:
    """Lower-case media type and charset of the body (`utf-8` when not said)."""
    return _media_type(headers.get(b"content-type", b""))


@lru_cache(maxsize=256)
def _media_type(header: bytes) -> tuple[str, str]:
    name, _, rest = _decoded(header).partition(";")
    charset = "utf-8"
    for parameter in rest.split(";"):
        key, _, value = parameter.strip().partition("=")
        if key == "charset":
            charset = value.strip('" ')
    return name.strip(), charset


def declared_length(headers: Headers, limit: int) -> int | None:
    """Content-Length, refused at once when it is above the limit."""
    raw = headers.get(b"content-length")
    if raw is None:
        return None
    if not raw.isdigit():
        raise MalformedRequest(what="Content-Length")
    if len(raw) > 18 or int(raw) > limit:
        raise BodyTooLarge(limit=limit)
    return int(raw)


async def read_body(headers: Headers, receive: Receive, limit: int, seconds: float) -> bytes:
    """The whole body. Raises BodyTooLarge, BodyTooSlow, MalformedRequest (the client went away)."""
    declared_length(headers, limit)
    try:
        async with asyncio.timeout(seconds):
            body, more = _part(await receive())
            if more:
                body = await _rest(bytearray(body), receive, limit)
    except TimeoutError:
        raise BodyTooSlow(seconds=f"{seconds:g}") from None
    if len(body) > limit:
        raise BodyTooLarge(limit=limit)
    return body


async def _rest(body: bytearray, receive: Receive, limit: int) -> bytes:
    more = True
    while more and len(body) <= limit:
        chunk, more = _part(await receive())
        body += chunk
    return bytes(body)


async def stream_body(headers: Headers, receive: Receive, limit: int, seconds: float) -> AsyncIterator[bytes]:
    """The body piece by piece, under the same limits."""
    declared_length(headers, limit)
    deadline = asyncio.get_running_loop().time() + seconds
    seen, more = 0, True
    while more:
        try:
            # Around each wait, not around the whole: a timeout that spans a yield would cancel the consumer instead.
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise BodyTooSlow(seconds=f"{seconds:g}") from None
        chunk, more = _part(message)
        seen += len(chunk)
        if seen > limit:
            raise BodyTooLarge(limit=limit)
        if chunk:
            yield chunk


def _part(message: Message) -> tuple[bytes, bool]:
    if message["type"] == "http.disconnect":
        raise MalformedRequest(what="the connection ended")
    return message.get("body", b""), message.get("more_body", False)


async def respond(
    send: Send,
    status: int,
    body: bytes,
    content_type: bytes,
    request_id: str = "",
    more: tuple[tuple[bytes, bytes], ...] = (),
) -> None:
    """One complete answer."""
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode("ascii")),
        *HARDENING,
        *more,
    ]
    if request_id:
        headers.append((b"x-request-id", request_id.encode("ascii")))
    start: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})
