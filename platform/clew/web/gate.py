"""Who is at the door: a cookie session, an API token, or (only where that is allowed) the operator of this machine.

What a session showed is remembered by its secret, so that a request needs no look into the database before its own
statement, which checks the session in the same breath (`records.query.compile`).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from datetime import datetime
from typing import Literal

from starlette.types import Scope

from clew.access.decision import Decision
from clew.api.exchange import Caller
from clew.identity.desk import Bearing
from clew.identity.errors import ForgedRequest, IdentityDue, PasswordExpired, SessionEnded, Unauthenticated
from clew.identity.people import Facts
from clew.identity.secrets import digest_of, same
from clew.kernel.context import Context
from clew.runtime import Runtime
from clew.settings import Settings
from clew.web.requests import Headers, language_of

COOKIE, CSRF_COOKIE, CSRF_HEADER = "clew_session", "clew_csrf", b"x-clew-csrf"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_KEPT = 10_000

Carrier = Literal["cookie", "bearer"]


class Gate:
    """Turns what a request carries into a caller. One per server process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: OrderedDict[str, Bearing] = OrderedDict()
        self._decided: dict[str, tuple[Runtime, Facts, Decision]] = {}

    async def caller(
        self, runtime: Runtime, scope: Scope, headers: Headers, request_id: str, *, fresh: bool = False
    ) -> Caller:
        """Who asks, and what they may do in the release that answers. `fresh` looks into the database whatever is
        remembered. Raises Unauthenticated, SessionEnded, ForgedRequest, PasswordExpired, IdentityDue."""
        carried = secret_of(headers)
        locale = language_of(headers, self._settings)
        if carried is None:
            if self.open_to_operator(runtime):
                context = Context(runtime.operator, request_id, locale, client=address_of(scope), channel="api")
                # As at the command line of this machine, where the database lies open anyway.
                return Caller(context, runtime.decide(replace(context, channel="cli")))
            raise Unauthenticated
        secret, carrier = carried
        self.shows_own_page(scope, headers, secret, carrier)
        bearing = await self.bearing(runtime, secret, fresh=fresh)
        if bearing.session.must_change:
            raise PasswordExpired
        if bearing.unconfirmed:
            raise IdentityDue
        context = Context(
            bearing.facts.person,
            request_id,
            locale,
            client=address_of(scope),
            channel="api",
            session=bearing.session.id,
            epoch=bearing.session.epoch,
        )
        return Caller(context, self._decision(runtime, bearing, context))

    def _decision(self, runtime: Runtime, bearing: Bearing, context: Context) -> Decision:
        """What these facts allow in the release that answers; united once, then remembered with the facts."""
        kept = self._decided.get(bearing.session.id)
        if kept is not None and kept[0] is runtime and kept[1] is bearing.facts:
            return kept[2]
        made = runtime.decide(context)
        if len(self._decided) >= _KEPT:
            self._decided.clear()
        self._decided[bearing.session.id] = (runtime, bearing.facts, made)
        return made

    async def bearing(self, runtime: Runtime, secret: str, *, fresh: bool = False) -> Bearing:
        """The session of a secret and its holder's facts, remembered where nothing foreseen has happened since.

        Raises SessionEnded.
        """
        now = runtime.clock.now()
        found = None if fresh else self._known.get(secret)
        # Whoever waits to be confirmed is let in as soon as that is done.
        if found is None or not found.holds(now) or found.unconfirmed:
            self._known.pop(secret, None)
            found = await runtime.desk.resume(secret)
        if self._is_due(runtime, found, now):
            session = await runtime.desk.touch(found.session)
            found = replace(found, session=session) if session.epoch == found.session.epoch else None
            found = found or await runtime.desk.resume(secret)
        if self._known.get(secret) is not found:
            self._known[secret] = found
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return found

    def forget(self, secret: str) -> None:
        self._known.pop(secret, None)

    def open_to_operator(self, runtime: Runtime) -> bool:
        """Whether this machine's operator is let in without signing in: never from elsewhere, and where policies exist
        only if the settings say so for development."""
        return self._settings.loopback and (not runtime.guarded or self._settings.trust_this_machine)

    @staticmethod
    def _is_due(runtime: Runtime, found: Bearing, now: datetime) -> bool:
        session = found.session
        return session.kind == "cookie" and now - session.seen_at >= runtime.desk.limits.touch_after

    @staticmethod
    def shows_own_page(scope: Scope, headers: Headers, secret: str, carrier: Carrier) -> None:
        """A browser sends its cookies with whatever a page asks for. A change must also show that our own page asked:
        by Origin, which the doorkeeper has compared already, or by the value of the second cookie in a header.

        Raises ForgedRequest.
        """
        if carrier != "cookie":
            return
        if scope.get("method", "GET") in SAFE_METHODS and scope["type"] != "websocket":
            return
        if b"origin" in headers:
            return
        if not same(headers.get(CSRF_HEADER, b"").decode("latin-1"), csrf_of(secret)):
            raise ForgedRequest


def secret_of(headers: Headers) -> tuple[str, Carrier] | None:
    """The secret a request carries. A bearer token wins over a cookie: whoever sends one means it."""
    authorization = headers.get(b"authorization")
    if authorization is not None:
        scheme, _, token = authorization.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise SessionEnded
        return token.strip()[:200], "bearer"
    cookie = headers.get(b"cookie")
    found = cookies(cookie).get(COOKIE) if cookie is not None else None
    return (found[:200], "cookie") if found else None


def cookies(header: bytes) -> dict[str, str]:
    """Name → value. Of a repeated name the first counts: the most specific path comes first."""
    found: dict[str, str] = {}
    for part in header.decode("latin-1").split(";"):
        name, _, value = part.strip().partition("=")
        found.setdefault(name, value)
    return found


def csrf_of(secret: str) -> str:
    """What the own page can read and a foreign one cannot."""
    return digest_of("csrf " + secret)[:32]


def address_of(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""
