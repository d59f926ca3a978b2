"""`/login/oidc`: out to the identity provider and back again."""

from __future__ import annotations

import logging
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from clew.identity.claims import misspelt, provider_of
from clew.identity.errors import PasswordExpired, Unauthenticated
from clew.identity.sso import SingleSignOn
from clew.identity.vouching import enter, link, sign_again
from clew.kernel.errors import ClewError, NotFound
from clew.kernel.text import Bilingual
from clew.runtime import Runtime
from clew.web.entrance import Entrance
from clew.web.gate import cookies
from clew.web.login import NO_STORE, SignIn, is_secure, next_of
from clew.web.login_pages import entered_page, link_page, login_page
from clew.web.requests import headers_of, language_of

_log = logging.getLogger("clew.web")
ROUND_COOKIE = "clew_sso"
CALLBACK = "/login/oidc/callback"


class OidcDoor:
    """Handlers of `/login/oidc` and its way back."""

    def __init__(self, entrance: Entrance, sign_in: SignIn) -> None:
        self._entrance, self._sign_in = entrance, sign_in
        self._sso: SingleSignOn | None = None
        entrance.host.on_change(self._look)

    async def leave(self, request: Request) -> Response:
        """Send the browser to the provider."""
        return await self._out(request, next_of(request.query_params.get("next")))

    async def _out(self, request: Request, after: str, session: str = "") -> Response:
        address, kept = await self._provider().begin(self._callback(request), after, session)
        return self._keeping(request, RedirectResponse(address, 303, headers=NO_STORE), kept)

    def _keeping(self, request: Request, answer: Response, kept: str) -> Response:
        settings = self._entrance.settings
        # Lax: the way back begins at another site, and a strict cookie would not come along.
        answer.set_cookie(
            ROUND_COOKIE, kept, max_age=600, path="/login/oidc", httponly=True, samesite="lax",
            secure=is_secure(settings, request.scope["scheme"]),
        )  # fmt: skip
        return answer

    async def sign(self, request: Request) -> Response:
        """Send the browser to the provider once more, to be asked again: what it vouches for then signs once."""
        runtime = self._entrance.host.current
        bearing = await self._sign_in.bearing(request, runtime)
        after = next_of(request.query_params.get("next"))
        return await self._out(request, after, bearing.session.id if bearing.session.kind == "cookie" else "")

    async def link_form(self, request: Request) -> Response:
        """The page to link one's account on."""
        self._provider()
        try:
            await self._sign_in.bearing(request, self._entrance.host.current)
        except Unauthenticated:
            return RedirectResponse("/login", 303, headers=NO_STORE)
        return link_page(self._sign_in.locale(request))

    async def link(self, request: Request) -> Response:
        """Take the credentials of the account here, then send the browser to the provider: whom it vouches for then is
        this account from now on. A page in between, because a form leads to no other site."""
        sso, runtime = self._provider(), self._entrance.host.current
        given, by_form = await self._sign_in.given(request)
        bearing = await self._sign_in.in_person(request, runtime)
        if bearing.session.must_change:
            raise PasswordExpired
        person, credentials = bearing.facts.person, runtime.desk.credentials
        context = replace(self._sign_in.stranger(request, "login"), person=person)
        components = {"password": given.get("password", "") or "-"}
        if "totp" in await credentials.available(person.id):
            components["totp"] = given.get("code", "").strip() or "-"
        try:
            await credentials.prove(person.id, components, "link", context)
        except ClewError as problem:
            if not by_form:
                raise
            self._entrance.refused(problem)
            return link_page(self._sign_in.locale(request), problem)
        address, kept = await sso.begin(self._callback(request), "/", bearing.session.id, links=True)
        answer: Response = JSONResponse({"address": address}, headers=NO_STORE)
        if by_form:
            answer = entered_page(self._sign_in.locale(request), address)
        return self._keeping(request, answer, kept)

    async def come_back(self, request: Request) -> Response:
        """Take the provider's answer; the page in between makes the browser send the strict session cookie."""
        headers = headers_of(request.scope)
        settings, runtime = self._entrance.settings, self._entrance.host.current
        locale = language_of(headers, settings)
        context = self._sign_in.stranger(request, "login")
        answer: Response
        sealed = cookies(headers.get(b"cookie", b"")).get(ROUND_COOKIE, "")
        try:
            sso = self._provider()
            vouched = await sso.finish(self._callback(request), dict(request.query_params), sealed)
            if vouched.session:
                await (link if vouched.links else sign_again)(runtime.desk, vouched, context)
                answer = entered_page(locale, next_of(vouched.after))
                answer.delete_cookie(ROUND_COOKIE, path="/login/oidc")
                return answer
            create, by_login = settings.oidc_create, settings.oidc_match_login
            proof = await enter(runtime.desk, sso.provider, vouched, context, create=create, by_login=by_login)
            answer = entered_page(locale, next_of(vouched.after))
            await self._sign_in.begin_session(request, runtime, proof, answer)
        except ClewError as problem:
            self._entrance.refused(problem)
            answer = login_page(locale, "/", problem, sso=True)
        answer.delete_cookie(ROUND_COOKIE, path="/login/oidc")
        return answer

    def _look(self, runtime: Runtime) -> None:
        """Tell what the mapping says wrongly, now and for every release that is taken."""
        for problem in misspelt(self._entrance.settings, runtime.desk.roles):
            _log.warning("oidc_roles: %s", problem.en)

    def _provider(self) -> SingleSignOn:
        settings, runtime = self._entrance.settings, self._entrance.host.current
        if not settings.oidc_issuer:
            raise NotFound(what=Bilingual("单点登录", "single sign-on"))
        if self._sso is None:
            self._sso = SingleSignOn(provider_of(settings), runtime.desk.vault, runtime.clock)
        return self._sso

    def _callback(self, request: Request) -> str:
        own = self._entrance.settings.public_url.rstrip("/")
        return (own or f"{request.scope['scheme']}://{request.headers.get('host', '')}") + CALLBACK
