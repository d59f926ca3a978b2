"""Complete GraphQL responses as bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from graphql import GraphQLError

from clew.api.errors import NotValid
from clew.api.exchange import Answer
from clew.kernel.errors import ClewError
from clew.kernel.text import Locale

_MAX_ERRORS = 20
_LONGEST = 400


def error_entry(error: ClewError, locale: Locale, request_id: str, path: Sequence[str | int] = ()) -> dict[str, Any]:
    """One entry of `errors`: message, code, hint, the offending input; never a traceback."""
    extensions: dict[str, Any] = {"code": error.code}
    if hint := error.hint(locale):
        extensions["hint"] = hint
    if error.retryable:
        extensions["retryable"] = True
    if error.path:
        extensions["input"] = [each for each in error.path if each != ""]
    if request_id:
        extensions["requestId"] = request_id
    entry: dict[str, Any] = {"message": error.message(locale), "extensions": extensions}
    if path:
        entry["path"] = list(path)
    return entry


def refused(error: ClewError, locale: Locale, request_id: str) -> Answer:
    """A request error: nothing was executed, so there is no `data`."""
    return Answer(msgspec.json.encode({"errors": [error_entry(error, locale, request_id)]}), False)


def invalid(errors: Iterable[GraphQLError], locale: Locale, request_id: str) -> Answer:
    """The findings of validation."""
    entries: list[dict[str, Any]] = []
    for error in list(errors)[:_MAX_ERRORS]:
        entry = error_entry(NotValid(what=error.message), locale, request_id)
        entry["message"] = entry["message"][:_LONGEST]
        if error.locations:
            entry["locations"] = [{"line": each.line, "column": each.column} for each in error.locations]
        entries.append(entry)
    return Answer(msgspec.json.encode({"errors": entries}), False)


def data(text: str) -> Answer:
    """What the database answered."""
    return Answer(f'{{"data":{text}}}'.encode(), True)


def failed(error: ClewError, locale: Locale, request_id: str) -> Answer:
    """Execution failed as a whole."""
    return Answer(msgspec.json.encode({"errors": [error_entry(error, locale, request_id)], "data": None}), True)


def members(parts: Sequence[tuple[str, str]], errors: Sequence[dict[str, Any]] = ()) -> Answer:
    """Data put together from members that are JSON text, with the errors of those that failed."""
    body = ",".join(f'"{key}":{text}' for key, text in parts)
    shown = f'"errors":{msgspec.json.encode(list(errors)).decode()},' if errors else ""
    return Answer(f'{{{shown}"data":{{{body}}}}}'.encode(), True)
