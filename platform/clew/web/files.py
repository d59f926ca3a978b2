"""Files in and out (threat 46).

In: the raw body, streamed, bounded, named by its SHA-256; nothing is unpacked. A file belongs to nobody until a record
or comment that names it is written.
Out: only to who may see a record's field that names the file, or the process whose comment brings it. Its type is what
its first bytes say, whatever anybody claimed; only pictures and PDF are shown inside a page, everything else (HTML and
SVG above all) is a download.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any
from urllib.parse import quote, unquote
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from clew.api.process_sight import comment_file
from clew.kernel.errors import NotFound
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import FieldKind
from clew.records.query.plan import Elements, Plan, RecordRoot, Slot
from clew.runtime import Runtime
from clew.storage.errors import BlobMissing
from clew.storage.uploads import Quota, Uploads
from clew.web.entrance import Entrance
from clew.web.errors import FileRefused, UnsupportedMediaType
from clew.web.requests import Headers, declared_length, headers_of, media_type, stream_body

FILE = Bilingual("文件", "file")

_SHOWN = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
OPAQUE = "application/octet-stream"
_NAME_LIMIT = 255


class Files:
    """Handlers of `POST /files`, `GET /files/<sha256>?entity=…&id=…&field=…` and `GET /files/<sha256>?process=…`."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    async def upload(self, request: Request) -> Response:
        """Store the body. Answers 201 with `{sha256, size, type, name}`, ready to be put into a `files` field.

        Raises UploadsWaiting, UploadsFull and what stops a body (`web.requests`).
        """
        headers = headers_of(request.scope)
        runtime = self._entrance.host.current
        request_id = self._entrance.request_id(headers)
        caller = await self._entrance.caller(runtime, request.scope, headers, request_id, fresh=True)
        kind, _ = media_type(headers)
        if kind.startswith("multipart/") or headers.get(b"content-encoding", b"identity") != b"identity":
            raise UnsupportedMediaType(types=f"{OPAQUE} (raw)")
        name = _file_name(headers)
        settings, host = self._entrance.settings, self._entrance.host
        person, declared = caller.context.person.id, declared_length(headers, settings.upload_limit)
        room = min(settings.upload_limit, settings.upload_waiting) if declared is None else declared
        lasts = timedelta(seconds=settings.upload_timeout)
        uploads = Uploads(host.database, Quota(settings.upload_waiting, settings.upload_waiting_all, lasts))
        mine = await uploads.begin(person, room)
        head = _Head()
        try:
            body = stream_body(headers, request.receive, room, settings.upload_timeout)
            async with aclosing(head.watch(body)) as content:
                stored = await host.blobs.put(host.database, content, limit=room)
        except BaseException:
            await uploads.failed(mine)
            raise
        await uploads.done(person, mine, stored)
        self._entrance.metrics.uploads.inc(stored.size)
        shown = {"sha256": stored.sha256, "size": stored.size, "type": type_of(bytes(head.bytes)), "name": name}
        return JSONResponse(shown, status_code=201, headers={"cache-control": "no-store"})

    async def download(self, request: Request) -> Response:
        """The content, to who may see it through the record or process named in the query string. Anything else is
        NOT_FOUND."""
        sha256 = str(request.path_params["sha256"])
        headers = headers_of(request.scope)
        runtime = self._entrance.host.current
        where = self._name_in_process if "process" in request.query_params else self._name_in_record
        name = await where(runtime, headers, request, sha256)
        if name is None:
            raise NotFound(what=FILE)
        blobs = self._entrance.host.blobs
        content = blobs.read(sha256)
        try:
            first = await anext(content, b"")
        except BlobMissing:
            raise NotFound(what=FILE) from None
        kind = type_of(first)
        disposition = "attachment" if kind == OPAQUE else "inline"
        answer = {
            "content-disposition": f"{disposition}; filename*=UTF-8''{quote(name, safe='')}",
            "content-security-policy": "sandbox; default-src 'none'",
            "x-content-type-options": "nosniff",
            "cache-control": "private, no-cache",
            "accept-ranges": "none",
            "etag": f'"{sha256}"',
        }
        if headers.get(b"if-none-match", b"").decode("latin-1") == answer["etag"]:
            await content.aclose()  # type: ignore[attr-defined]
            return Response(status_code=304, headers=answer)
        return StreamingResponse(_after(first, content), media_type=kind, headers=answer)

    async def _name_in_record(self, runtime: Runtime, headers: Headers, request: Request, sha256: str) -> str | None:
        """The file's name in the record that shows it to this caller; None when there is no such record for them."""
        asked = request.query_params
        entity = runtime.blueprint.entities.get(asked.get("entity", ""))
        field = entity.fields.get(asked.get("field", "")) if entity else None
        try:
            record = UUID(asked.get("id", ""))
        except ValueError:
            return None
        if entity is None or field is None or field.kind is not FieldKind.FILES:
            return None
        request_id = self._entrance.request_id(headers)
        caller = await self._entrance.caller(runtime, request.scope, headers, request_id, fresh=True)
        access = caller.decision.on(entity.name)
        if not (access.read.allowed and access.sees(field.name)):
            return None
        files = Elements("files", field.name, (("sha256", "sha256"), ("name", "name")))
        plan = Plan((RecordRoot("record", entity.name, (("id", Slot("id")),), (files,)),))
        found: dict[str, Any] = msgspec.json.decode(await runtime.read(plan, caller, {"id": record}))
        for each in (found["record"] or {}).get("files") or ():
            if each["sha256"] == sha256:
                return str(each["name"])
        return None

    async def _name_in_process(self, runtime: Runtime, headers: Headers, request: Request, sha256: str) -> str | None:
        """The file's name in a comment on a process that this caller may look at."""
        try:
            process = UUID(request.query_params["process"])
        except ValueError:
            return None
        request_id = self._entrance.request_id(headers)
        caller = await self._entrance.caller(runtime, request.scope, headers, request_id, fresh=True)
        async with runtime.database.read() as connection:
            return await comment_file(runtime.processes, caller, connection, process, sha256)


def type_of(head: bytes) -> str:
    """The media type a file's first bytes prove; `application/octet-stream` unless it is safe to show."""
    for magic, kind in _SHOWN:
        if head.startswith(magic):
            return kind
    return "image/webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else OPAQUE


class _Head:
    """Keeps the first bytes of a stream that passes by."""

    def __init__(self) -> None:
        self.bytes = bytearray()

    async def watch(self, content: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        async for chunk in content:
            if len(self.bytes) < 16:
                self.bytes += chunk[:16]
            yield chunk


async def _after(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _file_name(headers: Headers) -> str:
    """The name people know the file by: header `X-Clew-File-Name`, percent-encoded UTF-8. It never becomes a path."""
    try:
        name = unquote(headers.get(b"x-clew-file-name", b"").decode("ascii"), errors="strict").strip()
    except UnicodeDecodeError:
        what = Bilingual("文件名须为百分号编码的 UTF-8", "its name is not percent-encoded UTF-8")
        raise FileRefused(what=what) from None
    if not name:
        return "file"
    forbidden = any(sign in "/\\\x7f" or ord(sign) < 32 for sign in name) or name in (".", "..")
    if forbidden or len(name) > _NAME_LIMIT:
        raise FileRefused(what=Bilingual("文件名不能含路径或控制字符", "its name has a path or control characters"))
    return name
