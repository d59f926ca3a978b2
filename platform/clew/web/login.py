"""Signing in and out: `/login`, `/logout`, `/me` and below. Forms for people, JSON for programs, same answers."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from clew.identity.credentials import Proof
from clew.identity.desk import VOUCHED, Bearing
from clew.identity.errors import ForgedRequest, PasswordExpired, SessionEnded, TokenNotEnough, Unauthenticated
from clew.identity.ports import NOBODY
from clew.kernel.context import Context, Person
from clew.kernel.errors import ClewError
from clew.kernel.scalars import instant_text
from clew.kernel.text import Locale, locale_of
from clew.runtime import Runtime
from clew.settings import Settings
from clew.web.entrance import Entrance
from clew.web.errors import MalformedRequest, UnsupportedMediaType
from clew.web.gate import COOKIE, CSRF_COOKIE, address_of, cookies, csrf_of, secret_of
from clew.web.login_pages import confirmation_page, login_page, password_page, pin_page
from clew.web.requests import Headers, headers_of, language_of, media_type, read_body

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
_LONGEST = 8_192
NO_STORE = {"cache-control": "no-store"}


class SignIn:
    """Handlers of signing in and out, and of what one may see and change about oneself."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    async def page(self, request: Request) -> Response:
        """The page to sign in on."""
        locale = self.locale(request)
        return login_page(locale, next_of(request.query_params.get("next")), sso=self._sso)

    async def sign_in(self, request: Request) -> Response:
        """Take login, password and code; answer with a session. One answer for whatever is wrong."""
        given, by_form = await self.given(request)
        headers, runtime = headers_of(request.scope), self._entrance.host.current
        context = self.stranger(request, "login")
        after = next_of(given.get("next"))
        try:
            proof = await runtime.desk.credentials.sign_in(
                given.get("login", ""), given.get("password", ""), given.get("code", "").strip(), context
            )
            return await self.enter(request, runtime, proof, after if by_form else None)
        except ClewError as problem:
            if not by_form:
                raise
            self._entrance.refused(problem)
            locale = locale_of(given["lang"]) if "lang" in given else language_of(headers, self._entrance.settings)
            return login_page(locale, after, problem, given.get("login", ""), sso=self._sso)

    async def enter(self, request: Request, runtime: Runtime, proof: Proof, after: str | None) -> Response:
        """A new session for who has just proved who they are; the one they came with ends."""
        if after is not None:
            due = "/me/password" if proof.must_change else "/me/confirmation" if proof.unconfirmed else after
            answer: Response = RedirectResponse(due, 303, headers=NO_STORE)
            await self.begin_session(request, runtime, proof, answer)
            return answer
        answer = JSONResponse({}, headers=NO_STORE)
        secret = await self.begin_session(request, runtime, proof, answer)
        bearing = await self._entrance.gate.bearing(runtime, secret)
        shown = JSONResponse(await self._about(runtime, bearing), headers=NO_STORE)
        shown.raw_headers += [each for each in answer.raw_headers if each[0] == b"set-cookie"]
        return shown

    async def begin_session(self, request: Request, runtime: Runtime, proof: Proof, answer: Response) -> str:
        """Put a new session into an answer; its secret."""
        headers = headers_of(request.scope)
        context = Context(
            _person(proof), self._entrance.request_id(headers), client=address_of(request.scope), channel="login"
        )
        old = cookies(headers.get(b"cookie", b"")).get(COOKIE)
        secret = await runtime.desk.begin(proof, context, client=_agent(headers), replaces=old)
        if old:
            self._entrance.gate.forget(old)
        set_cookies(answer, secret, secure=self._secure(request))
        return secret

    async def sign_out(self, request: Request) -> Response:
        """End the session. Harmless without one."""
        headers, runtime = headers_of(request.scope), self._entrance.host.current
        carried = secret_of(headers)
        if carried is not None:
            secret, _ = carried
            # A session that has ended is left already.
            with suppress(SessionEnded):
                bearing = await self.bearing(request, runtime)
                request_id, client = self._entrance.request_id(headers), address_of(request.scope)
                context = Context(bearing.facts.person, request_id, client=client, channel="login")
                await runtime.desk.leave(secret, context)
            self._entrance.gate.forget(secret)
        by_form = media_type(headers)[0] == FORM
        answer = RedirectResponse("/login", 303, headers=NO_STORE) if by_form else Response(None, 204, headers=NO_STORE)
        for name in (COOKIE, CSRF_COOKIE):
            answer.delete_cookie(name, path="/", samesite="strict", secure=self._secure(request))
        return answer

    async def me(self, request: Request) -> Response:
        """Who I am: roles, scopes, session."""
        runtime = self._entrance.host.current
        return JSONResponse(await self._about(runtime, await self.bearing(request, runtime)), headers=NO_STORE)

    async def confirmation(self, request: Request) -> Response:
        """The page with the code that its holder shows, in person, to who confirms identities."""
        locale, runtime = self.locale(request), self._entrance.host.current
        try:
            bearing = await self.bearing(request, runtime)
        except Unauthenticated:
            return RedirectResponse("/login", 303, headers=NO_STORE)
        if bearing.session.must_change or not bearing.unconfirmed:
            due = "/me/password" if bearing.session.must_change else "/"
            return RedirectResponse(due, 303, headers=NO_STORE)
        person = bearing.facts.person
        code = await runtime.desk.code(bearing.facts.account)
        return confirmation_page(locale, f"{person.name} ({person.login})", code)

    async def password_form(self, request: Request) -> Response:
        """The page to change one's password on."""
        locale, runtime = self.locale(request), self._entrance.host.current
        try:
            bearing = await self.bearing(request, runtime)
        except Unauthenticated:
            return RedirectResponse("/login", 303, headers=NO_STORE)
        return password_page(locale, due=bearing.session.must_change)

    async def change_password(self, request: Request) -> Response:
        """Take the present and a new password. Every other session of the account ends."""
        given, by_form = await self.given(request)
        headers, runtime = headers_of(request.scope), self._entrance.host.current
        bearing = await self.in_person(request, runtime)
        person = bearing.facts.person
        context = Context(person, self._entrance.request_id(headers), client=address_of(request.scope), channel="login")
        desk = runtime.desk
        try:
            proof = await desk.credentials.prove(
                person.id, {"password": given.get("password", "") or "-"}, "password", context
            )
            await desk.credentials.set_password(proof.account, given.get("new", ""), context)
        except ClewError as problem:
            if not by_form:
                raise
            self._entrance.refused(problem)
            return password_page(self.locale(request), problem, due=bearing.session.must_change)
        await desk.end_sessions(proof.account)
        fresh = Proof(proof.account, bearing.session.components, proof.at, unconfirmed=bearing.unconfirmed)
        return await self.enter(request, runtime, fresh, "/" if by_form else None)

    async def pin_form(self, request: Request) -> Response:
        """The page to set one's signing PIN on."""
        locale, runtime = self.locale(request), self._entrance.host.current
        try:
            bearing = await self.bearing(request, runtime)
        except Unauthenticated:
            return RedirectResponse("/login", 303, headers=NO_STORE)
        if bearing.session.must_change:
            return RedirectResponse("/me/password", 303, headers=NO_STORE)
        return pin_page(locale, vouched=VOUCHED in bearing.session.components)

    async def set_pin(self, request: Request) -> Response:
        """Take a signing PIN of one's own, after the password or a fresh sign-on at the identity provider."""
        given, by_form = await self.given(request)
        headers, runtime = headers_of(request.scope), self._entrance.host.current
        bearing = await self.in_person(request, runtime)
        if bearing.session.must_change:
            raise PasswordExpired
        person = bearing.facts.person
        context = Context(
            person, self._entrance.request_id(headers), client=address_of(request.scope), channel="login",
            session=bearing.session.id, epoch=bearing.session.epoch,
        )  # fmt: skip
        credentials, pin = runtime.desk.credentials, given.get("pin", "")
        password = given.get("password", "")
        components = {"password": password} if password else {"sso": "fresh"}
        try:
            # What will not do costs no proof that could be used only once.
            credentials.policy.check_pin(pin, person.login)
            proof = await credentials.prove(person.id, components, "pin", context)
            await credentials.set_pin(proof.account, pin, context)
        except ClewError as problem:
            if not by_form:
                raise
            self._entrance.refused(problem)
            return pin_page(self.locale(request), problem, vouched=VOUCHED in bearing.session.components)
        return RedirectResponse("/", 303, headers=NO_STORE) if by_form else Response(None, 204, headers=NO_STORE)

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────

    def stranger(self, request: Request, path: str) -> Context:
        """The circumstances of somebody who has not said who they are."""
        headers = headers_of(request.scope)
        request_id = self._entrance.request_id(headers)
        locale = language_of(headers, self._entrance.settings)
        return Context(NOBODY, request_id, locale, client=address_of(request.scope), channel=path)

    async def bearing(self, request: Request, runtime: Runtime) -> Bearing:
        """The session a request carries, looked at anew. Raises Unauthenticated, ForgedRequest."""
        headers = headers_of(request.scope)
        carried = secret_of(headers)
        if carried is None:
            raise Unauthenticated
        self._entrance.gate.shows_own_page(request.scope, headers, *carried)
        return await self._entrance.gate.bearing(runtime, carried[0], fresh=True)

    async def in_person(self, request: Request, runtime: Runtime) -> Bearing:
        """The session of somebody who has signed in: a token, which may have been found, changes nobody's secrets, and
        a session does not come of it. Raises TokenNotEnough and what `bearing` raises."""
        bearing = await self.bearing(request, runtime)
        if bearing.session.kind != "cookie":
            raise TokenNotEnough
        return bearing

    async def given(self, request: Request) -> tuple[dict[str, str], bool]:
        """The members of a form or a JSON object, and whether it was a form. A form must come from our own page."""
        headers = headers_of(request.scope)
        kind, charset = media_type(headers)
        if kind not in (FORM, JSON) or charset != "utf-8":
            raise UnsupportedMediaType(types=f"{JSON}, {FORM}")
        if kind == FORM and b"origin" not in headers:
            raise ForgedRequest
        body = await read_body(headers, request.receive, _LONGEST, self._entrance.settings.body_timeout)
        try:
            if kind == JSON:
                return msgspec.json.decode(body, type=dict[str, str]), False
            fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=16, errors="strict")
        except (msgspec.DecodeError, ValueError, RecursionError):
            # What could not be read may hold a password: it is not repeated.
            raise MalformedRequest(what="login, password, code") from None
        return {name: values[-1] for name, values in fields.items()}, True

    async def _about(self, runtime: Runtime, bearing: Bearing) -> dict[str, Any]:
        """What `/me` tells. The code only once the password is its owner's own."""
        shown = _shown(bearing)
        if bearing.unconfirmed:
            due = bearing.session.must_change
            shown["confirmation"] = None if due else await runtime.desk.code(bearing.facts.account)
        return shown

    def locale(self, request: Request) -> Locale:
        asked = request.query_params.get("lang")
        return locale_of(asked) if asked else language_of(headers_of(request.scope), self._entrance.settings)

    @property
    def _sso(self) -> bool:
        return bool(self._entrance.settings.oidc_issuer)

    def _secure(self, request: Request) -> bool:
        return is_secure(self._entrance.settings, request.scope["scheme"])


