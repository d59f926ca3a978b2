"""The pages to sign in and change one's secrets: plain HTML, no script, no request to another host, good on a phone."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from urllib.parse import quote

from starlette.responses import HTMLResponse

from clew.kernel.errors import ClewError
from clew.kernel.text import Bilingual, Locale

_STYLE = """
*{box-sizing:border-box}body{font:16px/1.6 system-ui,"Noto Sans CJK SC",sans-serif;color:#1f2933;background:#f4f6f8;
margin:0;padding:1rem}main{max-width:24rem;margin:8vh auto 0;background:#fff;padding:1.6rem;border-radius:10px;
box-shadow:0 1px 4px #0002}h1{font-size:1.4rem;margin:0}p.sub{color:#61707f;margin:0 0 1rem}a{color:#0b5cad}
label{display:block;margin:.8rem 0 .2rem}input{width:100%;font:inherit;padding:.6rem;border:1px solid #b8c2cc;
border-radius:6px}input:focus{outline:2px solid #0b5cad}button,a.button{display:block;width:100%;margin-top:1.2rem;
font:inherit;padding:.7rem;border:0;border-radius:6px;background:#0b5cad;color:#fff;text-align:center;
text-decoration:none}button{cursor:pointer}
a.button,button.plain{background:#eef2f5;color:#0b5cad}p.problem{background:#fdecea;border:1px solid #f5c2bd;
padding:.6rem .8rem;border-radius:6px;margin:0 0 .6rem}
h1.code{font-size:2.2rem;letter-spacing:.15em;text-align:center}p.note{background:#fff7e0;border:1px solid #f0dfa8;
padding:.6rem .8rem;border-radius:6px}
""".strip()
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)

_WORDS = {
    "title": Bilingual("登录", "Sign in"),
    "login": Bilingual("账号", "Login"),
    "password": Bilingual("密码", "Password"),
    "code": Bilingual("动态验证码(如已启用)", "Code of your generator (if you have one)"),
    "go": Bilingual("登录", "Sign in"),
    "sso": Bilingual("单点登录", "Single sign-on"),
    "other": Bilingual("English", "中文"),
    "change": Bilingual("修改密码", "Change password"),
    "due": Bilingual("密码已到期或由管理员设置,请先修改。", "Your password is due or was set for you: change it."),
    "present": Bilingual("当前密码", "Present password"),
    "new": Bilingual("新密码(至少 12 个字符)", "New password (12 characters or more)"),
    "pin": Bilingual("设置签名 PIN", "Set your signing PIN"),
    "digits": Bilingual("新 PIN(6 至 12 位数字)", "New PIN (6 to 12 digits)"),
    "fresh": Bilingual(
        "请先重新登录,再于五分钟内设置 PIN(密码留空)。",
        "Sign on once more first, then set the PIN within five minutes (leave the password empty).",
    ),
    "link": Bilingual("关联单点登录", "Link single sign-on"),
    "linking": Bilingual(
        "输入本系统的密码,然后在身份提供方重新登录;此后可用单点登录进入本账号。",
        "Prove this account with its password, then sign on at the identity provider: from then on that lets you in.",
    ),
    "sign on": Bilingual("重新登录", "Sign on once more"),
    "save": Bilingual("保存", "Save"),
    "confirm": Bilingual("确认身份", "Confirm your identity"),
    "why": Bilingual(
        "您的凭证由他人设置。请当面向可确认身份的同事出示本页;确认之前不能使用系统,也不能签名。切勿通过电话、"
        "邮件或转述告知确认码。",
        "Your credentials were set by somebody else. Show this page, in person, to a colleague who confirms "
        "identities; until then nothing opens and nothing can be signed. Never pass the code on by telephone or mail.",
    ),
    "again": Bilingual("已确认,继续", "It is done: go on"),
    "leave": Bilingual("退出登录", "Sign out"),
}


def login_page(
    locale: Locale, after: str, problem: ClewError | None = None, login: str = "", *, sso: bool = False
) -> HTMLResponse:
    """The page to sign in on; with what went wrong the last time."""
    w = {name: text.to(locale) for name, text in _WORDS.items()}
    other = "en" if locale == "zh" else "zh"
    going = quote(after, safe="/")
    more = f'<a class=button href="/login/oidc?next={going}">{w["sso"]}</a>' if sso else ""
    here = f"/login?lang={other}&next={going}"
    language = f'<a href="{escape(here, quote=True)}">{w["other"]}</a>'
    body = (
        f"<h1>Clew</h1><p class=sub>{w['title']} · {language}</p>{_told(problem, locale)}"
        '<form method="post" action="/login">'
        f'<input type="hidden" name="next" value="{escape(after, quote=True)}">'
        f'<input type="hidden" name="lang" value="{locale}">'
        f'<label for="login">{w["login"]}</label><input id="login" name="login" autocomplete="username" '
        f'autocapitalize="none" spellcheck="false" required autofocus value="{escape(login[:60], quote=True)}">'
        f'<label for="password">{w["password"]}</label><input id="password" name="password" type="password" '
        'autocomplete="current-password" required>'
        f'<label for="code">{w["code"]}</label><input id="code" name="code" inputmode="numeric" pattern="[0-9]*" '
        'maxlength="6" autocomplete="one-time-code">'
        f"<button>{w['go']}</button></form>{more}"
    )
    return _page(body, locale, w["title"], 401 if problem else 200)


def password_page(locale: Locale, problem: ClewError | None = None, *, due: bool = False) -> HTMLResponse:
    """The page to change a password on."""
    w = {name: text.to(locale) for name, text in _WORDS.items()}
    note = f"<p class=note>{w['due']}</p>" if due else ""
    body = (
        f"<h1>Clew</h1><p class=sub>{w['change']}</p>{note}{_told(problem, locale)}"
        '<form method="post" action="/me/password">'
        f'<label for="password">{w["present"]}</label><input id="password" name="password" type="password" '
        'autocomplete="current-password" required autofocus>'
        f'<label for="new">{w["new"]}</label><input id="new" name="new" type="password" '
        'autocomplete="new-password" required>'
        f"<button>{w['save']}</button></form>"
    )
    return _page(body, locale, w["change"], problem.status if problem else 200)


def pin_page(locale: Locale, problem: ClewError | None = None, *, vouched: bool = False) -> HTMLResponse:
    """The page to set a signing PIN on. `vouched`: who uses it signs in elsewhere, and so signs on once more there."""
    w = {name: text.to(locale) for name, text in _WORDS.items()}
    again = f'<a class=button href="/login/oidc/sign?next=/me/pin">{w["sign on"]}</a>'
    note = f"<p class=note>{w['fresh']}</p>{again}" if vouched else ""
    needed = "" if vouched else " required"
    body = (
        f"<h1>Clew</h1><p class=sub>{w['pin']}</p>{note}{_told(problem, locale)}"
        '<form method="post" action="/me/pin">'
        f'<label for="pin">{w["digits"]}</label><input id="pin" name="pin" type="password" inputmode="numeric" '
        'pattern="[0-9]*" maxlength="12" autocomplete="off" required autofocus>'
        f'<label for="password">{w["present"]}</label><input id="password" name="password" type="password" '
        f'autocomplete="current-password"{needed}>'
        f"<button>{w['save']}</button></form>"
    )
    return _page(body, locale, w["pin"], problem.status if problem else 200)


def link_page(locale: Locale, problem: ClewError | None = None) -> HTMLResponse:
    """The page to link one's account with single sign-on on."""
    w = {name: text.to(locale) for name, text in _WORDS.items()}
    body = (
        f"<h1>Clew</h1><p class=sub>{w['link']}</p><p class=note>{w['linking']}</p>{_told(problem, locale)}"
        '<form method="post" action="/me/sso">'
        f'<label for="password">{w["present"]}</label><input id="password" name="password" type="password" '
        'autocomplete="current-password" required autofocus>'
        f'<label for="code">{w["code"]}</label><input id="code" name="code" inputmode="numeric" pattern="[0-9]*" '
        'maxlength="6" autocomplete="one-time-code">'
        f"<button>{w['link']}</button></form>"
    )
    return _page(body, locale, w["link"], problem.status if problem else 200)


def confirmation_page(locale: Locale, who: str, code: str) -> HTMLResponse:
    """The code that its holder shows to another person."""
    w = {name: text.to(locale) for name, text in _WORDS.items()}
    body = (
        f"<h1>Clew</h1><p class=sub>{w['confirm']} · {escape(who)}</p><p class=note>{w['why']}</p>"
        f'<h1 class=code>{escape(code)}</h1><a class=button href="/">{w["again"]}</a>'
        f'<form method="post" action="/logout"><button class=plain>{w["leave"]}</button></form>'
    )
    return _page(body, locale, w["confirm"], 200)


def entered_page(locale: Locale, after: str) -> HTMLResponse:
    """Between another site and ours: a cookie that is not sent along with other sites' links is sent from here on."""
    to = escape(after, quote=True)
    return _page(
        f'<h1>Clew</h1><p><a href="{to}">→</a></p>', locale, "Clew", 200,
        f'<meta http-equiv="refresh" content="0;url={to}">',
    )  # fmt: skip


def _told(problem: ClewError | None, locale: Locale) -> str:
    return f"<p class=problem role=alert>{escape(problem.message(locale))}</p>" if problem else ""


def _page(body: str, locale: Locale, title: str, status: int, head: str = "") -> HTMLResponse:
    language = "zh-CN" if locale == "zh" else "en"
    return HTMLResponse(
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">{head}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(title)} · Clew</title><style>{_STYLE}</style>'
        f"<main>{body}</main></html>",
        status_code=status,
        headers={
            "content-security-policy": POLICY,
            "x-content-type-options": "nosniff",
            # With no-referrer a browser would send `Origin: null` with the form, which no door lets in.
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "cache-control": "no-store",
        },
    )
