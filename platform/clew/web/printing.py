"""`GET /print/<entity>/<id>`: a record as a page for paper, for whoever may read it.

Nothing of it is cached anywhere, nothing is asked of another address, and what the caller may not see is not found.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from uuid import UUID

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from clew.documents.page import STYLE, Page
from clew.documents.reading import read
from clew.kernel.errors import NotFound
from clew.kernel.text import locale_of
from clew.records.source import Source
from clew.web.entrance import Entrance
from clew.web.pages import Pages

_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


class Printing:
    """Handler of the printable page."""

    def __init__(self, entrance: Entrance, pages: Pages) -> None:
        self._entrance, self._pages = entrance, pages

    async def record(self, request: Request) -> Response:
        """The page, in the language of `?lang=`, else of the browser."""
        caller = await self._pages.sign_in_first(request)
        if isinstance(caller, Response):
            return caller
        runtime, asked = self._entrance.host.current, request.query_params.get("lang")
        context = replace(caller.context, locale=locale_of(asked)) if asked else caller.context
        entity, given = str(request.path_params["entity"]), str(request.path_params["id"])
        try:
            record = UUID(given)
        except ValueError:
            raise NotFound(what=f"{entity} {given[:60]}") from None
        source = Source(
            runtime.database,
            runtime.blueprint,
            runtime.tables,
            caller.decision,
            context,
            runtime.clock.now(),
            blobs=self._entrance.host.blobs,
        )
        printed = await read(source, entity, record)
        return HTMLResponse(Page(source, runtime.number).html(printed), headers=_HEADERS)
