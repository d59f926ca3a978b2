"""Single sign-on by OpenID Connect: authorization code with PKCE, state and nonce; what the provider's token proves.

The provider is believed for who somebody is, as far as its signature, issuer, audience, nonce and times hold. What that
person may do here is decided here.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urlencode, urlsplit

import httpx2
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from clew.identity.errors import SecretKeyMissing, SingleSignOnFailed
from clew.identity.secrets import Vault, same
from clew.kernel.clock import Clock
from clew.kernel.text import Bilingual

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
"""Signatures that are accepted; never `none`, never one made with a shared secret."""
LEEWAY_SECONDS = 60
SKEW_SECONDS = 5
"""How far the provider's clock may be behind ours when it says that it asked just now; whole seconds are cut off."""
ROUND_SECONDS = 600
"""How long somebody may take at the provider."""
_METADATA_SECONDS = 3_600
_TIMEOUT = 10.0
_LONGEST = 1_000_000
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Provider:
    """What the settings say about the provider."""

    issuer: str
    client_id: str
    client_secret: str
    login_claim: str
    roles_claim: str
    roles: tuple[tuple[str, str], ...]
    """(group, role) pairs."""

    def mapped(self) -> frozenset[str]:
        """Every role that groups can give."""
        return frozenset(role for _, role in self.roles)

    def roles_of(self, groups: Sequence[str]) -> frozenset[str]:
        return frozenset(role for group, role in self.roles if group in groups)


@dataclass(frozen=True, slots=True)
class Vouched:
    """Who the provider vouches for."""

    subject: str
    """Issuer and subject together: what identifies somebody for ever."""
    login: str
    name: str
    groups: tuple[str, ...]
    after: str
    """Where to go afterwards."""
    session: str = ""
    """The session that asked its holder to sign on again, in order to sign, or to link the account."""
    links: bool = False
    """Its holder has proved the account here, and wants it known by this subject from now on."""