def is_secure(settings: Settings, scheme: str) -> bool:
    """Whether cookies may travel over TLS only. On this machine there is none to travel over."""
    return scheme == "https" or settings.public_url.startswith("https:") or not settings.loopback


def set_cookies(answer: Response, secret: str, *, secure: bool) -> None:
    """The session, which no script can read, and the value that only our own page can read and send back."""
    answer.set_cookie(COOKIE, secret, path="/", httponly=True, samesite="strict", secure=secure)
    answer.set_cookie(CSRF_COOKIE, csrf_of(secret), path="/", samesite="strict", secure=secure)


def next_of(given: str | None) -> str:
    """Where to go after signing in: an address of ours, never another's."""
    plain = given or "/"
    ours = plain.startswith("/") and not plain.startswith("//") and "\\" not in plain and plain.isprintable()
    return plain if ours and len(plain) <= 500 else "/"


def _person(proof: Proof) -> Person:
    account = proof.account
    return Person(id=account.id, login=account.login, name=account.name, employee=account.employee)


def _agent(headers: Headers) -> str:
    return headers.get(b"user-agent", b"").decode("latin-1")[:200]


def _shown(bearing: Bearing) -> dict[str, Any]:
    person, session = bearing.facts.person, bearing.session
    return {
        "id": str(person.id),
        "login": person.login,
        "name": person.name,
        "kind": bearing.facts.account.kind,
        "roles": list(person.roles),
        "scopes": {
            role: {
                "sites": None if scope.sites is None else [str(site) for site in scope.sites],
                "families": None if scope.families is None else list(scope.families),
            }
            for role, scope in person.scopes.items()
        },
        "mustChange": session.must_change,
        "unconfirmed": bearing.unconfirmed,
        "session": {
            "kind": session.kind,
            "components": list(session.components),
            "expiresAt": instant_text(session.expires_at),
            "endsAt": instant_text(session.ends_at),
        },
    }
