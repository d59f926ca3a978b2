"""The plain pages: what is running here and where to go next, and GraphiQL, built here and served from here.

Every page has a strict Content-Security-Policy and makes no request to another host.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from clew import __version__
from clew.api.exchange import Caller
from clew.identity.errors import IdentityDue, PasswordExpired, Unauthenticated
from clew.kernel.context import Context
from clew.kernel.text import Bilingual, Locale, locale_of
from clew.runtime import Runtime
from clew.web.entrance import Entrance
from clew.web.requests import headers_of, language_of

STATIC = Path(__file__).parent / "static"

_STYLE = """
body{font:16px/1.6 system-ui,"Noto Sans CJK SC",sans-serif;color:#1f2933;
max-width:56rem;margin:3rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.2rem}p.sub{color:#61707f;margin-top:0}a{color:#0b5cad}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1.2rem}dt{color:#61707f}dd{margin:0}
ul{padding-left:1.2rem}code{background:#f0f3f6;padding:.1rem .3rem;border-radius:3px}
p.note{background:#fff7e0;border:1px solid #f0dfa8;padding:.6rem .8rem;border-radius:6px}
form{display:inline}button{font:inherit;color:#0b5cad;background:none;border:0;padding:.3rem 0;cursor:pointer;
text-decoration:underline}
""".strip()
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

PLAIN_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
GRAPHIQL_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""GraphiQL's editor sets inline styles; scripts are our own files only, and there is no eval."""

_WORDS = {
    "running": Bilingual("正在运行", "Running"),
    "release": Bilingual("发布", "Release"),
    "database": Bilingual("数据库", "Database"),
    "entities": Bilingual("实体", "Entities"),
    "version": Bilingual("平台版本", "Platform version"),
    "open": Bilingual("仅限本机访问:尚无权限策略。", "This machine only: there are no access policies yet."),
    "graphiql": Bilingual("在浏览器中查询与修改数据", "query and change data in the browser"),
    "graphql": Bilingual("GraphQL 接口(POST、WebSocket、SSE)", "the GraphQL API (POST, WebSocket, SSE)"),
    "healthz": Bilingual("进程是否存活", "is the process alive"),
    "readyz": Bilingual("能否应答请求", "can it answer"),
    "metrics": Bilingual("运行指标", "figures for operations"),
    "other": Bilingual("English", "中文"),
    "person": Bilingual("当前用户", "Signed in as"),
    "password": Bilingual("修改密码", "Change password"),
    "leave": Bilingual("退出登录", "Sign out"),
    "unbuilt": Bilingual("网页界面尚未构建,请运行 make web。", "The browser pages are not built; run: make web"),
}


class Pages:
    """Handlers of `/` and `/graphiql`."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    async def start(self, request: Request) -> Response:
        asked = request.query_params.get("lang")
        headers = headers_of(request.scope)
        caller = await self.sign_in_first(request)
        if isinstance(caller, Response):
            return caller
        locale = locale_of(asked) if asked else language_of(headers, self._entrance.settings)
        return _page(self._start(self._entrance.host.current, caller.context, locale), locale)

    async def sign_in_first(self, request: Request) -> Caller | Response:
        """Who comes in, or the way to the sign-in page for whoever may not."""
        headers, runtime = headers_of(request.scope), self._entrance.host.current
        try:
            return await self._entrance.caller(runtime, request.scope, headers, "", fresh=True)
        except PasswordExpired:
            return RedirectResponse("/me/password", 303, headers={"cache-control": "no-store"})
        except IdentityDue:
            return RedirectResponse("/me/confirmation", 303, headers={"cache-control": "no-store"})
        except Unauthenticated:
            here = quote(request.url.path, safe="/")
            return RedirectResponse(f"/login?next={here}", 303, headers={"cache-control": "no-store"})

    async def graphiql(self, request: Request) -> Response:
        caller = await self.sign_in_first(request)
        if isinstance(caller, Response):
            return caller
        page = STATIC / "graphiql" / "index.html"
        if not page.is_file():
            return _page(f"<p>{_WORDS['unbuilt'].zh}</p><p>{_WORDS['unbuilt'].en}</p>", "en", status=503)
        return HTMLResponse(page.read_bytes(), headers=_headers(GRAPHIQL_POLICY))

    def _start(self, runtime: Runtime, context: Context, locale: Locale) -> str:
        project = runtime.blueprint.project
        settings = self._entrance.settings
        doors = ["graphql", "healthz", "readyz", "metrics"]
        if not settings.production:
            doors.insert(0, "graphiql")
        facts = {
            "running": f"{escape(project.label.to(locale) or project.name)} {escape(project.version)}",
            "release": str(runtime.number),
            "database": runtime.database.dialect,
            "entities": str(len(runtime.blueprint.entities)),
            "version": __version__,
        }
        if context.session is not None:
            facts["person"] = _person(runtime, context, locale)
        rows = "".join(f"<dt>{_WORDS[name].to(locale)}</dt><dd>{value}</dd>" for name, value in facts.items())
        links = "".join(f"<li>{_door(door)} — {_WORDS[door].to(locale)}</li>" for door in doors)
        other = "en" if locale == "zh" else "zh"
        note = "" if runtime.guarded else f"<p class=note>{_WORDS['open'].to(locale)}</p>"
        return (
            f"<h1>Clew</h1><p class=sub>{escape(project.label.to(locale))} · "
            f'<a href="/?lang={other}">{_WORDS["other"].to(locale)}</a></p>'
            f"{note}<dl>{rows}</dl><ul>{links}</ul>"
        )


def _person(runtime: Runtime, context: Context, locale: Locale) -> str:
    """Whose session it is, in which roles, and the way out of it."""
    person, policies = context.person, runtime.blueprint.policies
    known = policies.roles if policies is not None else {}
    labels = [known[name].label.to(locale) if name in known else name for name in person.roles]
    roles = f" — {escape(('、' if locale == 'zh' else ', ').join(labels))}" if labels else ""
    w = {name: text.to(locale) for name, text in _WORDS.items()}
    return (
        f'{escape(person.name)} ({escape(person.login)}){roles}<br><a href="/me/password">{w["password"]}</a> · '
        f'<form method="post" action="/logout"><button>{w["leave"]}</button></form>'
    )


def _door(name: str) -> str:
    """A link; the API itself is only named, for a browser's GET has nothing to ask there."""
    return f"<code>/{name}</code>" if name == "graphql" else f'<a href="/{name}">/{name}</a>'


def _page(body: str, locale: Locale, status: int = 200) -> HTMLResponse:
    language = "zh-CN" if locale == "zh" else "en"
    return HTMLResponse(
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>Clew</title><style>{_STYLE}</style>{body}</html>',
        status_code=status,
        # With no-referrer a browser would send `Origin: null` with the form, which no door lets in.
        headers={**_headers(PLAIN_POLICY), "referrer-policy": "same-origin"},
    )


def _headers(policy: str) -> dict[str, str]:
    return {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-cache",
    }
