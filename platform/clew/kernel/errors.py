"""The one family of errors: a stable code, a sentence and a hint in both languages, never a traceback for the caller.

An error class states its texts once, as templates over its parameters. Parameters are inert: they are formatted
with `str(value)` only, so a brace in user data stays a brace.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from clew.kernel.text import Locale

_HOLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def fill(template: str, params: Mapping[str, object]) -> str:
    """Replace `{name}` by `str(params[name])`. Attribute access and format specs do not exist here (threat 7)."""
    return _HOLE.sub(lambda hole: str(params[hole[1]]) if hole[1] in params else hole[0], template)


class ClewError(Exception):
    """Root of everything the platform raises on purpose.

    `code` is stable and appears in GraphQL `extensions.code`, in `--json` output and in docs/errors.md.
    `status` is the HTTP status a plain HTTP surface answers with. `path` names the offending input (`input.qty`).
    """

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int] = 500
    en: ClassVar[str] = "Something went wrong inside the platform."
    zh: ClassVar[str] = "平台内部发生错误。"
    hint_en: ClassVar[str] = ""
    hint_zh: ClassVar[str] = ""
    retryable: ClassVar[bool] = False

    def __init__(self, *, path: Sequence[str | int] = (), **params: Any) -> None:
        self.params: dict[str, Any] = params
        self.path: tuple[str | int, ...] = tuple(path)
        super().__init__(self.message("en"))

    def message(self, locale: Locale) -> str:
        return fill(self.zh if locale == "zh" else self.en, self.params_in(locale))

    def hint(self, locale: Locale) -> str:
        return fill(self.hint_zh if locale == "zh" else self.hint_en, self.params_in(locale))

    def params_in(self, locale: Locale) -> dict[str, object]:
        """Parameters with bilingual values resolved to one language."""
        resolved: dict[str, object] = {}
        for name, value in self.params.items():
            to = getattr(value, "to", None)
            resolved[name] = to(locale) if callable(to) else value
        return resolved


class BadInput(ClewError):
    """The caller sent something that cannot be accepted; nothing was changed."""

    code, status = "BAD_INPUT", 400
    en, zh = "{what}", "{what}"


class NotFound(ClewError):
    """No such thing, or none the caller may see: deliberately the same answer (threat 21)."""

    code, status = "NOT_FOUND", 404
    en = "There is no {what} with this key, or you may not see it."
    zh = "没有该{what},或您无权查看。"


class Forbidden(ClewError):
    """The caller may not do this."""

    code, status = "FORBIDDEN", 403
    en = "You may not {action} this {what}."
    zh = "您无权对该{what}执行“{action}”。"
    hint_en, hint_zh = "Ask who can with: clew access who-can", "可用 clew access who-can 查看谁有权限"


class Conflict(ClewError):
    """Two actors wanted different things; the caller lost and nothing of theirs was written."""

    code, status = "CONFLICT", 409
    en, zh = "{what}", "{what}"


class Unavailable(ClewError):
    """A part the operation depends on cannot answer; writes are refused (fail closed)."""

    code, status, retryable = "UNAVAILABLE", 503, True
    en = "{what} cannot answer right now, so nothing was written."
    zh = "{what}暂时无法应答,未写入任何数据。"
    hint_en, hint_zh = "Try again; if it persists run: clew doctor", "请重试;若持续出现请运行 clew doctor"