class SingleSignOn:
    """The relying party's part of one provider."""

    def __init__(self, provider: Provider, vault: Vault, clock: Clock) -> None:
        if not _guarded(provider.issuer):
            raise SingleSignOnFailed(what=Bilingual("提供方地址须为 https", "the issuer's address must be https"))
        self.provider, self._vault, self._clock = provider, vault, clock
        self._metadata: dict[str, Any] | None = None
        self._keys: KeySet | None = None
        self._read_at = 0.0

    async def begin(self, redirect: str, after: str, session: str = "", *, links: bool = False) -> tuple[str, str]:
        """The provider's address to go to, and what to keep in the browser meanwhile (sealed). With a session its
        holder is asked to sign on again, whatever the provider remembers; `links`: to be known by it afterwards."""
        metadata = await self._known()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        asked = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": redirect,
            "scope": "openid profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        if session:
            asked |= {"prompt": "login", "max_age": "0"}
        kept = {
            "state": state, "nonce": nonce, "verifier": verifier, "after": after, "at": self._seconds(),
            "session": session, "links": links,
        }  # fmt: skip
        address = metadata["authorization_endpoint"]
        joined = "&" if "?" in address else "?"
        return f"{address}{joined}{urlencode(asked)}", self._vault.seal(json.dumps(kept), "sso")

    async def finish(self, redirect: str, given: Mapping[str, str], sealed: str) -> Vouched:
        """Whom the provider's answer proves. Raises SingleSignOnFailed."""
        kept = self._opened(sealed)
        if not same(kept["state"], given.get("state", "")):
            _fail("the answer belongs to another round", "返回结果不属于本次登录")
        metadata = await self._known()
        # RFC 9207: an answer that names another issuer was mixed up; so is one without a name where it always has one.
        named = metadata.get("authorization_response_iss_parameter_supported") is True
        if (named or "iss" in given) and given.get("iss") != metadata["issuer"]:
            _fail("another provider answered", "应答来自其他提供方")
        if "error" in given or "code" not in given:
            _fail("the provider did not agree", "身份提供方未同意")
        async with _client() as client:
            tokens = await self._exchange(client, metadata, redirect, given["code"], kept["verifier"])
            claims = await self._proved(client, str(tokens.get("id_token", "")), kept["nonce"])
            if kept.get("session"):
                self._asked_again(claims, kept["at"])
            claims = {**await self._userinfo(client, metadata, tokens, claims["sub"]), **claims}
        login = claims.get(self.provider.login_claim)
        if not isinstance(login, str) or not login:
            _fail("the claim with the login is missing", "缺少登录账号声明")
        groups = claims.get(self.provider.roles_claim) or ()
        groups = (groups,) if isinstance(groups, str) else tuple(str(each) for each in groups)
        name = claims.get("name")
        subject = f"{metadata['issuer']}|{claims['sub']}"
        shown = name if isinstance(name, str) else str(login)
        session, links = kept.get("session", ""), kept.get("links") is True
        return Vouched(subject, str(login), shown, groups, kept["after"], session, links)

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _opened(self, sealed: str) -> dict[str, Any]:
        try:
            kept: dict[str, Any] = json.loads(self._vault.open(sealed, "sso"))
        except (SecretKeyMissing, ValueError):
            _fail("this browser has not begun to sign in", "该浏览器未发起登录")
        if not 0 <= self._seconds() - kept["at"] <= ROUND_SECONDS:
            _fail("it took too long", "登录超时")
        return kept

    def _asked_again(self, claims: Mapping[str, Any], began: float) -> None:
        """A provider that did not ask again has proved nothing new: `auth_time` is after we asked."""
        at = claims.get("auth_time")
        if isinstance(at, bool) or not isinstance(at, int | float):
            _fail("the provider does not say when it asked", "身份提供方未说明登录时间")
        if at < began - SKEW_SECONDS or at > self._seconds() + LEEWAY_SECONDS:
            _fail("the provider did not ask again", "身份提供方未要求重新登录")

    async def _exchange(
        self, client: httpx2.AsyncClient, metadata: Mapping[str, Any], redirect: str, code: str, verifier: str
    ) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "code_verifier": verifier,
        }
        auth = (self.provider.client_id, self.provider.client_secret)
        return await _json(client, metadata["token_endpoint"], form, auth)

    async def _proved(self, client: httpx2.AsyncClient, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an id token whose signature, issuer, audience, nonce and times hold."""
        claims = await self._signed(client, token)
        now = self._seconds()
        audience = claims.get("aud")
        audience = [audience] if isinstance(audience, str) else audience or []
        metadata = await self._known()
        times = [claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)]
        if claims.get("iss") != metadata["issuer"] or not isinstance(claims.get("sub"), str) or not claims["sub"]:
            _fail("the token names another issuer", "令牌的签发方不符")
        if self.provider.client_id not in audience or (
            (len(audience) > 1 or "azp" in claims) and claims.get("azp") != self.provider.client_id
        ):
            _fail("the token is for somebody else", "令牌的受众不符")
        if not isinstance(claims.get("nonce"), str) or not same(claims["nonce"], nonce):
            _fail("the token belongs to another round", "令牌不属于本次登录")
        if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in times):
            _fail("the token has no times", "令牌缺少时间")
        if now > claims["exp"] + LEEWAY_SECONDS or now < max(times[1:]) - LEEWAY_SECONDS:
            _fail("the token is not valid now", "令牌当前无效")
        return claims

    async def _signed(self, client: httpx2.AsyncClient, token: str) -> dict[str, Any]:
        for fresh in (False, True):  # the provider may have taken a new key meanwhile
            try:
                return dict(jwt.decode(token, await self._keyset(client, fresh), algorithms=ALGORITHMS).claims)
            except (JoseError, ValueError):
                continue
        raise SingleSignOnFailed(what=Bilingual("令牌签名无效", "the token is not signed by the provider"))

    async def _userinfo(
        self, client: httpx2.AsyncClient, metadata: Mapping[str, Any], tokens: Mapping[str, Any], subject: str
    ) -> dict[str, Any]:
        address, access = metadata.get("userinfo_endpoint"), tokens.get("access_token")
        if not address or not access:
            return {}
        found = await _json(client, address, headers={"authorization": f"Bearer {access}"})
        if found.get("sub") != subject:
            _fail("the provider speaks of two people", "提供方返回了不同的用户")
        return found

    async def _known(self) -> dict[str, Any]:
        """The provider's own description, read again every hour."""
        if self._metadata is None or self._clock.monotonic() - self._read_at > _METADATA_SECONDS:
            issuer = self.provider.issuer.rstrip("/")
            async with _client() as client:
                found = await _json(client, f"{issuer}/.well-known/openid-configuration")
            if str(found.get("issuer", "")).rstrip("/") != issuer:
                _fail("the description names another issuer", "发现文档的签发方不符")
            if not all(_guarded(str(found[each])) for each in _ENDPOINTS if each in found):
                _fail("it describes an address without TLS", "发现文档中有未加密的地址")
            self._metadata, self._read_at, self._keys = found, self._clock.monotonic(), None
        return self._metadata

    async def _keyset(self, client: httpx2.AsyncClient, fresh: bool) -> KeySet:
        if self._keys is None or fresh:
            self._keys = KeySet.import_key_set(await _json(client, (await self._known())["jwks_uri"]))  # type: ignore[arg-type]
        return self._keys

    def _seconds(self) -> float:
        return self._clock.now().timestamp()


def _guarded(address: str) -> bool:
    """Whether nobody on the way reads what goes to an address: codes, secrets and tokens do."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def _client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(timeout=_TIMEOUT, follow_redirects=False, trust_env=False)


async def _json(
    client: httpx2.AsyncClient,
    address: str,
    form: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """An object from the provider. What went wrong is not repeated: it may hold a code or a secret."""
    try:
        if form is None:
            answer = await client.get(address, headers=dict(headers or {}))
        else:
            answer = await client.post(address, data=dict(form), auth=auth or httpx2.USE_CLIENT_DEFAULT)
        found = answer.json() if answer.status_code == 200 and len(answer.content) <= _LONGEST else None
    except (httpx2.HTTPError, ValueError, KeyError):
        found = None
    if not isinstance(found, dict):
        _fail("the provider does not answer as it should", "身份提供方应答异常")
    return found


def _fail(en: str, zh: str) -> NoReturn:
    raise SingleSignOnFailed(what=Bilingual(zh=zh, en=en))
